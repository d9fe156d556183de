import type { MacAddress } from "../lib/mac.js";
import type { LeaseView } from "./election-state.js";
import { probeStart, probeStep, type ProbeConfig, type ProbeState } from "./probe.js";
import type { StepResult } from "./step.js";

/*
 * Who holds the control-plane VIP before there is an API to ask? The first node of a kubeadm cluster: its API server is waited for at the VIP, and the
 * rights to write the Lease are given through the VIP. So, while the API has never been reached, a node that finds nobody on the address holds it. The
 * LAN is a weak arbiter (a frame may be lost, a LAN may be cut in two), so this ends for good as soon as the API tells of a holder.
 *
 * A holder keeps asking for the address, as does everybody who waits for it. Two that hold it hear of each other within a period: the one with the higher
 * MAC lets go at once. The other stays and says so; but whoever goes on claiming it after that is none that plays by this rule (the holder by the Lease,
 * or a stranger), and gets it.
 */

export interface BootstrapConfig {
  readonly probe: ProbeConfig;
  /** A random delay of up to this much goes before each attempt, ms. */
  readonly spreadMs: number;
  /** Time between the questions of a holder; an address that is in use is left alone for so long, ms. */
  readonly everyMs: number;
  /** A holder that could not ask for so long holds no more, ms. */
  readonly holdMs: number;
  /** The kernel's lifetime counts from the newest question, ms. */
  readonly kernelMs: number;
  /** Who still claims the address so long after it was defended gets it, ms. */
  readonly patienceMs: number;
}

export const BOOTSTRAP: Omit<BootstrapConfig, "probe"> = { spreadMs: 2000, everyMs: 1000, holdMs: 3000, kernelMs: 4000, patienceMs: 500 };

type Phase =
  /** This node cannot hold it: no link, or its process is ending. */
  | { readonly name: "barred" }
  | { readonly name: "waiting"; readonly until: number }
  | { readonly name: "asking"; readonly probe: ProbeState }
  | { readonly name: "holding"; readonly askedAt: number; readonly contest: { readonly mac: MacAddress; readonly since: number } | undefined }
  /** The API was reached: from now on the Lease decides. */
  | { readonly name: "over" };

export interface BootstrapState {
  readonly phase: Phase;
  /** Who else was last found on the address; undefined where nobody ever was. */
  readonly heard: MacAddress | undefined;
}

type BootstrapInput =
  | { readonly type: "tick" }
  /** Whether this node could hold it. */
  | { readonly type: "able"; readonly able: boolean }
  /** What the API says of the Lease; `held`: this process may hold by it. */
  | { readonly type: "lease"; readonly view: LeaseView; readonly held: boolean }
  /** Another host says that it has the address; `asking`: it only looks whether somebody has. `own` is the MAC of this node. */
  | { readonly type: "claimed"; readonly mac: MacAddress; readonly own: MacAddress; readonly asking: boolean }
  /** This machine seems to have stood still. */
  | { readonly type: "lapse" };

/** Every event brings a random number, uniform in [0, 1). */
export type BootstrapEvent = BootstrapInput & { readonly random: number };

/** `ask`: does anybody have the address? `defend`: tell the link that it is here. */
export type BootstrapAction = { readonly type: "ask" } | { readonly type: "defend" };

type Result = StepResult<BootstrapState, BootstrapAction>;

/** Holds nothing; an `able` starts it. */
export function bootstrapStart(): BootstrapState {
  return { phase: { name: "barred" }, heard: undefined };
}

/** Monotonic ms until which this node may hold the address by this rule alone; 0 where it may not. */
export function bootstrapUntil({ phase }: BootstrapState, config: BootstrapConfig): number {
  return phase.name === "holding" ? phase.askedAt + config.holdMs : 0;
}

/** Monotonic ms at which a kernel lifetime set now has to have ended; 0 where this node may not hold. */
export function bootstrapKernelDeadline({ phase }: BootstrapState, config: BootstrapConfig): number {
  return phase.name === "holding" ? phase.askedAt + config.kernelMs : 0;
}

/** One event in, new state and the frames to send. */
export function bootstrapStep(state: BootstrapState, event: BootstrapEvent, now: number, config: BootstrapConfig): Result {
  if (state.phase.name === "over") return { state, actions: [], wakeAt: undefined };
  // Others may have found nobody while this process stood still.
  const lapsed = state.phase.name === "holding" && now >= bootstrapUntil(state, config);
  const current = lapsed ? wait(state, now, { config, event }) : state;
  switch (event.type) {
    case "tick":
      return tick(current, now, config);
    case "able":
      if (!event.able) return rest({ ...current, phase: { name: "barred" } }, config);
      return rest(current.phase.name === "barred" ? wait(current, now, { config, event }) : current, config);
    case "lease":
      return rest(leaseSeen(current, event), config);
    case "claimed":
      return claimed(current, event, now, config);
    case "lapse":
      return rest(current.phase.name === "holding" ? wait(current, now, { config, event }) : current, config);
  }
}

/** A 403 or a server that is away tells of no Lease: then there is no event, and the view stays unknown. */
function leaseSeen(state: BootstrapState, { view, held }: BootstrapEvent & { readonly type: "lease" }): BootstrapState {
  if (view === "unknown") return state;
  // The Lease is free, or still names this node from an earlier life: it is about to be taken, and until then the address stays where it is.
  const taking = state.phase.name === "holding" && (view === "free" || (view === "mine" && !held));
  return taking ? state : { ...state, phase: { name: "over" } };
}

function claimed(state: BootstrapState, event: BootstrapEvent & { readonly type: "claimed" }, now: number, config: BootstrapConfig): Result {
  const { mac, own, asking } = event;
  const { phase } = state;
  // Two that ask at once (RFC 5227 2.1.1) are in a tie; who holds it is answered for by the kernel.
  if (asking && (phase.name !== "asking" || own < mac)) return rest(state, config);
  const heard = { ...state, heard: asking ? state.heard : mac };
  if (phase.name === "asking") return rest(wait(heard, now + config.everyMs, { config, event }), config);
  if (phase.name !== "holding") return rest(heard, config);
  const contest = phase.contest?.mac === mac ? phase.contest : { mac, since: now };
  if (own > mac || now >= contest.since + config.patienceMs) return rest(wait(heard, now + config.everyMs, { config, event }), config);
  return { ...rest({ ...heard, phase: { ...phase, contest } }, config), actions: [{ type: "defend" }] };
}

function tick(state: BootstrapState, now: number, config: BootstrapConfig): Result {
  const { phase } = state;
  if (phase.name === "waiting" && now >= phase.until) return ask(state, probeStart(), now, config);
  if (phase.name === "asking") return ask(state, phase.probe, now, config);
  if (phase.name !== "holding" || now < phase.askedAt + config.everyMs) return rest(state, config);
  // A contest is over when the other was silent for a while: it was the same host that had it late, not one that insists.
  const contest = phase.contest !== undefined && now >= phase.contest.since + config.holdMs ? undefined : phase.contest;
  return { ...rest({ ...state, phase: { name: "holding", askedAt: now, contest } }, config), actions: [{ type: "ask" }] };
}

function ask(state: BootstrapState, probe: ProbeState, now: number, config: BootstrapConfig): Result {
  const step = probeStep(probe, { type: "tick" }, now, config.probe);
  if (step.state.done) return rest({ ...state, phase: { name: "holding", askedAt: now, contest: undefined } }, config);
  return { state: { ...state, phase: { name: "asking", probe: step.state } }, actions: step.actions.length > 0 ? [{ type: "ask" }] : [], wakeAt: step.wakeAt };
}

function wait(state: BootstrapState, from: number, { config, event }: { readonly config: BootstrapConfig; readonly event: BootstrapEvent }): BootstrapState {
  return { ...state, phase: { name: "waiting", until: from + event.random * config.spreadMs } };
}

function rest(state: BootstrapState, config: BootstrapConfig): Result {
  return { state, actions: [], wakeAt: wakeAt(state, config) };
}

function wakeAt({ phase }: BootstrapState, config: BootstrapConfig): number | undefined {
  switch (phase.name) {
    case "barred":
    case "over":
      return undefined;
    case "waiting":
      return phase.until;
    case "asking":
      // The probe says when: it is asked at once, and is not behind where nothing is due.
      return phase.probe.askedAt;
    case "holding":
      return phase.askedAt + config.everyMs;
  }
}
