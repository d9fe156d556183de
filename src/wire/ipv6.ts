import { ipFromBytes, ipToBytes, type IpAddress } from "../lib/ip.js";
import { internetChecksum } from "./checksum.js";
import { DecodeError, Reader } from "./reader.js";
import { Writer } from "./writer.js";

export const IPV6_HEADER_LENGTH = 40;
export const NEXT_HEADER_ICMPV6 = 58;

const VERSION = 6;

/** An IPv6 packet (RFC 8200 3). Traffic class and flow label are sent as 0 and not kept. */
export interface Ipv6Packet {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** Type of what follows: an extension header or the upper layer. */
  readonly nextHeader: number;
  readonly hopLimit: number;
  readonly payload: Uint8Array;
}

//   0               4        6       7       8
//  ┌───────────────┬────────┬───────┬───────┬───────────────┬───────────────┬───────────┐
//  │6, class, label│ length │ next  │  hop  │ 8  source     │24 destination │ payload … │   length is that of the payload
//  └───────────────┴────────┴───────┴───────┴───────────────┴───────────────┴───────────┘ 40

/** The whole packet. */
export function encodeIpv6({ source, destination, nextHeader, hopLimit, payload }: Ipv6Packet): Uint8Array {
  return new Writer(IPV6_HEADER_LENGTH + payload.length)
    .u32(VERSION * 2 ** 28)
    .u16(payload.length)
    .u8(nextHeader)
    .u8(hopLimit)
    .bytes(ipToBytes(source))
    .bytes(ipToBytes(destination))
    .bytes(payload)
    .finish();
}

/** Reads a packet; what follows its payload (padding of the frame) is ignored. `base` is where `bytes` begin in the whole input. Throws DecodeError. */
export function decodeIpv6(bytes: Uint8Array, base = 0): Ipv6Packet {
  const reader = new Reader(bytes, base);
  const version = reader.u32() >>> 28;
  if (version !== VERSION) throw new DecodeError("value", base, `IP version ${version}, not ${VERSION},`);
  const length = reader.u16();
  const nextHeader = reader.u8();
  const hopLimit = reader.u8();
  const source = ipFromBytes(reader.bytes(16));
  const destination = ipFromBytes(reader.bytes(16));
  return { source, destination, nextHeader, hopLimit, payload: reader.bytes(length) };
}

//   0                     16                    32       36        39
//  ┌─────────────────────┬─────────────────────┬────────┬─────────┬────┐
//  │       source        │     destination     │ length │    0    │ 58 │   what the checksum covers in front of the message
//  └─────────────────────┴─────────────────────┴────────┴─────────┴────┘

/** Checksum of an ICMPv6 message with the pseudo-header (RFC 4443 2.3, RFC 8200 8.1); 0 for a message with the right one in it. */
export function icmpv6Checksum({ source, destination, payload }: Pick<Ipv6Packet, "source" | "destination" | "payload">): number {
  const pseudo = new Writer(IPV6_HEADER_LENGTH)
    .bytes(ipToBytes(source))
    .bytes(ipToBytes(destination))
    .u32(payload.length)
    .zeros(3)
    .u8(NEXT_HEADER_ICMPV6)
    .finish();
  return internetChecksum(pseudo, payload);
}
