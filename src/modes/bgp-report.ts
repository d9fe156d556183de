import type { RouteKey } from "../core/model.js";
import type { BgpPeer } from "../lib/bgp-peer.js";
import type { Family, IpAddress } from "../lib/ip.js";
import type { Negotiated } from "../machine/bgp-session-config.js";
import type { SessionEnd } from "../machine/bgp-session-state.js";
import type { BfdReport } from "../ports/bfd.js";
import type { TcpEnd } from "../ports/net.js";
import type { RouteAttributes } from "../wire/bgp/pack.js";

/** States as RFC 4271 8.2.2 names them. */
export type BgpPeerState = "Idle" | "Connect" | "Active" | "OpenSent" | "OpenConfirm" | "Established";

/** UPDATE messages and sessions since this process has known the peer. */
export interface BgpPeerCounters {
  readonly updatesSent: number;
  readonly updatesReceived: number;
  /** Sessions that came up. */
  readonly established: number;
  /** Sessions that were up and ended. */
  readonly flaps: number;
}

/** What BFD says of a peer. */
export type BgpBfdReport = Pick<BfdReport, "state" | "since" | "diagnostic" | "detectMs" | "counters">;

/** How the address of an unnumbered peer is looked for. Times are monotonic ms. */
export interface BgpDiscoveryReport {
  /** Since when its link is as it is: up and listened on, or not. */
  readonly since: number;
  /** Of the router that was found. */
  readonly address: IpAddress | undefined;
  /** When its last Router Advertisement came. */
  readonly heardAt: number | undefined;
  /** `no Router Advertisement heard on eth0`. */
  readonly problem: string | undefined;
}

/** How things stand with one peer. */
export interface BgpPeerReport {
  readonly peer: Omit<BgpPeer, "password"> & { readonly hasPassword: boolean };
  readonly state: BgpPeerState;
  /** Since when in this state, monotonic ms. */
  readonly since: number;
  readonly lastEnd: SessionEnd | undefined;
  /** Of the session that is up. */
  readonly negotiated: Negotiated | undefined;
  readonly local: TcpEnd | undefined;
  readonly remote: TcpEnd | undefined;
  /** Routes that the peer has of us. */
  readonly sent: Readonly<Record<Family, number>>;
  /** Routes that the peer announced; counted, never used. */
  readonly received: number;
  readonly counters: BgpPeerCounters;
  /** Undefined: not watched. */
  readonly bfd: BgpBfdReport | undefined;
  /** Undefined for a peer whose address is configured. */
  readonly discovery: BgpDiscoveryReport | undefined;
  /** Without a session: another process of this node that has one with this peer, `bird (812)`. */
  readonly rival: string | undefined;
  /** Why no session can work, or why not all routes are announced: `no IPv6 next hop: this node has no usable IPv6 address`. */
  readonly problem: string | undefined;
}

/** One route as one peer has it. */
export interface BgpSentRoute {
  readonly key: RouteKey;
  readonly family: Family;
  /** With next hop, path and communities, as they were sent. */
  readonly attributes: RouteAttributes;
}

/** An address of this node, on a link that is no loopback; VIPs are not among them. */
export interface NodeAddress {
  readonly address: IpAddress;
  /** Length of its subnet's prefix. */
  readonly prefix: number;
  readonly iface: string;
}
