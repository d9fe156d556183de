import { EXPECTED_COMMUNITIES, parseCommunities } from "../lib/bgp-community.js";
import type { BgpRoutePolicy } from "../lib/bgp-peer.js";

/** What a Service asks for in its annotations about its BGP routes. */
export interface ServiceBgpPolicy {
  readonly policy: BgpRoutePolicy;
  /** Names of the peers that get the routes; undefined: all. */
  readonly peers: readonly string[] | undefined;
  /** A line for each annotation that does not count, which then is as if it were not there. */
  readonly problems: readonly string[];
}

export const BGP_COMMUNITIES = "vip.internal/bgp-communities";
export const BGP_LOCAL_PREF = "vip.internal/bgp-local-pref";
export const BGP_MED = "vip.internal/bgp-med";
export const BGP_PREPEND = "vip.internal/bgp-prepend";
export const BGP_PEERS = "vip.internal/bgp-peers";

const MOST = 0xffffffff;
const MOST_PREPENDED = 32;
const NOTHING: ServiceBgpPolicy = { policy: {}, peers: undefined, problems: [] };

/**
 * The policy of a Service's routes; each part of it stands instead of the same part of a peer's. An annotation that cannot be read is told and left out. Only an
 * empty `bgp-peers` is not: the routes then go to no peer, for nobody may get what was to be kept from him.
 */
export function bgpPolicyOf(annotations: Readonly<Record<string, string>>): ServiceBgpPolicy {
  if (![BGP_COMMUNITIES, BGP_LOCAL_PREF, BGP_MED, BGP_PREPEND, BGP_PEERS].some((name) => annotations[name] !== undefined)) return NOTHING;
  const problems: string[] = [];
  const number = (name: string, most: number): number | undefined => {
    const text = annotations[name]?.trim() ?? "";
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (value <= most) return value;
    if (annotations[name] !== undefined) problems.push(`${name} is "${short(text)}": expected a whole number from 0 to ${most}`);
    return undefined;
  };
  const { communities, largeCommunities } = communitiesOf(annotations[BGP_COMMUNITIES], problems);
  const [localPref, med, prepend] = [number(BGP_LOCAL_PREF, MOST), number(BGP_MED, MOST), number(BGP_PREPEND, MOST_PREPENDED)];
  const policy: BgpRoutePolicy = {
    ...(communities.length === 0 ? {} : { communities }),
    ...(largeCommunities.length === 0 ? {} : { largeCommunities }),
    ...(localPref === undefined ? {} : { localPref }),
    ...(med === undefined ? {} : { med }),
    ...(prepend === undefined ? {} : { prepend }),
  };
  return { policy, peers: peersOf(annotations[BGP_PEERS], problems), problems };
}

function communitiesOf(text: string | undefined, problems: string[]): Required<Pick<BgpRoutePolicy, "communities" | "largeCommunities">> {
  const { bad, ...list } = parseCommunities(partsOf(text ?? ""));
  if (bad.length > 0) problems.push(`${BGP_COMMUNITIES} has "${short(bad.join(", "))}": ${EXPECTED_COMMUNITIES}, comma separated`);
  return list;
}

function peersOf(text: string | undefined, problems: string[]): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const names = [...new Set(partsOf(text))];
  if (names.length === 0) problems.push(`${BGP_PEERS} is empty: expected names of peers, comma separated, as \`vip bgp peers\` shows them`);
  return names;
}

function partsOf(text: string): readonly string[] {
  return text.split(",").map((part) => part.trim()).filter((part) => part !== "");
}

function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
