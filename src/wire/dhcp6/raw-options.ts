import type { Reader } from "../reader.js";
import { Writer } from "../writer.js";

/** One option as it is on the wire, in its place. */
export interface RawOption {
  readonly code: number;
  readonly value: Uint8Array;
  /** Where the value begins in the input. */
  readonly offset: number;
}

/** An option to be written, or one that is kept as it came. */
export type OptionOctets = Pick<RawOption, "code" | "value">;

//   0        2        4
//  ┌────────┬────────┬─────────┐
//  │  code  │ length │ value … │   RFC 8415 21.1; options of one code may come again
//  └────────┴────────┴─────────┘

const HEADER_LENGTH = 4;

/** All options up to the end of the input. Throws DecodeError. */
export function decodeRawOptions(reader: Reader): readonly RawOption[] {
  const options: RawOption[] = [];
  while (reader.remaining > 0) {
    const code = reader.u16();
    const length = reader.u16();
    const { offset } = reader;
    options.push({ code, value: reader.bytes(length), offset });
  }
  return options;
}

/** One after the other. */
export function encodeRawOptions(options: readonly OptionOctets[]): Uint8Array {
  const writer = new Writer(options.reduce((sum, { value }) => sum + HEADER_LENGTH + value.length, 0));
  for (const { code, value } of options) writer.u16(code).u16(value.length).bytes(value);
  return writer.finish();
}
