import { parseAs } from "../lib/as-number.js";
import { parseCommunities, EXPECTED_COMMUNITIES } from "../lib/bgp-community.js";
import type { BfdTiming, BgpRoutePolicy } from "../lib/bgp-peer.js";
import { durationSeconds } from "../lib/duration.js";
import { familyOf, parseIp, type Family, type IpAddress } from "../lib/ip.js";
import type { BgpPeerDraft } from "./bgp-peer-draft.js";
import { selectorsOf } from "./node-selectors.js";

/** What other parts of the same text have names for. */
export interface Names {
  readonly communities: ReadonlyMap<string, string>;
  readonly profiles: ReadonlyMap<string, BfdTiming>;
}

type Draft = Partial<BgpPeerDraft>;
/** `hint`: the value counts, but not as somebody may think. */
export type FieldRead = { readonly value: Draft; readonly hint?: string | undefined } | { readonly expected: string };

export interface PeerField {
  /** The value is not shown. */
  readonly secret?: true;
  read(value: unknown, names: Names): FieldRead;
}

const MULTIHOP_MOST = 255;
const RESTART_SECONDS = 120;

/** The fields of a peer by name: those of MetalLB's ConfigMap, then ours. */
export const PEER_FIELDS: Readonly<Record<string, PeerField>> = {
  "my-asn": asField((localAs) => ({ localAs })),
  "peer-asn": { read: (value) => (isKind(value) ? { value: { peerAs: value } } : asField((peerAs) => ({ peerAs })).read(value, NONE)) },
  "dynamic-asn": { read: (value) => (isKind(value) ? { value: { peerAs: value } } : { expected: "internal or external" }) },
  "peer-address": addressField((address, iface) => ({ address, ...(iface === undefined ? {} : { iface }) })),
  "peer-port": numberField(1, 65_535, (port) => ({ port })),
  "router-id": addressField((routerId) => ({ routerId }), 4),
  "hold-time": secondsField((holdSeconds) => ({ holdSeconds })),
  "keepalive-time": secondsField((keepaliveSeconds) => ({ keepaliveSeconds })),
  "source-address": addressField((sourceAddress) => ({ sourceAddress })),
  "node-selectors": { read: (value) => selectorsOf(value) },
  password: { secret: true, read: (value) => (typeof value === "string" ? { value: value === "" ? {} : { password: value } } : { expected: "a text, in quotes where it is only digits" }) },
  "ebgp-multihop": { read: multihop },
  "ebgp-multi-hop": { read: multihop },
  "bfd-profile": { read: bfdProfile },
  // Ours.
  name: { read: (value) => (typeof value === "string" && /^[^\s,]{1,63}$/.test(value) ? { value: { name: value } } : { expected: "a text of 1 to 63 characters without blanks and commas" }) },
  interface: { read: (value) => (typeof value === "string" && /^[^\s/:]{1,15}$/.test(value) ? { value: { iface: value } } : { expected: "the name of a link" }) },
  passive: { read: (value) => (typeof value === "boolean" ? { value: { passive: value } } : { expected: "true or false" }) },
  "ttl-security": numberField(1, 254, (ttlSecurityHops) => ({ ttlSecurityHops })),
  "graceful-restart": { read: gracefulRestart },
  "enable-graceful-restart": { read: gracefulRestart },
  families: { read: families },
  "next-hop": { read: nextHops },
  communities: { read: communities },
  "local-pref": numberField(0, 0xffffffff, (localPref) => ({ policy: { localPref } })),
  med: numberField(0, 0xffffffff, (med) => ({ policy: { med } })),
  prepend: numberField(0, 32, (prepend) => ({ policy: { prepend } })),
};

const FAMILIES: ReadonlyMap<string, Family> = new Map([["ipv4", 4], ["ipv6", 6]]);
const NONE: Names = { communities: new Map(), profiles: new Map() };

function isKind(value: unknown): value is "internal" | "external" {
  return value === "internal" || value === "external";
}

function asField(make: (as: number) => Draft): PeerField {
  return {
    read(value) {
      const as = typeof value === "number" || typeof value === "string" ? parseAs(String(value)) : undefined;
      return as === undefined ? { expected: "an AS number from 1 to 4294967294" } : { value: make(as) };
    },
  };
}

function addressField(make: (address: IpAddress, iface: string | undefined) => Draft, family?: Family): PeerField {
  return {
    read(value) {
      const [, text = "", iface] = /^([^%]*)(?:%([^\s/:]{1,15}))?$/.exec(typeof value === "string" ? value : "") ?? [];
      const address = parseIp(text);
      const fits = address !== undefined && (family === undefined || familyOf(address) === family);
      return fits ? { value: make(address, iface) } : { expected: family === undefined ? "an IP address" : `an IPv${family} address` };
    },
  };
}

function numberField(least: number, most: number, make: (number: number) => Draft): PeerField {
  return {
    read(value) {
      const fits = typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;
      return fits ? { value: make(value) } : { expected: `a whole number from ${least} to ${most}` };
    },
  };
}

/** `90s`; a bare number is seconds. */
function secondsField(make: (seconds: number) => Draft): PeerField {
  return {
    read(value) {
      const seconds = typeof value === "number" ? value : typeof value === "string" ? durationSeconds(value) : undefined;
      const fits = seconds !== undefined && Number.isInteger(seconds) && seconds >= 0 && seconds <= 65_535;
      return fits ? { value: make(seconds) } : { expected: "whole seconds, such as 90s, up to 65535s" };
    },
  };
}

function multihop(value: unknown): FieldRead {
  if (typeof value === "boolean") return { value: { multihopTtl: value ? MULTIHOP_MOST : false } };
  const fits = typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= MULTIHOP_MOST;
  return fits ? { value: { multihopTtl: value } } : { expected: `true, false, or a TTL from 1 to ${MULTIHOP_MOST}` };
}

function bfdProfile(value: unknown, { profiles }: Names): FieldRead {
  if (typeof value !== "string") return { expected: "the name of one of bfd-profiles" };
  const bfd = profiles.get(value);
  // Without BFD the peer still works: it would be worse without its routes.
  return bfd === undefined ? { value: {}, hint: `"${value}" is none of bfd-profiles: the setting bgp_bfd counts for the peer` } : { value: { bfd } };
}

function gracefulRestart(value: unknown): FieldRead {
  if (typeof value === "boolean") return { value: { gracefulRestartSeconds: value ? RESTART_SECONDS : 0 } };
  return secondsField((gracefulRestartSeconds) => ({ gracefulRestartSeconds })).read(value, NONE);
}

function families(value: unknown): FieldRead {
  const list = textsOf(value);
  const found = list?.map((text) => FAMILIES.get(text.toLowerCase())) ?? [undefined];
  const all = found.flatMap((family) => family ?? []);
  return all.length === 0 || all.length < found.length ? { expected: "ipv4, ipv6, or both in a list" } : { value: { families: ([4, 6] as const).filter((family) => all.includes(family)) } };
}

function nextHops(value: unknown): FieldRead {
  const addresses = textsOf(value)?.map(parseIp) ?? [undefined];
  const hops: { 4?: IpAddress; 6?: IpAddress } = {};
  for (const address of addresses) {
    if (address === undefined || hops[familyOf(address)] !== undefined) return { expected: "an IP address, or one of each family in a list" };
    hops[familyOf(address)] = address;
  }
  return { value: { nextHop: hops } };
}

function communities(value: unknown, names: Names): FieldRead {
  const texts = textsOf(value)?.map((text) => names.communities.get(text) ?? text);
  if (texts === undefined) return { expected: EXPECTED_COMMUNITIES.replace("expected ", "") };
  const { bad, communities: standard, largeCommunities } = parseCommunities(texts);
  return bad.length > 0 ? { expected: EXPECTED_COMMUNITIES.replace("expected ", "") } : { value: { policy: { communities: standard, largeCommunities } satisfies BgpRoutePolicy } };
}

/** One text, or a list of them. */
function textsOf(value: unknown): readonly string[] | undefined {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.every((one): one is string => typeof one === "string") ? list : undefined;
}
