import type { Reader } from "../reader.js";
import { Writer } from "../writer.js";
import { CEASE_ADMIN_RESET, CEASE_ADMIN_SHUTDOWN, CEASE_HARD_RESET, codeName, ERROR_CEASE } from "./codes.js";
import { notificationOf, type Notification } from "./error.js";

/** RFC 9003 2: the length is one octet. */
const MAX_COMMUNICATION = 255;

//   0      1        2
//  ┌──────┬────────┬────────┐
//  │ code │subcode │ data … │
//  └──────┴────────┴────────┘

/** The body, without the message header. */
export function encodeNotification({ code, subcode, data }: Notification): Uint8Array {
  return new Writer(2 + data.length).u8(code).u8(subcode).bytes(data).finish();
}

/** Reads the body up to its end. */
export function decodeNotification(reader: Reader): Notification {
  return { code: reader.u8(), subcode: reader.u8(), data: reader.bytes(reader.remaining) };
}

/** A Cease that tells the operator of the peer why, in up to 255 octets of UTF-8 (RFC 9003 2); longer text is cut between characters. */
export function ceaseWithText(subcode: typeof CEASE_ADMIN_SHUTDOWN | typeof CEASE_ADMIN_RESET, text: string): Notification {
  if (text === "") return notificationOf(ERROR_CEASE, subcode);
  const octets = new Uint8Array(MAX_COMMUNICATION);
  const { written } = new TextEncoder().encodeInto(text, octets);
  return notificationOf(ERROR_CEASE, subcode, Uint8Array.of(written, ...octets.subarray(0, written)));
}

/** The shutdown communication, also inside a hard reset; undefined where there is none or the length does not fit. Bad UTF-8 becomes U+FFFD. */
export function communicationOf(notification: Notification): string | undefined {
  const { code, subcode, data } = hardResetContent(notification) ?? notification;
  if (code !== ERROR_CEASE || (subcode !== CEASE_ADMIN_SHUTDOWN && subcode !== CEASE_ADMIN_RESET)) return undefined;
  const [length = 0] = data;
  if (length === 0 || length > data.length - 1) return undefined;
  return new TextDecoder().decode(data.subarray(1, 1 + length));
}

/** The same, but the peer is to forget our routes at once although graceful restart was agreed on (RFC 8538 3.1). */
export function hardReset(inner: Notification): Notification {
  return notificationOf(ERROR_CEASE, CEASE_HARD_RESET, encodeNotification(inner));
}

/** What a hard reset is for; undefined for every other NOTIFICATION, and where the data is too short to say. */
export function hardResetContent({ code, subcode, data }: Notification): Notification | undefined {
  const [innerCode, innerSubcode] = data;
  if (code !== ERROR_CEASE || subcode !== CEASE_HARD_RESET || innerCode === undefined || innerSubcode === undefined) return undefined;
  return notificationOf(innerCode, innerSubcode, data.slice(2));
}

/** One line for people: `Cease/Hard Reset: Cease/Administrative Shutdown: "moving racks"`. Control characters of the peer are made visible. */
export function describeNotification(notification: Notification): string {
  const inner = hardResetContent(notification);
  const names = [notification, ...(inner === undefined ? [] : [inner])].map(({ code, subcode }) => codeName(code, subcode)).join(": ");
  const text = communicationOf(notification);
  return text === undefined ? names : `${names}: ${JSON.stringify(text)}`;
}
