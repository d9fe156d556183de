import { DecodeError, type Reader } from "../reader.js";
import { Writer } from "../writer.js";
import { OPT_END, OPT_OVERLOAD, OPT_PAD } from "./codes.js";

/** Values by option code, in the order in which the codes first came. Several options of one code are one value (RFC 3396). */
export type RawOptions = ReadonlyMap<number, Uint8Array>;

/** The three places where options may be: the options field, and `file` and `sname` where option 52 says so (RFC 2131 4.1). */
export interface OptionAreas {
  readonly options: Reader;
  readonly file: Reader;
  readonly sname: Reader;
}

const MAX_PIECE = 255;
const OVERLOAD_FILE = 1;
const OVERLOAD_SNAME = 2;

/**
 * Options of all areas. RFC 3396 5: the areas are one string, the options field first, then `file`, then `sname`, and pieces of one code are joined
 * in that order. The end option is not insisted on in the options field, for some servers forget it. Throws DecodeError.
 */
export function decodeAreas(areas: OptionAreas): RawOptions {
  const pieces = new Map<number, Uint8Array[]>();
  collect(areas.options, pieces);
  const overload = pieces.get(OPT_OVERLOAD)?.[0]?.[0] ?? 0;
  if (overload > (OVERLOAD_FILE | OVERLOAD_SNAME)) throw new DecodeError("value", areas.options.offset, `option overload ${overload}`);
  if ((overload & OVERLOAD_FILE) !== 0) collect(areas.file, pieces);
  if ((overload & OVERLOAD_SNAME) !== 0) collect(areas.sname, pieces);
  pieces.delete(OPT_OVERLOAD);
  return new Map(Array.from(pieces, ([code, parts]) => [code, joined(parts)]));
}

//   0      1        2
//  ┌──────┬────────┬─────────┐
//  │ code │ length │ value … │   0 (pad) and 255 (end) have neither length nor value
//  └──────┴────────┴─────────┘

/** The options field up to and with the end option; a value of more than 255 octets becomes several options (RFC 3396 6). */
export function encodeOptionsField(options: RawOptions): Uint8Array {
  let size = 1;
  for (const value of options.values()) size += value.length + 2 * pieceCount(value);
  const writer = new Writer(size);
  for (const [code, value] of options) {
    for (let piece = 0; piece < pieceCount(value); piece += 1) {
      const part = value.subarray(piece * MAX_PIECE, (piece + 1) * MAX_PIECE);
      writer.u8(code).u8(part.length).bytes(part);
    }
  }
  return writer.u8(OPT_END).finish();
}

function pieceCount(value: Uint8Array): number {
  return Math.max(1, Math.ceil(value.length / MAX_PIECE));
}

function collect(reader: Reader, pieces: Map<number, Uint8Array[]>): void {
  while (reader.remaining > 0) {
    const code = reader.u8();
    if (code === OPT_END) return;
    if (code === OPT_PAD) continue;
    const value = reader.bytes(reader.u8());
    const before = pieces.get(code);
    if (before === undefined) pieces.set(code, [value]);
    else before.push(value);
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const writer = new Writer(parts.reduce((sum, part) => sum + part.length, 0));
  for (const part of parts) writer.bytes(part);
  return writer.finish();
}
