import { checksum } from "./nd-asker.js";
import { ipv6Bytes } from "./socket.js";

/** A Router Advertisement (RFC 4861 4.2) to all nodes: a default router for half an hour, and a prefix of 64 bits for addresses by SLAAC. */
export function routerAdvertisement(mac: Buffer, prefix: string): Buffer {
  const frame = Buffer.alloc(102);
  frame.write("333300000001", 0, "hex");
  mac.copy(frame, 6);
  frame.write("86dd" + "60000000" + "0030" + "3a" + "ff", 12, "hex"); // 48 octets of ICMPv6, hop limit 255
  ipv6Bytes("fe80::99").copy(frame, 22);
  ipv6Bytes("ff02::1").copy(frame, 38);
  frame.write("86000000" + "40000708" + "00000000" + "00000000", 54, "hex"); // current hop limit 64, router lifetime 1800 s
  frame.write("030440c0" + "00000e10" + "00000e10" + "00000000", 70, "hex"); // prefix information: /64, on link, autonomous, 3600 s
  ipv6Bytes(prefix).copy(frame, 86);
  frame.writeUInt16BE(checksum(frame), 56);
  return frame;
}
