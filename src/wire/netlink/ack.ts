import { Reader } from "../reader.js";
import { attributesByType, attributeText, attributeU32 } from "./attribute.js";
import { NETLINK_HEADER_LENGTH, NLM_F_ACK_TLVS, NLM_F_CAPPED, type NetlinkMessage } from "./message.js";

const NLMSGERR_ATTR_MSG = 1;
const NLMSGERR_ATTR_OFFS = 2;

/** What the kernel says about a request or a finished dump. */
export interface Ack {
  /** Positive errno; 0 = success. */
  readonly errno: number;
  /** Text of the extended acknowledgement; a success may have one too (a warning). */
  readonly text: string | undefined;
  /** Where in the request the kernel found the fault, counted from its netlink header. */
  readonly faultOffset: number | undefined;
}

//   0             4                         20
//  ┌─────────────┬─────────────────────────┬──────────────────────────┬──────────────┐
//  │ −errno, i32 │ header of the request   │ its payload, unless the  │ attributes,  │
//  │             │                         │ flag CAPPED is set       │ if ACK_TLVS  │
//  └─────────────┴─────────────────────────┴──────────────────────────┴──────────────┘

/** Reads the payload of an NLMSG_ERROR message (errno 0 is an acknowledgement). */
export function decodeAck(message: NetlinkMessage): Ack {
  const reader = new Reader(message.payload);
  const errno = errnoOf(reader);
  const requestLength = reader.u32le();
  reader.skip(NETLINK_HEADER_LENGTH - 4);
  // A success carries only the header of the request, whatever the socket's options.
  const quoted = errno !== 0 && (message.flags & NLM_F_CAPPED) === 0;
  if (quoted) reader.skip(Math.max(0, requestLength - NETLINK_HEADER_LENGTH));
  return { errno, ...decodeExtension(message, reader) };
}

/** Reads the payload of an NLMSG_DONE message: the result of the dump. */
export function decodeDone(message: NetlinkMessage): Ack {
  // Very old kernels send no payload; that means success.
  if (message.payload.length === 0) return { errno: 0, text: undefined, faultOffset: undefined };
  const reader = new Reader(message.payload);
  return { errno: errnoOf(reader), ...decodeExtension(message, reader) };
}

function errnoOf(reader: Reader): number {
  return Math.abs(Math.min(0, reader.i32le()));
}

function decodeExtension(message: NetlinkMessage, reader: Reader): Omit<Ack, "errno"> {
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return { text: undefined, faultOffset: undefined };
  const attributes = attributesByType(reader);
  return {
    text: attributeText(attributes.get(NLMSGERR_ATTR_MSG)),
    faultOffset: attributeU32(attributes.get(NLMSGERR_ATTR_OFFS)),
  };
}
