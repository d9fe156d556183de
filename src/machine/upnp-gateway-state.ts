import type { IpAddress } from "../lib/ip.js";
import type { SsdpMessage } from "../wire/ssdp.js";
import type { UpnpService } from "../wire/ssdp-description.js";

/** All in ms but `checkTries`. */
export interface GatewayTiming {
  /** A search ends after this. */
  readonly searchMs: number;
  /** A datagram may be lost: the search is sent once more. */
  readonly resendMs: number;
  /** Those that are no next hop of this node are looked at only after this, so that the one that leads to the Internet comes first. */
  readonly preferMs: number;
  /** After a search in vain: so long, then doubled up to the most. */
  readonly againFirstMs: number;
  readonly againMostMs: number;
  /** Whatever is announced, searches begin this far apart, and so do checks. */
  readonly leastMs: number;
  /** Announcements of restarts are believed this far apart: anybody may send them. What they would have told is found by a check. */
  readonly restartMs: number;
  /** Between two checks of a gateway that is known. */
  readonly checkMs: number;
  /** After a check that failed. */
  readonly checkAgainMs: number;
  /** So many failed checks in a row, and it is searched for. */
  readonly checkTries: number;
}

export const GATEWAY_TIMING: GatewayTiming = {
  searchMs: 3000,
  resendMs: 700,
  preferMs: 1500,
  againFirstMs: 5000,
  againMostMs: 60_000,
  leastMs: 1000,
  restartMs: 10_000,
  checkMs: 60_000,
  checkAgainMs: 5000,
  checkTries: 3,
};

/** Descriptions that are read in one search, at the most, of each rank: a flood of one kind leaves room for the others. */
export const MAX_CANDIDATES = 4;

/** A router that answered, and what it says of itself. */
export interface Gateway {
  /** The same after a restart. */
  readonly id: string;
  /** Friendly name, for people. */
  readonly name: string;
  readonly location: string;
  readonly host: IpAddress;
  readonly udn: string | undefined;
  /** Where mappings are asked for. */
  readonly service: UpnpService;
  /** Undefined where it has none now. */
  readonly externalAddress: IpAddress | undefined;
  /** Seconds that its connection has been up; undefined where it does not say. */
  readonly uptimeSeconds: number | undefined;
}

/** Somebody who says to be a gateway. */
export interface Candidate {
  readonly location: string;
  readonly host: IpAddress;
  readonly bootId: number | undefined;
  /** It is a next hop of this node. */
  readonly preferred: boolean;
  /** It answered; otherwise it announced itself. */
  readonly answered: boolean;
}

export type GatewayRequest = { readonly type: "describe"; readonly id: number; readonly candidate: Candidate } | { readonly type: "check"; readonly id: number; readonly startedAt: number };

export interface GatewayState {
  readonly gateway: Gateway | undefined;
  readonly bootId: number | undefined;
  /** A search has ended, so that `gateway` says something also where it is undefined. */
  readonly searched: boolean;
  /** Why the first candidate was not taken, since there was a gateway, or what its check found. */
  readonly reason: string | undefined;
  /** While there is a gateway, it is one that said goodbye, or is silent: it goes unless it answers. */
  readonly search: { readonly startedAt: number; readonly sent: number } | undefined;
  readonly lastSearchAt: number;
  readonly nextSearchAt: number;
  /** Searches in vain, in a row. */
  readonly inVain: number;
  readonly candidates: readonly Candidate[];
  /** Those that were looked at in this search. */
  readonly tried: readonly Candidate[];
  readonly request: GatewayRequest | undefined;
  readonly nextCheckAt: number;
  /** Checks that failed, in a row. */
  readonly failures: number;
  readonly checkedAt: number;
  /** When an announcement of a restart was believed. */
  readonly restartedAt: number;
  readonly nextId: number;
}

/** What a check found. `missing`: a mapping that it should have is not there. */
export interface GatewayCheck {
  readonly externalAddress: IpAddress | undefined;
  readonly uptimeSeconds: number | undefined;
  readonly missing: boolean;
}

/** `random` is uniform in [0, 1). */
export type GatewayEvent = { readonly random: number } & (
  | { readonly type: "tick" }
  /** A datagram of `host`, whose location (where it has one) is on that host. */
  | { readonly type: "heard"; readonly message: SsdpMessage; readonly host: IpAddress; readonly preferred: boolean }
  | { readonly type: "described"; readonly id: number; readonly gateway: Gateway }
  | { readonly type: "checked"; readonly id: number; readonly check: GatewayCheck }
  | { readonly type: "failed"; readonly id: number; readonly reason: string }
  /** A request to the gateway failed for somebody else: it is checked now. */
  | { readonly type: "doubt" }
);

/** `restarted`: it may have forgotten all mappings. */
export type GatewayAction = { readonly type: "search" } | GatewayRequest | { readonly type: "restarted" };

/** Nothing is known; the first search begins at once. */
export function gatewayStart(now: number): GatewayState {
  return {
    gateway: undefined,
    bootId: undefined,
    searched: false,
    reason: undefined,
    search: undefined,
    lastSearchAt: -Infinity,
    nextSearchAt: now,
    inVain: 0,
    candidates: [],
    tried: [],
    request: undefined,
    nextCheckAt: Infinity,
    failures: 0,
    checkedAt: now,
    restartedAt: -Infinity,
    nextId: 1,
  };
}
