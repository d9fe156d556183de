import { IGD_SEARCH_TARGETS, type SsdpMessage } from "../wire/ssdp.js";
import type { StepResult } from "./step.js";
import { MAX_CANDIDATES, type Candidate, type Gateway, type GatewayAction, type GatewayEvent, type GatewayRequest, type GatewayState, type GatewayTiming } from "./upnp-gateway-state.js";

/*
 * Which router of one link mappings are asked of: searched for, described, checked now and then, heard when it announces itself. A router that says goodbye
 * is searched for before it is given up, since anybody could say so in its name. One request at a time, and a bounded number of them in a search, in which next hops of
 * this node come before others, and answers before announcements.
 */

interface Moment {
  readonly now: number;
  readonly random: number;
  readonly timing: GatewayTiming;
}

type Heard = Extract<GatewayEvent, { readonly type: "heard" }>;

interface Working {
  readonly state: GatewayState;
  readonly restarted: boolean;
}

/** Versions that a target may end in do not matter: whoever speaks a newer one speaks the older ones, too. */
const TARGETS: ReadonlySet<string> = new Set(IGD_SEARCH_TARGETS.map(withoutVersion));
/** Uptime of a router that was not started again may be that much behind, s. */
const UPTIME_SLACK = 30;

/** One event in; new state, searches and requests out. */
export function gatewayStep(state: GatewayState, event: GatewayEvent, now: number, timing: GatewayTiming): StepResult<GatewayState, GatewayAction> {
  const moment: Moment = { now, random: event.random, timing };
  const { state: absorbed, restarted } = absorb(state, event, moment);
  const { state: next, actions } = due(absorbed, moment);
  return { state: next, actions: restarted ? [{ type: "restarted" }, ...actions] : actions, wakeAt: wakeAt(next, timing) };
}

function absorb(state: GatewayState, event: GatewayEvent, moment: Moment): Working {
  switch (event.type) {
    case "tick":
      return calm(state);
    case "heard":
      return heard(state, event, moment);
    case "doubt":
      return calm(state.gateway === undefined ? state : { ...state, nextCheckAt: Math.min(state.nextCheckAt, moment.now) });
    case "described":
    case "checked":
    case "failed": {
      const { request } = state;
      if (request === undefined || request.id !== event.id) return calm(state);
      const idle = { ...state, request: undefined };
      if (event.type === "failed") return calm(failed(idle, request, { ...moment, reason: event.reason }));
      if (event.type === "described" && request.type === "describe") return described(idle, request.candidate, { ...moment, gateway: event.gateway });
      if (event.type === "checked" && request.type === "check") return checked(idle, event, moment);
      return calm(idle);
    }
  }
}

function calm(state: GatewayState): Working {
  return { state, restarted: false };
}

function heard(state: GatewayState, event: Heard, { now, timing }: Moment): Working {
  const { message, host } = event;
  if (message.kind === "byebye") return calm(isOurs(state.gateway, event) ? searchNow(state, now, timing) : state);
  if (message.location === undefined || !TARGETS.has(withoutVersion(message.target ?? ""))) return calm(state);
  const candidate: Candidate = { location: message.location, host, bootId: message.bootId, preferred: event.preferred, answered: message.kind === "answer" };
  const known = state.gateway;
  if (known !== undefined && known.location === candidate.location) {
    const doubtful = isNewer(message, state) || state.search !== undefined;
    const restarted = doubtful && now >= state.restartedAt + timing.restartMs;
    // It is there: no more need to search. A new boot may have lost every mapping, and the address to the outside.
    const nextCheckAt = doubtful && state.request?.type !== "check" ? Math.max(now, state.checkedAt + timing.leastMs) : state.nextCheckAt;
    const next = { ...state, search: undefined, bootId: message.bootId ?? state.bootId, nextCheckAt, failures: doubtful ? 0 : state.failures };
    return { state: restarted ? { ...next, restartedAt: now } : next, restarted };
  }
  if (known !== undefined && state.search === undefined && !isOurs(known, event)) return calm(state);
  return calm(withCandidate(state, candidate));
}

/** BOOTID.UPNP.ORG grows with each start (UPnP Device Architecture 2.0, 1.2.2). */
function isNewer({ bootId }: SsdpMessage, state: GatewayState): boolean {
  return bootId !== undefined && state.bootId !== undefined && bootId !== state.bootId;
}

function isOurs(gateway: Gateway | undefined, { message, host }: Heard): boolean {
  if (gateway === undefined || gateway.host !== host) return false;
  return gateway.udn === undefined || message.usn === undefined || message.usn.startsWith(gateway.udn);
}

function withCandidate(state: GatewayState, candidate: Candidate): GatewayState {
  const seen = [...state.candidates, ...state.tried];
  if (seen.some(({ location }) => location === candidate.location)) return state;
  if (seen.filter((other) => rankOf(other) === rankOf(candidate)).length >= MAX_CANDIDATES) return state;
  return { ...state, candidates: [...state.candidates, candidate] };
}

/** Those with less come first. */
function rankOf({ preferred, answered }: Candidate): number {
  return (preferred ? 0 : 2) + (answered ? 0 : 1);
}

function searchNow(state: GatewayState, now: number, timing: GatewayTiming): GatewayState {
  if (state.search !== undefined) return state;
  return { ...state, nextSearchAt: Math.min(state.nextSearchAt, Math.max(now, state.lastSearchAt + timing.leastMs)) };
}

/** Another router has none of our mappings; the same one under another boot may have lost them. */
function described(state: GatewayState, candidate: Candidate, { now, timing, gateway }: Moment & { readonly gateway: Gateway }): Working {
  const same = state.gateway?.id === gateway.id;
  const restarted = same && (state.search !== undefined || candidate.bootId !== state.bootId);
  const next: GatewayState = {
    ...state,
    gateway,
    bootId: candidate.bootId,
    searched: true,
    reason: undefined,
    search: undefined,
    nextSearchAt: Infinity,
    inVain: 0,
    candidates: [],
    tried: [],
    nextCheckAt: now + timing.checkMs,
    failures: 0,
    checkedAt: now,
  };
  return { state: next, restarted };
}

function checked(state: GatewayState, { check }: Extract<GatewayEvent, { readonly type: "checked" }>, { now, timing }: Moment): Working {
  const { gateway } = state;
  if (gateway === undefined) return calm(state);
  const { externalAddress, uptimeSeconds, missing } = check;
  const expected = (gateway.uptimeSeconds ?? 0) + (now - state.checkedAt) / 1000;
  const restarted = missing || (uptimeSeconds !== undefined && gateway.uptimeSeconds !== undefined && uptimeSeconds < expected - UPTIME_SLACK);
  const same = gateway.externalAddress === externalAddress && gateway.uptimeSeconds === uptimeSeconds;
  const next = { ...state, gateway: same ? gateway : { ...gateway, externalAddress, uptimeSeconds }, failures: 0, checkedAt: now, nextCheckAt: now + timing.checkMs };
  return { state: next, restarted };
}

function failed(state: GatewayState, request: GatewayRequest, { now, timing, reason }: Moment & { readonly reason: string }): GatewayState {
  // The first one stays: who sends one bad description after the other shall not have as many reasons told.
  if (request.type === "describe") return { ...state, reason: state.reason ?? reason };
  const failures = state.failures + 1;
  const next = { ...state, failures, reason, nextCheckAt: now + timing.checkAgainMs };
  return failures >= timing.checkTries ? searchNow(next, now, timing) : next;
}

/** What the time has come for. */
function due(before: GatewayState, moment: Moment): { readonly state: GatewayState; readonly actions: readonly GatewayAction[] } {
  const actions: GatewayAction[] = [];
  let state = ended(before, moment);
  if (state.search === undefined && moment.now >= state.nextSearchAt) {
    state = { ...state, search: { startedAt: moment.now, sent: 1 }, lastSearchAt: moment.now, nextSearchAt: Infinity, candidates: [], tried: [] };
    actions.push({ type: "search" });
  } else if (state.search?.sent === 1 && moment.now >= state.search.startedAt + moment.timing.resendMs) {
    state = { ...state, search: { ...state.search, sent: 2 } };
    actions.push({ type: "search" });
  }
  const request = state.request === undefined ? requestDue(state, moment) : undefined;
  if (request === undefined) return { state, actions };
  const asked = request.type === "describe" ? request.candidate : undefined;
  const rest = { candidates: state.candidates.filter((one) => one !== asked), tried: asked === undefined ? state.tried : [...state.tried, asked] };
  return { state: { ...state, ...rest, request, nextId: state.nextId + 1, nextCheckAt: request.type === "check" ? Infinity : state.nextCheckAt }, actions: [...actions, request] };
}

/** A search whose time is over; what is still being read may turn out to be a gateway. */
function ended(state: GatewayState, { now, random, timing }: Moment): GatewayState {
  const { search } = state;
  if (search === undefined || now < search.startedAt + timing.searchMs || state.request !== undefined || state.candidates.length > 0) return state;
  const wait = Math.min(timing.againFirstMs * 2 ** Math.min(state.inVain, 20), timing.againMostMs) * (1 - random / 4);
  return { ...state, gateway: undefined, bootId: undefined, searched: true, search: undefined, inVain: state.inVain + 1, tried: [], failures: 0, nextCheckAt: Infinity, nextSearchAt: now + wait };
}

function requestDue(state: GatewayState, { now, timing }: Moment): GatewayRequest | undefined {
  const [candidate] = state.candidates.toSorted((a, b) => rankOf(a) - rankOf(b));
  if (candidate !== undefined && now >= describeAt(state, candidate, timing)) return { type: "describe", id: state.nextId, candidate };
  return state.gateway !== undefined && state.search === undefined && now >= state.nextCheckAt ? { type: "check", id: state.nextId, startedAt: now } : undefined;
}

function describeAt({ search }: GatewayState, { preferred }: Candidate, { preferMs }: GatewayTiming): number {
  return preferred || search === undefined ? -Infinity : search.startedAt + preferMs;
}

function wakeAt(state: GatewayState, timing: GatewayTiming): number | undefined {
  const { search, request } = state;
  const times: number[] = [];
  if (search === undefined) times.push(state.nextSearchAt);
  else if (search.sent === 1) times.push(search.startedAt + timing.resendMs);
  else if (request === undefined && state.candidates.length === 0) times.push(search.startedAt + timing.searchMs);
  if (request === undefined) {
    times.push(...state.candidates.map((candidate) => describeAt(state, candidate, timing)));
    if (state.gateway !== undefined && search === undefined) times.push(state.nextCheckAt);
  }
  const at = Math.min(...times);
  return Number.isFinite(at) ? at : undefined;
}

function withoutVersion(target: string): string {
  return target.replace(/:\d+$/, "");
}
