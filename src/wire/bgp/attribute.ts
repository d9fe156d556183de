import type { Family, IpAddress } from "../../lib/ip.js";
import type { AsSegment, AsSize } from "./as-path.js";
import type { ExtendedCommunity, LargeCommunity } from "./community.js";
import type { Notification } from "./error.js";
import type { MpReach, MpUnreach } from "./mp-reach.js";

// RFC 4271 5, RFC 1997, RFC 4456, RFC 4760, RFC 4360, RFC 6793, RFC 8092.
export const ATTR_ORIGIN = 1;
export const ATTR_AS_PATH = 2;
export const ATTR_NEXT_HOP = 3;
export const ATTR_MED = 4;
export const ATTR_LOCAL_PREF = 5;
export const ATTR_ATOMIC_AGGREGATE = 6;
export const ATTR_AGGREGATOR = 7;
export const ATTR_COMMUNITIES = 8;
export const ATTR_ORIGINATOR_ID = 9;
export const ATTR_CLUSTER_LIST = 10;
export const ATTR_MP_REACH = 14;
export const ATTR_MP_UNREACH = 15;
export const ATTR_EXTENDED_COMMUNITIES = 16;
export const ATTR_AS4_PATH = 17;
export const ATTR_AS4_AGGREGATOR = 18;
export const ATTR_LARGE_COMMUNITIES = 32;

// RFC 4271 4.3.
export const FLAG_OPTIONAL = 0x80;
export const FLAG_TRANSITIVE = 0x40;
export const FLAG_EXTENDED_LENGTH = 0x10;

export type Origin = "igp" | "egp" | "incomplete";

export interface Aggregator {
  readonly as: number;
  readonly routerId: IpAddress;
}

/** An attribute that we do not know, or of an address family that we do not know. */
export interface RawAttribute {
  /** Without the bit for the extended length: that follows from the value. */
  readonly flags: number;
  readonly code: number;
  readonly value: Uint8Array;
}

/** The path attributes of an UPDATE; what is absent was not sent. */
export interface PathAttributes {
  readonly origin?: Origin;
  readonly asPath?: readonly AsSegment[];
  /** Of the routes in the NLRI field: always an IPv4 address. */
  readonly nextHop?: IpAddress;
  readonly med?: number;
  readonly localPref?: number;
  readonly atomicAggregate?: true;
  readonly aggregator?: Aggregator;
  readonly communities?: readonly number[];
  readonly originatorId?: IpAddress;
  readonly clusterList?: readonly number[];
  readonly reach?: MpReach;
  readonly unreach?: MpUnreach;
  readonly extendedCommunities?: readonly ExtendedCommunity[];
  readonly as4Path?: readonly AsSegment[];
  readonly as4Aggregator?: Aggregator;
  readonly largeCommunities?: readonly LargeCommunity[];
  readonly unknown?: readonly RawAttribute[];
}

/** What was agreed on, as far as the bytes of an UPDATE depend on it. */
export interface UpdateContext {
  readonly asSize: AsSize;
  /** The peer has our AS number: LOCAL_PREF and the like mean something. */
  readonly internal: boolean;
  /** Families whose prefixes carry a path identifier. */
  readonly addPath: readonly Family[];
}

/**
 * How an error in an attribute is met (RFC 7606 2), from the mildest to the strongest; a session reset is thrown instead, as BgpError.
 * `discard`: the attribute is dropped. `withdraw`: the routes of this UPDATE count as withdrawn. `disable`: nothing of this family is heard any more.
 */
export type Approach = "discard" | "withdraw" | "disable";

export interface UpdateFault {
  readonly approach: Approach;
  /** Code of the attribute. */
  readonly attribute: number;
  /** For `disable`. */
  readonly family?: Family;
  readonly what: string;
  /** What would have been sent where the session had been reset instead, for the log. */
  readonly notification: Notification;
}
