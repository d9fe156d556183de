import { nextWait, PCP_PACE } from "./pcp-exchange.js";
import type { PcpDialect, PcpGreeting, PcpProbe, PcpServer, PcpServerAction, PcpServerEvent, PcpServerState, PcpServerTiming } from "./pcp-server-state.js";
import type { StepResult } from "./step.js";

/*
 * Whether the next hop of a link opens ports by PCP or NAT-PMP, and whether it has lost them: asked until it answers, then checked now and then. PCP is asked
 * first; a router that knows NAT-PMP only says so in its answer (RFC 6886 3.5, RFC 6887 9).
 */

export const PCP_SERVER_TIMING: PcpServerTiming = {
  pace: { ...PCP_PACE, tries: Infinity },
  bothAfter: 1,
  searchMs: 3000,
  leastMs: 1000,
  checkMs: 60_000,
  checkWaitMs: 3000,
  checkTries: 3,
};

interface Moment {
  readonly now: number;
  readonly random: number;
  readonly timing: PcpServerTiming;
}

interface Working {
  readonly state: PcpServerState;
  readonly restarted: boolean;
}

/** One event in; new state, questions and news out. */
export function pcpServerStep(state: PcpServerState, event: PcpServerEvent, now: number, timing: PcpServerTiming): StepResult<PcpServerState, PcpServerAction> {
  const moment: Moment = { now, random: event.random, timing };
  const { state: absorbed, restarted } = absorb(state, event, moment);
  const searched = absorbed.searched || absorbed.server !== undefined || now >= absorbed.startedAt + timing.searchMs;
  const next = withProbe({ ...absorbed, searched }, moment);
  const actions: PcpServerAction[] = restarted ? [{ type: "restarted" }] : [];
  const isAnswer = "id" in event && event.id === state.probe?.id;
  if (state.probe !== undefined && absorbed.probe === undefined && !isAnswer) actions.push({ type: "cancel", id: state.probe.id });
  if (next.probe !== undefined && next.probe !== absorbed.probe) actions.push(next.probe);
  return { state: next, actions, wakeAt: wakeAt(next, timing) };
}

/** Whether the server has lost its mappings since `before`: its clock runs otherwise than ours. */
export function hasForgotten(before: PcpServer, { dialect, epoch }: Pick<PcpGreeting, "dialect" | "epoch">, now: number): boolean {
  const ours = (now - before.heardAt) / 1000;
  // RFC 6886 3.6: less than 7/8 of the time that has gone by, with 2 s for rounding.
  if (dialect === "nat-pmp") return epoch < before.epoch + (ours * 7) / 8 - 2;
  // RFC 6887 8.5: back by more than a second, or clocks that differ by more than 1/16, with 2 s for rounding.
  const theirs = epoch - before.epoch;
  return theirs < -1 || ours + 2 < theirs - theirs / 16 || theirs + 2 < ours - ours / 16;
}

function absorb(state: PcpServerState, event: PcpServerEvent, moment: Moment): Working {
  switch (event.type) {
    case "tick":
      return calm(state);
    case "doubt":
      return calm(doubted(state, moment));
    case "learned": {
      const { server } = state;
      if (server === undefined) return calm(state);
      return heard(state, { ...server, epoch: event.epoch, externalAddress: event.externalAddress ?? server.externalAddress }, moment.now);
    }
    case "answered":
    case "older":
    case "failed": {
      if (state.probe?.id !== event.id) return calm(state);
      const idle = { ...state, probe: undefined };
      if (event.type === "failed" || (event.type === "older" && state.older)) return calm(failed(idle, moment));
      // Asked again at once, in its own words.
      if (event.type === "older") return calm({ ...idle, server: undefined, older: true, nextProbeAt: moment.now });
      return answered(idle, event.greeting, moment);
    }
  }
}

function calm(state: PcpServerState): Working {
  return { state, restarted: false };
}

function answered(state: PcpServerState, greeting: PcpGreeting, { now, timing }: Moment): Working {
  const { server } = state;
  const known = server !== undefined && isSame(server, greeting) ? server : undefined;
  const next = heard({ ...state, server: known }, { ...greeting, externalAddress: greeting.externalAddress ?? known?.externalAddress }, now);
  return { ...next, state: { ...next.state, waitMs: undefined, unanswered: 0, older: false, nextProbeAt: now + timing.checkMs } };
}

function heard(state: PcpServerState, greeting: PcpGreeting, now: number): Working {
  const { server } = state;
  const restarted = server !== undefined && hasForgotten(server, greeting, now);
  return { state: { ...state, server: { ...greeting, heardAt: now } }, restarted };
}

function isSame(server: PcpServer, { dialect, host }: PcpGreeting): boolean {
  return server.dialect === dialect && server.host === host;
}

/** While a question is under way to a server that is known, its answer says it; one that is searched for may just have come to life. */
function doubted(state: PcpServerState, { now, timing }: Moment): PcpServerState {
  if (state.probe !== undefined && state.server !== undefined) return state;
  const at = Math.max(now, state.lastProbeAt + timing.leastMs);
  const sooner = at < state.nextProbeAt || state.probe !== undefined;
  return sooner ? { ...state, probe: undefined, nextProbeAt: at, waitMs: state.server === undefined ? undefined : state.waitMs } : state;
}

function failed(state: PcpServerState, { timing }: Moment): PcpServerState {
  const unanswered = state.unanswered + 1;
  const gone = state.server !== undefined && unanswered >= timing.checkTries;
  const nextProbeAt = state.lastProbeAt + (state.server === undefined ? (state.waitMs ?? 0) : timing.checkWaitMs);
  return { ...state, unanswered: gone ? 0 : unanswered, server: gone ? undefined : state.server, older: false, nextProbeAt };
}

function withProbe(state: PcpServerState, { now, random, timing }: Moment): PcpServerState {
  if (state.probe !== undefined || now < state.nextProbeAt) return state;
  const waitMs = state.server === undefined ? nextWait(state.waitMs, random, timing.pace) : timing.checkWaitMs;
  const probe: PcpProbe = { type: "probe", id: state.nextId, dialects: dialectsOf(state, timing), waitMs };
  return { ...state, probe, nextId: state.nextId + 1, lastProbeAt: now, nextProbeAt: Infinity, waitMs: state.server === undefined ? waitMs : undefined };
}

function dialectsOf({ server, older, unanswered }: PcpServerState, { bothAfter }: PcpServerTiming): readonly PcpDialect[] {
  if (server !== undefined) return [server.dialect];
  if (older) return ["nat-pmp"];
  return unanswered >= bothAfter ? ["pcp", "nat-pmp"] : ["pcp"];
}

/** While a question is under way its answer is waited for, and only the end of the search needs the clock. */
function wakeAt({ probe, nextProbeAt, searched, startedAt }: PcpServerState, { searchMs }: PcpServerTiming): number | undefined {
  const at = Math.min(probe === undefined ? nextProbeAt : Infinity, searched ? Infinity : startedAt + searchMs);
  return at === Infinity ? undefined : at;
}
