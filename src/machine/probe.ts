import type { MacAddress } from "../lib/mac.js";
import type { StepResult } from "./step.js";

/**
 * Does somebody have this address already? Three questions within 20 ms and a decision at 35 ms: RFC 5227 2.1.1 in the shape of RFC 4862 5.4,
 * with times for a LAN whose hosts answer at once. Who answers is then asked for an address that nobody can have: one that answers for that too
 * answers for everything (proxy ARP).
 */
export interface ProbeConfig {
  readonly questionsAtMs: readonly number[];
  readonly decideAtMs: number;
  /** How long the answer for the impossible address is waited for, ms. */
  readonly canaryMs: number;
}

export const PROBE: ProbeConfig = { questionsAtMs: [0, 10, 20], decideAtMs: 35, canaryMs: 15 };

export type ProbeOutcome = { readonly type: "free" } | { readonly type: "inUse"; readonly mac: MacAddress; readonly proxy: boolean };

export interface ProbeState {
  readonly startedAt: number | undefined;
  readonly asked: number;
  /** When the last question went out. */
  readonly askedAt: number;
  readonly holder: MacAddress | undefined;
  /** Until when the answer for the impossible address is waited for. */
  readonly canaryUntil: number | undefined;
  readonly done: boolean;
}

export type ProbeEvent =
  | { readonly type: "tick" }
  /** This MAC claims the address, by an answer or by asking for it in the same way. */
  | { readonly type: "claimed"; readonly mac: MacAddress }
  /** This MAC claims the impossible address. */
  | { readonly type: "canaryClaimed"; readonly mac: MacAddress };

export type ProbeAction = { readonly type: "ask" } | { readonly type: "askCanary" } | { readonly type: "done"; readonly outcome: ProbeOutcome };

/** The first `tick` asks the first question. */
export function probeStart(): ProbeState {
  return { startedAt: undefined, asked: 0, askedAt: 0, holder: undefined, canaryUntil: undefined, done: false };
}

export function probeStep(state: ProbeState, event: ProbeEvent, now: number, config: ProbeConfig): StepResult<ProbeState, ProbeAction> {
  if (state.done) return { state, actions: [], wakeAt: undefined };
  switch (event.type) {
    case "claimed":
      if (state.holder !== undefined) return { state, actions: [], wakeAt: state.canaryUntil };
      return {
        state: { ...state, holder: event.mac, canaryUntil: now + config.canaryMs },
        actions: [{ type: "askCanary" }],
        wakeAt: now + config.canaryMs,
      };
    case "canaryClaimed":
      if (event.mac !== state.holder) return { state, actions: [], wakeAt: nextAt(state, config) };
      return decided(state, { type: "inUse", mac: event.mac, proxy: true });
    case "tick":
      return tick(state, now, config);
  }
}

function tick(state: ProbeState, now: number, config: ProbeConfig): StepResult<ProbeState, ProbeAction> {
  if (state.holder !== undefined && state.canaryUntil !== undefined) {
    if (now < state.canaryUntil) return { state, actions: [], wakeAt: state.canaryUntil };
    return decided(state, { type: "inUse", mac: state.holder, proxy: false });
  }
  const startedAt = state.startedAt ?? now;
  // A process that was held up asks the remaining questions late rather than not at all, and still waits for the answers.
  const due = config.questionsAtMs[state.asked];
  if (due === undefined && now >= nextAt(state, config)) return decided(state, { type: "free" });
  // The sum that `nextAt` makes, for a difference may be rounded to another number.
  const ask = due !== undefined && now >= startedAt + due;
  const next: ProbeState = { ...state, startedAt, asked: ask ? state.asked + 1 : state.asked, askedAt: ask ? now : state.askedAt };
  return { state: next, actions: ask ? [{ type: "ask" }] : [], wakeAt: nextAt(next, config) };
}

function nextAt({ startedAt = 0, asked, askedAt }: ProbeState, config: ProbeConfig): number {
  const due = config.questionsAtMs[asked];
  if (due !== undefined) return startedAt + due;
  return askedAt + config.decideAtMs - (config.questionsAtMs.at(-1) ?? 0);
}

function decided(state: ProbeState, outcome: ProbeOutcome): StepResult<ProbeState, ProbeAction> {
  return { state: { ...state, done: true }, actions: [{ type: "done", outcome }], wakeAt: undefined };
}
