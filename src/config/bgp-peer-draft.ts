import type { BfdTiming, BgpRoutePolicy } from "../lib/bgp-peer.js";
import type { Family, IpAddress } from "../lib/ip.js";

/** Whose address is the next hop of routes of either family on one session: kube-vip's `mpbgp_*`. */
export interface MpNextHop {
  /** `fixed`: those that are given; the others: the addresses of the link that has the source address, or that is the source interface. */
  readonly mode: "fixed" | "auto_sourceip" | "auto_sourceif";
  readonly 4?: IpAddress | undefined;
  readonly 6?: IpAddress | undefined;
}

/** One condition on the labels of a Node. */
export interface LabelRule {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values: readonly string[];
}

/** All of these hold. */
export type NodeSelector = readonly LabelRule[];

/** A peer as somebody wrote it, one that parses. What is undefined comes from the settings. */
export interface BgpPeerDraft {
  /** Where it is from, for messages; without its password. */
  readonly from: string;
  readonly name?: string | undefined;
  /** Undefined: unnumbered, the neighbour on `iface`. */
  readonly address?: IpAddress | undefined;
  readonly iface?: string | undefined;
  readonly port?: number | undefined;
  readonly peerAs: number | "internal" | "external";
  readonly localAs?: number | undefined;
  readonly routerId?: IpAddress | undefined;
  readonly sourceAddress?: IpAddress | undefined;
  readonly password?: string | undefined;
  /** False: single hop, whatever the setting says. */
  readonly multihopTtl?: number | false | undefined;
  readonly ttlSecurityHops?: number | undefined;
  readonly holdSeconds?: number | undefined;
  readonly keepaliveSeconds?: number | undefined;
  /** False: none, whatever the setting says. */
  readonly bfd?: BfdTiming | false | undefined;
  readonly passive?: boolean | undefined;
  /** 0: off. */
  readonly gracefulRestartSeconds?: number | undefined;
  readonly families?: readonly Family[] | undefined;
  readonly mp?: MpNextHop | undefined;
  readonly nextHop?: { readonly 4?: IpAddress; readonly 6?: IpAddress } | undefined;
  readonly policy?: BgpRoutePolicy | undefined;
  /** The peer is for nodes that one of them fits; undefined: for all. */
  readonly nodeSelectors?: readonly NodeSelector[] | undefined;
}

/** TTL of a peer that is called multihop without a number, as in kube-vip. */
export const MULTIHOP_TTL = 50;
/** BFD where it is asked for without figures. */
export const BFD_DEFAULT: BfdTiming = { receiveMs: 300, transmitMs: 300, multiplier: 3 };
