import type { IpAddress } from "../lib/ip.js";
import { dhcp6Lease, judgeDhcp6Answer } from "./dhcp6-client-answers.js";
import { decline, rebind, release, renew, request, solicit } from "./dhcp6-client-messages.js";
import type { Dhcp6Action, Dhcp6ClientConfig, Dhcp6Event, Dhcp6Lease, Dhcp6Phase, Dhcp6State, Retransmission } from "./dhcp6-client-state.js";
import type { StepResult } from "./step.js";
import { heldAt, leaseWakeAt, lossOf, withoutExpired } from "./dhcp-lease.js";
import { after, just, type Turn as MachineTurn } from "./turn.js";

/*
 * The client of RFC 8415 18.2 for one address (an IA_NA with one IAADDR). An address is used between `lease` and `lost` only: after a probe has found it
 * free, and never at or after `expiresAt`. It tries for ever.
 *
 * As with DHCPv4 the lease is kept apart from the phase: that a question about it is open does not end it.
 */

interface Moment {
  readonly now: number;
  readonly random: number;
  readonly config: Dhcp6ClientConfig;
}

type Turn = MachineTurn<Dhcp6State, Dhcp6Action>;

/** A server that says so is not to be compared with others (RFC 8415 18.2.1). */
const BEST_PREFERENCE = 255;
/** RFC 8415 15: RAND is between -0.1 and 0.1. */
const RAND = 0.1;
/** For leases of seconds: not more than one message a second. */
const RENEW_FLOOR_MS = 1000;
/** RFC 8415 21.24: other values must be ignored, seconds. */
const SOL_MAX_RT_LEAST = 60;
const SOL_MAX_RT_MOST = 86_400;
const REFUSED_DOUBLINGS = 4;

/** One event in, new state and what to do. */
export function dhcp6Step(state: Dhcp6State, event: Dhcp6Event, now: number, config: Dhcp6ClientConfig): StepResult<Dhcp6State, Dhcp6Action> {
  if (state.phase === "released") return { state, actions: [], wakeAt: undefined };
  const moment: Moment = { now, random: event.random, config };
  const absorbed = after(withoutExpired(state, now, seeking), (next) => absorb(next, event, moment));
  const turn = after(absorbed, (next) => due(next, moment));
  return { ...turn, wakeAt: leaseWakeAt(turn.state) };
}

function absorb(state: Dhcp6State, event: Dhcp6Event, moment: Moment): Turn {
  switch (event.type) {
    case "tick":
      return just(state);
    case "received":
      return received(state, event, moment);
    case "probed":
      return event.inUse ? taken(state, event.address, moment) : free(state, event.address);
    case "rejoined":
      return just(rejoined(state, moment.now));
    case "release":
      return given(state, moment);
  }
}

function received(before: Dhcp6State, { message, from, random }: Extract<Dhcp6Event, { readonly type: "received" }>, moment: Moment): Turn {
  const answer = judgeDhcp6Answer(before, message, from, moment.config);
  if (answer.type === "dropped") return { state: before, actions: [answer] };
  const state = obeying(before, message.options.solMaxRtSeconds);
  switch (answer.type) {
    case "offer":
      return just(offered(state, answer.offer, moment));
    case "granted":
      return granted(state, dhcp6Lease({ ...answer, startedAt: state.sentAt, random }), moment.now);
    case "unbound":
      return just(unbound(state, { serverId: answer.serverId, from }, moment));
    case "refused": {
      const told: Dhcp6Action = { type: "refused", server: from, text: answer.text };
      return answer.final ? refused(state, told, moment) : { state, actions: [told] };
    }
    case "done":
      return just(state.phase === "releasing" ? { ...state, phase: "released", leaving: undefined } : seeking(state, moment.now + moment.config.timing.declineWaitMs));
  }
}

/**
 * RFC 8415 18.2.1: offers are collected until the first RT has passed, and the one with the highest preference is taken. One that cannot be better is taken
 * at once, and so is one with the address that was held before: it is the one that is wanted.
 */
function offered(state: Dhcp6State, offer: NonNullable<Dhcp6State["offer"]>, moment: Moment): Dhcp6State {
  const best = state.offer !== undefined && state.offer.preference >= offer.preference ? state.offer : offer;
  const now = offer.preference === BEST_PREFERENCE || offer.address === state.wanted || state.sends > 1;
  return now ? exchange({ ...state, offer }, "requesting", moment) : { ...state, offer: best };
}

function granted(state: Dhcp6State, lease: Dhcp6Lease, now: number): Turn {
  if (lease.expiresAt <= now) return { state, actions: [{ type: "dropped", reason: "tooLate" }] };
  // Nobody else can have got an address that we have held all the time.
  if (lease.address === state.lease?.address) return bound(state, lease);
  return just({ ...state, phase: "probing", pending: lease, offer: undefined, nextAt: now });
}

/** RFC 8415 18.2.10.1: a server that does not know the lease (it lost what it knew) is asked for it by a Request. */
function unbound(state: Dhcp6State, { serverId, from }: { readonly serverId: Uint8Array; readonly from: IpAddress }, moment: Moment): Dhcp6State {
  if (state.lease === undefined) return seeking(state, moment.now);
  return exchange({ ...state, offer: { address: state.lease.address, server: from, serverId, preference: 0 } }, "requesting", moment);
}

/** From the start. At once the first time, then with back-off: a server that offers what it refuses is not asked in a loop. */
function refused(state: Dhcp6State, told: Dhcp6Action, { now, random, config }: Moment): Turn {
  const { refusals } = state;
  const wait = refusals === 0 ? 0 : config.timing.refusedFirstMs * 2 ** Math.min(refusals - 1, REFUSED_DOUBLINGS) * (1 + random * RAND);
  const lost = lossOf(state.lease, "refused");
  return { state: { ...seeking(state, now + wait), refusals: refusals + 1, lease: undefined }, actions: [...lost, told] };
}

/** RFC 8415 18.2.8, 18.2.10.1: an address that is in use is declined. */
function taken(state: Dhcp6State, address: IpAddress, moment: Moment): Turn {
  const held = heldAt(state, address);
  if (held === undefined) return just(state);
  const lost = lossOf(held === state.lease ? held : undefined, "inUse");
  const next = { ...state, pending: undefined, lease: held === state.lease ? undefined : state.lease, wanted: undefined, leaving: held };
  return { state: exchange(next, "declining", moment), actions: [...lost, { type: "declined", address, server: held.server }] };
}

function free(state: Dhcp6State, address: IpAddress): Turn {
  return state.phase === "probing" && state.pending?.address === address ? bound(state, state.pending) : just(state);
}

function bound(state: Dhcp6State, lease: Dhcp6Lease): Turn {
  const next: Dhcp6State = { ...state, phase: "bound", nextAt: lease.renewAt, sends: 0, offer: undefined, pending: undefined, seekingSince: undefined, lease, wanted: lease.address, refusals: 0 };
  return { state: next, actions: [{ type: "lease", lease }] };
}

/** A lease is asked about, of all servers (RFC 8415 18.2.5): they know whether it is good here, and give it more time. */
function rejoined(state: Dhcp6State, now: number): Dhcp6State {
  // What waits after a Decline, or for longer after refusals, does so whatever the link does.
  if (state.phase === "probing" || state.phase === "init" || state.phase === "declining" || state.phase === "releasing") return state;
  if (state.lease === undefined) return seeking(state, now);
  return { ...state, phase: "rebinding", sends: 0, nextAt: now, offer: undefined };
}

/** RFC 8415 18.2.7: an address is not used any more from the first Release on, and it is sent until it is heard. */
function given(state: Dhcp6State, moment: Moment): Turn {
  if (state.phase === "releasing") return just(state);
  const held = state.lease ?? state.pending;
  const ended = { ...state, lease: undefined, pending: undefined, leaving: held };
  return { state: held === undefined ? { ...ended, phase: "released" } : exchange(ended, "releasing", moment), actions: lossOf(state.lease, "released") };
}

/** What the phase does on its own when its time has come. */
function due(state: Dhcp6State, moment: Moment): Turn {
  const { now, config } = moment;
  const { timing } = config;
  if (state.phase === "released" || now < state.nextAt) return just(state);
  switch (state.phase) {
    case "init":
      return due(exchange(state, "selecting", moment), moment);
    case "selecting":
      if (state.offer !== undefined) return due(exchange(state, "requesting", moment), moment);
      return sent(state, { ...timing.solicit, mostMs: state.solicitMostMs }, moment);
    case "requesting":
      return state.sends < timing.request.tries ? sent(state, timing.request, moment) : due(seeking(state, now), moment);
    case "probing":
      return { state: { ...state, nextAt: now + timing.probeMs }, actions: state.pending === undefined ? [] : [{ type: "probe", address: state.pending.address }] };
    case "declining":
      return state.sends < timing.decline.tries ? sent(state, timing.decline, moment) : just(seeking(state, now + timing.declineWaitMs));
    case "releasing":
      return state.sends < timing.release.tries ? sent(state, timing.release, moment) : just({ ...state, phase: "released" });
    case "bound":
    case "renewing":
    case "rebinding":
      return state.lease === undefined ? just(seeking(state, now)) : asked(state, state.lease, moment);
  }
}

/** RFC 8415 18.2.4, 18.2.5: from T1 on the server is asked, from T2 on all are, until the lease ends. */
function asked(state: Dhcp6State, lease: Dhcp6Lease, moment: Moment): Turn {
  const { now, config } = moment;
  const phase = now >= lease.rebindAt || state.phase === "rebinding" ? "rebinding" : "renewing";
  const until = phase === "rebinding" ? lease.expiresAt : lease.rebindAt;
  const rule = phase === "rebinding" ? config.timing.rebind : config.timing.renew;
  // One that began before T2, since the link is another, is a question of its own.
  const begun = state.phase === phase && state.sends > 0 ? state : exchange(state, phase, moment);
  const firstMs = Math.min(rule.firstMs, Math.max(RENEW_FLOOR_MS, (until - now) / 4));
  const turn = sent(begun, { ...rule, firstMs }, moment);
  return { ...turn, state: { ...turn.state, nextAt: Math.min(turn.state.nextAt, until) } };
}

/** A new exchange, whose first message is due now. */
function exchange(state: Dhcp6State, phase: Dhcp6Phase, { now, random }: Moment): Dhcp6State {
  const offer = phase === "requesting" ? state.offer : undefined;
  const seekingSince = phase === "declining" || phase === "releasing" ? state.seekingSince : (state.seekingSince ?? now);
  return { ...state, phase, offer, seekingSince, transactionId: Math.floor(random * 2 ** 24), startedAt: now, sends: 0, rtMs: 0, nextAt: now };
}

/** The message of the phase, once more (RFC 8415 15). */
function sent(state: Dhcp6State, { firstMs, mostMs }: Retransmission, { now, random, config }: Moment): Turn {
  // RFC 8415 18.2.1: the first RT of a Solicit is not shorter than IRT, for offers are collected in it.
  const rand = state.phase === "selecting" && state.sends === 0 ? random * RAND : (2 * random - 1) * RAND;
  const rtMs = state.sends === 0 ? firstMs * (1 + rand) : state.rtMs * (2 + rand);
  const limited = rtMs > mostMs ? mostMs * (1 + rand) : rtMs;
  const next: Dhcp6State = { ...state, sends: state.sends + 1, sentAt: now, rtMs: limited, nextAt: now + limited };
  return { state: next, actions: [messageOf(next, now, config)] };
}

function messageOf(state: Dhcp6State, now: number, config: Dhcp6ClientConfig): Dhcp6Action {
  const { phase, leaving } = state;
  if (leaving !== undefined && phase === "declining") return decline(state, config, { now, about: leaving });
  if (leaving !== undefined && phase === "releasing") return release(state, config, { now, about: leaving });
  if (phase === "requesting") return request(state, config, now);
  if (phase === "renewing") return renew(state, config, now);
  return phase === "rebinding" ? rebind(state, config, now) : solicit(state, config, now);
}

function seeking(state: Dhcp6State, nextAt: number): Dhcp6State {
  return { ...state, phase: "init", nextAt, sends: 0, offer: undefined, pending: undefined, leaving: undefined };
}

function obeying(state: Dhcp6State, seconds: number | undefined): Dhcp6State {
  if (seconds === undefined || seconds < SOL_MAX_RT_LEAST || seconds > SOL_MAX_RT_MOST) return state;
  return { ...state, solicitMostMs: seconds * 1000 };
}
