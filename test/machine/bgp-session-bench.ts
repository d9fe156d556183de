import type { Family, IpAddress } from "../../src/lib/ip.js";
import type { Capability } from "../../src/wire/bgp/capability.js";
import { notificationOf, type Notification } from "../../src/wire/bgp/error.js";
import { decodeMessage, encodeMessage, type BgpMessage } from "../../src/wire/bgp/message.js";
import { describeNotification } from "../../src/wire/bgp/notification.js";
import type { Route, RouteAttributes } from "../../src/wire/bgp/pack.js";
import { prefixText } from "../../src/wire/bgp/prefix.js";
import { splitStream } from "../../src/wire/bgp/stream.js";
import { endOfRib, routeChanges } from "../../src/wire/bgp/update.js";
import { bgpSessionStart, bgpStateName, type BgpSessionAction, type BgpSessionEvent, type BgpSessionState, type ConnectionId } from "../../src/machine/bgp-session-state.js";
import type { BgpSessionConfig, RouteMap } from "../../src/machine/bgp-session-config.js";
import { bgpSessionStep } from "../../src/machine/bgp-session.js";
import { toHex } from "../wire/hex.js";

export const CONTEXT = { asSize: 4, internal: false, addPath: [] } as const;

export const config: BgpSessionConfig = {
  localAs: 64_500,
  routerId: "10.0.0.1" as IpAddress,
  peerAs: 64_501,
  families: [4, 6],
  holdSeconds: 90,
  keepaliveSeconds: undefined,
  passive: false,
  connectTimeoutMs: 5000,
  retryFirstMs: 1000,
  retryMostMs: 16_000,
  requireFourOctetAs: false,
  extendedMessages: true,
  extendedNextHop: false,
  gracefulRestartSeconds: undefined,
};

export const FAMILIES: readonly Capability[] = [
  { kind: "multiprotocol", afi: 1, safi: 1 },
  { kind: "multiprotocol", afi: 2, safi: 1 },
];
export const PEER_CAPABILITIES: readonly Capability[] = [...FAMILIES, { kind: "routeRefresh" }, { kind: "fourOctetAs", as: 64_501 }];

/** The OPEN of the peer 10.0.0.2, AS 64501. */
export function peerOpen({ routerId = "10.0.0.2", as = 64_501, holdSeconds = 90, capabilities = PEER_CAPABILITIES }: { readonly routerId?: string; readonly as?: number; readonly holdSeconds?: number; readonly capabilities?: readonly Capability[] } = {}): BgpMessage {
  return { type: "open", open: { as, holdSeconds, routerId: routerId as IpAddress, capabilities } };
}

export const KEEPALIVE: BgpMessage = { type: "keepalive" };

export function notification(code: number, subcode: number): BgpMessage {
  return { type: "notification", notification: notificationOf(code, subcode) };
}

/** `count` host routes with one set of attributes. */
export function routeMap(count: number, extra: Partial<RouteAttributes> = {}): RouteMap {
  const attributes: RouteAttributes = { origin: "igp", asPath: [{ kind: "sequence", as: [64_500] }], nextHop: "10.0.0.1" as IpAddress, ...extra };
  const routes = Array.from({ length: count }, (_, n): Route => ({ prefix: { address: `192.0.${n >> 8}.${n & 255}` as IpAddress, length: 32 }, attributes }));
  return new Map(routes.map((route) => [prefixText(route.prefix), route]));
}

/** One message in short: `KEEPALIVE`, `NOTIFICATION 6/7`, `UPDATE +192.0.2.1/32 -192.0.2.2/32`, `EOR 4`, `REFRESH 4 begin`. */
export function brief(message: BgpMessage): string {
  switch (message.type) {
    case "open":
      return "OPEN";
    case "keepalive":
      return "KEEPALIVE";
    case "notification":
      return told(message.notification);
    case "refresh":
      return `REFRESH ${message.refresh.afi}/${message.refresh.subtype}`;
    case "update": {
      const family = endOfRib(message.update);
      if (family !== undefined) return `EOR ${family}`;
      const changes = routeChanges(message.update);
      return ["UPDATE", ...changes.flatMap((change) => change.withdrawn.map((prefix) => `-${prefixText(prefix)}`)), ...changes.flatMap((change) => change.announced.map((prefix) => `+${prefixText(prefix)}`))].join(" ");
    }
    default:
      throw new Error("no such message");
  }
}

function told({ code, subcode, data }: Notification): string {
  return `NOTIFICATION ${code}/${subcode} ${toHex(data)}`.trim();
}

/** An action in short, with its messages. */
export function briefAction(action: BgpSessionAction): readonly string[] {
  switch (action.type) {
    case "send":
      return splitStream(new Uint8Array(), action.octets, 65_535).messages.map((octets) => `${action.id} ${brief(decodeMessage(octets, CONTEXT))}`);
    case "dial":
    case "flush":
      return [`${action.id} ${action.type}`];
    case "close":
      return [`${action.id} close${action.graceful ? "" : " hard"}`];
    case "established":
      return [`${action.id} established`];
    case "ended":
      return [`ended by ${action.end.by}: ${action.end.notification === undefined ? action.end.reason : describeNotification(action.end.notification)}`];
    case "received":
      return [`received ${action.changes.map(({ family, announced, withdrawn }) => `${family} +${announced.length} -${withdrawn.length}`).join(", ")}`];
    case "tooLarge":
      return [`tooLarge ${action.family} ${action.count}`];
    default:
      throw new Error("no such action");
  }
}

type Input = BgpSessionEvent extends infer E ? (E extends BgpSessionEvent ? Omit<E, "random"> : never) : never;

/** A machine with its clock. Actions are written down in short, flushes are answered unless `slow`. */
export class Bench {
  state: BgpSessionState = bgpSessionStart();
  now = 0;
  wakeAt: number | undefined;
  random = 0;
  slow = false;
  readonly actions: BgpSessionAction[] = [];

  constructor(private readonly settings: BgpSessionConfig = config) {}

  get name(): string {
    return bgpStateName(this.state);
  }

  /** What the event led to, in short, without flushes. */
  send(event: Input): readonly string[] {
    const result = bgpSessionStep(this.state, { ...event, random: this.random }, this.now, this.settings);
    this.state = result.state;
    this.wakeAt = result.wakeAt;
    this.actions.push(...result.actions);
    const flushes = this.slow ? [] : result.actions.filter(({ type }) => type === "flush");
    const more = flushes.flatMap((action) => ("id" in action ? this.send({ type: "writable", id: action.id }) : []));
    return [...result.actions.filter(({ type }) => type !== "flush").flatMap((action) => briefAction(action)), ...more];
  }

  at(now: number, event: Input = { type: "tick" }): readonly string[] {
    this.now = now;
    return this.send(event);
  }

  /** To the time at which it wants to be called, and calls it. */
  wake(): readonly string[] {
    if (this.wakeAt === undefined) throw new Error("it does not want to be called");
    return this.at(this.wakeAt);
  }

  hear(id: ConnectionId, ...messages: readonly BgpMessage[]): readonly string[] {
    const octets = Uint8Array.from(messages.flatMap((message) => [...encodeMessage(message, CONTEXT)]));
    return this.send({ type: "data", id, octets });
  }

  routes(...families: readonly (readonly [Family, RouteMap])[]): readonly string[] {
    return this.send({ type: "routes", routes: new Map(families) });
  }

  /** Has dialled, and brought `out-1` into this state at time 0. */
  static in(phase: "Connect" | "OpenSent" | "OpenConfirm" | "Established", settings: BgpSessionConfig = config, open: BgpMessage = peerOpen()): Bench {
    const bench = new Bench(settings);
    bench.send({ type: "start", restarting: false });
    if (phase !== "Connect") bench.send({ type: "connected", id: "out-1" });
    if (phase === "OpenConfirm" || phase === "Established") bench.hear("out-1", open);
    if (phase === "Established") bench.hear("out-1", KEEPALIVE);
    if (bench.name !== phase) throw new Error(`${bench.name} instead of ${phase}`);
    return bench;
  }
}
