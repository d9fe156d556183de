import type { Family } from "../lib/ip.js";
import { CEASE_ADMIN_RESET, CEASE_ADMIN_SHUTDOWN, CEASE_COLLISION, CEASE_DECONFIGURED, ERROR_CEASE } from "../wire/bgp/codes.js";
import { notificationOf, type Notification } from "../wire/bgp/error.js";
import { encodeMessage, type BgpMessage } from "../wire/bgp/message.js";
import { ceaseWithText, describeNotification, hardReset } from "../wire/bgp/notification.js";
import { backoffMs } from "./backoff.js";
import type { RouteMap } from "./bgp-session-config.js";
import { ourOpen } from "./bgp-session-open.js";
import { emptyOut, updateContext } from "./bgp-session-out.js";
import type { BgpSessionAction, Cease, Connection, ConnectionId, Moment, SessionEnd, Turn } from "./bgp-session-state.js";

/** RFC 4271 8.2.2: how long the OPEN may take; "a large value, 4 minutes are suggested". */
export const OPEN_WAIT_MS = 240_000;
/** A session that was up for so long has shown that it works: pauses start from the shortest again. */
const LASTING_MS = 60_000;
const SHORT_CONTEXT = updateContext({ asSize: 4, internal: false });

/** How a connection ends. Without a notification nothing is said to the peer; `delivered`: what was said before still gets there. */
export type Ending = Pick<SessionEnd, "by" | "reason"> & { readonly notification?: Notification; readonly delivered?: true };

/** The connection with this name, where it still exists. */
export function connectionOf({ state }: Turn, id: ConnectionId): Connection | undefined {
  return state.connections.find((connection) => connection.id === id);
}

/** With one connection changed, or added. */
export function withConnection(turn: Turn, connection: Connection, ...actions: readonly BgpSessionAction[]): Turn {
  const known = turn.state.connections.some(({ id }) => id === connection.id);
  const connections = known ? turn.state.connections.map((one) => (one.id === connection.id ? connection : one)) : [...turn.state.connections, connection];
  return { state: { ...turn.state, connections }, actions: [...turn.actions, ...actions] };
}

/** A message that depends on nothing that was agreed on: all but UPDATE. */
export function sendAction(id: ConnectionId, message: Exclude<BgpMessage, { readonly type: "update" }>): BgpSessionAction {
  return { type: "send", id, octets: encodeMessage(message, SHORT_CONTEXT) };
}

/** Starts a dial. */
export function dial(turn: Turn, { now, config }: Moment): Turn {
  const id = `out-${turn.state.nextId}`;
  const state = { ...turn.state, nextId: turn.state.nextId + 1, retryAt: undefined };
  return withConnection({ ...turn, state }, { ...fresh(id, now), incoming: false, phase: "Connect", deadline: now + config.connectTimeoutMs }, { type: "dial", id });
}

/** TCP is there: our OPEN goes out (RFC 4271 8.2.2, Connect and Active). */
export function opened(turn: Turn, { id, incoming }: Pick<Connection, "id" | "incoming">, { now, config }: Moment): Turn {
  const open = sendAction(id, { type: "open", open: ourOpen(config, turn.state.restarting) });
  const connection: Connection = { ...fresh(id, now), incoming, phase: "OpenSent", deadline: now + OPEN_WAIT_MS };
  return withConnection({ ...turn, state: { ...turn.state, retryAt: undefined } }, connection, open);
}

/** Ends one connection. When it was the last one, the attempt or session is over, and the next dial is planned. */
export function endConnection(turn: Turn, connection: Connection, ending: Ending, moment: Moment): Turn {
  const connections = turn.state.connections.filter(({ id }) => id !== connection.id);
  const actions = [...turn.actions, ...farewell(connection, ending)];
  const wasEstablished = connection.phase === "Established";
  // Routes are made for one session: the next hop and the path depend on what was agreed on.
  const state = { ...turn.state, connections, ...(wasEstablished ? { routes: new Map<Family, RouteMap>() } : {}) };
  if (connections.length > 0 && !wasEstablished) return { state, actions };
  const end: SessionEnd = { at: moment.now, wasEstablished, by: ending.by, notification: ending.notification, reason: ending.reason };
  const failures = wasEstablished && moment.now - connection.since >= LASTING_MS ? 0 : state.failures;
  const pause = backoffMs(failures, moment.config.retryFirstMs, moment.config.retryMostMs, moment.random);
  const retryAt = state.started && connections.length === 0 ? moment.now + pause : undefined;
  return { state: { ...state, failures: failures + 1, retryAt, lastEnd: end }, actions: [...actions, { type: "ended", end }] };
}

/** Ends a connection because of an error that is named in a NOTIFICATION. */
export function refuse(turn: Turn, connection: Connection, { notification, what }: { readonly notification: Notification; readonly what?: string }, moment: Moment): Turn {
  const name = describeNotification(notification);
  return endConnection(turn, connection, { by: "local", notification, reason: what === undefined ? name : `${name}: ${what}` }, moment);
}

/** RFC 4271 6.8: this one goes, another one stays. Not the end of anything, so nothing is planned or told. */
export function dropCollided(turn: Turn, connection: Connection): Turn {
  const connections = turn.state.connections.filter(({ id }) => id !== connection.id);
  const notification = notificationOf(ERROR_CEASE, CEASE_COLLISION);
  return { state: { ...turn.state, connections }, actions: [...turn.actions, ...farewell(connection, { by: "local", notification, reason: "" })] };
}

/** Ends all connections; who is asked to forget the routes is told so in the way that was agreed on (RFC 8538 3). */
export function endAll(turn: Turn, cease: Cease | undefined, moment: Moment): Turn {
  return turn.state.connections.reduce((next, connection) => {
    if (cease === undefined) return endConnection(next, connection, { by: "local", reason: "left for the process that follows", delivered: true }, moment);
    const notification = ceaseNotification(cease, connection.negotiated?.notificationRestart === true);
    return endConnection(next, connection, { by: "local", notification, reason: describeNotification(notification) }, moment);
  }, turn);
}

/** RFC 4271 10: three quarters to all of it. */
export function jittered(ms: number, random: number): number {
  return ms * (0.75 + 0.25 * random);
}

function ceaseNotification({ subcode, text, hard }: Cease, restartable: boolean): Notification {
  const withText = subcode === CEASE_ADMIN_SHUTDOWN || subcode === CEASE_ADMIN_RESET;
  const plain = withText ? ceaseWithText(subcode, text ?? "") : notificationOf(ERROR_CEASE, subcode);
  const forGood = hard ?? (subcode === CEASE_ADMIN_SHUTDOWN || subcode === CEASE_DECONFIGURED);
  return restartable && forGood ? hardReset(plain) : plain;
}

function farewell({ id, phase }: Connection, { by, notification, delivered }: Ending): readonly BgpSessionAction[] {
  // The caller has closed it already.
  if (by === "transport") return [];
  const tell = by === "local" && notification !== undefined && phase !== "Connect";
  return [...(tell ? [sendAction(id, { type: "notification", notification })] : []), { type: "close", id, graceful: tell || delivered === true }];
}

function fresh(id: ConnectionId, now: number): Omit<Connection, "incoming" | "phase" | "deadline"> {
  return { id, since: now, keepaliveAt: undefined, pending: new Uint8Array(), negotiated: undefined, flushSince: undefined, out: emptyOut() };
}
