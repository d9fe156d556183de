import { ipFromBytes, ipToBytes, type IpAddress } from "../../lib/ip.js";
import { DecodeError } from "../reader.js";
import { Writer } from "../writer.js";

/** How the value of an option is written. `decode` throws DecodeError; `base` is where the option is in the input, as near as it can be told. */
export interface OptionKind<T> {
  encode(value: T): Uint8Array;
  decode(value: Uint8Array, base: number): T;
}

const BITS = 32;
const LAST_CONTROL = 0x1f;
const DELETE = 0x7f;

export const U8: OptionKind<number> = {
  encode: (value) => Uint8Array.of(value),
  decode: (value, base) => view(value, 1, base).getUint8(0),
};

export const U16: OptionKind<number> = {
  encode: (value) => new Writer(2).u16(value).finish(),
  decode: (value, base) => view(value, 2, base).getUint16(0),
};

/** 32 bits, unsigned: a number of seconds. */
export const U32: OptionKind<number> = {
  encode: (value) => new Writer(4).u32(value).finish(),
  decode: (value, base) => view(value, 4, base).getUint32(0),
};

export const ADDRESS: OptionKind<IpAddress> = {
  encode: ipToBytes,
  decode: (value, base) => ipFromBytes(exactly(value, 4, base)),
};

/** One address or more. */
export const ADDRESSES: OptionKind<readonly IpAddress[]> = {
  encode: (addresses) => addresses.reduce((writer, address) => writer.bytes(ipToBytes(address)), new Writer(addresses.length * 4)).finish(),
  decode: (value, base) => {
    if (value.length === 0 || value.length % 4 !== 0) throw new DecodeError("length", base, `addresses in ${value.length} octets`);
    return Array.from({ length: value.length / 4 }, (_, index) => ipFromBytes(value.slice(index * 4, index * 4 + 4)));
  },
};

/** A subnet mask as its prefix length, 0 to 32; one with gaps is refused. */
export const MASK: OptionKind<number> = {
  encode: (prefix) => new Writer(4).u32(prefix === 0 ? 0 : (~0 << (BITS - prefix)) >>> 0).finish(),
  decode: (value, base) => {
    const mask = view(value, 4, base).getUint32(0);
    const prefix = Math.clz32(~mask);
    if (prefix < BITS && (mask << prefix) !== 0) throw new DecodeError("value", base, `mask ${ipFromBytes(value)}`);
    return prefix;
  },
};

/** At least one octet (RFC 2132: most of such options). */
export const OCTETS: OptionKind<Uint8Array> = {
  encode: (value) => value,
  decode: (value, base) => {
    if (value.length === 0) throw new DecodeError("length", base, "an empty option");
    return value;
  },
};

/**
 * Text of a server: it ends at the first NUL (RFC 2132 2 wants none, and some servers send one). Each octet is one character, control characters are
 * `?`, so that the text can be shown.
 */
export const TEXT: OptionKind<string> = {
  encode: (text) => Uint8Array.from(text, (character) => character.charCodeAt(0)),
  decode: (value, base) => {
    const end = value.indexOf(0);
    const used = end === -1 ? value : value.subarray(0, end);
    if (used.length === 0) throw new DecodeError("length", base, "an empty text");
    return Array.from(used, (octet) => (octet <= LAST_CONTROL || octet === DELETE ? "?" : String.fromCharCode(octet))).join("");
  },
};

function exactly(value: Uint8Array, length: number, base: number): Uint8Array {
  if (value.length !== length) throw new DecodeError("length", base, `an option of ${value.length} octets, not ${length},`);
  return value;
}

function view(value: Uint8Array, length: number, base: number): DataView {
  const { buffer, byteOffset } = exactly(value, length, base);
  return new DataView(buffer, byteOffset, length);
}
