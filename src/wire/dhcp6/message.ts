import { DecodeError, Reader } from "../reader.js";
import { Writer } from "../writer.js";
import { RELAY_FORW, RELAY_REPL } from "./codes.js";
import { decodeDhcp6Options, encodeDhcp6Options, type Dhcp6Options } from "./options.js";

/** A message between a client and a server (RFC 8415 8). */
export interface Dhcp6Message {
  /** `SOLICIT` to `DECLINE`, or another number as it came. */
  readonly type: number;
  /** 24 bits. */
  readonly transactionId: number;
  readonly options: Dhcp6Options;
}

const HEADER_LENGTH = 4;
const ID_MASK = 0xff_ffff;

//   0      1                4
//  ┌──────┬────────────────┬───────────┐
//  │ type │ transaction id │ options … │
//  └──────┴────────────────┴───────────┘

/** The UDP payload. */
export function encodeDhcp6({ type, transactionId, options }: Dhcp6Message): Uint8Array {
  const octets = encodeDhcp6Options(options);
  return new Writer(HEADER_LENGTH + octets.length)
    .u32(((type << 24) | (transactionId & ID_MASK)) >>> 0)
    .bytes(octets)
    .finish();
}

/** Reads a UDP payload. Throws DecodeError, also for messages of relays. */
export function decodeDhcp6(bytes: Uint8Array, base = 0): Dhcp6Message {
  const reader = new Reader(bytes, base);
  const header = reader.u32();
  const type = header >>> 24;
  if (type === RELAY_FORW || type === RELAY_REPL) throw new DecodeError("value", base, `message of a relay (${type})`);
  return { type, transactionId: header & ID_MASK, options: decodeDhcp6Options(reader) };
}
