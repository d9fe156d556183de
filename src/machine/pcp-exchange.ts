import type { StepResult } from "./step.js";

/** How often a request is sent until it is answered. All in ms but `tries` and `jitter`. */
export interface PcpPace {
  readonly firstMs: number;
  readonly mostMs: number;
  /** Each wait is up to this part of it longer or shorter. */
  readonly jitter: number;
  /** Transmissions of one request; Infinity: until there is an answer. */
  readonly tries: number;
}

/** RFC 6887 8.1.1: IRT and MRT. There it goes on for ever; here whoever asks for a mapping asks again, and the server is looked at meanwhile. */
export const PCP_PACE: PcpPace = { firstMs: 3000, mostMs: 1_024_000, jitter: 0.1, tries: 3 };
/** RFC 6886 3.1. */
export const NAT_PMP_PACE: PcpPace = { firstMs: 250, mostMs: 64_000, jitter: 0, tries: 6 };

export interface PcpExchangeState {
  readonly sent: number;
  /** The wait that is under way, ms. */
  readonly waitMs: number;
  readonly nextAt: number;
}

/** `random` is uniform in [0, 1). An answer ends the exchange from outside. */
export interface PcpExchangeEvent {
  readonly type: "tick";
  readonly random: number;
}

export type PcpExchangeAction = { readonly type: "send" } | { readonly type: "expired" };

/** Nothing was sent yet; the first tick does it. */
export function pcpExchangeStart(): PcpExchangeState {
  return { sent: 0, waitMs: 0, nextAt: -Infinity };
}

/** Sends, and sends again, until it has been enough. */
export function pcpExchangeStep(state: PcpExchangeState, { random }: PcpExchangeEvent, now: number, pace: PcpPace): StepResult<PcpExchangeState, PcpExchangeAction> {
  if (now < state.nextAt) return { state, actions: [], wakeAt: state.nextAt };
  if (state.sent >= pace.tries) return { state: { ...state, nextAt: Infinity }, actions: [{ type: "expired" }], wakeAt: undefined };
  const waitMs = nextWait(state.sent === 0 ? undefined : state.waitMs, random, pace);
  const nextAt = now + waitMs;
  return { state: { sent: state.sent + 1, waitMs, nextAt }, actions: [{ type: "send" }], wakeAt: nextAt };
}

/** RFC 6887 8.1.1: RT = (1 + RAND) * MIN(2 * RTprev, MRT), the first time (1 + RAND) * IRT. */
export function nextWait(before: number | undefined, random: number, { firstMs, mostMs, jitter }: PcpPace): number {
  return (1 + jitter * (2 * random - 1)) * (before === undefined ? firstMs : Math.min(2 * before, mostMs));
}
