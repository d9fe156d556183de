import { familyOf, hostPrefix } from "../lib/ip.js";
import type { AddressPut, AddressScope, KernelEvent, Link, LinkAddress, Route } from "../ports/kernel.js";
import {
  decodeAddress,
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_SITE,
  RT_SCOPE_UNIVERSE,
  type AddressMessage,
} from "../wire/netlink/address.js";
import { decodeLink, IFF_LOOPBACK, IFF_LOWER_UP, IFF_UP, type LinkMessage } from "../wire/netlink/link.js";
import { AF_UNSPEC, RTM_DELADDR, RTM_DELLINK, RTM_NEWADDR, RTM_NEWLINK, type NetlinkMessage } from "../wire/netlink/message.js";
import { RTN_UNICAST, type RouteMessage } from "../wire/netlink/route.js";
import type { WrittenMark } from "./address-marks.js";

const SCOPES = {
  global: RT_SCOPE_UNIVERSE,
  site: RT_SCOPE_SITE,
  link: RT_SCOPE_LINK,
  host: RT_SCOPE_HOST,
  nowhere: RT_SCOPE_NOWHERE,
} as const satisfies Record<AddressScope, number>;

/** What the port calls a link; undefined for messages that are about something else (a bridge's ports, wireless events). */
export function linkFrom(message: LinkMessage): Link | undefined {
  const { family, index, name, mtu, flags, mac, kind, alias, parentIndex, vlan } = message;
  if (family !== AF_UNSPEC || name === undefined || mtu === undefined) return undefined;
  const has = (flag: number): boolean => (flags & flag) !== 0;
  return { index, name, mac, up: has(IFF_UP), carrier: has(IFF_LOWER_UP), loopback: has(IFF_LOOPBACK), mtu, kind, alias, parentIndex, vlan };
}

/** What the port calls an address; `mark` is ours to read (address-marks.ts). */
export function linkAddressFrom(message: AddressMessage, mark: number): LinkAddress {
  const { linkIndex, address, prefix, validSeconds, preferredSeconds } = message;
  return { linkIndex, address, prefix, scope: scopeFrom(message.scope), mark, validSeconds, preferredSeconds };
}

/** RT_SCOPE_*. */
export function scopeNumber(scope: AddressScope): number {
  return SCOPES[scope];
}

/** The message that asks for `address` with a valid lifetime of `validSeconds`. */
export function addressMessage(address: AddressPut, validSeconds: number, { mark, label }: WrittenMark): AddressMessage {
  const { linkIndex, prefix } = address;
  return {
    linkIndex,
    address: address.address,
    peer: undefined,
    prefix,
    scope: SCOPES[address.scope],
    flags: flagsOf(address),
    mark,
    validSeconds,
    // Deprecated from the start: never a source address (RFC 4862 5.5.4).
    preferredSeconds: 0,
    label,
  };
}

/**
 * We probe for duplicates ourselves; the kernel's own detection would keep an IPv6 address unusable for a second or more. And no VIP brings a route to
 * its subnet: that route would have the VIP as its source (IPv4), or change the lifetime of the node's own (IPv6).
 */
function flagsOf({ address, prefix }: AddressPut): number {
  const route = prefix === hostPrefix(address) ? 0 : IFA_F_NOPREFIXROUTE;
  return (familyOf(address) === 6 ? IFA_F_NODAD : 0) | route;
}

/** One Route for each next hop. Only unicast: the local table's own entries, blackholes and the like lead nowhere. */
export function routesFrom(message: RouteMessage): readonly Route[] {
  if (message.type !== RTN_UNICAST) return [];
  const { family, table, destination, prefix, metric } = message;
  return message.nextHops.map(({ gateway, linkIndex }) => ({ family, table, destination, prefix, gateway, linkIndex, metric }));
}

/** Undefined for messages that the port has no event for. Throws DecodeError. */
export function eventFrom(message: NetlinkMessage, markOf: (address: AddressMessage) => number): KernelEvent | undefined {
  switch (message.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: {
      const link = linkFrom(decodeLink(message.payload));
      return link === undefined ? undefined : { type: "link", link, gone: message.type === RTM_DELLINK };
    }
    case RTM_NEWADDR:
    case RTM_DELADDR: {
      const decoded = decodeAddress(message.payload);
      const address = linkAddressFrom(decoded, markOf(decoded));
      return { type: "address", address, gone: message.type === RTM_DELADDR };
    }
    default:
      return undefined;
  }
}

/** User-defined scopes (rt_scopes 1 to 199 and such) have no name here; `site` is the nearest: narrower than global, wider than link. */
function scopeFrom(scope: number): AddressScope {
  for (const name of ["global", "site", "link", "host", "nowhere"] as const) if (SCOPES[name] === scope) return name;
  return "site";
}
