import type { LargeCommunity } from "../../lib/bgp-community.js";
import { DecodeError, type Reader } from "../reader.js";
import { Writer } from "../writer.js";

export { communityText, parseCommunity, parseLargeCommunity, WELL_KNOWN_COMMUNITIES } from "../../lib/bgp-community.js";
export type { LargeCommunity } from "../../lib/bgp-community.js";

/** 16 hex digits: the 8 octets of an extended community (RFC 4360), so that equal ones are equal strings. */
export type ExtendedCommunity = string;

export function encodeU32List(values: readonly number[]): Uint8Array {
  const writer = new Writer(values.length * 4);
  for (const value of values) writer.u32(value);
  return writer.finish();
}

export function encodeLarge(values: readonly LargeCommunity[]): Uint8Array {
  return encodeU32List(values.flatMap(({ global, local1, local2 }) => [global, local1, local2]));
}

export function encodeExtended(values: readonly ExtendedCommunity[]): Uint8Array {
  return encodeU32List(values.flatMap((value) => [Number.parseInt(value.slice(0, 8), 16), Number.parseInt(value.slice(8), 16)]));
}

/** One or more values of `size` octets; any other length throws (RFC 7606 7.8, 7.14, RFC 8092 5). */
export function readList<T>(reader: Reader, size: number, read: () => T): readonly T[] {
  const { remaining, offset } = reader;
  if (remaining === 0 || remaining % size !== 0) throw new DecodeError("length", offset, `${remaining} octets are no list of ${size} each`);
  return Array.from({ length: remaining / size }, () => read());
}

export function readLarge(reader: Reader): LargeCommunity {
  return { global: reader.u32(), local1: reader.u32(), local2: reader.u32() };
}

export function readExtended(reader: Reader): ExtendedCommunity {
  return [reader.u32(), reader.u32()].map((half) => half.toString(16).padStart(8, "0")).join("");
}
