import { DecodeError, type Reader } from "../reader.js";
import { Writer } from "../writer.js";

/** RFC 1997, RFC 8326, RFC 7999, RFC 9494: names that need no number. */
export const WELL_KNOWN_COMMUNITIES: Readonly<Record<string, number>> = {
  "graceful-shutdown": 0xffff0000,
  "accept-own": 0xffff0001,
  "llgr-stale": 0xffff0006,
  "no-llgr": 0xffff0007,
  blackhole: 0xffff029a,
  "no-export": 0xffffff01,
  "no-advertise": 0xffffff02,
  "no-export-subconfed": 0xffffff03,
  "no-peer": 0xffffff04,
};

/** Three numbers of 32 bits (RFC 8092). */
export interface LargeCommunity {
  readonly global: number;
  readonly local1: number;
  readonly local2: number;
}

/** 16 hex digits: the 8 octets of an extended community (RFC 4360), so that equal ones are equal strings. */
export type ExtendedCommunity = string;

/** 32 bits from `65000:100` or a well-known name; undefined for all else. */
export function parseCommunity(text: string): number | undefined {
  const known = WELL_KNOWN_COMMUNITIES[text.toLowerCase()];
  if (known !== undefined) return known;
  const parts = numbers(text, 65_535);
  return parts?.length === 2 ? (((parts[0] ?? 0) << 16) | (parts[1] ?? 0)) >>> 0 : undefined;
}

/** From `64496:1:2`; undefined for all else. */
export function parseLargeCommunity(text: string): LargeCommunity | undefined {
  const parts = numbers(text, 0xffffffff);
  if (parts?.length !== 3) return undefined;
  const [global = 0, local1 = 0, local2 = 0] = parts;
  return { global, local1, local2 };
}

/** `65000:100`, or its well-known name. */
export function communityText(community: number): string {
  const known = Object.entries(WELL_KNOWN_COMMUNITIES).find(([, value]) => value === community);
  return known?.[0] ?? `${community >>> 16}:${community & 0xffff}`;
}

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

function numbers(text: string, max: number): readonly number[] | undefined {
  const parts = text.split(":");
  if (!parts.every((part) => /^\d{1,10}$/.test(part) && Number(part) <= max)) return undefined;
  return parts.map(Number);
}
