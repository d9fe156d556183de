import type { Family, IpAddress } from "../lib/ip.js";
import type { Capability, GracefulRestart } from "../wire/bgp/capability.js";
import type { Route } from "../wire/bgp/pack.js";

/** What one session is to be. A change of it means `stop` with CEASE_CONFIG_CHANGE and a new machine. */
export interface BgpSessionConfig {
  readonly localAs: number;
  /** Never 0.0.0.0. */
  readonly routerId: IpAddress;
  /** A number, or whatever the peer says as long as it is (not) ours. */
  readonly peerAs: number | "internal" | "external";
  /** Unicast families to offer; the OPEN names IPv4, too, for BIRD refuses one without. */
  readonly families: readonly Family[];
  /** 0: no keepalives; else at least 3. */
  readonly holdSeconds: number;
  /** Undefined: a third of the hold time agreed on; it is never more than that. */
  readonly keepaliveSeconds: number | undefined;
  /** Never dials, only answers. */
  readonly passive: boolean;
  /** A dial without an answer for so long has failed. */
  readonly connectTimeoutMs: number;
  /** First and longest pause before the next dial; it doubles in between, with jitter. */
  readonly retryFirstMs: number;
  readonly retryMostMs: number;
  /** Refuse a peer without four-octet AS numbers. */
  readonly requireFourOctetAs: boolean;
  readonly extendedMessages: boolean;
  /** Offer IPv4 routes with IPv6 next hops (RFC 8950). */
  readonly extendedNextHop: boolean;
  /** For how long the peer is to keep our routes after a crash, 1 to 4095 s; undefined: not at all. */
  readonly gracefulRestartSeconds: number | undefined;
}

/** Routes of one family by `prefixText`. Replaced, never edited: the machine keeps the one that it was given. */
export type RouteMap = ReadonlyMap<string, Route>;

/** What both OPENs together amount to. */
export interface Negotiated {
  readonly peerAs: number;
  readonly internal: boolean;
  readonly peerRouterId: IpAddress;
  /** 0: off. */
  readonly holdMs: number;
  /** 0: off. */
  readonly keepaliveMs: number;
  readonly asSize: 2 | 4;
  readonly families: readonly Family[];
  /** Octets of the longest message. */
  readonly mostOctets: number;
  readonly enhancedRefresh: boolean;
  /** IPv4 routes may have an IPv6 next hop. */
  readonly extendedNextHop: boolean;
  /** The peer's, where both have it. */
  readonly gracefulRestart: GracefulRestart | undefined;
  /** A NOTIFICATION keeps routes, so that ending for good takes a hard reset (RFC 8538). */
  readonly notificationRestart: boolean;
  /** All that the peer offered, for display. */
  readonly peerCapabilities: readonly Capability[];
}
