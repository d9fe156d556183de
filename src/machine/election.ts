import type { LeaseRecord } from "../lib/lease-record.js";
import type { StepResult } from "./step.js";

/**
 * Leader election on one Lease, wire-compatible with client-go's `leaderelection` (LeaseLock), with these differences, all on the safe side:
 * the Lease is watched; several writes may be under way (each with the resourceVersion last seen, so at most one takes effect); a renew
 * counts from the moment at which it was *started*; and a reply that was lost counts when any later reading shows the renewTime that we sent.
 */
export interface ElectionConfig {
  readonly identity: string;
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
  /** How far the rates of two machines' clocks may differ, as a fraction. */
  readonly drift: number;
  /** How late the kernel may remove an address whose lifetime has ended, plus a margin, ms. */
  readonly kernelLatenessMs: number;
  /** How long a leaving holder keeps its addresses when no heir shows up, ms. */
  readonly handOverMs: number;
}

/** One version of the Lease object. */
export interface LeaseVersion {
  readonly resourceVersion: string;
  readonly record: LeaseRecord;
}

interface Sent {
  readonly id: number;
  /** resourceVersion that the write was based on; undefined for a create. */
  readonly base: string | undefined;
  readonly renewTime: string;
  readonly startedAt: number;
}

export interface ElectionState<L extends LeaseVersion = LeaseVersion> {
  readonly candidate: boolean;
  /** When `leave` was asked for. */
  readonly leavingSince: number | undefined;
  readonly releasing: boolean;
  /** False until the Lease, or its absence, has been seen once. */
  readonly known: boolean;
  readonly lease: L | undefined;
  /** Own monotonic time at which `lease` was last seen to change. */
  readonly changedAt: number;
  readonly sent: readonly Sent[];
  readonly inFlight: readonly number[];
  readonly reading: boolean;
  readonly nextId: number;
  readonly nextAttemptAt: number;
  /** Start of the last renew that is known to have taken effect. */
  readonly renewedAt: number | undefined;
}

export type ElectionEvent<L extends LeaseVersion = LeaseVersion> =
  | { readonly type: "candidate"; readonly on: boolean; readonly wallMs: number }
  | { readonly type: "leave"; readonly wallMs: number }
  /** The watch, or a read that was asked for, shows this version; undefined: there is no such Lease. */
  | { readonly type: "seen"; readonly lease: L | undefined; readonly wallMs: number; readonly read?: boolean }
  | { readonly type: "written"; readonly id: number; readonly lease: L; readonly wallMs: number }
  | { readonly type: "failed"; readonly id: number; readonly conflict: boolean; readonly wallMs: number }
  | { readonly type: "readFailed"; readonly wallMs: number }
  | { readonly type: "tick"; readonly wallMs: number };

export type ElectionAction<L extends LeaseVersion = LeaseVersion> =
  | { readonly type: "create"; readonly id: number; readonly record: LeaseRecord; readonly timeoutMs: number }
  | { readonly type: "replace"; readonly id: number; readonly base: L; readonly record: LeaseRecord; readonly timeoutMs: number }
  | { readonly type: "read"; readonly timeoutMs: number };

const MAX_WRITES_IN_FLIGHT = 3;

/** Before anything is known; not a candidate. */
export function electionStart<L extends LeaseVersion>(): ElectionState<L> {
  return {
    candidate: false,
    leavingSince: undefined,
    releasing: false,
    known: false,
    lease: undefined,
    changedAt: 0,
    sent: [],
    inFlight: [],
    reading: false,
    nextId: 1,
    nextAttemptAt: 0,
    renewedAt: undefined,
  };
}

/** True while this node may hold what the Lease stands for: fresh, and named by the newest version known. */
export function holds(state: ElectionState, config: ElectionConfig, now: number): boolean {
  return now < heldUntil(state, config);
}

/** Monotonic ms at which `holds` ends unless a renew takes effect before; 0 where it does not hold. */
export function heldUntil(state: ElectionState, config: ElectionConfig): number {
  if (state.renewedAt === undefined) return 0;
  const fresh = state.renewedAt + config.renewDeadlineMs;
  const holder = state.lease?.record.holderIdentity;
  if (state.leavingSince === undefined) return holder === config.identity ? fresh : 0;
  // Make before break: keep the address until the heir's name is seen, for a bounded time.
  const heir = holder !== undefined && holder !== "" && holder !== config.identity;
  return heir ? 0 : Math.min(fresh, state.leavingSince + config.handOverMs);
}

/** Monotonic ms at which a kernel lifetime set now has to have ended (before anybody else may take over). */
export function kernelDeadline(state: ElectionState, config: ElectionConfig): number {
  if (state.renewedAt === undefined) return 0;
  return state.renewedAt + config.leaseDurationMs * (1 - 2 * config.drift) - config.kernelLatenessMs;
}

/** What an observer may say of the Lease. */
export type LeaseView = "unknown" | "mine" | "other" | "free";

export function leaseView(state: ElectionState, config: ElectionConfig, now: number): LeaseView {
  if (!state.known) return "unknown";
  if (state.lease?.record.holderIdentity === config.identity) return "mine";
  return freeAt(state, config) <= now ? "free" : "other";
}

/** One event in, new state and the requests to send out. */
export function electionStep<L extends LeaseVersion>(
  state: ElectionState<L>,
  event: ElectionEvent<L>,
  now: number,
  config: ElectionConfig,
): StepResult<ElectionState<L>, ElectionAction<L>> {
  let next = absorb(state, event, now, config);
  const actions: ElectionAction<L>[] = [];
  if (event.type === "failed" && event.conflict && !next.reading && !movedOn(state, event.id)) {
    next = { ...next, reading: true };
    actions.push({ type: "read", timeoutMs: config.renewDeadlineMs });
  }
  const write = dueWrite(next, now, config);
  if (write !== undefined) {
    const { record, sent } = write(event.wallMs);
    const base = next.lease;
    const timeoutMs = config.renewDeadlineMs;
    actions.push(
      base === undefined
        ? { type: "create", id: sent.id, record, timeoutMs }
        : { type: "replace", id: sent.id, base, record, timeoutMs },
    );
    next = {
      ...next,
      nextId: sent.id + 1,
      sent: [...next.sent.filter((s) => now - s.startedAt < config.leaseDurationMs), sent],
      inFlight: [...next.inFlight, sent.id],
      nextAttemptAt: now + config.retryPeriodMs,
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
    case "candidate":
      return { ...state, candidate: event.on };
    case "leave":
      return state.leavingSince === undefined
        ? { ...state, candidate: false, leavingSince: now, releasing: true, nextAttemptAt: now }
        : state;
    case "seen":
      return observe({ ...state, reading: event.read === true ? false : state.reading }, event.lease, now, config);
    case "readFailed":
      return { ...state, reading: false };
    case "written":
      return observe(landed(state, event.id), event.lease, now, config);
    case "failed": {
      const after = landed(state, event.id);
      if (event.conflict) return after;
      const pause = holds(state, config, now) ? config.retryPeriodMs / 4 : config.retryPeriodMs;
      return { ...after, nextAttemptAt: Math.min(state.nextAttemptAt, now + pause) };
    }
  }
}

function landed<L extends LeaseVersion>(state: ElectionState<L>, id: number): ElectionState<L> {
  return { ...state, inFlight: state.inFlight.filter((other) => other !== id) };
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
  if (isOlder(lease, state.lease)) return { ...state, known: true };
  const changed = !state.known || lease?.resourceVersion !== state.lease?.resourceVersion;
  const own = lease?.record.holderIdentity === config.identity;
  const sent = own ? state.sent.find((s) => s.renewTime === lease?.record.renewTime) : undefined;
  return {
    ...state,
    known: true,
    lease,
    reading: state.reading && !changed,
    changedAt: changed ? now : state.changedAt,
    renewedAt: sent === undefined ? state.renewedAt : Math.max(state.renewedAt ?? -Infinity, sent.startedAt),
    // A lease that someone gave up is taken at once, not at the next turn of the retry period.
    nextAttemptAt: changed && isFreeRecord(lease) ? Math.min(state.nextAttemptAt, now) : state.nextAttemptAt,
    releasing: state.releasing && (own || state.inFlight.length > 0),
  };
}

/** A watch may lag behind the reply to our own write. resourceVersions are integers of one store and can be compared. */
function isOlder(lease: LeaseVersion | undefined, known: LeaseVersion | undefined): boolean {
  if (lease === undefined || known === undefined) return false;
  const [a, b] = [lease.resourceVersion, known.resourceVersion];
  if (!/^\d+$/.test(a) || !/^\d+$/.test(b)) return false;
  return BigInt(a) < BigInt(b);
}

function isFreeRecord(lease: LeaseVersion | undefined): boolean {
  return lease === undefined || lease.record.holderIdentity === "";
}

/** Own monotonic time from which somebody else's Lease may be taken. */
function freeAt(state: ElectionState, config: ElectionConfig): number {
  if (isFreeRecord(state.lease)) return 0;
  const seconds = state.lease?.record.leaseDurationSeconds ?? 0;
  return state.changedAt + (seconds > 0 ? seconds * 1000 : config.leaseDurationMs);
}

type DueWrite = (wallMs: number) => { readonly record: LeaseRecord; readonly sent: Sent };

function dueWrite(state: ElectionState, now: number, config: ElectionConfig): DueWrite | undefined {
  if (!state.known || state.reading || state.inFlight.length >= MAX_WRITES_IN_FLIGHT) return undefined;
  if (now < state.nextAttemptAt) return undefined;
  const mine = state.lease?.record.holderIdentity === config.identity;
  if (state.releasing) return mine ? (wallMs) => released(state, wallMs, now) : undefined;
  if (!state.candidate) return undefined;
  if (!mine && now < freeAt(state, config)) return undefined;
  return (wallMs) => claimed(state, mine, wallMs, now, config);
}

function claimed(state: ElectionState, mine: boolean, wallMs: number, now: number, config: ElectionConfig) {
  const time = microTime(wallMs, state.nextId);
  const old = state.lease?.record;
  const record: LeaseRecord = {
    holderIdentity: config.identity,
    leaseDurationSeconds: Math.round(config.leaseDurationMs / 1000),
    acquireTime: mine ? (old?.acquireTime ?? time) : time,
    renewTime: time,
    leaseTransitions: old === undefined ? 0 : old.leaseTransitions + (mine ? 0 : 1),
  };
  return { record, sent: { id: state.nextId, base: state.lease?.resourceVersion, renewTime: time, startedAt: now } };
}

/** client-go `release`: empty holder, one second, so that anybody takes it at once. */
function released(state: ElectionState, wallMs: number, now: number) {
  const time = microTime(wallMs, state.nextId);
  const record: LeaseRecord = {
    holderIdentity: "",
    leaseDurationSeconds: 1,
    acquireTime: time,
    renewTime: time,
    leaseTransitions: state.lease?.record.leaseTransitions ?? 0,
  };
  return { record, sent: { id: state.nextId, base: state.lease?.resourceVersion, renewTime: time, startedAt: now } };
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
  const mine = state.lease?.record.holderIdentity === config.identity;
  if (state.known && (state.candidate || state.releasing) && !state.reading && state.inFlight.length < MAX_WRITES_IN_FLIGHT) {
    const free = mine ? 0 : freeAt(state, config);
    if (mine || state.candidate) times.push(Math.max(state.nextAttemptAt, free));
  }
  return times.length === 0 ? undefined : Math.max(now, Math.min(...times));
}
