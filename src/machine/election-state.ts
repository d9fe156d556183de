import type { LeaseRecord } from "../lib/lease-record.js";

export interface ElectionConfig {
  readonly identity: string;
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
  /** How far the rates of two machines' clocks may differ, as a fraction. */
  readonly drift: number;
  /** How late the kernel may remove an address whose lifetime has ended, plus a margin, ms. */
  readonly kernelLatenessMs: number;
  /** How long a holder that gives up by plan keeps its addresses when no heir shows up, ms. */
  readonly handOverMs: number;
  /** How long it keeps them once the heir's name is seen, for the heir has yet to add and announce them, ms. */
  readonly heirMs: number;
  /** How long a node in stance `yield` or `spare` leaves a free Lease to others before it takes it, ms. */
  readonly patienceMs: number;
  /** A node in stance `yield` that took the Lease for want of others offers it again after so long, ms. */
  readonly offerAgainMs: number;
  /** The same in stance `spare`, ms. */
  readonly spareAgainMs: number;
  /** So much later than the node that offered it another one in these stances takes it: where nobody is better, it stays where it is, ms. */
  readonly modestyMs: number;
}

/** How long this node leaves a free Lease to others, ms. */
export function patienceOf({ stance, leavingSince }: Pick<ElectionState, "stance" | "leavingSince">, config: ElectionConfig): number {
  if (stance !== "yield" && stance !== "spare") return 0;
  return config.patienceMs + (leavingSince === undefined ? config.modestyMs : 0);
}

/** When this node offers a Lease again that it took for want of others, on its own clock; undefined: it does not. */
export function offerAt({ stance, leavingSince, takenAt }: ElectionState, config: ElectionConfig): number | undefined {
  if ((stance !== "yield" && stance !== "spare") || leavingSince !== undefined || takenAt === undefined) return undefined;
  return takenAt + (stance === "spare" ? config.spareAgainMs : config.offerAgainMs);
}

/**
 * What this node wants of the Lease.
 * `out`: takes no part. `run`: takes and keeps it. `yield`: not fit, but better than nobody: gives it up by plan (addresses stay until the heir is
 * seen) and takes it only when nobody else does. `spare`: would serve well, but is to be relieved: as `yield`, offered again less often. `drop`: cannot serve: gives it up and lets go at once. `leave`: the process ends: gives it up by
 * plan, for good.
 */
export type Stance = "out" | "run" | "yield" | "spare" | "drop" | "leave";

/** One version of the Lease object. */
export interface LeaseVersion {
  readonly resourceVersion: string;
  readonly record: LeaseRecord;
}

export interface SentWrite {
  readonly id: number;
  /** resourceVersion that the write was based on; undefined for a create. */
  readonly base: string | undefined;
  readonly renewTime: string;
  readonly startedAt: number;
}

export interface ElectionState<L extends LeaseVersion = LeaseVersion> {
  readonly stance: Stance;
  /** Since when it is being given up. */
  readonly leavingSince: number | undefined;
  /** When the heir's name was first seen. */
  readonly heirSeenAt: number | undefined;
  /** A release is still to be written, or to be answered. */
  readonly releasing: boolean;
  /** False until the Lease, or its absence, has been seen once. */
  readonly known: boolean;
  readonly lease: L | undefined;
  /** Own monotonic time at which `lease` was last seen to change. */
  readonly changedAt: number;
  readonly sent: readonly SentWrite[];
  readonly inFlight: readonly number[];
  readonly reading: boolean;
  readonly nextId: number;
  readonly nextAttemptAt: number;
  /** Start of the last renew that is known to have taken effect. */
  readonly renewedAt: number | undefined;
  /** Only a renew that was started since then counts: the clocks said that this machine had stood still. */
  readonly suspectedAt: number | undefined;
  /** The first version of this Lease was written by this process, and nobody else has had it since. */
  readonly created: boolean;
  /** Since when this process has held it without a break. */
  readonly takenAt: number | undefined;
}

/** Before anything is known; takes no part. */
export function electionStart<L extends LeaseVersion>(): ElectionState<L> {
  return {
    stance: "out",
    leavingSince: undefined,
    heirSeenAt: undefined,
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
    suspectedAt: undefined,
    created: false,
    takenAt: undefined,
  };
}

export function namesMe(state: ElectionState, config: ElectionConfig): boolean {
  return state.lease?.record.holderIdentity === config.identity;
}

/** True where there is no Lease, or somebody gave it up. */
export function isFreeRecord(lease: LeaseVersion | undefined): boolean {
  return lease === undefined || lease.record.holderIdentity === "";
}

/** Own monotonic time from which somebody else's Lease may be taken. */
export function freeAt(state: ElectionState, config: ElectionConfig): number {
  if (isFreeRecord(state.lease)) return state.changedAt;
  const seconds = state.lease?.record.leaseDurationSeconds ?? 0;
  return state.changedAt + (seconds > 0 ? seconds * 1000 : config.leaseDurationMs);
}

/** True while this node may hold what the Lease stands for: fresh, and named by the newest version known. */
export function holds(state: ElectionState, config: ElectionConfig, now: number): boolean {
  return now < heldUntil(state, config);
}

/** Monotonic ms at which `holds` ends unless a renew takes effect before; 0 where it does not hold. */
export function heldUntil(state: ElectionState, config: ElectionConfig): number {
  if (!confirmed(state) || state.renewedAt === undefined) return 0;
  const fresh = state.renewedAt + config.renewDeadlineMs;
  if (state.leavingSince === undefined) return namesMe(state, config) ? fresh : 0;
  if (state.stance === "drop") return 0;
  // Make before break: keep the address until the heir has had the time to add it.
  const heir = state.heirSeenAt === undefined ? Infinity : state.heirSeenAt + config.heirMs;
  return Math.min(fresh, heir, state.leavingSince + config.handOverMs);
}

/** Monotonic ms at which a kernel lifetime set now has to have ended (before anybody else may take over). */
export function kernelDeadline(state: ElectionState, config: ElectionConfig): number {
  if (state.renewedAt === undefined) return 0;
  const deadline = state.renewedAt + config.leaseDurationMs * (1 - 2 * config.drift) - config.kernelLatenessMs;
  // An heir may take over at any moment: should this process die now, its addresses are not to stay longer than it takes to look for one. Lifetimes
  // are whole seconds, so nearly one more is allowed.
  return state.leavingSince === undefined ? deadline : Math.min(deadline, state.leavingSince + config.handOverMs + 999);
}

/** What an observer may say of the Lease. */
export type LeaseView = "unknown" | "mine" | "other" | "free";

export function leaseView(state: ElectionState, config: ElectionConfig, now: number): LeaseView {
  if (!state.known) return "unknown";
  if (namesMe(state, config)) return "mine";
  return freeAt(state, config) <= now ? "free" : "other";
}

function confirmed({ suspectedAt, renewedAt }: ElectionState): boolean {
  return suspectedAt === undefined || (renewedAt !== undefined && renewedAt >= suspectedAt);
}
