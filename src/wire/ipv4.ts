import { ipFromBytes, ipToBytes, type IpAddress } from "../lib/ip.js";
import { internetChecksum } from "./checksum.js";
import { DecodeError, Reader } from "./reader.js";
import { Writer } from "./writer.js";

export const IPV4_HEADER_LENGTH = 20;
export const PROTOCOL_UDP = 17;
export const UNSPECIFIED_IPV4 = "0.0.0.0" as IpAddress;
export const BROADCAST_IPV4 = "255.255.255.255" as IpAddress;

const VERSION = 4;
const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET = 0x1fff;

/** A whole IPv4 packet (RFC 791 3.1). Options and type of service are not kept. */
export interface Ipv4Packet {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  readonly ttl: number;
  readonly payload: Uint8Array;
}

//   0    1    2         4         6         8    9    10        12          16            20
//  ┌────┬────┬─────────┬─────────┬─────────┬────┬────┬─────────┬───────────┬─────────────┬──────────┬───────────┐
//  │4,hl│tos │ length  │identity │fragment │ttl │prot│checksum │  source   │ destination │ options …│ payload … │   length is that of the packet
//  └────┴────┴─────────┴─────────┴─────────┴────┴────┴─────────┴───────────┴─────────────┴──────────┴───────────┘

/** The whole packet, without options, never to be fragmented, so that it needs no identification (RFC 6864 4.1). */
export function encodeIpv4({ source, destination, protocol, ttl, payload }: Ipv4Packet): Uint8Array {
  const header = (checksum: number): Uint8Array =>
    new Writer(IPV4_HEADER_LENGTH)
      .u8((VERSION << 4) | (IPV4_HEADER_LENGTH / 4))
      .u8(0)
      .u16(IPV4_HEADER_LENGTH + payload.length)
      .u16(0)
      .u16(DONT_FRAGMENT)
      .u8(ttl)
      .u8(protocol)
      .u16(checksum)
      .bytes(ipToBytes(source))
      .bytes(ipToBytes(destination))
      .finish();
  const packet = new Writer(IPV4_HEADER_LENGTH + payload.length);
  return packet
    .bytes(header(internetChecksum(header(0))))
    .bytes(payload)
    .finish();
}

/**
 * Reads a packet; options are skipped, and what follows its payload (padding of the frame) is ignored. `base` is where `bytes` begin in the whole
 * input. Throws DecodeError, also for a fragment: nobody puts it together here.
 */
export function decodeIpv4(bytes: Uint8Array, base = 0): Ipv4Packet {
  const reader = new Reader(bytes, base);
  const first = reader.u8();
  if (first >> 4 !== VERSION) throw new DecodeError("value", base, `IP version ${first >> 4}, not ${VERSION},`);
  const headerLength = (first & 0xf) * 4;
  if (headerLength < IPV4_HEADER_LENGTH) throw new DecodeError("length", base, `IPv4 header of ${headerLength} octets`);
  reader.skip(1);
  const length = reader.u16();
  if (length < headerLength) throw new DecodeError("length", base + 2, `packet of ${length} octets with a header of ${headerLength}`);
  reader.skip(2);
  const fragment = reader.u16();
  if ((fragment & (MORE_FRAGMENTS | FRAGMENT_OFFSET)) !== 0) throw new DecodeError("value", base + 6, "a fragment");
  const ttl = reader.u8();
  const protocol = reader.u8();
  reader.skip(2);
  const source = ipFromBytes(reader.bytes(4));
  const destination = ipFromBytes(reader.bytes(4));
  reader.skip(headerLength - IPV4_HEADER_LENGTH);
  if (internetChecksum(bytes.subarray(0, headerLength)) !== 0) throw new DecodeError("value", base + 10, "wrong header checksum");
  return { source, destination, protocol, ttl, payload: reader.bytes(length - headerLength) };
}
