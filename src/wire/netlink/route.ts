import type { Family, IpAddress } from "../../lib/ip.js";
import { DecodeError, Reader } from "../reader.js";
import { Writer } from "../writer.js";
import { afFromFamily, attributeIp, attributeReader, attributesByType, attributeU32, familyFromAf, type Attribute } from "./attribute.js";

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
const RTA_VIA = 18;

const NEXT_HOP_LENGTH = 8;

export const RTN_UNICAST = 1;

/** Where a route leads; a multipath route has several. */
export interface NextHop {
  readonly linkIndex: number | undefined;
  /** May be of the other family (RTA_VIA, RFC 5549). */
  readonly gateway: IpAddress | undefined;
}

/** An RTM_NEWROUTE or RTM_DELROUTE. */
export interface RouteMessage {
  readonly family: Family;
  readonly table: number;
  /** RTPROT_*: who made the route. */
  readonly protocol: number;
  /** RTN_*. */
  readonly type: number;
  /** Undefined for the default route. */
  readonly destination: IpAddress | undefined;
  readonly prefix: number;
  readonly metric: number;
  readonly nextHops: readonly NextHop[];
}

//   0      1      2      3      4      5        6      7      8               12
//  ┌──────┬──────┬──────┬──────┬──────┬────────┬──────┬──────┬───────────────┬──────────────┐
//  │family│dst   │src   │ tos  │table │protocol│scope │ type │     flags     │ attributes … │   RTA_TABLE has all 32 bits
//  └──────┴──────┴──────┴──────┴──────┴────────┴──────┴──────┴───────────────┴──────────────┘

/** Payload of RTM_NEWROUTE or RTM_DELROUTE. Throws DecodeError for a family that is neither IPv4 nor IPv6. */
export function decodeRoute(payload: Uint8Array): RouteMessage {
  const reader = new Reader(payload);
  const family = familyFromAf(reader.u8(), 0);
  const prefix = reader.u8();
  if (prefix > (family === 4 ? 32 : 128)) throw new DecodeError("value", 1, `prefix length ${prefix}`);
  reader.skip(2);
  const table = reader.u8();
  const protocol = reader.u8();
  reader.skip(1);
  const type = reader.u8();
  reader.skip(4);
  const attributes = attributesByType(reader);
  const multipath = attributes.get(RTA_MULTIPATH);
  return {
    family,
    table: attributeU32(attributes.get(RTA_TABLE)) ?? table,
    protocol,
    type,
    destination: attributeIp(attributes.get(RTA_DST), family),
    prefix,
    metric: attributeU32(attributes.get(RTA_PRIORITY)) ?? 0,
    nextHops:
      multipath === undefined
        ? [{ linkIndex: attributeU32(attributes.get(RTA_OIF)), gateway: gatewayOf(attributes, family) }]
        : decodeNextHops(attributeReader(multipath), family),
  };
}

/** Payload of an RTM_GETROUTE that asks for all routes of one family. */
export function encodeRouteDump(family: Family): Uint8Array {
  return new Writer(12).u8(afFromFamily(family)).zeros(11).finish();
}

//   0         2      3      4               8
//  ┌─────────┬──────┬──────┬───────────────┬──────────────┐
//  │ length  │flags │weight│  link index   │ attributes … │   once for each next hop
//  └─────────┴──────┴──────┴───────────────┴──────────────┘

function decodeNextHops(reader: Reader, family: Family): readonly NextHop[] {
  const nextHops: NextHop[] = [];
  while (reader.remaining > 0) {
    const start = reader.offset;
    const length = reader.u16le();
    if (length < NEXT_HOP_LENGTH) throw new DecodeError("length", start, `next hop of ${length} octets`);
    const part = reader.part(length - 2);
    part.skip(2);
    const linkIndex = part.u32le();
    nextHops.push({ linkIndex, gateway: gatewayOf(attributesByType(part), family) });
  }
  return nextHops;
}

function gatewayOf(attributes: ReadonlyMap<number, Attribute>, family: Family): IpAddress | undefined {
  const via = attributes.get(RTA_VIA);
  if (via === undefined) return attributeIp(attributes.get(RTA_GATEWAY), family);
  const reader = attributeReader(via);
  const viaFamily = familyFromAf(reader.u16le(), via.offset);
  const offset = reader.offset;
  return attributeIp({ type: RTA_VIA, data: reader.bytes(reader.remaining), offset }, viaFamily);
}
