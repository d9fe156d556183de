import type { StepResult } from "./step.js";

/**
 * Is the data plane behind one health port of this node (kube-proxy's, or the healthCheckNodePort of a Service) ready?
 *
 * `unknown` until the port has answered once: on a node whose data plane has no such port nothing may be held back for its lack, so a refused
 * connection or silence says nothing there, however often.
 * After that the port is known to exist. An answer counts at once: 200 is ready, any other status is not. No answer counts only after
 * `failureThreshold` times in a row: kube-proxy that restarts leaves its rules in the kernel and goes on forwarding.
 */
export interface ReadinessConfig {
  /** Between two questions, from start to start. */
  readonly periodMs: number;
  /** The same while not ready, so that the return is seen soon. */
  readonly notReadyPeriodMs: number;
  /** A question without an answer for so long has failed. */
  readonly timeoutMs: number;
  readonly failureThreshold: number;
}

/** Every second, every half second while not ready; 2 s without an answer are a failure; three of them. */
export const READINESS_DEFAULTS: ReadinessConfig = { periodMs: 1000, notReadyPeriodMs: 500, timeoutMs: 2000, failureThreshold: 3 };

export type Readiness = "unknown" | "ready" | "notReady";

/** An HTTP status, or why there was none. */
export type ReadinessAnswer = { readonly status: number } | { readonly failed: string };

export interface ReadinessState {
  readonly readiness: Readiness;
  /** What the newest question brought: `503`, or the failure; empty before the first. */
  readonly reason: string;
  /** Questions without an HTTP answer since the last one with. */
  readonly failures: number;
  readonly question: { readonly id: number; readonly startedAt: number } | undefined;
  readonly nextAt: number;
  readonly nextId: number;
}

export type ReadinessEvent = { readonly type: "tick" } | { readonly type: "answer"; readonly id: number; readonly answer: ReadinessAnswer };

/** `cancel`: the answer is of no more interest; it may still come, and is ignored. */
export type ReadinessAction = { readonly type: "ask"; readonly id: number } | { readonly type: "cancel"; readonly id: number };

/** Nothing asked yet. The first event, a `tick`, asks. */
export function readinessStart(): ReadinessState {
  return { readiness: "unknown", reason: "", failures: 0, question: undefined, nextAt: -Infinity, nextId: 1 };
}

/**
 * One event in, new state and what to ask or to drop. At most one question is under way. A tick does one thing: it ends a question that is late, or
 * asks one that is due, so that whoever has many ports can say when each of them may ask.
 */
export function readinessStep(state: ReadinessState, event: ReadinessEvent, now: number, config: ReadinessConfig): StepResult<ReadinessState, ReadinessAction> {
  if (event.type === "answer") return done(event.id === state.question?.id ? judged(state, event.answer, config) : state, [], config);
  const { question } = state;
  if (question === undefined) return now < state.nextAt ? done(state, [], config) : asked(state, now, config);
  if (now < question.startedAt + config.timeoutMs) return done(state, [], config);
  return done(judged(state, { failed: `no answer within ${config.timeoutMs} ms` }, config), [{ type: "cancel", id: question.id }], config);
}

function asked(state: ReadinessState, now: number, config: ReadinessConfig): StepResult<ReadinessState, ReadinessAction> {
  const id = state.nextId;
  return done({ ...state, question: { id, startedAt: now }, nextId: id + 1 }, [{ type: "ask", id }], config);
}

function done(state: ReadinessState, actions: readonly ReadinessAction[], config: ReadinessConfig): StepResult<ReadinessState, ReadinessAction> {
  return { state, actions, wakeAt: state.question === undefined ? state.nextAt : state.question.startedAt + config.timeoutMs };
}

/** The question under way is over. The period counts from its start, so that slow answers do not make questions rarer. */
function judged(state: ReadinessState, answer: ReadinessAnswer, config: ReadinessConfig): ReadinessState {
  const failures = "status" in answer ? 0 : state.failures + 1;
  const readiness = "status" in answer ? (answer.status === 200 ? "ready" : "notReady") : afterFailure(state.readiness, failures >= config.failureThreshold);
  const periodMs = readiness === "notReady" ? config.notReadyPeriodMs : config.periodMs;
  return {
    ...state,
    readiness,
    reason: "status" in answer ? `${answer.status}` : answer.failed,
    failures,
    question: undefined,
    nextAt: (state.question?.startedAt ?? -Infinity) + periodMs,
  };
}

function afterFailure(before: Readiness, enough: boolean): Readiness {
  return before === "ready" && enough ? "notReady" : before;
}
