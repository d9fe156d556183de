import type { HealthResult } from "../lib/health-result.js";
import type { StepResult } from "./step.js";

/**
 * Is the API server of this node well? Asked at once and then every `periodMs`. Healthy from the first success; sick after `failureThreshold`
 * failures in a row; unknown before either.
 *
 * What follows for the control-plane VIP:
 * `healthy`: seeks and keeps it. `sick`: gives it up by plan and takes it only when nobody else does: another node that is well comes first, and
 * where a check fails everywhere (a wrong URL, a wrong CA) there still is a VIP.
 * `unknown`: neither seeks it nor gives it up. Not like `healthy`: a `vip` that starts where the API server is dead would take the VIP away from
 * a node that is well, and hold it until the threshold is reached. Not like `sick`: a `vip` that is restarted on a node that is well would give away
 * what its earlier life holds. It lasts for as long as an answer on loopback takes, milliseconds, less than the first lists of the API.
 * Bootstrap: the first node's API server comes up after its `vip`, and until then nobody can hold anything, for the Lease that makes a node the
 * holder is written to an API server. So that this check is not what the first node then waits for, it is asked every `FIRST_PERIOD_MS` until the
 * first success.
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
