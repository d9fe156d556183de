import type { VipMode } from "../../src/core/mode.js";
import { routeKey, type Route, type RouteKey } from "../../src/core/model.js";
import type { BgpPeer } from "../../src/lib/bgp-peer.js";
import { familyOf, type Family, type IpAddress } from "../../src/lib/ip.js";
import { createBgpMode, type BgpMode, type BgpModeConfig } from "../../src/modes/bgp.js";
import type { NodeAddress } from "../../src/modes/bgp-report.js";
import type { LinkState } from "../../src/modes/router-link.js";
import type { Bfd, BfdReport, BfdTarget } from "../../src/ports/bfd.js";
import type { TcpTable } from "../../src/ports/tcp-table.js";
import type { PathAttributes } from "../../src/wire/bgp/attribute.js";
import type { Capability } from "../../src/wire/bgp/capability.js";
import { decodeMessage, encodeMessage, type BgpMessage } from "../../src/wire/bgp/message.js";
import { prefixText } from "../../src/wire/bgp/prefix.js";
import { splitStream } from "../../src/wire/bgp/stream.js";
import { endOfRib } from "../../src/wire/bgp/update.js";
import { bgpPeer } from "../core/bgp-given.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeFence } from "../fakes/fence.js";
import { FakeLog } from "../fakes/log.js";
import { FakeNet, type FakeConnection } from "../fakes/net.js";
import { FakeRouterLinks } from "../fakes/router-links.js";
import type { Bench } from "./conformance.js";

export const NODE4 = "10.0.0.11" as IpAddress;
export const NODE6 = "fd00::11" as IpAddress;
export const ROUTER4 = "10.0.0.1" as IpAddress;
export const ROUTER6 = "fd00::1" as IpAddress;

const LOCAL_AS = 64_500;

const NODE_ADDRESSES: readonly NodeAddress[] = [
  { address: NODE4, prefix: 24, iface: "eth0" },
  { address: NODE6, prefix: 64, iface: "eth0" },
];

/** An external peer on the link of this node. */
export function peer(given: Partial<BgpPeer> = {}): BgpPeer {
  return bgpPeer({ name: "router", address: ROUTER4, localAs: LOCAL_AS, peerAs: 64_501, families: [4, 6], holdSeconds: 90, ...given });
}

/** `192.0.2.N/32`, or `2001:db8::N/128`. */
export function route(n: number, given: Partial<Route> & { readonly family?: Family } = {}): Route {
  const { family = 4, ...rest } = given;
  const address = (family === 4 ? `192.0.2.${n}` : `2001:db8::${n}`) as IpAddress;
  const length = family === 4 ? 32 : 128;
  return { key: routeKey(address, length), owners: [], address, length, policy: {}, ...rest };
}

export interface RouterOptions {
  readonly as?: number;
  readonly routerId?: string;
  readonly capabilities?: readonly Capability[];
  readonly local?: IpAddress;
}

/** The far end of a session: answers the OPEN, and keeps what it is told. */
export class Router {
  readonly rib = new Map<string, PathAttributes>();
  readonly messages: BgpMessage[] = [];
  #pending = new Uint8Array();

  constructor(
    readonly connection: FakeConnection,
    private readonly options: RouterOptions = {},
  ) {
    connection.heard = (octets) => this.#hear(octets);
    for (const octets of connection.sent) this.#hear(octets);
  }

  get updates(): number {
    return this.messages.filter((message) => message.type === "update" && endOfRib(message.update) === undefined).length;
  }

  get endsOfRib(): readonly Family[] {
    return this.messages.flatMap((message) => (message.type === "update" ? [endOfRib(message.update)] : [])).filter((family) => family !== undefined);
  }

  /** `code/subcode` of the NOTIFICATION that ended it. */
  get notification(): string | undefined {
    const last = this.messages.find((message) => message.type === "notification");
    return last?.type === "notification" ? `${last.notification.code}/${last.notification.subcode}` : undefined;
  }

  nextHop(key: string): string | undefined {
    const attributes = this.rib.get(key);
    return attributes?.reach?.nextHop ?? attributes?.nextHop;
  }

  say(message: BgpMessage): void {
    this.connection.arrive(encodeMessage(message, CONTEXT));
  }

  #hear(octets: Uint8Array): void {
    const { messages, pending } = splitStream(this.#pending, octets, 65_535);
    this.#pending = Uint8Array.from(pending);
    for (const message of messages) this.#take(decodeMessage(message, { ...CONTEXT, internal: this.options.as === LOCAL_AS }));
  }

  #take(message: BgpMessage): void {
    this.messages.push(message);
    const { as = 64_501, routerId = "10.0.0.1", capabilities = CAPABILITIES } = this.options;
    if (message.type === "open") {
      this.say({ type: "open", open: { as: Math.min(as, 65_535), holdSeconds: 90, routerId: routerId as IpAddress, capabilities: [...capabilities, { kind: "fourOctetAs", as }] } });
      this.say({ type: "keepalive" });
    }
    if (message.type !== "update") return;
    const { attributes, nlri, withdrawn } = message.update;
    for (const prefix of [...withdrawn, ...(attributes.unreach?.prefixes ?? [])]) this.rib.delete(prefixText(prefix));
    for (const prefix of [...nlri, ...(attributes.reach?.prefixes ?? [])]) this.rib.set(prefixText(prefix), attributes);
  }
}

const CONTEXT = { asSize: 4, internal: false, addPath: [] } as const;
export const CAPABILITIES: readonly Capability[] = [
  { kind: "multiprotocol", afi: 1, safi: 1 },
  { kind: "multiprotocol", afi: 2, safi: 1 },
  { kind: "routeRefresh" },
];

/** BFD in memory: the test says what it sees. */
export class FakeBfd implements Bfd {
  readonly open_ = new Map<string, { readonly target: BfdTarget; readonly changed: (report: BfdReport) => void }>();
  readonly timings: number[] = [];
  #report: BfdReport = { state: "Down", since: 0, diagnostic: "", remoteDiagnostic: "", remoteState: undefined, detectMs: undefined, transmitMs: undefined, problem: undefined, counters: { sent: 0, received: 0, discarded: 0, notSent: 0, ups: 0, downs: 0 } };

  open: Bfd["open"] = (target, timing, changed) => {
    if (this.open_.has(target.address)) throw new RangeError(`a session to ${target.address} exists`);
    this.open_.set(target.address, { target, changed });
    this.timings.push(timing.receiveMs);
    return { report: () => this.#report, setTiming: ({ receiveMs }) => void this.timings.push(receiveMs), [Symbol.dispose]: () => void this.open_.delete(target.address) };
  };

  see(address: IpAddress, report: Partial<BfdReport>): void {
    this.#report = { ...this.#report, ...report };
    this.open_.get(address)?.changed(this.#report);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** The mode between a fake network and routers that answer its dials. */
export class BgpBench implements Bench<"bgp"> {
  readonly leavesNothing = true;
  readonly clock = new FakeClock();
  readonly net = new FakeNet();
  readonly routerLinks = new FakeRouterLinks();
  readonly links = new Map<string, LinkState>();
  readonly log = new FakeLog();
  readonly fence = new FakeFence(this.clock);
  readonly bfd = new FakeBfd();
  /** Processes of this node that have a session with a router, by its address; and how often was asked. */
  readonly rivals = new Map<string, string | undefined>();
  asked = 0;
  readonly routers = new Map<string, Router>();
  readonly silent = new Set<string>();
  /** How routers behave, by their address. */
  readonly behaviour = new Map<string, RouterOptions>();
  addresses = NODE_ADDRESSES;
  changes = 0;
  readonly mode: BgpMode;

  constructor(config: Partial<BgpModeConfig> = {}) {
    this.net.dialled = (connection) => this.#answer(connection);
    this.mode = this.make(config);
  }

  make(config: Partial<BgpModeConfig> = {}): BgpMode {
    const { clock, net, routerLinks, log, fence, bfd } = this;
    const tcpTable: TcpTable = {
      others: async ({ address, port }) => {
        this.asked += 1;
        const end = { address, port };
        return this.rivals.has(address) ? [{ local: end, remote: end, process: this.rivals.get(address) }] : [];
      },
    };
    const deps = { clock, net, routerLinks, link: (name: string) => this.links.get(name), log, fence, bfd, tcpTable, random: { float: () => 0.5 }, nodeAddresses: () => this.addresses, changed: () => void (this.changes += 1) };
    return createBgpMode({ listenPort: 179, listen: false, gracefulShutdownMs: 500, ...config }, deps);
  }

  reborn(): VipMode<"bgp"> {
    return this.make();
  }

  want(n: number): Route {
    return route(n);
  }

  /** Prefixes that the router has. */
  async there(): Promise<readonly RouteKey[]> {
    if (this.routers.size === 0) this.mode.setPeers([peer()]);
    await this.clock.advance(10);
    return [...this.router().rib.keys()] as RouteKey[];
  }

  router(address: string = ROUTER4): Router {
    const router = this.routers.get(address);
    if (router === undefined) throw new Error(`nobody has dialled ${address}`);
    return router;
  }

  /** Sets peers, and waits until what can come up is up. */
  async peers(...peers: readonly BgpPeer[]): Promise<void> {
    this.mode.setPeers(peers);
    await this.clock.advance(10);
  }

  async up(...routes: readonly Route[]): Promise<void> {
    await Promise.all(routes.map(async (one) => this.mode.up(one, new AbortController().signal)));
    await this.clock.advance(2);
  }

  open(): number {
    return this.net.open + this.routerLinks.places.length + this.clock.pending + this.fence.listeners;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mode[Symbol.asyncDispose]();
  }

  #answer(connection: FakeConnection): void {
    const { address } = connection.remote;
    if (this.silent.has(address)) return;
    const behaviour = this.behaviour.get(address) ?? {};
    this.routers.set(address, new Router(connection, behaviour));
    const local = behaviour.local ?? (familyOf(address) === 4 ? NODE4 : NODE6);
    connection.connect({ address: local, port: 40_000 + this.net.dials.length });
  }
}
