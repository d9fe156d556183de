import { ipFromBytes, ipToBytes, type Family, type IpAddress } from "../../lib/ip.js";
import { DecodeError, type Reader } from "../reader.js";
import type { Writer } from "../writer.js";

/** One destination. Bits of `address` behind `length` are zero when it comes from the decoder and are not sent by the encoder. */
export interface Prefix {
  readonly address: IpAddress;
  readonly length: number;
  /** ADD-PATH identifier (RFC 7911 3), only where that was agreed on. */
  readonly pathId?: number;
}

/** Octets of a prefix on the wire, at most: path identifier, length, address. */
export const MAX_PREFIX_OCTETS = 4 + 1 + 16;

/** `192.0.2.0/24`: equal prefixes have equal text. */
export function prefixText({ address, length }: Prefix): string {
  return `${address}/${length}`;
}

/** How many octets `writePrefix` writes. */
export function prefixOctets({ length, pathId }: Prefix): number {
  return (pathId === undefined ? 0 : 4) + 1 + Math.ceil(length / 8);
}

//   0           4        5
//  ┌───────────┬────────┬──────────────────────────────┐
//  │ path id   │ length │ as many octets as bits need  │   path id only with ADD-PATH
//  └───────────┴────────┴──────────────────────────────┘

/** Bits behind the length are sent as zeros. */
export function writePrefix(writer: Writer, prefix: Prefix): void {
  const { address, length, pathId } = prefix;
  if (pathId !== undefined) writer.u32(pathId);
  writer.u8(length).bytes(masked(ipToBytes(address), length).subarray(0, Math.ceil(length / 8)));
}

/** All prefixes up to the end of `reader`. A length above the family's or an address cut short throws DecodeError (RFC 7606 5.3). */
export function readPrefixes(reader: Reader, family: Family, addPath: boolean): readonly Prefix[] {
  const prefixes: Prefix[] = [];
  while (reader.remaining > 0) prefixes.push(readPrefix(reader, family, addPath));
  return prefixes;
}

function readPrefix(reader: Reader, family: Family, addPath: boolean): Prefix {
  const pathId = addPath ? { pathId: reader.u32() } : {};
  const at = reader.offset;
  const length = reader.u8();
  if (length > bitsOf(family)) throw new DecodeError("value", at, `IPv${family} prefix of ${length} bits`);
  const octets = new Uint8Array(bitsOf(family) / 8);
  octets.set(reader.bytes(Math.ceil(length / 8)));
  return { address: ipFromBytes(masked(octets, length)), length, ...pathId };
}

function bitsOf(family: Family): number {
  return family === 4 ? 32 : 128;
}

/** The same octets, with the bits behind `length` set to zero. */
function masked(octets: Uint8Array, length: number): Uint8Array {
  const whole = length >> 3;
  const rest = length & 7;
  if (rest !== 0) octets[whole] = (octets[whole] ?? 0) & (0xff00 >> rest);
  return octets.fill(0, whole + (rest === 0 ? 0 : 1));
}
