import { familyOf, type Family, type IpAddress } from "../../lib/ip.js";
import { needsAs4Path } from "./as-path.js";
import type { PathAttributes, UpdateContext } from "./attribute.js";
import { attributeOctets } from "./attributes.js";
import { MESSAGE_UPDATE } from "./codes.js";
import { framed, HEADER_LENGTH } from "./message.js";
import { mpReachHead } from "./mp-reach.js";
import { prefixOctets, type Prefix } from "./prefix.js";
import { encodeUpdate, type Update } from "./update.js";

/** Both length fields of an UPDATE. */
const LENGTHS = 4;
/** Flags, code and length in 16 bits of MP_REACH_NLRI or MP_UNREACH_NLRI. */
const MP_HEADER = 4;
/** AFI and SAFI. */
const MP_UNREACH_HEAD = 3;

/** The attributes of an announced route, whatever its family. Routes that share one object are grouped fastest. */
export interface RouteAttributes extends Omit<PathAttributes, "reach" | "unreach" | "nextHop" | "as4Path"> {
  /** An IPv6 address also for IPv4 routes where the peer has extended next hops (RFC 8950). */
  readonly nextHop: IpAddress;
  readonly linkLocal?: IpAddress;
}

/** One route to announce. */
export interface Route {
  readonly prefix: Prefix;
  readonly attributes: RouteAttributes;
}

export interface PackOptions {
  readonly family: Family;
  readonly context: UpdateContext;
  /** Octets of the longest message: 4096, or 65535 where that was agreed on. */
  readonly most: number;
  /** IPv4 withdrawals as MP_UNREACH_NLRI: for a peer that has extended next hops. */
  readonly multiprotocolIpv4?: boolean;
}

export interface Packed {
  /** Whole messages, withdrawals first. */
  readonly messages: readonly Uint8Array[];
  /** Routes whose attributes leave no room for a prefix; they must count as not announced (RFC 8654 6). */
  readonly tooLarge: readonly Prefix[];
}

/** As few UPDATEs as hold all that: one attribute set each, as many prefixes as fit. */
export function packUpdates(withdrawn: readonly Prefix[], announced: readonly Route[], options: PackOptions): Packed {
  const messages = packWithdrawals(withdrawn, options);
  const tooLarge: Prefix[] = [];
  for (const { attributes, prefixes } of groups(announced)) {
    const packed = packGroup(attributes, prefixes, options);
    messages.push(...packed.messages);
    tooLarge.push(...packed.tooLarge);
  }
  return { messages, tooLarge };
}

/** "All my routes of this family have been sent" (RFC 4724 2). */
export function endOfRibMessage({ family, context }: Pick<PackOptions, "family" | "context">): Uint8Array {
  return updateMessage(family === 4 ? {} : { attributes: { unreach: { family, prefixes: [] } } }, context);
}

/** Equal text for equal attributes, as they would be sent. */
export function attributesKey(attributes: RouteAttributes): string {
  const { nextHop, linkLocal, ...rest } = attributes;
  return `${nextHop} ${linkLocal ?? ""} ${attributeOctets(rest, { asSize: 4, internal: true, addPath: [] }).join()}`;
}

function packWithdrawals(withdrawn: readonly Prefix[], options: PackOptions): Uint8Array[] {
  const { family, context, most, multiprotocolIpv4 = false } = options;
  const classic = family === 4 && !multiprotocolIpv4;
  const room = most - HEADER_LENGTH - LENGTHS - (classic ? 0 : MP_HEADER + MP_UNREACH_HEAD);
  return chunks(withdrawn, room).map((prefixes) => updateMessage(classic ? { withdrawn: prefixes } : { attributes: { unreach: { family, prefixes } } }, context));
}

function packGroup(attributes: RouteAttributes, prefixes: readonly Prefix[], { family, context, most }: PackOptions): Packed {
  const { nextHop, linkLocal, ...base } = withAs4Path(attributes, context);
  const classic = family === 4 && familyOf(nextHop) === 4;
  const head = classic ? { ...base, nextHop } : base;
  const hops = linkLocal === undefined ? { nextHop } : { nextHop, linkLocal };
  const room = most - HEADER_LENGTH - LENGTHS - attributeOctets(head, context).length - (classic ? 0 : MP_HEADER + mpReachHead(hops));
  const biggest = prefixes.reduce((size, prefix) => Math.max(size, prefixOctets(prefix)), 0);
  if (room < biggest) return { messages: [], tooLarge: prefixes };
  const messages = chunks(prefixes, room).map((part) =>
    updateMessage(classic ? { attributes: head, nlri: part } : { attributes: { ...head, reach: { family, ...hops, prefixes: part } } }, context),
  );
  return { messages, tooLarge: [] };
}

function updateMessage(update: Partial<Update>, context: UpdateContext): Uint8Array {
  return framed(MESSAGE_UPDATE, encodeUpdate({ withdrawn: [], attributes: {}, nlri: [], ...update }, context));
}

/** RFC 6793 4.2.2: what does not fit into two octets goes along in four. */
function withAs4Path(attributes: RouteAttributes, { asSize }: UpdateContext): RouteAttributes & PathAttributes {
  const { asPath } = attributes;
  return asSize === 2 && asPath !== undefined && needsAs4Path(asPath) ? { ...attributes, as4Path: asPath } : attributes;
}

/** Routes by equal attributes, in the order in which these first appear. */
function groups(routes: readonly Route[]): Iterable<{ readonly attributes: RouteAttributes; readonly prefixes: readonly Prefix[] }> {
  const byObject = new Map<RouteAttributes, Prefix[]>();
  const byKey = new Map<string, { readonly attributes: RouteAttributes; readonly prefixes: Prefix[] }>();
  for (const { prefix, attributes } of routes) {
    let prefixes = byObject.get(attributes);
    if (prefixes === undefined) {
      const key = attributesKey(attributes);
      const group = byKey.get(key) ?? { attributes, prefixes: [] };
      byKey.set(key, group);
      prefixes = group.prefixes;
      byObject.set(attributes, prefixes);
    }
    prefixes.push(prefix);
  }
  return byKey.values();
}

/** The prefixes in their order, in runs of at most `room` octets. */
function chunks(prefixes: readonly Prefix[], room: number): readonly (readonly Prefix[])[] {
  const parts: Prefix[][] = [];
  let used = Infinity;
  for (const prefix of prefixes) {
    const octets = prefixOctets(prefix);
    if (used + octets > room) {
      parts.push([]);
      used = 0;
    }
    parts.at(-1)?.push(prefix);
    used += octets;
  }
  return parts;
}
