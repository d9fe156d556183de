import { familyOf, ipFromBytes, ipToBytes, type IpAddress } from "../lib/ip.js";

export const AF_INET = 2;
export const AF_INET6 = 10;

export interface SocketAddress {
  readonly address: IpAddress;
  readonly port: number;
}

/** struct sockaddr_in or sockaddr_in6. A link-local address has its link from what the socket is bound to, not from here. */
export function encodeSocketAddress({ address, port }: SocketAddress): Uint8Array {
  const octets = ipToBytes(address);
  const six = familyOf(address) === 6;
  const bytes = new Uint8Array(six ? 28 : 16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, six ? AF_INET6 : AF_INET, true);
  view.setUint16(2, port);
  bytes.set(octets, six ? 8 : 4);
  return bytes;
}

/** Undefined for anything but IPv4 and IPv6. */
export function decodeSocketAddress(bytes: Uint8Array): SocketAddress | undefined {
  if (bytes.length < 16) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const family = view.getUint16(0, true);
  const port = view.getUint16(2);
  if (family === AF_INET) return { address: ipFromBytes(bytes.slice(4, 8)), port };
  return family === AF_INET6 && bytes.length >= 24 ? { address: ipFromBytes(bytes.slice(8, 24)), port } : undefined;
}
