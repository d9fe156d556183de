import { assertNever } from "../../lib/errors.js";
import { Reader } from "../reader.js";
import { Writer } from "../writer.js";
import type { UpdateContext } from "./attribute.js";
import {
  ERROR_HEADER,
  ERROR_ROUTE_REFRESH,
  HEADER_BAD_LENGTH,
  HEADER_BAD_TYPE,
  HEADER_NOT_SYNCHRONIZED,
  MESSAGE_KEEPALIVE,
  MESSAGE_NOTIFICATION,
  MESSAGE_OPEN,
  MESSAGE_ROUTE_REFRESH,
  MESSAGE_UPDATE,
  REFRESH_BAD_LENGTH,
} from "./codes.js";
import { BgpError, notificationOf, type Notification } from "./error.js";
import { decodeNotification, encodeNotification } from "./notification.js";
import { decodeOpen, encodeOpen, type Open } from "./open.js";
import { decodeRouteRefresh, encodeRouteRefresh, REFRESH_BEGIN, REFRESH_END, type RouteRefresh } from "./route-refresh.js";
import { decodeUpdate, encodeUpdate, type ReceivedUpdate } from "./update.js";

export const HEADER_LENGTH = 19;
export const MAX_MESSAGE = 4096;
/** Where both sides have the capability (RFC 8654); never for OPEN and KEEPALIVE. */
export const MAX_EXTENDED_MESSAGE = 65_535;

const MARKER_LENGTH = 16;
const LENGTH_OFFSET = 16;
const TYPE_OFFSET = 18;

export type BgpMessage =
  | { readonly type: "open"; readonly open: Open }
  | { readonly type: "update"; readonly update: ReceivedUpdate }
  | { readonly type: "notification"; readonly notification: Notification }
  | { readonly type: "keepalive" }
  | { readonly type: "refresh"; readonly refresh: RouteRefresh };

interface Kind {
  readonly code: number;
  /** Shortest message, header included (RFC 4271 6.1, RFC 2918 3). */
  readonly least: number;
  readonly most: number;
}

const KINDS: Readonly<Record<BgpMessage["type"], Kind>> = {
  open: { code: MESSAGE_OPEN, least: 29, most: MAX_MESSAGE },
  update: { code: MESSAGE_UPDATE, least: 23, most: MAX_EXTENDED_MESSAGE },
  notification: { code: MESSAGE_NOTIFICATION, least: 21, most: MAX_EXTENDED_MESSAGE },
  keepalive: { code: MESSAGE_KEEPALIVE, least: HEADER_LENGTH, most: HEADER_LENGTH },
  refresh: { code: MESSAGE_ROUTE_REFRESH, least: 23, most: MAX_EXTENDED_MESSAGE },
};

const BY_CODE: ReadonlyMap<number, Kind> = new Map(Object.values(KINDS).map((kind) => [kind.code, kind]));

//   0                          16       18     19
//  ┌──────────────────────────┬────────┬──────┬────────┐
//  │ marker: 16 octets of 255 │ length │ type │ body … │   length counts the header
//  └──────────────────────────┴────────┴──────┴────────┘

/** The whole message. That it is not too long for the peer is the caller's business. */
export function encodeMessage(message: BgpMessage, context: UpdateContext): Uint8Array {
  return framed(KINDS[message.type].code, bodyOf(message, context));
}

/** A body with its header. */
export function framed(code: number, body: Uint8Array): Uint8Array {
  const length = HEADER_LENGTH + body.length;
  return new Writer(length).bytes(new Uint8Array(MARKER_LENGTH).fill(0xff)).u16(length).u8(code).bytes(body).finish();
}

/** The code of a message's type, as in its header. */
export function typeCode(message: BgpMessage): number {
  return KINDS[message.type].code;
}

/**
 * How long the message at the start of `octets` is, once its header is there; undefined before. Throws BgpError for a bad header
 * (RFC 4271 6.1), before any octet of the body has been waited for.
 */
export function messageLength(octets: Uint8Array, most: number): number | undefined {
  const marker = octets.subarray(0, MARKER_LENGTH).findIndex((octet) => octet !== 0xff);
  if (marker !== -1) throw new BgpError(notificationOf(ERROR_HEADER, HEADER_NOT_SYNCHRONIZED), { code: "value", offset: marker }, "no BGP marker");
  if (octets.length < HEADER_LENGTH) return undefined;
  const head = new Reader(octets.subarray(LENGTH_OFFSET, HEADER_LENGTH), LENGTH_OFFSET);
  const lengthField = octets.slice(LENGTH_OFFSET, TYPE_OFFSET);
  const length = head.u16();
  const type = head.u8();
  const badLength = notificationOf(ERROR_HEADER, HEADER_BAD_LENGTH, lengthField);
  if (length < HEADER_LENGTH || length > most) throw new BgpError(badLength, { code: "length", offset: LENGTH_OFFSET }, `message of ${length} octets`);
  const kind = BY_CODE.get(type);
  if (kind === undefined) throw new BgpError(notificationOf(ERROR_HEADER, HEADER_BAD_TYPE, Uint8Array.of(type)), { code: "value", offset: TYPE_OFFSET }, `message of type ${type}`);
  if (length < kind.least || length > kind.most) throw new BgpError(badLength, { code: "length", offset: LENGTH_OFFSET }, `message of type ${type} with ${length} octets`);
  return length;
}

/** True for a whole message that is an UPDATE. */
export function isUpdate(octets: Uint8Array): boolean {
  return octets[TYPE_OFFSET] === MESSAGE_UPDATE;
}

/** Reads one whole message. Throws BgpError with the NOTIFICATION to send, and nothing else. */
export function decodeMessage(octets: Uint8Array, context: UpdateContext, most: number = MAX_EXTENDED_MESSAGE): BgpMessage {
  if (messageLength(octets, most) !== octets.length) {
    const notification = notificationOf(ERROR_HEADER, HEADER_BAD_LENGTH, octets.slice(LENGTH_OFFSET, TYPE_OFFSET));
    throw new BgpError(notification, { code: "length", offset: Math.min(LENGTH_OFFSET, octets.length) }, `${octets.length} octets are not one message`);
  }
  const reader = new Reader(octets.subarray(HEADER_LENGTH), HEADER_LENGTH);
  switch (octets[TYPE_OFFSET]) {
    case MESSAGE_OPEN:
      return { type: "open", open: decodeOpen(reader) };
    case MESSAGE_UPDATE:
      return { type: "update", update: decodeUpdate(reader, context) };
    case MESSAGE_NOTIFICATION:
      return { type: "notification", notification: decodeNotification(reader) };
    case MESSAGE_ROUTE_REFRESH:
      return { type: "refresh", refresh: checkedRefresh(decodeRouteRefresh(reader), octets) };
    default:
      // messageLength knows the types: only this one is left.
      return { type: "keepalive" };
  }
}

function bodyOf(message: BgpMessage, context: UpdateContext): Uint8Array {
  switch (message.type) {
    case "open":
      return encodeOpen(message.open);
    case "update":
      return encodeUpdate(message.update, context);
    case "notification":
      return encodeNotification(message.notification);
    case "keepalive":
      return new Uint8Array();
    case "refresh":
      return encodeRouteRefresh(message.refresh);
    default:
      return assertNever(message);
  }
}

/** RFC 7313 5: the two marks have no room for anything more; the data is the whole message. */
function checkedRefresh(refresh: RouteRefresh, octets: Uint8Array): RouteRefresh {
  const mark = refresh.subtype === REFRESH_BEGIN || refresh.subtype === REFRESH_END;
  if (!mark || refresh.filters.length === 0) return refresh;
  throw new BgpError(notificationOf(ERROR_ROUTE_REFRESH, REFRESH_BAD_LENGTH, octets.slice()), { code: "length", offset: HEADER_LENGTH }, "mark of a route refresh with more behind it");
}
