import { Reader } from "../reader.js";
import { Writer } from "../writer.js";

/** What a server says of a message, an IA or an address (RFC 8415 21.13). */
export interface Dhcp6Status {
  /** `STATUS_SUCCESS` to `STATUS_USE_MULTICAST`, or another number as it came. */
  readonly code: number;
  /** Text for a person, each octet one character, control characters as `?`; may be empty. */
  readonly message: string;
}

const LAST_CONTROL = 0x1f;
const DELETE = 0x7f;

/** The value of a Status Code option. A message with a character above U+00FF is a caller's mistake. */
export function encodeStatus({ code, message }: Dhcp6Status): Uint8Array {
  return new Writer(2 + message.length)
    .u16(code)
    .bytes(Uint8Array.from(message, (character) => character.charCodeAt(0)))
    .finish();
}

/** Throws DecodeError; `base` is where the value begins in the input. */
export function decodeStatus(value: Uint8Array, base = 0): Dhcp6Status {
  const reader = new Reader(value, base);
  const code = reader.u16();
  const message = Array.from(reader.bytes(reader.remaining), (octet) => (octet <= LAST_CONTROL || octet === DELETE ? "?" : String.fromCharCode(octet))).join("");
  return { code, message };
}
