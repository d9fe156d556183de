import { EMPTY_SHARD, sameRef, type Claim, type Ref, type ShardContent } from "./claim-codec.js";
import type { MemberMap } from "./member-state.js";
import { SHARDS } from "./placement.js";

export interface ClaimConfig {
  /** How long an heir has to take a key before another is asked; and how long an owner that knows nothing newer keeps a key that it has offered, ms. */
  readonly handOverMs: number;
  /** Who gives up many keys has no more than so many under way at a time: each of them changes hands quickly then, however long all of them take. */
  readonly giveAtOnce: number;
  /** How long a former owner keeps the addresses once it sees that the heir has the key, for the heir has yet to add and announce them, ms. */
  readonly heirMs: number;
  /** Between letting go of an address and telling others that it is gone, ms. */
  readonly dropMs: number;
  /** Members claim a free key in turn, so long apart, ms. */
  readonly turnMs: number;
  /** How long a key is left to others by one who is not fit but better than nobody, and by others while a former owner may take it back, ms. */
  readonly patienceMs: number;
  /** An owner that found nobody to take a key asks again after so long, ms. */
  readonly offerAgainMs: number;
  /** A member is handed keys of others once it has been live for so long, ms. */
  readonly steadyMs: number;
  /** One that is back from a crash once it has been live for so long, ms. */
  readonly returnedMs: number;
  /** Moves per second of the whole cluster that only make it more even; 0: never. */
  readonly rebalanceRate: number;
  /** A shard takes no more claims beyond so many bytes. */
  readonly shardLimitBytes: number;
  readonly retryPeriodMs: number;
  readonly renewDeadlineMs: number;
}

/**
 * What this node wants of a key.
 * `run`: takes and keeps it. `yield`: not fit, but better than nobody: hands it over where somebody can have it. `drop`: cannot serve: lets go at once.
 */
export type Fit = "run" | "yield" | "drop";

export interface Wish {
  readonly fit: Fit;
  /** On which nodes it may be, as far as is known; undefined: on all. */
  readonly nodes: ReadonlySet<string> | undefined;
  /** Load that it brings; 1 by default. */
  readonly weight: number;
  /** Nodes that come first, the best one first. */
  readonly preferred: readonly string[];
}

/** A wish with the hash of its key. */
export interface Plot extends Wish {
  readonly hash: number;
}

/** One version of a Lease `vip-claims-<shard>`. `text`: its annotation. `origin`: whatever the driver needs for a write based on it. */
export interface ShardVersion {
  readonly resourceVersion: string;
  readonly text: string | undefined;
  readonly origin?: unknown;
}

/** What a write of this node gives away, should it take effect. */
export interface Gives {
  readonly offers: ReadonlySet<string>;
  readonly releases: ReadonlySet<string>;
}

export interface SentShard extends Gives {
  readonly id: number;
  /** resourceVersion that it was based on; undefined for a create. */
  readonly base: string | undefined;
  readonly startedAt: number;
}

/** A write of unknown outcome that may still take effect, until the shard has moved past its base. `all`: one of an earlier process, which may give away anything. */
export interface Doubt extends Gives {
  readonly base: string | undefined;
  readonly startedAt: number;
  readonly all: boolean;
}

export interface ShardState {
  /** False until the Lease, or its absence, has been seen once. */
  readonly known: boolean;
  readonly version: ShardVersion | undefined;
  /** The newest resourceVersion ever seen of it: an old list may show that it is not there yet, and after it come old versions. */
  readonly newest: string | undefined;
  readonly content: ShardContent;
  /** The annotation is not readable: nobody's claim changes until it is. */
  readonly unreadable: string | undefined;
  /** What is known is no older than what the API had at this monotonic time. */
  readonly asOf: number;
  readonly inFlight: SentShard | undefined;
  readonly doubts: readonly Doubt[];
  /** A read is needed before the next write. */
  readonly stale: boolean;
  readonly reading: { readonly startedAt: number } | undefined;
  readonly readAt: number;
  readonly writeAt: number;
  /** In a row. */
  readonly conflicts: number;
  readonly failures: number;
  /** Why claims were left out of the last write. */
  readonly refused: string | undefined;
}

/** What this node remembers of a key beyond the claim itself. */
export interface Note {
  readonly freeSince?: number;
  /** Start of the write that named the heir. */
  readonly offeredAt?: number;
  /** When what was offered had to be let go of, by the last version that showed it as still mine. */
  readonly boundAt?: number;
  /** The offer was made only to make the load more even. */
  readonly move?: boolean;
  /** Those who were asked and did not take it. */
  readonly tried?: readonly string[];
  readonly askAgainAt?: number;
  /** When the heir was first seen to have it; -Infinity: it had to be let go of before. */
  readonly takenAt?: number;
  readonly droppedAt?: number;
}

/** One key as a look at all claims sees it. */
export interface Lot {
  readonly shard: number;
  readonly key: string;
  readonly claim: Claim | undefined;
  readonly plot: Plot | undefined;
}

export type Wishes = readonly ReadonlyMap<string, Plot>[];

export interface ClaimState {
  readonly shards: readonly ShardState[];
  /** By shard; undefined until they are known, and until then nothing is given up or taken. */
  readonly wishes: Wishes | undefined;
  /** Sum of the weights of all wishes. */
  readonly totalWeight: number;
  /** Claims beside wishes, by shard; made anew only for a shard that has changed. */
  readonly lots: readonly (readonly Lot[])[];
  readonly notes: ReadonlyMap<string, Note>;
  readonly nextId: number;
  readonly nextMoveAt: number;
  /** The last look found no move that would make the load more even, and none is under way. */
  readonly even: boolean;
  readonly wakeAt: number | undefined;
}

/** What the claims take from membership at each step. */
export interface ClaimEnv {
  readonly config: ClaimConfig;
  readonly node: string;
  /** This life of this node. */
  readonly me: Ref | undefined;
  readonly freshUntil: number;
  readonly members: MemberMap;
  /** Keys are handed over: because the node drains, or because the process ends, and then whether there is an heir or not. */
  readonly giving: "no" | "drain" | "leave";
}

const SHARD_START: ShardState = {
  known: false,
  version: undefined,
  newest: undefined,
  content: EMPTY_SHARD,
  unreadable: undefined,
  asOf: -Infinity,
  inFlight: undefined,
  doubts: [],
  stale: false,
  reading: undefined,
  readAt: 0,
  writeAt: 0,
  conflicts: 0,
  failures: 0,
  refused: undefined,
};

/** Nothing known, nothing wished. */
export function claimStart(): ClaimState {
  const shards = Array.from({ length: SHARDS }, () => SHARD_START);
  return { shards, wishes: undefined, totalWeight: 0, lots: shards.map(() => []), notes: new Map(), nextId: 1, nextMoveAt: 0, even: false, wakeAt: undefined };
}

/** Keys of a shard that are claimed or wished for. What another version of this program has written is left out. */
export function lotsOf(shard: number, { known, unreadable, content }: ShardState, plots: ReadonlyMap<string, Plot> | undefined): readonly Lot[] {
  if (!known || unreadable !== undefined) return [];
  const lots: Lot[] = [];
  for (const [key, plot] of plots ?? []) if (!content.kept.has(key)) lots.push({ shard, key, plot, claim: content.claims.get(key) });
  for (const [key, claim] of content.claims) if (plots?.has(key) !== true) lots.push({ shard, key, plot: undefined, claim });
  return lots;
}

/** Start of the newest write that offered or may have offered this key, as far as it can still take effect. */
export function offerInTheAir(shard: ShardState, key: string): number | undefined {
  let at = shard.inFlight?.offers.has(key) === true ? shard.inFlight.startedAt : undefined;
  for (const doubt of shard.doubts) if (doubt.offers.has(key)) at = Math.max(at ?? -Infinity, doubt.startedAt);
  return at;
}

/** A write that may still take effect lets go of this key. */
export function isGivenUp(shard: ShardState, key: string): boolean {
  return shard.inFlight?.releases.has(key) === true || shard.doubts.some((doubt) => doubt.all || doubt.releases.has(key));
}

/** Monotonic ms until which a key that was offered may be kept; Infinity where it is not on offer. */
export function offerBound(shard: ShardState, key: string, claim: Claim, note: Note | undefined, config: ClaimConfig): number {
  const air = offerInTheAir(shard, key);
  if (claim.heir === undefined && air === undefined) return Infinity;
  // Whoever was asked may have taken it at any moment since: only what was asked of the API later says that it has not.
  return Math.max(shard.asOf, air ?? -Infinity, note?.offeredAt ?? -Infinity) + config.handOverMs;
}

export function isMe(ref: Ref | undefined, env: ClaimEnv): boolean {
  return env.me !== undefined && sameRef(ref, env.me);
}
