import { checksum } from "./nd-asker.js";
import { ipv4Bytes, ipv6Bytes } from "./socket.js";

const ALL_NODES = ipv6Bytes("ff02::1");
const OVERRIDE = 0x20;

/** The frame by which a host says unasked that an address is its own. */
export function claimOf(address: string, mac: Buffer): Buffer {
  return address.includes(":") ? unsolicitedAdvertisement(ipv6Bytes(address), mac) : gratuitousRequest(ipv4Bytes(address), mac);
}

/** Gratuitous ARP: a request whose sender and target are the same (RFC 5227 2.3). */
function gratuitousRequest(ip: Buffer, mac: Buffer): Buffer {
  const frame = Buffer.alloc(42);
  frame.fill(0xff, 0, 6);
  mac.copy(frame, 6);
  frame.write("0806" + "0001" + "0800" + "06" + "04" + "0001", 12, "hex");
  mac.copy(frame, 22);
  ip.copy(frame, 28);
  ip.copy(frame, 38);
  return frame;
}

/** An unsolicited Neighbor Advertisement to all nodes, with override (RFC 4861 7.2.6). */
function unsolicitedAdvertisement(ip: Buffer, mac: Buffer): Buffer {
  const frame = Buffer.alloc(86);
  frame.write("333300000001", 0, "hex");
  mac.copy(frame, 6);
  frame.write("86dd" + "60000000" + "0020" + "3a" + "ff", 12, "hex"); // 32 octets of ICMPv6, hop limit 255
  ip.copy(frame, 22);
  ALL_NODES.copy(frame, 38);
  frame[54] = 136;
  frame[58] = OVERRIDE;
  ip.copy(frame, 62);
  frame.write("0201", 78, "hex"); // target link-layer address
  mac.copy(frame, 80);
  frame.writeUInt16BE(checksum(frame), 56);
  return frame;
}
