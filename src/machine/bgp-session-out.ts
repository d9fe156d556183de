import type { Family } from "../lib/ip.js";
import type { UpdateContext } from "../wire/bgp/attribute.js";
import { MESSAGE_ROUTE_REFRESH } from "../wire/bgp/codes.js";
import { afiSafi } from "../wire/bgp/family.js";
import { framed } from "../wire/bgp/message.js";
import { attributesKey, endOfRibMessage, packUpdates, type PackOptions, type Route, type RouteAttributes } from "../wire/bgp/pack.js";
import type { Prefix } from "../wire/bgp/prefix.js";
import { encodeRouteRefresh, REFRESH_BEGIN, REFRESH_END } from "../wire/bgp/route-refresh.js";
import type { Negotiated, RouteMap } from "./bgp-session-config.js";

/** What one peer has of our routes (its Adj-RIB-Out, RFC 4271 3.2), and what is on its way. */
export interface OutState {
  readonly families: ReadonlyMap<Family, FamilyOut>;
  /** Messages that are still to be sent. No change is looked at before they are gone, so they are never more than one full table. */
  readonly queue: readonly Uint8Array[];
}

interface FamilyOut {
  /** What the peer has once the queue is sent. */
  readonly has: RouteMap;
  /** The routes that `has` was made from; the same object again is nothing new. */
  readonly planned: RouteMap | undefined;
  /** The peer has asked for everything again. */
  readonly refresh: boolean;
}

/** The next messages, and the routes that fit into none. */
export interface OutBatch {
  readonly out: OutState;
  /** Empty: nothing to do. */
  readonly octets: Uint8Array;
  readonly tooLarge: readonly { readonly family: Family; readonly count: number }[];
}

interface FamilyPlan {
  readonly out: FamilyOut;
  readonly messages: readonly Uint8Array[];
  readonly tooLarge: number;
}

/** Octets in one go, at least; then the peer has to take them before there are more. */
const BATCH_OCTETS = 65_536;

const NOTHING: FamilyOut = { has: new Map(), planned: undefined, refresh: false };

/** A new session: the peer has nothing. */
export function emptyOut(): OutState {
  return { families: new Map(), queue: [] };
}

/** How many routes of the family the peer has, counting those on their way. */
export function sentCount(out: OutState, family: Family): number {
  return out.families.get(family)?.has.size ?? 0;
}

/** The peer has asked for all routes of a family again (RFC 2918). Asking twice before it is answered is asking once. */
export function refreshOut(out: OutState, family: Family): OutState {
  const families = new Map(out.families).set(family, { ...(out.families.get(family) ?? NOTHING), refresh: true });
  return { ...out, families };
}

/** The next octets for the peer, so that it comes to have `routes`. */
export function nextBatch(out: OutState, routes: ReadonlyMap<Family, RouteMap>, negotiated: Negotiated): OutBatch {
  const planned = out.queue.length > 0 ? { out, tooLarge: [] } : plan(out, routes, negotiated);
  const { queue } = planned.out;
  let size = 0;
  const end = queue.findIndex((message) => (size += message.length) >= BATCH_OCTETS);
  const count = end === -1 ? queue.length : end + 1;
  return { out: { ...planned.out, queue: queue.slice(count) }, octets: joined(queue.slice(0, count)), tooLarge: planned.tooLarge };
}

function plan(out: OutState, routes: ReadonlyMap<Family, RouteMap>, negotiated: Negotiated): Pick<OutBatch, "out" | "tooLarge"> {
  const families = new Map(out.families);
  const queue: Uint8Array[] = [];
  const tooLarge: { readonly family: Family; readonly count: number }[] = [];
  for (const family of negotiated.families) {
    const wanted = routes.get(family);
    const before = families.get(family) ?? NOTHING;
    if (wanted === undefined || (wanted === before.planned && !before.refresh)) continue;
    const next = planFamily(before, wanted, { options: optionsFor(family, negotiated), enhanced: negotiated.enhancedRefresh });
    families.set(family, next.out);
    queue.push(...next.messages);
    if (next.tooLarge > 0) tooLarge.push({ family, count: next.tooLarge });
  }
  return { out: { families, queue }, tooLarge };
}

interface PlanFor {
  readonly options: PackOptions;
  readonly enhanced: boolean;
}

/** The difference; End-of-RIB after the first one; everything again where that was asked for. */
function planFamily(before: FamilyOut, wanted: RouteMap, { options, enhanced }: PlanFor): FamilyPlan {
  const change = difference(before.has, wanted);
  const packed = packUpdates(change.withdrawn, change.announced, options);
  const { has, lost } = without(wanted, packed.tooLarge, before.has);
  const messages = [...packed.messages, ...packUpdates(lost, [], options).messages];
  // RFC 4724 2: also for a peer without graceful restart, to which it is an UPDATE that says nothing.
  if (before.planned === undefined) messages.push(endOfRibMessage(options));
  // A first dump that has just been planned is the answer, too, but not one between two marks.
  if (before.refresh) messages.push(...refreshMessages(has, options, enhanced));
  return { out: { has, planned: wanted, refresh: false }, messages, tooLarge: packed.tooLarge.length };
}

/** RFC 7313 4: between two marks where both sides know these. */
function refreshMessages(has: RouteMap, options: PackOptions, enhanced: boolean): readonly Uint8Array[] {
  const mark = (subtype: number): readonly Uint8Array[] =>
    enhanced ? [framed(MESSAGE_ROUTE_REFRESH, encodeRouteRefresh({ ...afiSafi(options.family), subtype, filters: new Uint8Array() }))] : [];
  return [...mark(REFRESH_BEGIN), ...packUpdates([], [...has.values()], options).messages, ...mark(REFRESH_END)];
}

function difference(has: RouteMap, wanted: RouteMap): { readonly withdrawn: readonly Prefix[]; readonly announced: readonly Route[] } {
  if (has === wanted) return { withdrawn: [], announced: [] };
  const keys = new Map<RouteAttributes, string>();
  const keyOf = (attributes: RouteAttributes): string => {
    const key = keys.get(attributes) ?? attributesKey(attributes);
    keys.set(attributes, key);
    return key;
  };
  const same = (a: RouteAttributes, b: RouteAttributes): boolean => a === b || keyOf(a) === keyOf(b);
  const withdrawn = [...has].flatMap(([key, { prefix }]) => (wanted.has(key) ? [] : [prefix]));
  const announced = [...wanted].flatMap(([key, route]) => {
    const old = has.get(key);
    return old !== undefined && same(old.attributes, route.attributes) ? [] : [route];
  });
  return { withdrawn, announced };
}

/** What the peer has when some routes could not be sent; those of them that it had in another form are `lost` to it. */
function without(wanted: RouteMap, tooLarge: readonly Prefix[], had: RouteMap): { readonly has: RouteMap; readonly lost: readonly Prefix[] } {
  if (tooLarge.length === 0) return { has: wanted, lost: [] };
  const unsent = new Set(tooLarge);
  const has = new Map([...wanted].filter(([, { prefix }]) => !unsent.has(prefix)));
  return { has, lost: [...wanted].flatMap(([key, { prefix }]) => (unsent.has(prefix) && had.has(key) ? [prefix] : [])) };
}

function optionsFor(family: Family, negotiated: Negotiated): PackOptions {
  return { family, context: updateContext(negotiated), most: negotiated.mostOctets, multiprotocolIpv4: negotiated.extendedNextHop };
}

/** What the bytes of an UPDATE depend on. We offer ADD-PATH to nobody, so no peer may use it. */
export function updateContext({ asSize, internal }: Pick<Negotiated, "asSize" | "internal">): UpdateContext {
  return { asSize, internal, addPath: [] };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const octets = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    octets.set(part, at);
    at += part.length;
  }
  return octets;
}
