import type { Family } from "../lib/ip.js";
import type { UpdateFault } from "../wire/bgp/attribute.js";
import type { Notification } from "../wire/bgp/error.js";
import type { RouteChanges } from "../wire/bgp/update.js";
import type { BgpSessionConfig, Negotiated, RouteMap } from "./bgp-session-config.js";
import type { OutState } from "./bgp-session-out.js";

/** Names a TCP connection: `out-N` for a dial of the machine; the caller names those accepted, never twice the same. */
export type ConnectionId = string;

export type ConnectionPhase = "Connect" | "OpenSent" | "OpenConfirm" | "Established";

export interface Connection {
  readonly id: ConnectionId;
  /** The peer dialled. */
  readonly incoming: boolean;
  readonly phase: ConnectionPhase;
  readonly since: number;
  /** Until when something has to come: the connection itself, the OPEN, or any message (hold timer). */
  readonly deadline: number | undefined;
  readonly keepaliveAt: number | undefined;
  /** Start of a message whose rest has not come. */
  readonly pending: Uint8Array;
  readonly negotiated: Negotiated | undefined;
  /** Since when what was sent waits for `writable`. */
  readonly flushSince: number | undefined;
  readonly out: OutState;
}

/** How a session, or the attempt at one, ended. */
export interface SessionEnd {
  readonly at: number;
  readonly wasEstablished: boolean;
  /** Who ended it: this machine, the peer by a NOTIFICATION, or TCP. */
  readonly by: "local" | "peer" | "transport";
  readonly notification: Notification | undefined;
  /** For people: `Cease/Administrative Shutdown: "rack 7"`, `ECONNREFUSED`. */
  readonly reason: string;
}

export interface BgpSessionState {
  readonly started: boolean;
  /** This process follows one whose routes the peer may still keep: said in the OPEN until a session is up (R bit, RFC 4724 3). */
  readonly restarting: boolean;
  /** At most one of each direction. */
  readonly connections: readonly Connection[];
  /** When to dial next; undefined while connections exist, and when stopped. */
  readonly retryAt: number | undefined;
  /** Attempts that failed since the last session that lasted. */
  readonly failures: number;
  readonly nextId: number;
  /**
   * What the peer is to have, forgotten when the session ends. A family without an entry is not known yet: nothing is sent of it, no End-of-RIB
   * either.
   */
  readonly routes: ReadonlyMap<Family, RouteMap>;
  readonly lastEnd: SessionEnd | undefined;
}

/** Why this side ends a session. */
export interface Cease {
  /** CEASE_*. */
  readonly subcode: number;
  /** Shutdown communication (RFC 9003), sent with CEASE_ADMIN_SHUTDOWN and CEASE_ADMIN_RESET. */
  readonly text?: string;
  /** The peer is to forget the routes at once; by default so for a shutdown and a removed peer. */
  readonly hard?: boolean;
}

type BgpSessionInput =
  | { readonly type: "start"; readonly restarting: boolean }
  /** No session any more, until `start`. */
  | ({ readonly type: "stop" } & Cease)
  /** As `stop`, and then again. */
  | ({ readonly type: "reset" } & Cease)
  /** As `stop`, but without a word: the peer keeps the routes for the process that follows (RFC 4724 4.1). */
  | { readonly type: "abandon" }
  | { readonly type: "tick" }
  /** A dial has succeeded. */
  | { readonly type: "connected"; readonly id: ConnectionId }
  /** The listener has a connection from this peer. */
  | { readonly type: "accepted"; readonly id: ConnectionId }
  /** A dial has failed, or the connection is at its end. */
  | { readonly type: "closed"; readonly id: ConnectionId; readonly reason: string }
  | { readonly type: "data"; readonly id: ConnectionId; readonly octets: Uint8Array }
  /** The answer to a `flush`. */
  | { readonly type: "writable"; readonly id: ConnectionId }
  | { readonly type: "bfdDown" }
  /** The whole of what the peer is to have, by family; to be told after each `established`, and on every change. */
  | { readonly type: "routes"; readonly routes: ReadonlyMap<Family, RouteMap> };

/** Every event brings a random number, uniform in [0, 1). */
export type BgpSessionEvent = BgpSessionInput & { readonly random: number };

export type BgpSessionAction =
  | { readonly type: "dial"; readonly id: ConnectionId }
  | { readonly type: "send"; readonly id: ConnectionId; readonly octets: Uint8Array }
  /** `writable` is to be sent once everything before has been handed to the kernel. */
  | { readonly type: "flush"; readonly id: ConnectionId }
  /** Graceful: what was sent is still delivered (FIN, and input read away, for a reset would destroy it). Nothing more is heard of it. */
  | { readonly type: "close"; readonly id: ConnectionId; readonly graceful: boolean }
  | { readonly type: "established"; readonly id: ConnectionId; readonly negotiated: Negotiated }
  | { readonly type: "ended"; readonly end: SessionEnd }
  /** What the peer announced: to be counted; it is never used. */
  | { readonly type: "received"; readonly changes: readonly RouteChanges[]; readonly faults: readonly UpdateFault[] }
  /** Routes whose attributes do not fit into a message: not announced. */
  | { readonly type: "tooLarge"; readonly family: Family; readonly count: number };

/** What an event meets. */
export interface Moment {
  readonly now: number;
  readonly random: number;
  readonly config: BgpSessionConfig;
}

/** A step under way. */
export interface Turn {
  readonly state: BgpSessionState;
  readonly actions: readonly BgpSessionAction[];
}

/** Stopped, nothing known. */
export function bgpSessionStart(): BgpSessionState {
  return { started: false, restarting: false, connections: [], retryAt: undefined, failures: 0, nextId: 1, routes: new Map(), lastEnd: undefined };
}

/** The state as RFC 4271 8.2.2 names it: of the connection that has come farthest. */
export function bgpStateName(state: BgpSessionState): "Idle" | "Active" | ConnectionPhase {
  const order: readonly ConnectionPhase[] = ["Established", "OpenConfirm", "OpenSent", "Connect"];
  const farthest = order.find((phase) => state.connections.some((connection) => connection.phase === phase));
  return farthest ?? (state.started ? "Active" : "Idle");
}

/** The connection of the session that is up. */
export function establishedOf(state: BgpSessionState): Connection | undefined {
  return state.connections.find(({ phase }) => phase === "Established");
}
