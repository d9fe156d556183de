import { ipFromBytes, type IpAddress } from "./ip.js";
import { macToBytes, type MacAddress } from "./mac.js";

/** In the first octet of an interface identifier: made of a MAC address that is unique in the world (RFC 4291 2.5.1, appendix A: the bit of the MAC, inverted). */
const UNIVERSAL_BIT = 0x02;

/** fe80::/64 with the modified EUI-64 identifier of a MAC address (RFC 4291 2.5.6, appendix A). */
export function linkLocalOf(mac: MacAddress): IpAddress {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macToBytes(mac);
  return ipFromBytes(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ UNIVERSAL_BIT, b, c, 0xff, 0xfe, d, e, f));
}
