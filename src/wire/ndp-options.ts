import { DecodeError, type Reader } from "./reader.js";

export const OPT_SOURCE_LINKADDR = 1;
export const OPT_TARGET_LINKADDR = 2;
/** Octets of a link-layer address option that has a MAC address. */
export const MAC_OPTION_LENGTH = 8;

/** One option of a Neighbor Discovery message (RFC 4861 4.6). */
export interface NdOption {
  readonly type: number;
  /** Octets, with type and length. */
  readonly length: number;
  readonly value: Uint8Array;
  /** Where it starts, as errors name it. */
  readonly offset: number;
}

/** The options at the end of a message, one after the other. Throws DecodeError where one has no length or is cut short. */
export function* ndOptions(reader: Reader): Generator<NdOption, void, undefined> {
  while (reader.remaining > 0) {
    const { offset } = reader;
    const type = reader.u8();
    const length = reader.u8() * 8;
    // RFC 4861 4.6: a message with an option of length 0 must be discarded.
    if (length === 0) throw new DecodeError("length", offset, `option ${type} of length 0`);
    yield { type, length, value: reader.bytes(length - 2), offset };
  }
}
