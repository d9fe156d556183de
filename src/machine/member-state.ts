import type { MemberRecord, Ref } from "./claim-codec.js";

export interface MemberConfig {
  /** Name of this node. */
  readonly node: string;
  /** Random, anew in every process. */
  readonly process: string;
  /** How many keys this node takes in proportion to others until it is told otherwise. */
  readonly weight: number;
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
  /** How far the rates of two machines' clocks may differ, as a fraction. */
  readonly drift: number;
  /** How late the kernel may remove an address whose lifetime has ended, plus a margin, ms. */
  readonly kernelLatenessMs: number;
  /** Members fence a silent one in turn, so long apart, ms. */
  readonly fenceTurnMs: number;
  /** A renew that the watch does not show within so long, with nothing else heard, says that the watch is dead, ms. */
  readonly echoMs: number;
  /** The Lease of a member that is gone is deleted after so long, ms. */
  readonly collectMs: number;
}

/** One version of a member Lease. `origin`: whatever the driver needs for a write based on it. */
export interface MemberVersion {
  readonly resourceVersion: string;
  readonly record: MemberRecord;
  readonly origin?: unknown;
}

/** What placing keys needs to know of a member; it keeps its identity while nothing of it changes. */
export interface MemberView {
  readonly hash: number;
  readonly incarnation: number;
  /** `gone`: there was no Lease for a whole lease time. */
  readonly state: "live" | "fenced" | "released" | "gone";
  readonly drain: boolean;
  readonly weight: number;
  readonly after: MemberRecord["after"];
  /** Own monotonic time at which this incarnation was first seen live. */
  readonly liveSince: number;
}

export type MemberMap = ReadonlyMap<string, MemberView>;

/**
 * `in`: takes part. `drain`: gives up its keys where others can have them, and stays a member. `leave`: the process ends: gives up its keys and stays a
 * member until they are handed over. `out`: releases the Lease; nothing is held from here on.
 */
export type MemberStance = "in" | "drain" | "leave" | "out";

/** How a node takes part for the time being. */
export interface MemberTerms {
  /** It gives up its keys where others can have them. */
  readonly drain: boolean;
  /** How many keys it takes in proportion to others; above 0. */
  readonly weight: number;
}

/** A request that is to be sent out. */
export type MemberAction =
  /** PUT with the resourceVersion of `base`, POST where there is none. */
  | {
      readonly type: "writeMember";
      readonly node: string;
      readonly id: number;
      readonly base: MemberVersion | undefined;
      readonly record: MemberRecord;
      readonly timeoutMs: number;
    }
  /** DELETE with the resourceVersion of `base` as precondition. */
  | { readonly type: "deleteMember"; readonly node: string; readonly id: number; readonly base: MemberVersion; readonly timeoutMs: number }
  | { readonly type: "readMember"; readonly node: string; readonly timeoutMs: number }
  /** The watches are dead: list members and claims again. */
  | { readonly type: "relist" };

export interface Peer {
  readonly version: MemberVersion;
  /** Own monotonic time at which its Lease was last seen to change, or this node came back from being cut off. */
  readonly changedAt: number;
  /** Write under way: a fence or, of one long dead, the removal. */
  readonly write: number | undefined;
  readonly retryAt: number;
}

/** A member that claims name, and that has no Lease. */
export interface Stranger {
  /** Start of the first read that showed that there is none. */
  readonly absentSince: number | undefined;
  /** Start of the read under way. */
  readonly reading: number | undefined;
  readonly readAt: number;
  /** Absent at both ends of a whole lease time: nothing that names it counts. */
  readonly gone: boolean;
}

interface SentRenew {
  readonly id: number;
  /** resourceVersion that it was based on; undefined for a first write. */
  readonly base: string | undefined;
  readonly startedAt: number;
}

export interface MemberState {
  readonly stance: MemberStance;
  /** Undefined: as configured. */
  readonly weight: number | undefined;
  /** The list of all members, or the absence of any, has been seen once. */
  readonly listed: boolean;
  readonly own: MemberVersion | undefined;
  readonly ownChangedAt: number;
  /** A write of this process has taken effect before: should another process of this node's name write now, that one is newer. */
  readonly wrote: boolean;
  readonly sent: readonly SentRenew[];
  readonly inFlight: readonly number[];
  /** This node's own Lease is being read. */
  readonly reading: boolean;
  readonly nextId: number;
  readonly nextAttemptAt: number;
  /** Start of the last renew that is known to have taken effect. */
  readonly renewedAt: number | undefined;
  /** Only a renew that was started since then counts. */
  readonly suspectedAt: number | undefined;
  readonly peers: ReadonlyMap<string, Peer>;
  readonly strangers: ReadonlyMap<string, Stranger>;
  /** Nodes that claims name; their Leases are not collected. */
  readonly named: ReadonlySet<string>;
  /** Before then there is nothing to be done about others: with 300 of them, not every renew is a reason to go through all. */
  readonly judgeAt: number;
  readonly view: MemberMap;
  /** A renew of ours was acknowledged and the watch has yet to show it. */
  readonly echo: { readonly resourceVersion: string; readonly at: number } | undefined;
  readonly heardAt: number;
  /** Newest version of the own Lease that the watch has shown. */
  readonly watched: string;
}

/** Nothing known; takes part as soon as the members have been listed. */
export function memberStart(): MemberState {
  return {
    stance: "in",
    weight: undefined,
    listed: false,
    own: undefined,
    ownChangedAt: 0,
    wrote: false,
    sent: [],
    inFlight: [],
    reading: false,
    nextId: 1,
    nextAttemptAt: 0,
    renewedAt: undefined,
    suspectedAt: undefined,
    peers: new Map(),
    strangers: new Map(),
    named: new Set(),
    judgeAt: -Infinity,
    view: new Map(),
    echo: undefined,
    heardAt: 0,
    watched: "",
  };
}

/** True while the newest version known of the own Lease is of this process, and live. */
export function isMine(state: MemberState, config: MemberConfig): boolean {
  return state.own?.record.process === config.process && state.own.record.state === "live";
}

/** This life of this node, whether fresh or not; undefined where its Lease does not say so. */
export function ownRef(state: MemberState, config: MemberConfig): Ref | undefined {
  if (state.own === undefined || !isMine(state, config)) return undefined;
  return { node: config.node, incarnation: state.own.record.incarnation };
}

/** Monotonic ms until which this node may hold anything at all unless a renew takes effect before; 0: nothing. */
export function freshUntil(state: MemberState, config: MemberConfig): number {
  const { renewedAt, suspectedAt } = state;
  if (!isMine(state, config) || renewedAt === undefined || state.stance === "out") return 0;
  if (suspectedAt !== undefined && renewedAt < suspectedAt) return 0;
  return renewedAt + config.renewDeadlineMs;
}

/** Monotonic ms at which a kernel lifetime set now has to have ended: before anybody may fence this node. */
export function memberKernelDeadline(state: MemberState, config: MemberConfig): number {
  if (state.renewedAt === undefined) return 0;
  return state.renewedAt + config.leaseDurationMs * (1 - 2 * config.drift) - config.kernelLatenessMs;
}

/** True while claims that name `ref` count. A life newer than the one that this node has seen is taken at its word. */
export function isAlive(ref: Ref, members: MemberMap): boolean {
  const member = members.get(ref.node);
  if (member === undefined) return true;
  if (ref.incarnation > member.incarnation) return member.state !== "gone";
  return member.state === "live" && ref.incarnation === member.incarnation;
}
