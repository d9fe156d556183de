import { DecodeError, Reader } from "../reader.js";
import { Writer } from "../writer.js";

// linux/netlink.h. All of netlink is in host order; vip runs on little-endian machines only (x64, arm64).
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
/** Send me what the request changed, as the listeners of the group get it. */
export const NLM_F_ECHO = 0x8;
/** The table changed while it was dumped: the answer may have holes. */
export const NLM_F_DUMP_INTR = 0x10;
// On GET requests.
export const NLM_F_DUMP = 0x300;
// On NEW requests.
export const NLM_F_REPLACE = 0x100;
export const NLM_F_CREATE = 0x400;
// On acknowledgements.
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;

// linux/rtnetlink.h
export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_GETROUTE = 26;

export const AF_UNSPEC = 0;
export const AF_INET = 2;
export const AF_INET6 = 10;

export const NETLINK_HEADER_LENGTH = 16;

/** One netlink message: the header without its length, and what follows it. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly seq: number;
  readonly portId: number;
  readonly payload: Uint8Array;
}

//   0                   4         6         8                   12                  16
//  ┌───────────────────┬─────────┬─────────┬───────────────────┬───────────────────┬───────────┐
//  │length with header │  type   │  flags  │     sequence      │      port id      │ payload … │
//  └───────────────────┴─────────┴─────────┴───────────────────┴───────────────────┴───────────┘

/** The message as octets, padded to a multiple of four, so that several can be joined to one datagram. */
export function encodeMessage(message: NetlinkMessage): Uint8Array {
  const length = NETLINK_HEADER_LENGTH + message.payload.length;
  return new Writer(align(length))
    .u32le(length)
    .u16le(message.type)
    .u16le(message.flags)
    .u32le(message.seq)
    .u32le(message.portId)
    .bytes(message.payload)
    .zeros(align(length) - length)
    .finish();
}

/** All messages of one datagram. Throws DecodeError where a length does not fit. */
export function decodeMessages(bytes: Uint8Array): readonly NetlinkMessage[] {
  const reader = new Reader(bytes);
  const messages: NetlinkMessage[] = [];
  while (reader.remaining > 0) messages.push(decodeMessage(reader));
  return messages;
}

function decodeMessage(reader: Reader): NetlinkMessage {
  const start = reader.offset;
  const length = reader.u32le();
  const header = { type: reader.u16le(), flags: reader.u16le(), seq: reader.u32le(), portId: reader.u32le() };
  if (length < NETLINK_HEADER_LENGTH) throw new DecodeError("length", start, `netlink message of ${length} octets`);
  const payload = reader.bytes(length - NETLINK_HEADER_LENGTH);
  reader.skip(Math.min(align(length) - length, reader.remaining));
  return { ...header, payload };
}

/** Next multiple of four (NLMSG_ALIGN, NLA_ALIGN). */
export function align(length: number): number {
  return (length + 3) & ~3;
}
