import { assertNever } from "../lib/errors.js";
import { CEASE_BFD_DOWN, CEASE_COLLISION, CEASE_REJECTED, ERROR_CEASE, ERROR_HOLD_TIMER, ERROR_SEND_HOLD_TIMER } from "../wire/bgp/codes.js";
import { notificationOf } from "../wire/bgp/error.js";
import { connectionOf, dial, dropCollided, endAll, endConnection, jittered, opened, refuse, sendAction, withConnection } from "./bgp-session-connection.js";
import { receive } from "./bgp-session-message.js";
import { nextBatch } from "./bgp-session-out.js";
import {
  establishedOf,
  type BgpSessionAction,
  type BgpSessionEvent,
  type BgpSessionState,
  type Connection,
  type ConnectionId,
  type Moment,
  type Turn,
} from "./bgp-session-state.js";
import type { BgpSessionConfig } from "./bgp-session-config.js";
import type { StepResult } from "./step.js";

/*
 * One BGP session with one peer (RFC 4271 8), from dial to routes. The RFC runs one state machine for each TCP connection; here is one for each
 * peer, which has up to two connections, so that collisions (6.8) are seen whole. It differs where practice has shown better: an Idle that waits is
 * an Active (the peer may dial at any time), and a receiver that never reads is given up (RFC 9687).
 */

/** A hold timer that is found to have run out so much too late has not been watched: this process stood still, and the answer may lie unread. */
const STALL_MS = 500;
/** RFC 9687 6: the longer of 8 minutes and twice the hold time. */
const SEND_HOLD_MS = 480_000;

/** One event in, new state and what to do on the network. */
export function bgpSessionStep(state: BgpSessionState, event: BgpSessionEvent, now: number, config: BgpSessionConfig): StepResult<BgpSessionState, BgpSessionAction> {
  const moment: Moment = { now, random: event.random, config };
  const turn = transmit(onTime(absorb({ state, actions: [] }, event, moment), moment), moment);
  return { ...turn, wakeAt: wakeAt(turn.state, config) };
}

function absorb(turn: Turn, event: BgpSessionEvent, moment: Moment): Turn {
  const { state } = turn;
  switch (event.type) {
    case "tick":
      return turn;
    case "start":
      return state.started ? turn : { ...turn, state: { ...state, started: true, restarting: event.restarting, failures: 0, retryAt: moment.now } };
    case "stop":
      return stopped(endAll(turn, event, moment));
    case "abandon":
      return stopped(endAll(turn, undefined, moment));
    case "reset":
      return endAll(turn, event, moment);
    case "bfdDown":
      // Before a session is up there is no BFD to go by (RFC 5882 4.1).
      return establishedOf(state) === undefined ? turn : endAll(turn, { subcode: CEASE_BFD_DOWN }, moment);
    case "routes":
      return { ...turn, state: { ...state, routes: event.routes } };
    case "accepted":
      return accepted(turn, event.id, moment);
    case "connected":
    case "closed":
    case "data":
    case "writable":
      return onConnection(turn, event, moment);
    default:
      return assertNever(event);
  }
}

function stopped({ state, actions }: Turn): Turn {
  return { state: { ...state, started: false, retryAt: undefined }, actions };
}

type ConnectionEvent = Extract<BgpSessionEvent, { readonly type: "connected" | "closed" | "data" | "writable" }>;

/** Events of connections that are over come late, and mean nothing. */
function onConnection(turn: Turn, event: ConnectionEvent, moment: Moment): Turn {
  const connection = connectionOf(turn, event.id);
  if (connection === undefined) return turn;
  switch (event.type) {
    case "connected":
      return connection.phase === "Connect" ? opened(turn, connection, moment) : turn;
    case "closed":
      return endConnection(turn, connection, { by: "transport", reason: event.reason }, moment);
    case "data":
      return receive(turn, connection, event.octets, moment);
    case "writable":
      return withConnection(turn, { ...connection, flushSince: undefined });
    default:
      return assertNever(event);
  }
}

/** The peer has dialled. */
function accepted(turn: Turn, id: ConnectionId, moment: Moment): Turn {
  if (!turn.state.started) return rejected(turn, id, CEASE_REJECTED);
  const established = establishedOf(turn.state);
  if (established !== undefined) {
    // RFC 4724 4.2: with graceful restart it says that the peer has restarted, and the old connection is dead.
    if (established.negotiated?.gracefulRestart === undefined) return rejected(turn, id, CEASE_COLLISION);
    return opened(endConnection(turn, established, { by: "local", reason: "the peer has restarted" }, moment), { id, incoming: true }, moment);
  }
  // One that dialled before and has not come up must be dead to the peer: it has no reason to dial twice.
  const old = turn.state.connections.find(({ incoming }) => incoming);
  return opened(old === undefined ? turn : dropCollided(turn, old), { id, incoming: true }, moment);
}

/** A connection that is not wanted: with a session up (RFC 4271 6.8), or where none is to be (RFC 4486 4). */
function rejected(turn: Turn, id: ConnectionId, subcode: number): Turn {
  const notice = sendAction(id, { type: "notification", notification: notificationOf(ERROR_CEASE, subcode) });
  return { ...turn, actions: [...turn.actions, notice, { type: "close", id, graceful: true }] };
}

/** All timers that have run out. */
function onTime(turn: Turn, moment: Moment): Turn {
  const after = turn.state.connections.reduce((next, { id }) => {
    const connection = connectionOf(next, id);
    return connection === undefined ? next : connectionOnTime(next, connection, moment);
  }, turn);
  const { started, connections, retryAt = Infinity } = after.state;
  const due = started && connections.length === 0 && !moment.config.passive && moment.now >= retryAt;
  return due ? dial(after, moment) : after;
}

function connectionOnTime(turn: Turn, connection: Connection, moment: Moment): Turn {
  const { now, config, random } = moment;
  const { phase, deadline = Infinity, keepaliveAt = Infinity, flushSince = Infinity, negotiated } = connection;
  if (phase === "Connect" && now >= deadline) return endConnection(turn, connection, { by: "local", reason: `no connection within ${config.connectTimeoutMs} ms` }, moment);
  if (now >= deadline + STALL_MS) return withConnection(turn, { ...connection, deadline: now + STALL_MS });
  if (now >= deadline) return refuse(turn, connection, { notification: notificationOf(ERROR_HOLD_TIMER, 0) }, moment);
  if (now >= flushSince + sendHoldMs(connection)) return refuse(turn, connection, { notification: notificationOf(ERROR_SEND_HOLD_TIMER, 0) }, moment);
  if (now < keepaliveAt || negotiated === undefined) return turn;
  return withConnection(turn, { ...connection, keepaliveAt: now + jittered(negotiated.keepaliveMs, random) }, sendAction(connection.id, { type: "keepalive" }));
}

/** Routes go out as far as the peer takes them; what was sent in this step is asked back for, once. */
function transmit(turn: Turn, moment: Moment): Turn {
  const connection = establishedOf(turn.state);
  const next = connection === undefined || connection.flushSince !== undefined ? turn : sendRoutes(turn, connection, moment);
  const sentTo = new Set(next.actions.flatMap((action) => (action.type === "send" ? [action.id] : [])));
  return next.state.connections
    .filter(({ id, flushSince }) => flushSince === undefined && sentTo.has(id))
    .reduce((flushed, one) => withConnection(flushed, { ...one, flushSince: moment.now }, { type: "flush", id: one.id }), next);
}

function sendRoutes(turn: Turn, connection: Connection, { now, random }: Moment): Turn {
  const { id, negotiated, keepaliveAt } = connection;
  if (negotiated === undefined) return turn;
  const { out, octets, tooLarge } = nextBatch(connection.out, turn.state.routes, negotiated);
  const notes = tooLarge.map(({ family, count }): BgpSessionAction => ({ type: "tooLarge", family, count }));
  if (octets.length === 0) return withConnection(turn, { ...connection, out }, ...notes);
  // RFC 4271 8.2.2: an UPDATE does as a KEEPALIVE.
  const later = keepaliveAt === undefined ? undefined : now + jittered(negotiated.keepaliveMs, random);
  return withConnection(turn, { ...connection, out, keepaliveAt: later }, { type: "send", id, octets }, ...notes);
}

function wakeAt({ started, connections, retryAt = Infinity }: BgpSessionState, config: BgpSessionConfig): number | undefined {
  const times = connections.flatMap((connection) => {
    const { deadline = Infinity, keepaliveAt = Infinity, flushSince = Infinity } = connection;
    return [deadline, keepaliveAt, flushSince + sendHoldMs(connection)];
  });
  const first = Math.min(...times, started && !config.passive ? retryAt : Infinity);
  return first === Infinity ? undefined : first;
}

function sendHoldMs({ negotiated }: Connection): number {
  return Math.max(SEND_HOLD_MS, 2 * (negotiated?.holdMs ?? 0));
}
