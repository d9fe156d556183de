import type { IpAddress } from "../lib/ip.js";
import { backoffMs } from "./backoff.js";
import { judgeAnswer, grantedLease } from "./dhcp-client-answers.js";
import { decline, discover, release, requestKnown, requestOffer, requestRebinding, requestRenewal } from "./dhcp-client-messages.js";
import { aged, type DhcpAction, type DhcpClientConfig, type DhcpEvent, type DhcpLease, type DhcpState } from "./dhcp-client-state.js";
import type { StepResult } from "./step.js";
import { heldAt, leaseWakeAt, lossOf, withoutExpired } from "./dhcp-lease.js";
import { after, just, type Turn as MachineTurn } from "./turn.js";

/*
 * The client of RFC 2131 4.4 for one address. An address is used between `lease` and `lost` only: after a probe has found it free, and never at or after
 * `expiresAt`. It tries for ever.
 *
 * The lease is kept apart from the phase: it ends by its time, a NAK, a conflict or a release, and not because a question about it is open. So the address
 * stays while another one that a server gave instead of it is probed.
 */

interface Moment {
  readonly now: number;
  readonly random: number;
  readonly config: DhcpClientConfig;
}

type Turn = MachineTurn<DhcpState, DhcpAction>;

/** For leases of seconds: not more than one REQUEST a second. */
const RENEW_FLOOR_MS = 1000;

/** One event in, new state and what to do. */
export function dhcpStep(state: DhcpState, event: DhcpEvent, now: number, config: DhcpClientConfig): StepResult<DhcpState, DhcpAction> {
  if (state.phase === "released") return { state, actions: [], wakeAt: undefined };
  const moment: Moment = { now, random: event.random, config };
  const timely = withoutExpired(event.type === "slept" ? aged(state, event.ms) : state, now, seeking);
  const absorbed = after(timely, (next) => absorb(next, event, moment));
  const turn = after(absorbed, (next) => due(next, moment));
  return { ...turn, wakeAt: leaseWakeAt(turn.state) };
}

function absorb(state: DhcpState, event: DhcpEvent, moment: Moment): Turn {
  switch (event.type) {
    case "tick":
    case "slept":
      return just(state);
    case "received":
      return received(state, event, moment);
    case "probed":
      return event.inUse ? taken(state, event.address, moment) : free(state, event.address);
    case "rejoined":
      return just(rejoined(state, moment.now));
    case "release":
      return given(state, moment.config);
  }
}

function received(state: DhcpState, event: Extract<DhcpEvent, { readonly type: "received" }>, moment: Moment): Turn {
  const answer = judgeAnswer(state, event.message, moment.config);
  switch (answer.type) {
    case "dropped":
      return { state, actions: [answer] };
    case "offer":
      // The first good one: waiting for a better one costs every lease that wait.
      return just({ ...state, phase: "requesting", offer: answer, requestedAt: moment.now, sends: 0, nextAt: moment.now });
    case "nak":
      return refused(state, { type: "refused", server: answer.server, text: event.message.options.message }, moment);
    case "ack": {
      const granted = grantedLease({ ...answer, message: event.message, from: event.from, startedAt: state.requestedAt, random: event.random });
      if (granted.expiresAt <= moment.now) return { state, actions: [{ type: "dropped", reason: "tooLate" }] };
      // Nobody else can have got an address that we have held all the time.
      if (granted.address === state.lease?.address) return bound(state, granted);
      return just({ ...state, phase: "probing", pending: granted, offer: undefined, nextAt: moment.now });
    }
  }
}

/**
 * RFC 2131 3.1.5, 4.4.5: from the start. At once the first time, then with back-off: a server that offers what it refuses is not asked in a loop. The first
 * waits are short, for of many clients that come at once some servers offer one address to several, and refuse it to all but one.
 */
function refused(state: DhcpState, reason: DhcpAction, { now, random, config }: Moment): Turn {
  const refusals = state.refusals + 1;
  const nextAt = refusals === 1 ? now : now + backoffMs(refusals - 2, config.timing.refusedFirstMs, config.timing.retryMostMs, random);
  const lost = lossOf(state.lease, "refused");
  return { state: { ...seeking(state, nextAt), refusals, lease: undefined, offer: undefined }, actions: [...lost, reason] };
}

/** RFC 2131 3.1.5: a client that finds the address in use MUST send DECLINE and restart, after 10 s or more. */
function taken(state: DhcpState, address: IpAddress, { now, random, config }: Moment): Turn {
  const held = heldAt(state, address);
  if (held === undefined) return just(state);
  const next = { ...state, xid: newXid(random) };
  const lost = lossOf(held === state.lease ? held : undefined, "inUse");
  const declined: DhcpAction = { type: "declined", address: held.address, server: held.server };
  return {
    state: { ...seeking(next, now + config.timing.declineWaitMs), lease: held === state.lease ? undefined : state.lease, wanted: undefined },
    actions: [...lost, decline(next, config, held), declined],
  };
}

function free(state: DhcpState, address: IpAddress): Turn {
  return state.phase === "probing" && state.pending?.address === address ? bound(state, state.pending) : just(state);
}

function bound(state: DhcpState, lease: DhcpLease): Turn {
  const next: DhcpState = { ...keeping(state, lease), lease, wanted: lease.address, refusals: 0 };
  return { state: next, actions: [{ type: "lease", lease }] };
}

/** The lease is used until T1. */
function keeping(state: DhcpState, lease: DhcpLease): DhcpState {
  return { ...state, phase: "bound", nextAt: lease.renewAt, sends: 0, offer: undefined, pending: undefined, seekingSince: undefined, mayReboot: false };
}

function rejoined(state: DhcpState, now: number): DhcpState {
  // What waits for 10 s after a DECLINE, or longer after refusals, does so whatever the link does.
  if (state.phase === "probing" || state.phase === "init") return state;
  return { ...seeking(state, now), offer: undefined, mayReboot: state.lease !== undefined || state.mayReboot };
}

function given(state: DhcpState, config: DhcpClientConfig): Turn {
  const held = [state.lease, state.pending].filter((lease) => lease !== undefined);
  const told = held.map((lease) => release(state, config, lease));
  // First the message, for it is sent from the address.
  return { state: { ...state, phase: "released", lease: undefined, pending: undefined }, actions: [...told, ...lossOf(state.lease, "released")] };
}

/** What the phase does on its own when its time has come. */
function due(state: DhcpState, moment: Moment): Turn {
  const { now, config } = moment;
  if (state.phase === "released" || now < state.nextAt) return just(state);
  const known = state.lease?.address ?? state.wanted;
  switch (state.phase) {
    case "init":
      return state.mayReboot && known !== undefined ? sent(fresh(state, "rebooting", moment), moment) : sent(fresh(state, "selecting", moment), moment);
    case "selecting":
      return sent({ ...state, secs: secondsSince(state, now) }, moment);
    case "requesting":
      return state.sends < config.timing.requestTries ? sent(state, moment) : sent(fresh(state, "selecting", moment), moment);
    case "rebooting":
      if (state.sends < config.timing.rebootTries) return sent(state, moment);
      // RFC 2131 3.2.4: without an answer, what is left of a lease may be used.
      return state.lease === undefined ? sent(fresh(state, "selecting", moment), moment) : after(just(keeping(state, state.lease)), (next) => due(next, moment));
    case "probing":
      return { state: { ...state, nextAt: now + config.timing.probeMs }, actions: state.pending === undefined ? [] : [{ type: "probe", address: state.pending.address }] };
    case "bound":
    case "renewing":
    case "rebinding":
      return state.lease === undefined ? just(seeking(state, now)) : asked(state, state.lease, moment);
  }
}

/** RFC 2131 4.4.5: from T1 on the server is asked, from T2 on all are; each time after half of the time that is left for it. */
function asked(state: DhcpState, lease: DhcpLease, { now, random, config }: Moment): Turn {
  const rebinding = now >= lease.rebindAt;
  const [from, until] = rebinding ? [lease.rebindAt, lease.expiresAt] : [lease.renewAt, lease.rebindAt];
  const least = Math.min(config.timing.renewLeastMs, Math.max(RENEW_FLOOR_MS, (until - from) / 4));
  const phase = rebinding ? "rebinding" : "renewing";
  const next: DhcpState = {
    ...state,
    phase,
    // A new one for each, so that an ACK says which REQUEST it is for, and the lease is counted from that.
    xid: newXid(random),
    requestedAt: now,
    secs: secondsSince(state, now),
    sends: state.phase === phase ? state.sends + 1 : 1,
    seekingSince: state.seekingSince ?? now,
    nextAt: Math.min(now + Math.max((until - now) / 2, least), until),
  };
  return { state: next, actions: [rebinding ? requestRebinding(next, config, lease) : requestRenewal(next, config, lease)] };
}

/** A phase that begins with a new transaction. */
function fresh(state: DhcpState, phase: "selecting" | "rebooting", { now, random }: Moment): DhcpState {
  const seekingSince = state.seekingSince ?? now;
  const next: DhcpState = { ...state, phase, xid: newXid(random), sends: 0, seekingSince, requestedAt: now, offer: undefined, mayReboot: false };
  return { ...next, secs: secondsSince(next, now) };
}

/** The message of the phase, once more. */
function sent(state: DhcpState, { now, random, config }: Moment): Turn {
  const known = state.lease?.address ?? state.wanted;
  const next: DhcpState = { ...state, sends: state.sends + 1, nextAt: now + backOff(state.sends, random, config) };
  if (state.phase === "requesting") return { state: next, actions: [requestOffer(next, config)] };
  if (state.phase === "rebooting" && known !== undefined) return { state: next, actions: [requestKnown(next, config, known)] };
  return { state: next, actions: [discover(next, config)] };
}

function seeking(state: DhcpState, nextAt: number): DhcpState {
  return { ...state, phase: "init", nextAt, sends: 0, pending: undefined };
}

function backOff(sends: number, random: number, { timing }: DhcpClientConfig): number {
  return Math.min(timing.retryFirstMs * 2 ** Math.min(sends, 30), timing.retryMostMs) + timing.jitterMs * (2 * random - 1);
}

function newXid(random: number): number {
  return Math.floor(random * 2 ** 32) >>> 0;
}

function secondsSince({ seekingSince }: DhcpState, now: number): number {
  return Math.floor((now - (seekingSince ?? now)) / 1000);
}
