import type { BfdTiming } from "../lib/bgp-peer.js";
import { DIAG_ADMINISTRATIVELY_DOWN, DIAG_DETECTION_TIME_EXPIRED, DIAG_NEIGHBOR_SIGNALED_DOWN, DIAG_NONE, type BfdPacket, type BfdState } from "../wire/bfd.js";
import {
  bfdFault,
  detectionMs,
  transmissionMs,
  type BfdIntervals,
  type BfdRemote,
  type BfdSessionAction,
  type BfdSessionEvent,
  type BfdSessionState,
} from "./bfd-session-state.js";
import type { StepResult } from "./step.js";

/** RFC 5880 6.8.3: as long as a session is not Up, packets are at least this far apart. */
const SLOW_MS = 1000;
/** AdminDown is said so many times, this far apart: a packet may be lost, and nobody wants to wait for a detection time. */
const FAREWELLS = 3;
const FAREWELL_MS = 20;

type Result = StepResult<BfdSessionState, BfdSessionAction>;

interface Moment {
  readonly now: number;
  readonly random: number;
}

/** The start of a session: Down, the first packet is due now. `localDiscriminator` is not 0 and no other session of this process has it. */
export function bfdSessionStart(localDiscriminator: number, timing: BfdTiming, now: number): BfdSessionState {
  const offer = offerOf("Down", timing);
  return {
    state: "Down",
    since: now,
    diagnostic: DIAG_NONE,
    localDiscriminator,
    timing,
    offer,
    active: offer,
    poll: undefined,
    remote: undefined,
    heardAt: now,
    sentAt: now,
    sendAt: now,
    farewells: undefined,
  };
}

/** A BFD session in asynchronous mode and the active role, without authentication, demand mode and echo function (RFC 5880). */
export function bfdSessionStep(state: BfdSessionState, event: BfdSessionEvent, now: number): Result {
  const moment: Moment = { now, random: event.random };
  if (state.farewells !== undefined) return closing(state, state.farewells, { event, now });
  switch (event.type) {
    case "tick":
      return tick(state, moment);
    case "received":
      return received(state, event.packet, moment);
    case "timing":
      return settle(state, { ...state, timing: event.timing }, moment);
    case "close":
      return farewell(moved(state, "AdminDown", { diagnostic: DIAG_ADMINISTRATIVELY_DOWN, now }), FAREWELLS, now);
  }
}

function tick(state: BfdSessionState, moment: Moment): Result {
  const { now } = moment;
  const detect = detectionMs(state);
  // RFC 5880 6.8.4. With the silence the peer's discriminator is forgotten (6.8.1), and with it all else that it said.
  if (detect !== undefined && now >= state.heardAt + detect) {
    const forgotten: BfdSessionState = { ...state, remote: undefined, poll: undefined };
    const down = state.state === "Down" ? forgotten : moved(forgotten, "Down", { diagnostic: DIAG_DETECTION_TIME_EXPIRED, now });
    return settle(state, down, moment);
  }
  if (state.sendAt === undefined || now < state.sendAt) return result(state, []);
  return result(sent(state, moment), [send(state)]);
}

/** RFC 5880 6.8.6, from the point where the session is known. */
function received(state: BfdSessionState, packet: BfdPacket, moment: Moment): Result {
  const fault = bfdFault(packet);
  if (fault !== undefined) return result(state, [{ type: "discarded", reason: fault }]);
  const ended = packet.final && state.poll !== undefined;
  const heard: BfdSessionState = {
    ...state,
    remote: remoteOf(packet),
    heardAt: moment.now,
    // A Final may answer what was offered before the last change: only the next one is sure to answer that.
    poll: ended ? (state.poll === "again" ? "once" : undefined) : state.poll,
  };
  return settle(state, transition(heard, packet.state, moment.now), { ...moment, final: packet.poll });
}

function remoteOf(packet: BfdPacket): BfdRemote {
  return {
    discriminator: packet.myDiscriminator,
    state: packet.state,
    diagnostic: packet.diagnostic,
    demand: packet.demand,
    minTransmitMs: packet.desiredMinTx / 1000,
    minReceiveMs: packet.requiredMinRx / 1000,
    multiplier: packet.multiplier,
  };
}

/** The state machine of RFC 5880 6.2, as 6.8.6 spells it out. */
function transition(state: BfdSessionState, theirs: BfdState, now: number): BfdSessionState {
  const down = (): BfdSessionState => moved(state, "Down", { diagnostic: DIAG_NEIGHBOR_SIGNALED_DOWN, now });
  if (theirs === "AdminDown") return state.state === "Down" ? state : down();
  switch (state.state) {
    case "Down":
      if (theirs === "Down") return moved(state, "Init", { diagnostic: DIAG_NONE, now });
      return theirs === "Init" ? moved(state, "Up", { diagnostic: DIAG_NONE, now }) : state;
    case "Init":
      return theirs === "Init" || theirs === "Up" ? moved(state, "Up", { diagnostic: DIAG_NONE, now }) : state;
    case "Up":
      return theirs === "Down" ? down() : state;
    case "AdminDown":
      return state;
  }
}

function moved(state: BfdSessionState, to: BfdState, { diagnostic, now }: { readonly diagnostic: number; readonly now: number }): BfdSessionState {
  return { ...state, state: to, diagnostic, since: now };
}

/** What follows from a change: a new offer and its Poll Sequence, the intervals that count, an answer, a packet ahead of time. */
function settle(before: BfdSessionState, after: BfdSessionState, moment: Moment & { readonly final?: boolean }): Result {
  const offer = offerOf(after.state, after.timing);
  const changed = offer.transmitMs !== before.offer.transmitMs || offer.receiveMs !== before.offer.receiveMs;
  const poll = changed ? nextPoll(after) : after.poll;
  const settled: BfdSessionState = { ...after, offer, poll, active: activeOf({ ...after, offer, poll }) };
  // RFC 5880 6.8.7: what is new is said at once, and a Poll is answered at once, whatever the timer says. Both in one packet, where a Final serves.
  const news = changed || after.state !== before.state || after.timing.multiplier !== before.timing.multiplier || (before.poll === "again" && poll === "once");
  if (news) return result(sent(settled, moment), [send(settled, moment.final)]);
  const next = transmissionMs(settled) === transmissionMs(before) ? settled : rescheduled(settled, moment.random);
  return result(next, moment.final === true ? [send(settled, true)] : []);
}

/** RFC 5880 6.8.3: a change of the offer takes a Poll Sequence, unless there is nobody who could answer. */
function nextPoll({ remote, poll }: BfdSessionState): BfdSessionState["poll"] {
  if (remote === undefined) return undefined;
  return poll === undefined ? "once" : "again";
}

function offerOf(state: BfdState, timing: BfdTiming): BfdIntervals {
  return { transmitMs: state === "Up" ? timing.transmitMs : Math.max(SLOW_MS, timing.transmitMs), receiveMs: timing.receiveMs };
}

/** RFC 5880 6.8.3: while Up, sending more slowly and giving up sooner wait for the end of the Poll Sequence. */
function activeOf({ state, offer, active, poll }: BfdSessionState): BfdIntervals {
  if (state !== "Up" || poll === undefined) return offer;
  return { transmitMs: Math.min(offer.transmitMs, active.transmitMs), receiveMs: Math.max(offer.receiveMs, active.receiveMs) };
}

/** After a packet that went out now. */
function sent(state: BfdSessionState, { now, random }: Moment): BfdSessionState {
  return rescheduled({ ...state, sentAt: now }, random);
}

/** RFC 5880 6.8.7: between 75 and 100 % of the interval after the last packet, and at most 90 % where a single lost one means down. */
function rescheduled(state: BfdSessionState, random: number): BfdSessionState {
  const interval = transmissionMs(state);
  if (interval === undefined) return { ...state, sendAt: undefined };
  const spread = state.timing.multiplier === 1 ? 0.15 : 0.25;
  return { ...state, sendAt: state.sentAt + interval * (0.75 + spread * random) };
}

function send(state: BfdSessionState, final = false): BfdSessionAction {
  return { type: "send", packet: packetOf(state, final) };
}

/** RFC 5880 6.8.7. Echo packets are refused with a Required Min Echo RX of 0, demand mode is not asked for. */
function packetOf(state: BfdSessionState, final: boolean): BfdPacket {
  return {
    diagnostic: state.diagnostic,
    state: state.state,
    poll: state.poll !== undefined && !final,
    final,
    controlPlaneIndependent: false,
    demand: false,
    multipoint: false,
    multiplier: state.timing.multiplier,
    myDiscriminator: state.localDiscriminator,
    yourDiscriminator: state.remote?.discriminator ?? 0,
    desiredMinTx: Math.round(state.offer.transmitMs * 1000),
    requiredMinRx: Math.round(state.offer.receiveMs * 1000),
    requiredMinEchoRx: 0,
    authentication: undefined,
  };
}

/** RFC 5880 6.8.16: says AdminDown, and will say it again. */
function farewell(state: BfdSessionState, left: number, now: number): Result {
  const quiet: BfdSessionState = { ...state, poll: undefined, sentAt: now, sendAt: left > 1 ? now + FAREWELL_MS : undefined, farewells: left - 1 };
  const actions: readonly BfdSessionAction[] = left > 1 ? [send(quiet)] : [send(quiet), { type: "ended" }];
  return { state: quiet, actions, wakeAt: quiet.sendAt };
}

function closing(state: BfdSessionState, left: number, { event, now }: { readonly event: BfdSessionEvent; readonly now: number }): Result {
  const wait = (actions: readonly BfdSessionAction[]): Result => ({ state, actions, wakeAt: state.sendAt });
  // RFC 5880 6.8.6: in AdminDown whatever comes is discarded.
  if (event.type === "received") return wait([{ type: "discarded", reason: "closed" }]);
  return event.type === "tick" && state.sendAt !== undefined && now >= state.sendAt ? farewell(state, left, now) : wait([]);
}

function result(state: BfdSessionState, actions: readonly BfdSessionAction[]): Result {
  const detect = detectionMs(state);
  const times = [...(state.sendAt === undefined ? [] : [state.sendAt]), ...(detect === undefined ? [] : [state.heardAt + detect])];
  return { state, actions, wakeAt: times.length === 0 ? undefined : Math.min(...times) };
}
