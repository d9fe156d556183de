import type { LeaseRecord } from "../lib/lease-record.js";
import {
  freeAt,
  heldUntil,
  holds,
  isFreeRecord,
  namesMe,
  offerAt,
  patienceOf,
  type ElectionConfig,
  type ElectionState,
  type LeaseVersion,
  type SentWrite,
  type Stance,
} from "./election-state.js";
import type { StepResult } from "./step.js";

/*
 * Leader election on one Lease, wire-compatible with client-go's `leaderelection` (LeaseLock), with these differences, all on the safe side:
 * the Lease is watched; several writes may be under way (each with the resourceVersion last seen, so at most one takes effect); a renew
 * counts from the moment at which it was *started*; and a reply that was lost counts when any later reading shows the renewTime that we sent.
 */

type ElectionInput<L extends LeaseVersion> =
  | { readonly type: "stance"; readonly stance: Stance }
  /** The Lease is to be renewed now; with `stop`, nothing is held until such a renew has taken effect. */
  | { readonly type: "confirm"; readonly stop: boolean }
  /** The watch, or a read that was asked for, shows this version; undefined: there is no such Lease. */
  | { readonly type: "seen"; readonly lease: L | undefined; readonly read?: boolean }
  | { readonly type: "written"; readonly id: number; readonly lease: L }
  | { readonly type: "failed"; readonly id: number; readonly conflict: boolean }
  | { readonly type: "readFailed" }
  | { readonly type: "tick" };

/** Every event carries the wall clock, for the timestamps in the Lease and for nothing else. */
export type ElectionEvent<L extends LeaseVersion = LeaseVersion> = ElectionInput<L> & { readonly wallMs: number };

export type ElectionAction<L extends LeaseVersion = LeaseVersion> =
  | { readonly type: "create"; readonly id: number; readonly record: LeaseRecord; readonly timeoutMs: number }
  | { readonly type: "replace"; readonly id: number; readonly base: L; readonly record: LeaseRecord; readonly timeoutMs: number }
  | { readonly type: "read"; readonly timeoutMs: number };

const MAX_WRITES_IN_FLIGHT = 3;

/** One event in, new state and the requests to send out. */
export function electionStep<L extends LeaseVersion>(
  state: ElectionState<L>,
  event: ElectionEvent<L>,
  now: number,
  config: ElectionConfig,
): StepResult<ElectionState<L>, ElectionAction<L>> {
  let next = offerAgain(settled(absorb(state, event, now, config), now, config), now, config);
  const actions: ElectionAction<L>[] = [];
  const timeoutMs = config.renewDeadlineMs;
  if (event.type === "failed" && event.conflict && !next.reading && !movedOn(state, event.id)) {
    next = { ...next, reading: true };
    actions.push({ type: "read", timeoutMs });
  }
  const due = dueWrite(next, now, config);
  if (due !== undefined) {
    const record = due === "release" ? released(next, event.wallMs) : claimed(next, event.wallMs, config);
    const { lease: base, nextId: id } = next;
    actions.push(base === undefined ? { type: "create", id, record, timeoutMs } : { type: "replace", id, base, record, timeoutMs });
    const sent: SentWrite = { id, base: base?.resourceVersion, renewTime: record.renewTime ?? "", startedAt: now };
    next = {
      ...next,
      nextId: id + 1,
      sent: [...next.sent.filter((s) => now - s.startedAt < config.leaseDurationMs), sent],
      inFlight: [...next.inFlight, id],
      // Where the last one hangs the next may hang, too: three of them start before the deadline, not two.
      nextAttemptAt: now + config.retryPeriodMs / (next.inFlight.length > 0 ? 2 : 1),
    };
  }
  return { state: next, actions, wakeAt: wakeAt(next, now, config) };
}

function absorb<L extends LeaseVersion>(
  state: ElectionState<L>,
  event: ElectionEvent<L>,
  now: number,
  config: ElectionConfig,
): ElectionState<L> {
  switch (event.type) {
    case "tick":
      return state;
    case "stance":
      return changeStance(state, event.stance, now, config);
    case "confirm":
      return { ...state, nextAttemptAt: Math.min(state.nextAttemptAt, now), suspectedAt: event.stop ? now : state.suspectedAt };
    case "seen":
      return observe({ ...state, reading: event.read === true ? false : state.reading }, event.lease, now, config);
    case "readFailed":
      return { ...state, reading: false };
    case "written": {
      const created = state.created || state.sent.some((s) => s.id === event.id && s.base === undefined);
      return observe({ ...landed(state, event.id), created }, event.lease, now, config);
    }
    case "failed": {
      const after = stillReleasing(landed(state, event.id), config);
      // A renew that landed before the release made its version stale: the release is not put off.
      if (event.conflict) return after.releasing ? { ...after, nextAttemptAt: Math.min(after.nextAttemptAt, now) } : after;
      const pause = holds(state, config, now) ? config.retryPeriodMs / 4 : config.retryPeriodMs;
      return { ...after, nextAttemptAt: Math.min(state.nextAttemptAt, now + pause) };
    }
  }
}

function changeStance<L extends LeaseVersion>(state: ElectionState<L>, stance: Stance, now: number, config: ElectionConfig): ElectionState<L> {
  if (stance === state.stance || state.stance === "leave") return state;
  const next = { ...state, stance };
  if (stance === "run") return { ...next, leavingSince: undefined, heirSeenAt: undefined, releasing: false, nextAttemptAt: Math.min(state.nextAttemptAt, now) };
  return giveUp(next, now, config);
}

/** Starts to give the Lease up, where there is something to give up. A write under way may still make it ours. */
function giveUp<L extends LeaseVersion>(state: ElectionState<L>, now: number, config: ElectionConfig): ElectionState<L> {
  const something = namesMe(state, config) || state.inFlight.length > 0;
  if (!something) return { ...state, leavingSince: undefined, heirSeenAt: undefined, releasing: false };
  return { ...state, leavingSince: state.leavingSince ?? now, releasing: true, nextAttemptAt: now };
}

/** Keeps `takenAt`, and ends what is over: given up and taken, by another or for want of others by this node, it is a Lease like any other. */
function settled<L extends LeaseVersion>(state: ElectionState<L>, now: number, config: ElectionConfig): ElectionState<L> {
  const taken = state.stance !== "leave" && state.leavingSince !== undefined && !state.releasing && !isFreeRecord(state.lease);
  const over = taken && (namesMe(state, config) || !holds(state, config, now));
  const next = over ? { ...state, leavingSince: undefined, heirSeenAt: undefined } : state;
  if (!holds(next, config, now)) return next.takenAt === undefined ? next : { ...next, takenAt: undefined };
  return over || next.takenAt === undefined ? { ...next, takenAt: now } : next;
}

function offerAgain<L extends LeaseVersion>(state: ElectionState<L>, now: number, config: ElectionConfig): ElectionState<L> {
  const at = offerAt(state, config);
  return at !== undefined && now >= at ? giveUp(state, now, config) : state;
}

function landed<L extends LeaseVersion>(state: ElectionState<L>, id: number): ElectionState<L> {
  return { ...state, inFlight: state.inFlight.filter((other) => other !== id) };
}

/** A release is over when the Lease names another, or nobody, and no write under way can change that. */
function stillReleasing<L extends LeaseVersion>(state: ElectionState<L>, config: ElectionConfig): ElectionState<L> {
  return { ...state, releasing: state.releasing && (namesMe(state, config) || state.inFlight.length > 0) };
}

/** True where a newer version than the one that a write was based on has been seen since: the conflict explains itself. */
function movedOn(state: ElectionState, id: number): boolean {
  const sent = state.sent.find((s) => s.id === id);
  return sent !== undefined && sent.base !== state.lease?.resourceVersion;
}

function observe<L extends LeaseVersion>(
  state: ElectionState<L>,
  lease: L | undefined,
  now: number,
  config: ElectionConfig,
): ElectionState<L> {
  // An heir may be seen before the answer to our release: that answer ends the release all the same.
  if (isOlder(lease, state.lease)) return stillReleasing({ ...state, known: true }, config);
  const changed = !state.known || lease?.resourceVersion !== state.lease?.resourceVersion;
  const own = lease?.record.holderIdentity === config.identity;
  const sent = own ? state.sent.find((s) => s.renewTime === lease.record.renewTime) : undefined;
  const releasing = state.releasing && (own || state.inFlight.length > 0);
  const heir = state.leavingSince !== undefined && !own && !isFreeRecord(lease);
  // Once the Lease is seen without this node's name, what was renewed before is void, unless it is being handed over.
  const renewedBefore = own || state.leavingSince !== undefined ? state.renewedAt : undefined;
  return {
    ...state,
    known: true,
    lease,
    reading: state.reading && !changed,
    created: state.created && own,
    changedAt: changed ? now : state.changedAt,
    renewedAt: sent === undefined ? renewedBefore : Math.max(renewedBefore ?? -Infinity, sent.startedAt),
    // A Lease that someone gave up is taken at once, not at the next turn of the retry period.
    nextAttemptAt: changed && isFreeRecord(lease) ? Math.min(state.nextAttemptAt, now) : state.nextAttemptAt,
    releasing,
    heirSeenAt: heir ? (state.heirSeenAt ?? now) : state.heirSeenAt,
  };
}

/** A watch may lag behind the reply to our own write. resourceVersions are integers of one store and can be compared. */
function isOlder(lease: LeaseVersion | undefined, known: LeaseVersion | undefined): boolean {
  if (lease === undefined || known === undefined) return false;
  const [a, b] = [lease.resourceVersion, known.resourceVersion];
  if (!/^\d+$/.test(a) || !/^\d+$/.test(b)) return false;
  return BigInt(a) < BigInt(b);
}

function dueWrite(state: ElectionState, now: number, config: ElectionConfig): "claim" | "release" | undefined {
  if (!state.known || state.reading || state.inFlight.length >= MAX_WRITES_IN_FLIGHT) return undefined;
  const at = writeAt(state, config);
  if (at === undefined || now < at) return undefined;
  return state.releasing ? "release" : "claim";
}

/** Own monotonic time at which the next write is due, requests under way aside. */
function writeAt(state: ElectionState, config: ElectionConfig): number | undefined {
  const mine = namesMe(state, config);
  if (state.releasing) return mine ? state.nextAttemptAt : undefined;
  if (state.stance !== "run" && state.stance !== "yield" && state.stance !== "spare") return undefined;
  if (mine) return state.nextAttemptAt;
  return Math.max(state.nextAttemptAt, freeAt(state, config) + patienceOf(state, config));
}

function claimed(state: ElectionState, wallMs: number, config: ElectionConfig): LeaseRecord {
  const time = microTime(wallMs, state.nextId);
  const old = state.lease?.record;
  const mine = namesMe(state, config);
  return {
    holderIdentity: config.identity,
    leaseDurationSeconds: Math.round(config.leaseDurationMs / 1000),
    acquireTime: mine ? (old?.acquireTime ?? time) : time,
    renewTime: time,
    leaseTransitions: old === undefined ? 0 : old.leaseTransitions + (mine ? 0 : 1),
  };
}

/** client-go `release`: empty holder, one second, so that anybody takes it at once. */
function released(state: ElectionState, wallMs: number): LeaseRecord {
  const time = microTime(wallMs, state.nextId);
  const leaseTransitions = state.lease?.record.leaseTransitions ?? 0;
  return { holderIdentity: "", leaseDurationSeconds: 1, acquireTime: time, renewTime: time, leaseTransitions };
}

/** MicroTime whose last three digits count our writes, so that each of them can be told from every other. */
export function microTime(wallMs: number, id: number): string {
  const iso = new Date(Math.floor(wallMs)).toISOString();
  return `${iso.slice(0, -1)}${String(id % 1000).padStart(3, "0")}Z`;
}

function wakeAt(state: ElectionState, now: number, config: ElectionConfig): number | undefined {
  const times: number[] = [];
  const until = heldUntil(state, config);
  if (until > now) times.push(until);
  const write = writeAt(state, config);
  if (state.known && write !== undefined && !state.reading && state.inFlight.length < MAX_WRITES_IN_FLIGHT) times.push(write);
  const offer = offerAt(state, config);
  if (offer !== undefined) times.push(offer);
  return times.length === 0 ? undefined : Math.max(now, Math.min(...times));
}
