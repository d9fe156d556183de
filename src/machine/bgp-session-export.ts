import type { IpAddress } from "../lib/ip.js";
import type { LargeCommunity } from "../wire/bgp/community.js";
import type { RouteAttributes } from "../wire/bgp/pack.js";

/** What is to be said about a route, whoever the peer is. */
export interface ExportPolicy {
  /** An address of this node that the peer can use: never 127.0.0.1, never the VIP. */
  readonly nextHop: IpAddress;
  /** The node's link-local address, with an IPv6 next hop and a peer on the same link (RFC 2545 3). */
  readonly linkLocal?: IpAddress;
  readonly med?: number;
  /** Internal peers only; 100 unless given. */
  readonly localPref?: number;
  /** How often our AS number is repeated, for external peers only. */
  readonly prepend?: number;
  readonly communities?: readonly number[];
  readonly largeCommunities?: readonly LargeCommunity[];
}

/** The attributes of a route of ours. To an external peer the path is our AS; to an internal one it is empty, with LOCAL_PREF (RFC 4271 5.1). */
export function exportAttributes(policy: ExportPolicy, { localAs, internal }: { readonly localAs: number; readonly internal: boolean }): RouteAttributes {
  const { nextHop, linkLocal, med, localPref = 100, prepend = 0, communities = [], largeCommunities = [] } = policy;
  return {
    origin: "igp",
    asPath: internal ? [] : [{ kind: "sequence", as: Array.from({ length: 1 + prepend }, () => localAs) }],
    nextHop,
    ...(linkLocal === undefined ? {} : { linkLocal }),
    ...(med === undefined ? {} : { med }),
    ...(internal ? { localPref } : {}),
    // RFC 1997: a set. Sorted, so that the order in which they are configured makes no difference.
    ...(communities.length === 0 ? {} : { communities: [...new Set(communities)].toSorted((a, b) => a - b) }),
    ...(largeCommunities.length === 0 ? {} : { largeCommunities: distinct(largeCommunities) }),
  };
}

/** RFC 8092 5: no duplicates. */
function distinct(communities: readonly LargeCommunity[]): readonly LargeCommunity[] {
  const byText = new Map(communities.map((one) => [`${one.global}:${one.local1}:${one.local2}`, one]));
  return [...byText.values()].toSorted((a, b) => a.global - b.global || a.local1 - b.local1 || a.local2 - b.local2);
}
