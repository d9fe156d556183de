import type { Family } from "../../lib/ip.js";
import { DecodeError, Reader } from "../reader.js";
import { Writer } from "../writer.js";
import {
  ATTR_MP_REACH,
  ATTR_MP_UNREACH,
  FLAG_EXTENDED_LENGTH,
  FLAG_OPTIONAL,
  FLAG_TRANSITIVE,
  type PathAttributes,
  type RawAttribute,
  type UpdateContext,
  type UpdateFault,
} from "./attribute.js";
import { ATTRIBUTES, type AttributeCodec } from "./attribute-table.js";
import { ERROR_UPDATE, UPDATE_FLAGS, UPDATE_LENGTH, UPDATE_MALFORMED_LIST, UPDATE_NEXT_HOP, UPDATE_OPTIONAL, UPDATE_ORIGIN, UPDATE_UNRECOGNIZED_WELL_KNOWN } from "./codes.js";
import { BgpError, notificationOf, type Notification } from "./error.js";
import { unicastFamily } from "./family.js";
import { encodeMpReach, encodeMpUnreach, readMpReach } from "./mp-reach.js";
import { readPrefixes } from "./prefix.js";

const KIND_BITS = FLAG_OPTIONAL | FLAG_TRANSITIVE;
const BY_CODE: ReadonlyMap<number, AttributeCodec> = new Map(ATTRIBUTES.map((codec) => [codec.code, codec]));

/** One attribute as it stands in the message. */
interface Found extends RawAttribute {
  /** Where it begins, and where its value begins. */
  readonly offset: number;
  readonly valueOffset: number;
}

interface Parsed {
  readonly attributes: PathAttributes;
  readonly faults: readonly UpdateFault[];
}

//   0       1      2               3 or 4
//  ┌───────┬──────┬───────────────┬─────────┐
//  │ flags │ code │ length, 8 or  │ value … │   flags: optional, transitive, partial, extended length
//  │       │      │ 16 bits       │         │
//  └───────┴──────┴───────────────┴─────────┘

/** The attributes in the order of their codes, but what lists routes first, so that a receiver finds these whatever comes later (RFC 7606 5.1). */
export function attributeOctets(attributes: PathAttributes, context: UpdateContext): Uint8Array {
  const known = ATTRIBUTES.flatMap(({ code, flags, encode }) => {
    const value = encode(attributes, context);
    return value === undefined ? [] : [{ flags, code, value }];
  });
  const rest = [...known, ...(attributes.unknown ?? [])].toSorted((a, b) => a.code - b.code);
  const all = [...routeAttributes(attributes), ...rest].map((attribute) => encodeAttribute(attribute));
  const writer = new Writer(all.reduce((sum, { length }) => sum + length, 0));
  for (const octets of all) writer.bytes(octets);
  return writer.finish();
}

/** Reads attributes up to the end of `reader`. Throws BgpError where RFC 7606 asks for a session reset. */
export function readAttributes(reader: Reader, context: UpdateContext): Parsed {
  const parsed: Parsed[] = [];
  const times = new Map<number, number>();
  while (reader.remaining > 0) {
    const found = nextAttribute(reader);
    if (!("value" in found)) {
      parsed.push({ attributes: {}, faults: [found] });
      break;
    }
    const before = times.get(found.code) ?? 0;
    times.set(found.code, before + 1);
    if (before === 0) parsed.push(readAttribute(found, context));
    // The first repetition is enough to know of: a message may hold thousands.
    if (before === 1) parsed.push(repeated(found));
  }
  return merged(parsed);
}

function routeAttributes({ reach, unreach }: PathAttributes): readonly RawAttribute[] {
  return [
    ...(unreach === undefined ? [] : [{ flags: FLAG_OPTIONAL, code: ATTR_MP_UNREACH, value: encodeMpUnreach(unreach) }]),
    ...(reach === undefined ? [] : [{ flags: FLAG_OPTIONAL, code: ATTR_MP_REACH, value: encodeMpReach(reach) }]),
  ];
}

function encodeAttribute({ flags, code, value }: RawAttribute): Uint8Array {
  const writer = new Writer(4 + value.length);
  if (value.length > 255) writer.u8(flags | FLAG_EXTENDED_LENGTH).u8(code).u16(value.length);
  else writer.u8(flags & ~FLAG_EXTENDED_LENGTH).u8(code).u8(value.length);
  return writer.bytes(value).finish();
}

/** The next attribute, or what is wrong with the list: then there is no next one. RFC 7606 4: the total length is relied on, the routes are withdrawn. */
function nextAttribute(reader: Reader): Found | UpdateFault {
  const offset = reader.offset;
  try {
    const flags = reader.u8();
    const code = reader.u8();
    const length = (flags & FLAG_EXTENDED_LENGTH) === 0 ? reader.u8() : reader.u16();
    return { flags: flags & ~FLAG_EXTENDED_LENGTH, code, offset, valueOffset: reader.offset, value: reader.bytes(length) };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { approach: "withdraw", attribute: 0, what: `attribute list: ${error.message}`, notification: notificationOf(ERROR_UPDATE, UPDATE_MALFORMED_LIST) };
  }
}

/** RFC 7606 3 (g): the first one counts. */
function repeated(found: Found): Parsed {
  const notification = notificationOf(ERROR_UPDATE, UPDATE_MALFORMED_LIST);
  const what = `attribute ${found.code} twice`;
  if (found.code === ATTR_MP_REACH || found.code === ATTR_MP_UNREACH) throw new BgpError(notification, { code: "value", offset: found.offset }, what);
  return { attributes: {}, faults: [{ approach: "discard", attribute: found.code, what, notification }] };
}

function readAttribute(found: Found, context: UpdateContext): Parsed {
  const { flags, code, value } = found;
  const mp = code === ATTR_MP_REACH || code === ATTR_MP_UNREACH;
  const codec = BY_CODE.get(code);
  if (codec === undefined && !mp) return unknownAttribute(found);
  const result = codec === undefined ? readRoutes(found, context) : readKnown(found, codec, context);
  // RFC 7606 3 (c). The routes are read nevertheless: they are the ones to withdraw.
  if ((flags & KIND_BITS) === (codec?.flags ?? FLAG_OPTIONAL)) return result;
  const notification = notificationOf(ERROR_UPDATE, UPDATE_FLAGS, encodeAttribute({ flags, code, value }));
  const fault: UpdateFault = { approach: "withdraw", attribute: code, what: `flags 0x${flags.toString(16)} of attribute ${code}`, notification };
  return { attributes: mp ? result.attributes : {}, faults: [...result.faults, fault] };
}

function unknownAttribute({ flags, code, value, offset }: Found): Parsed {
  if ((flags & FLAG_OPTIONAL) === 0) {
    const notification = notificationOf(ERROR_UPDATE, UPDATE_UNRECOGNIZED_WELL_KNOWN, encodeAttribute({ flags, code, value }));
    throw new BgpError(notification, { code: "value", offset }, `well-known attribute ${code}`);
  }
  return { attributes: { unknown: [{ flags, code, value }] }, faults: [] };
}

function readKnown(found: Found, codec: AttributeCodec, context: UpdateContext): Parsed {
  const { code, value, valueOffset } = found;
  const fault = (approach: "discard" | "withdraw", subcode: number, what: string): Parsed => {
    const notification = notificationOf(ERROR_UPDATE, subcode, encodeAttribute(found));
    return { attributes: {}, faults: [{ approach, attribute: code, what: `${codec.name}: ${what}`, notification }] };
  };
  if (codec.internalOnly === true && !context.internal) return fault("discard", UPDATE_OPTIONAL, "from an external peer");
  try {
    const reader = new Reader(value, valueOffset);
    const attributes = codec.decode(reader, context);
    if (reader.remaining > 0) throw new DecodeError("length", reader.offset, `${reader.remaining} octets too many`);
    return { attributes, faults: [] };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    // RFC 4271 6.3: a length that cannot be has a subcode of its own, but not in AS_PATH and optional attributes.
    const length = error.code !== "value" && (codec.subcode === UPDATE_ORIGIN || codec.subcode === UPDATE_NEXT_HOP);
    return fault(codec.approach, length ? UPDATE_LENGTH : codec.subcode, error.message);
  }
}

/** RFC 7606 5.3, 7.11: prefixes or a next hop that cannot be read end this family; without a family, the session. */
function readRoutes(found: Found, context: UpdateContext): Parsed {
  const { code, value, valueOffset, flags } = found;
  const notification = (): Notification => notificationOf(ERROR_UPDATE, UPDATE_OPTIONAL, encodeAttribute(found));
  if (value.length < 3) throw new BgpError(notification(), { code: "length", offset: valueOffset }, `attribute ${code} of ${value.length} octets`);
  const reader = new Reader(value, valueOffset);
  const family = unicastFamily({ afi: reader.u16(), safi: reader.u8() });
  if (family === undefined) return { attributes: { unknown: [{ flags, code, value }] }, faults: [] };
  try {
    return { attributes: readFamily(reader, code, { family, addPath: context.addPath.includes(family) }), faults: [] };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return { attributes: {}, faults: [{ approach: "disable", attribute: code, family, what: error.message, notification: notification() }] };
  }
}

function readFamily(reader: Reader, code: number, { family, addPath }: { readonly family: Family; readonly addPath: boolean }): PathAttributes {
  if (code === ATTR_MP_REACH) return { reach: readMpReach(reader, family, addPath) };
  return { unreach: { family, prefixes: readPrefixes(reader, family, addPath) } };
}

function merged(parts: readonly Parsed[]): Parsed {
  const entries = parts.flatMap(({ attributes }) => Object.entries(attributes));
  const unknown = parts.flatMap(({ attributes }) => attributes.unknown ?? []);
  const attributes = Object.fromEntries(entries) as PathAttributes;
  return { attributes: unknown.length > 0 ? { ...attributes, unknown } : attributes, faults: parts.flatMap(({ faults }) => faults) };
}
