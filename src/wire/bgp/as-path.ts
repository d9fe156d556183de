import { DecodeError, type Reader } from "../reader.js";
import { Writer } from "../writer.js";
import { AS_TRANS, MAX_AS_2 } from "./open.js";

const TYPE_SET = 1;
const TYPE_SEQUENCE = 2;
const MAX_SEGMENT = 255;

/** A run of AS numbers: in the order travelled, or as a set (RFC 4271 4.3). */
export interface AsSegment {
  readonly kind: "sequence" | "set";
  readonly as: readonly number[];
}

/** Octets of an AS number in a path: 4 where both sides have the capability (RFC 6793), else 2. */
export type AsSize = 2 | 4;

//   0      1       2
//  ┌──────┬───────┬───────────────────────┐
//  │ type │ count │ 2 or 4 octets each …  │   once for each segment
//  └──────┴───────┴───────────────────────┘

/** The value of AS_PATH or AS4_PATH. With two octets, numbers that do not fit become AS_TRANS; long segments are split. */
export function encodeAsPath(path: readonly AsSegment[], size: AsSize): Uint8Array {
  const segments = path.flatMap((segment) => split(segment));
  const writer = new Writer(segments.reduce((sum, { as }) => sum + 2 + as.length * size, 0));
  for (const { kind, as } of segments) {
    writer.u8(kind === "set" ? TYPE_SET : TYPE_SEQUENCE).u8(as.length);
    for (const number of as) writeAs(writer, number, size);
  }
  return writer.finish();
}

/** Throws DecodeError for what RFC 7606 7.2 calls malformed; the segments of confederations are, too, for we are in none (RFC 5065 5.3). */
export function decodeAsPath(reader: Reader, size: AsSize): readonly AsSegment[] {
  const path: AsSegment[] = [];
  while (reader.remaining > 0) {
    const at = reader.offset;
    const type = reader.u8();
    if (type !== TYPE_SET && type !== TYPE_SEQUENCE) throw new DecodeError("value", at, `AS_PATH segment of type ${type}`);
    const count = reader.u8();
    if (count === 0) throw new DecodeError("length", at, "empty AS_PATH segment");
    const part = reader.part(count * size);
    path.push({ kind: type === TYPE_SET ? "set" : "sequence", as: Array.from({ length: count }, () => readAs(part, size)) });
  }
  return path;
}

/** One AS number; with two octets AS_TRANS where it does not fit. */
export function writeAs(writer: Writer, as: number, size: AsSize): void {
  if (size === 4) writer.u32(as);
  else writer.u16(as > MAX_AS_2 ? AS_TRANS : as);
}

export function readAs(reader: Reader, size: AsSize): number {
  return size === 4 ? reader.u32() : reader.u16();
}

/** True where two octets are not enough, so that AS4_PATH has to go along (RFC 6793 4.2.2). */
export function needsAs4Path(path: readonly AsSegment[]): boolean {
  return path.some(({ as }) => as.some((number) => number > MAX_AS_2));
}

function split({ kind, as }: AsSegment): readonly AsSegment[] {
  const parts: AsSegment[] = [];
  for (let at = 0; at < as.length; at += MAX_SEGMENT) parts.push({ kind, as: as.slice(at, at + MAX_SEGMENT) });
  return parts;
}
