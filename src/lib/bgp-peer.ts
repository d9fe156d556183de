import type { LargeCommunity } from "./bgp-community.js";
import type { IpAddress, Family } from "./ip.js";

/** What is said about a route beside its prefix and next hop. What is not given comes from the peer's, then from RFC 4271. */
export interface BgpRoutePolicy {
  /** RFC 1997, 32 bits each. */
  readonly communities?: readonly number[];
  readonly largeCommunities?: readonly LargeCommunity[];
  /** Internal peers only. */
  readonly localPref?: number;
  /** MULTI_EXIT_DISC. */
  readonly med?: number;
  /** How often the own AS number is repeated, for external peers. */
  readonly prepend?: number;
}

/** RFC 5880: intervals that this side offers, in ms, and after how many missing packets the peer is down. */
export interface BfdTiming {
  readonly receiveMs: number;
  readonly transmitMs: number;
  readonly multiplier: number;
}

/** One BGP neighbour of this node, whatever it was configured by. Two that differ in anything are two sessions, one after the other. */
export interface BgpPeer {
  /** Unique on this node; what `vip bgp peers`, metrics and Events call it. */
  readonly name: string;
  /** Undefined for an unnumbered peer: its link-local address is learned on `iface`. */
  readonly address: IpAddress | undefined;
  /** The link of a link-local or unnumbered peer, and what the session is bound to. */
  readonly iface: string | undefined;
  readonly port: number;
  readonly localAs: number;
  readonly peerAs: number | "internal" | "external";
  /** Undefined: the node's (first IPv4 address). */
  readonly routerId: IpAddress | undefined;
  readonly families: readonly Family[];
  readonly holdSeconds: number;
  readonly keepaliveSeconds: number | undefined;
  /** TCP MD5 (RFC 2385). Never shown. */
  readonly password: string | undefined;
  /** TTL of packets to an external peer that is not on the link; undefined: 1 for external peers, 255 hops for internal ones. */
  readonly multihopTtl: number | undefined;
  /** GTSM (RFC 5082): the peer is at most so many hops away; packets from farther are dropped by the kernel. */
  readonly ttlSecurityHops: number | undefined;
  readonly sourceAddress: IpAddress | undefined;
  /** Waits for the peer to dial. */
  readonly passive: boolean;
  readonly gracefulRestartSeconds: number | undefined;
  readonly bfd: BfdTiming | undefined;
  readonly policy: BgpRoutePolicy;
  /** NEXT_HOP by family where it is not to be the session's own address. */
  readonly nextHop: { readonly 4?: IpAddress; readonly 6?: IpAddress };
}
