import { isOlderVersion } from "../lib/resource-version.js";
import type { MemberRecord } from "./claim-codec.js";
import { answered, duePeers, followPeers, nameStrangers, peerSeen } from "./member-peers.js";
import { freshUntil, isMine, type MemberAction, type MemberConfig, type MemberState, type MemberStance, type MemberVersion } from "./member-state.js";
import { viewed } from "./member-view.js";
import type { StepResult } from "./step.js";

export type { MemberAction } from "./member-state.js";

/*
 * Who is there: one Lease `vip-member-<node>` per node, renewed by its node, and fenced by others once it has been silent for a lease time on their
 * own clock. All writes are PUTs with the resourceVersion last seen, so that a silent watch is never taken for a dead member. Several renews may be
 * under way; each counts from the moment at which it was started, also when its reply was lost and a later reading shows its process and seq.
 */

type MemberInput =
  | { readonly type: "stance"; readonly stance: MemberStance }
  /** How many keys this node takes in proportion to others from now on. */
  | { readonly type: "weight"; readonly weight: number }
  /** The own Lease is to be renewed now; with `stop`, nothing is held until such a renew has taken effect. */
  | { readonly type: "confirm"; readonly stop: boolean }
  /** The watch, or a read that was asked for, shows this version of the Lease of a node; undefined: there is none. */
  | { readonly type: "member"; readonly node: string; readonly version: MemberVersion | undefined; readonly read: boolean }
  /** Every member has been told by `member` since the start. */
  | { readonly type: "membersListed" }
  /** `version` undefined: it was a removal. */
  | { readonly type: "memberWritten"; readonly node: string; readonly id: number; readonly version: MemberVersion | undefined }
  | { readonly type: "memberFailed"; readonly node: string; readonly id: number; readonly conflict: boolean }
  | { readonly type: "memberReadFailed"; readonly node: string }
  /** The nodes that claims name now. */
  | { readonly type: "named"; readonly nodes: ReadonlySet<string> }
  /** The watch has shown something, whatever it is. */
  | { readonly type: "heard" }
  | { readonly type: "tick" };

/** Every event carries the wall clock, which makes the number of a first life unlike any earlier one, and is used for nothing else. */
export type MemberEvent = MemberInput & { readonly wallMs: number };

const MAX_RENEWS_IN_FLIGHT = 3;

/** One event in, new state and the requests to send out. */
export function memberStep(state: MemberState, event: MemberEvent, now: number, config: MemberConfig): StepResult<MemberState, MemberAction> {
  const actions: MemberAction[] = [];
  const lapsed = now >= freshUntil(state, config);
  let next = absorb(state, event, now, config);
  // Silence of everything was this node's own: the others' starts anew.
  if (lapsed && now < freshUntil(next, config)) next = followPeers(next, now);
  if (event.type === "memberFailed" && event.conflict && isNews(next, event, config)) {
    if (event.node === config.node) next = { ...next, reading: true };
    actions.push({ type: "readMember", node: event.node, timeoutMs: config.renewDeadlineMs });
  }
  next = renew(next, event.wallMs, { now, config, actions });
  next = duePeers(next, { now, config, actions });
  if (next.echo !== undefined && now >= next.echo.at + config.echoMs) {
    if (next.heardAt < next.echo.at && next.stance !== "out") actions.push({ type: "relist" });
    next = { ...next, echo: undefined };
  }
  return { state: viewed(next, state, { now, config, node: "node" in event ? event.node : undefined }), actions, wakeAt: wakeAt(next, now, config) };
}

function absorb(state: MemberState, event: MemberEvent, now: number, config: MemberConfig): MemberState {
  switch (event.type) {
    case "tick":
      return state;
    case "heard":
      return { ...state, heardAt: now };
    case "named":
      return nameStrangers({ ...state, named: new Set([...event.nodes].filter((node) => node !== config.node)) }, now);
    case "membersListed":
      return nameStrangers({ ...state, listed: true }, now);
    case "stance":
      return state.stance === event.stance || state.stance === "out" ? state : { ...state, stance: event.stance, nextAttemptAt: now };
    case "weight":
      return state.weight === event.weight ? state : { ...state, weight: event.weight, nextAttemptAt: Math.min(state.nextAttemptAt, now) };
    case "confirm":
      return { ...state, nextAttemptAt: Math.min(state.nextAttemptAt, now), suspectedAt: event.stop ? now : state.suspectedAt };
    case "member":
      return memberSeen(event.read ? state : { ...state, heardAt: now }, event, now, config);
    case "memberReadFailed":
      return event.node === config.node ? { ...state, reading: false } : answered(state, event.node, { readAgainAt: now + config.retryPeriodMs });
    case "memberWritten":
      if (event.node !== config.node) return peerSeen(answered(state, event.node, { id: event.id }), { ...event, read: false }, now, config);
      return event.version === undefined ? state : echoed(ownSeen(landed(state, event.id), event.version, now, config), event.version, now);
    case "memberFailed":
      return event.node === config.node ? renewFailed(state, event, now, config) : peerFailed(state, event, now, config);
  }
}

/** A conflict that does not explain itself by a version seen since. */
function isNews(state: MemberState, { node, id }: Failed, config: MemberConfig): boolean {
  if (node !== config.node) return true;
  const sent = state.sent.find((s) => s.id === id);
  return !state.reading && (sent === undefined || sent.base === state.own?.resourceVersion);
}

function memberSeen(state: MemberState, event: MemberEvent & { readonly type: "member" }, now: number, config: MemberConfig): MemberState {
  const { node, version, read } = event;
  if (node !== config.node) return peerSeen(state, { node, version, read }, now, config);
  const seen = ownSeen(read ? { ...state, reading: false } : state, version, now, config);
  if (read || version === undefined) return seen;
  const shown = seen.echo !== undefined && !isOlderVersion(version.resourceVersion, seen.echo.resourceVersion);
  return { ...seen, watched: version.resourceVersion, echo: shown ? undefined : seen.echo };
}

function ownSeen(state: MemberState, version: MemberVersion | undefined, now: number, config: MemberConfig): MemberState {
  const known = state.own?.resourceVersion;
  if (version !== undefined && known !== undefined && (version.resourceVersion === known || isOlderVersion(version.resourceVersion, known))) return state;
  const mine = version?.record.process === config.process && version.record.state === "live";
  const sent = mine ? state.sent.find(({ id }) => id === version.record.seq) : undefined;
  const renewedAt = sent === undefined ? state.renewedAt : Math.max(state.renewedAt ?? -Infinity, sent.startedAt);
  const next = {
    ...state,
    own: version,
    ownChangedAt: now,
    reading: false,
    wrote: state.wrote || mine,
    // What was renewed in an earlier life, or by another process, is void.
    renewedAt: mine ? renewedAt : undefined,
  };
  // Fenced or removed: the next life begins at once.
  return mine ? next : { ...next, nextAttemptAt: Math.min(state.nextAttemptAt, now) };
}

function echoed(state: MemberState, version: MemberVersion, now: number): MemberState {
  const shown = state.watched !== "" && !isOlderVersion(state.watched, version.resourceVersion);
  return shown || state.echo !== undefined ? state : { ...state, echo: { resourceVersion: version.resourceVersion, at: now } };
}

function landed(state: MemberState, id: number): MemberState {
  return { ...state, inFlight: state.inFlight.filter((other) => other !== id) };
}

type Failed = MemberEvent & { readonly type: "memberFailed" };

function renewFailed(state: MemberState, { id, conflict }: Failed, now: number, config: MemberConfig): MemberState {
  const next = landed(state, id);
  const soon = conflict || now < freshUntil(state, config);
  return { ...next, nextAttemptAt: Math.min(state.nextAttemptAt, now + config.retryPeriodMs / (soon ? 4 : 1)) };
}

/** A conflict says that the member lives: its silence starts anew, and is this node's watch's. */
function peerFailed(state: MemberState, { node, id, conflict }: Failed, now: number, config: MemberConfig): MemberState {
  return answered(state, node, conflict ? { id, alive: now } : { id, retryAt: now + config.retryPeriodMs / 4 });
}

interface Out {
  readonly now: number;
  readonly config: MemberConfig;
  readonly actions: MemberAction[];
}

function renew(state: MemberState, wallMs: number, { now, config, actions }: Out): MemberState {
  const at = renewAt(state, config);
  if (at === undefined || now < at) return state;
  const id = state.nextId;
  const record = nextRecord(state, wallMs, config);
  actions.push({ type: "writeMember", node: config.node, id, base: state.own, record, timeoutMs: config.renewDeadlineMs });
  return {
    ...state,
    nextId: id + 1,
    sent: [...state.sent.filter((s) => now - s.startedAt < config.leaseDurationMs), { id, base: state.own?.resourceVersion, startedAt: now }],
    // Where the last one hangs the next may hang, too: three of them start before the deadline, not two.
    nextAttemptAt: now + config.retryPeriodMs / (state.inFlight.length > 0 ? 2 : 1),
    inFlight: [...state.inFlight, id],
  };
}

/** When the own Lease is to be written; undefined: not before something else has happened. */
function renewAt(state: MemberState, config: MemberConfig): number | undefined {
  if (!state.listed || state.reading || state.inFlight.length >= MAX_RENEWS_IN_FLIGHT) return undefined;
  const live = state.own?.record.state === "live";
  if (state.stance === "out") return live && isMine(state, config) ? state.nextAttemptAt : undefined;
  // A newer process of this name has taken over: let it be, unless it falls silent.
  const rival = live && state.wrote && !isMine(state, config);
  return rival ? Math.max(state.nextAttemptAt, state.ownChangedAt + config.leaseDurationMs) : state.nextAttemptAt;
}

function nextRecord(state: MemberState, wallMs: number, config: MemberConfig): MemberRecord {
  const old = state.own?.record;
  const life = { seq: state.nextId, process: config.process, drain: state.stance === "drain" || state.stance === "leave", weight: state.weight ?? config.weight };
  // A first life is numbered by the clock: the Lease of an earlier one may have been removed while claims still name it.
  if (old === undefined) return { ...life, incarnation: Math.max(1, Math.floor(wallMs / 1000)), state: "live", after: "nothing" };
  if (state.stance === "out") return { ...old, ...life, state: "released" };
  // A process that starts while the Lease is live goes on with that life: its addresses may still be in the kernel.
  const rival = state.wrote && !isMine(state, config);
  if (old.state === "live" && !rival) return { ...life, incarnation: old.incarnation, state: "live", after: old.after };
  return { ...life, incarnation: old.incarnation + 1, state: "live", after: old.state === "live" ? "fenced" : old.state };
}

function wakeAt(state: MemberState, now: number, config: MemberConfig): number | undefined {
  const times: number[] = [];
  const until = freshUntil(state, config);
  if (until > now) times.push(until);
  const at = renewAt(state, config);
  if (at !== undefined) times.push(at);
  if (state.echo !== undefined) times.push(state.echo.at + config.echoMs);
  if (until > now && state.judgeAt < Infinity) times.push(state.judgeAt);
  return times.length === 0 ? undefined : Math.max(now, Math.min(...times));
}
