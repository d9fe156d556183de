import type { HealthResult } from "../lib/health-result.js";
import type { StepResult } from "./step.js";

/**
 * Is the API server of this node well? Asked at once and then every `periodMs`. Healthy from the first success; sick after `failureThreshold`
 * failures in a row; unknown before either.
 *
 * Only `healthy` may seek or hold the control-plane VIP (`wellEnough`). Why not `unknown` too: a `vip` that starts on a node whose API server
 * is dead would take the VIP, or go on holding it, until the threshold is reached, while another node is well; that is the very fault that the
 * gate is for. Waiting costs nothing: the first check goes out at once and a loopback answer takes milliseconds, less than the first lists of
 * the API take. Bootstrap does not need it either: the first node's API server comes up after its `vip`, but the Lease that makes a node the
 * holder is written to an API server, so before one is up nobody can hold anything. So that the gate is not what the first node then waits
 * for, checks go out every `FIRST_PERIOD_MS` until the first success. When every node is sick nobody holds the VIP; a VIP that leads to a
 * dead API server serves nobody, and as all API servers stand on one etcd the Lease could mostly not be renewed anyway.
 */
export interface HealthConfig {
  readonly periodMs: number;
  /** A check without an answer for so long has failed. */
  readonly timeoutMs: number;
  readonly failureThreshold: number;
}

export type Health = "unknown" | "healthy" | "sick";

export interface HealthState {
  readonly health: Health;
  /** What the newest check showed; empty before the first. */
  readonly reason: string;
  /** Failed checks since the last success. */
  readonly failures: number;
  /** Once healthy, ever healthy. */
  readonly everHealthy: boolean;
  readonly probe: { readonly id: number; readonly startedAt: number } | undefined;
  readonly nextAt: number;
  readonly nextId: number;
}

export type HealthEvent = { readonly type: "tick" } | { readonly type: "answer"; readonly id: number; readonly result: HealthResult };

/** `cancel`: the answer is of no more interest; it may still come, and is ignored. */
export type HealthAction = { readonly type: "probe"; readonly id: number } | { readonly type: "cancel"; readonly id: number };

/** Time between checks until the first success, unless `periodMs` is shorter. */
export const FIRST_PERIOD_MS = 1000;

/** Nothing asked yet. The first event, a `tick`, starts the first check. */
export function healthStart(): HealthState {
  return { health: "unknown", reason: "", failures: 0, everHealthy: false, probe: undefined, nextAt: -Infinity, nextId: 1 };
}

/** True where this node may seek and hold what stands for the API server. */
export function wellEnough(state: HealthState): boolean {
  return state.health === "healthy";
}

/** One event in, new state and the checks to start or to drop. At most one check is under way. */
export function healthStep(state: HealthState, event: HealthEvent, now: number, config: HealthConfig): StepResult<HealthState, HealthAction> {
  const actions: HealthAction[] = [];
  let next = state;
  if (event.type === "answer" && event.id === state.probe?.id) next = judged(state, event.result, now, config);
  if (next.probe !== undefined && now >= next.probe.startedAt + config.timeoutMs) {
    actions.push({ type: "cancel", id: next.probe.id });
    next = judged(next, { healthy: false, reason: `no answer within ${config.timeoutMs} ms` }, now, config);
  }
  if (next.probe === undefined && now >= next.nextAt) {
    actions.push({ type: "probe", id: next.nextId });
    next = { ...next, probe: { id: next.nextId, startedAt: now }, nextId: next.nextId + 1 };
  }
  return { state: next, actions, wakeAt: next.probe === undefined ? next.nextAt : next.probe.startedAt + config.timeoutMs };
}

/** The check under way is over. The period counts from its start, so that slow answers do not make checks rarer. */
function judged(state: HealthState, result: HealthResult, now: number, config: HealthConfig): HealthState {
  const failures = result.healthy ? 0 : state.failures + 1;
  const everHealthy = state.everHealthy || result.healthy;
  const periodMs = everHealthy ? config.periodMs : Math.min(config.periodMs, FIRST_PERIOD_MS);
  return {
    ...state,
    health: result.healthy ? "healthy" : failures >= config.failureThreshold ? "sick" : state.health,
    reason: result.reason,
    failures,
    everHealthy,
    probe: undefined,
    nextAt: (state.probe?.startedAt ?? now) + periodMs,
  };
}
