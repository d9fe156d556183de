import type { Family } from "../lib/ip.js";
import { assertNever } from "../lib/errors.js";
import { ERROR_FSM, FSM_ESTABLISHED, FSM_OPEN_CONFIRM, FSM_OPEN_SENT } from "../wire/bgp/codes.js";
import { BgpError, notificationOf } from "../wire/bgp/error.js";
import { unicastFamily } from "../wire/bgp/family.js";
import { decodeMessage, MAX_MESSAGE, typeCode, type BgpMessage } from "../wire/bgp/message.js";
import { describeNotification } from "../wire/bgp/notification.js";
import type { Open } from "../wire/bgp/open.js";
import { REFRESH_REQUEST, type RouteRefresh } from "../wire/bgp/route-refresh.js";
import { splitStream } from "../wire/bgp/stream.js";
import { routeChanges, type ReceivedUpdate } from "../wire/bgp/update.js";
import { connectionOf, dropCollided, endConnection, jittered, OPEN_WAIT_MS, refuse, sendAction, withConnection } from "./bgp-session-connection.js";
import { keepsIncoming, negotiate } from "./bgp-session-open.js";
import { refreshOut, updateContext } from "./bgp-session-out.js";
import type { Connection, ConnectionPhase, Moment, Turn } from "./bgp-session-state.js";

/** RFC 6608 3. */
const FSM_SUBCODE: Readonly<Record<Exclude<ConnectionPhase, "Connect">, number>> = { OpenSent: FSM_OPEN_SENT, OpenConfirm: FSM_OPEN_CONFIRM, Established: FSM_ESTABLISHED };

const BEFORE_OPEN = { asSize: 4, internal: false } as const;

/** What came from the peer, in pieces of any size. */
export function receive(turn: Turn, connection: Connection, octets: Uint8Array, moment: Moment): Turn {
  const most = connection.negotiated?.mostOctets ?? MAX_MESSAGE;
  const { messages, pending, error } = splitStream(connection.pending, octets, most);
  const after = messages.reduce((next, message) => receiveOne(next, connection.id, message, moment), withConnection(turn, { ...connection, pending }));
  const still = connectionOf(after, connection.id);
  return error === undefined || still === undefined ? after : refusedFor(after, still, error, moment);
}

function receiveOne(turn: Turn, id: string, octets: Uint8Array, moment: Moment): Turn {
  const connection = connectionOf(turn, id);
  if (connection === undefined) return turn;
  try {
    return onMessage(turn, connection, decodeMessage(octets, updateContext(connection.negotiated ?? BEFORE_OPEN)), moment);
  } catch (error) {
    if (!(error instanceof BgpError)) throw error;
    return refusedFor(turn, connection, error, moment);
  }
}

function refusedFor(turn: Turn, connection: Connection, error: BgpError, moment: Moment): Turn {
  return refuse(turn, connection, { notification: error.notification, what: error.message }, moment);
}

/** RFC 4271 8.2.2: which message may come in which state. */
function onMessage(turn: Turn, connection: Connection, message: BgpMessage, moment: Moment): Turn {
  const { phase } = connection;
  if (message.type === "notification") {
    const { notification } = message;
    return endConnection(turn, connection, { by: "peer", notification, reason: describeNotification(notification) }, moment);
  }
  if (phase === "OpenSent" && message.type === "open") return onOpen(turn, connection, message.open, moment);
  if (phase === "OpenConfirm" && message.type === "keepalive") return onConfirmed(turn, connection, moment);
  if (phase === "Established" && message.type !== "open") return onEstablished(turn, connection, message, moment);
  // Nothing can have come before the connection itself.
  if (phase === "Connect") return turn;
  const notification = notificationOf(ERROR_FSM, FSM_SUBCODE[phase], Uint8Array.of(typeCode(message)));
  return refuse(turn, connection, { notification, what: message.type }, moment);
}

function onOpen(turn: Turn, connection: Connection, open: Open, moment: Moment): Turn {
  const negotiated = negotiate(open, moment.config);
  if ("refused" in negotiated) return refuse(turn, connection, { notification: negotiated.refused, what: negotiated.reason }, moment);
  const confirmed: Connection = {
    ...connection,
    phase: "OpenConfirm",
    negotiated,
    // Without a hold timer a peer that says no more would be waited for forever.
    deadline: holdDeadline(negotiated.holdMs, moment.now) ?? moment.now + OPEN_WAIT_MS,
    keepaliveAt: negotiated.keepaliveMs === 0 ? undefined : moment.now + jittered(negotiated.keepaliveMs, moment.random),
  };
  const rival = turn.state.connections.find(({ id, phase }) => id !== connection.id && (phase === "OpenConfirm" || phase === "Established"));
  if (rival === undefined) return confirm(turn, confirmed);
  // RFC 4271 6.8: a session that is up stays; else the identifiers decide.
  const stays = rival.phase !== "Established" && connection.incoming === keepsIncoming(moment.config, negotiated);
  return stays ? confirm(dropCollided(turn, rival), confirmed) : dropCollided(turn, connection);
}

function confirm(turn: Turn, connection: Connection): Turn {
  return withConnection(turn, connection, sendAction(connection.id, { type: "keepalive" }));
}

/** The session is up: whatever else was tried is called off, and from here on a restart is over. */
function onConfirmed(turn: Turn, connection: Connection, moment: Moment): Turn {
  const { negotiated, id } = connection;
  if (negotiated === undefined) return turn;
  const others = turn.state.connections.filter((other) => other.id !== id);
  const alone = others.reduce((next, other) => dropCollided(next, other), turn);
  const up: Connection = { ...connection, phase: "Established", since: moment.now, deadline: holdDeadline(negotiated.holdMs, moment.now) };
  return withConnection({ ...alone, state: { ...alone.state, restarting: false } }, up, { type: "established", id, negotiated });
}

type EstablishedMessage = Exclude<BgpMessage, { readonly type: "open" | "notification" }>;

/** Any message shows that the peer lives. */
function onEstablished(turn: Turn, connection: Connection, message: EstablishedMessage, moment: Moment): Turn {
  const alive: Connection = { ...connection, deadline: holdDeadline(connection.negotiated?.holdMs ?? 0, moment.now) };
  switch (message.type) {
    case "keepalive":
      return withConnection(turn, alive);
    case "update":
      return onUpdate(turn, alive, message.update);
    case "refresh":
      return onRefresh(turn, alive, message.refresh);
    default:
      return assertNever(message);
  }
}

function onUpdate(turn: Turn, connection: Connection, update: ReceivedUpdate): Turn {
  return withConnection(turn, connection, { type: "received", changes: routeChanges(update), faults: update.faults });
}

/** RFC 2918 4: for a family that was not agreed on it is ignored. RFC 7313 5: so is an unknown kind; the marks are about routes that we do not keep. */
function onRefresh(turn: Turn, connection: Connection, refresh: RouteRefresh): Turn {
  const family = unicastFamily(refresh);
  if (refresh.subtype !== REFRESH_REQUEST || !isAgreed(connection, family)) return withConnection(turn, connection);
  return withConnection(turn, { ...connection, out: refreshOut(connection.out, family) });
}

function isAgreed({ negotiated }: Connection, family: Family | undefined): family is Family {
  return family !== undefined && negotiated?.families.includes(family) === true;
}

function holdDeadline(holdMs: number, now: number): number | undefined {
  return holdMs === 0 ? undefined : now + holdMs;
}
