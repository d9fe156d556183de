import type { DownReason, Fence, Held, VipMode } from "../core/mode.js";
import type { Route, RouteKey } from "../core/model.js";
import type { BgpPeer } from "../lib/bgp-peer.js";
import type { Bfd } from "../ports/bfd.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { Net } from "../ports/net.js";
import type { Random } from "../ports/random.js";
import type { RouterLinks } from "../ports/router-links.js";
import type { TcpTable } from "../ports/tcp-table.js";
import { CEASE_ADMIN_SHUTDOWN, CEASE_CONFIG_CHANGE, CEASE_DECONFIGURED } from "../wire/bgp/codes.js";
import { Listening } from "./bgp-listening.js";
import { callingNeighbour, endNeighbour, openNeighbour, type Neighbour, type NeighbourDeps } from "./bgp-neighbour.js";
import type { PeeringPast } from "./bgp-peering.js";
import type { BgpPeerReport, BgpSentRoute, NodeAddress } from "./bgp-report.js";
import { Rib } from "./bgp-rib.js";
import { rivalText } from "./bgp-rival.js";
import { sameSession } from "./bgp-session-options.js";
import { Unnumbered } from "./bgp-unnumbered.js";
import type { LinkState } from "./router-link.js";

export interface BgpModeConfig {
  /** Where peers may dial, usually 179. */
  readonly listenPort: number;
  /** Listen although no peer is passive. Without a passive peer nothing listens: another BGP speaker of the node may own the port. */
  readonly listen: boolean;
  /** For how long routes carry GRACEFUL_SHUTDOWN (RFC 8326) before they are withdrawn by `drain`, ms; 0: not at all. */
  readonly gracefulShutdownMs: number;
}

export interface BgpModeDeps {
  readonly net: Net;
  /** Where unnumbered peers are looked for. */
  readonly routerLinks: RouterLinks;
  /** Undefined: peers are not watched. */
  readonly bfd: Bfd | undefined;
  /** Undefined: nobody looks who else has a session with a peer. */
  readonly tcpTable: TcpTable | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  /** For routes with an ownership. */
  readonly fence: Fence;
  /** For next hops, and the first IPv4 one as router ID of peers without one. Looked at when a session comes up, and at `addressesChanged`. */
  nodeAddresses(): readonly NodeAddress[];
  /** For unnumbered peers; undefined where there is no such link. Looked at again at `linksChanged`. */
  link(name: string): LinkState | undefined;
  /** A report has changed. */
  changed(): void;
}

/** BGP mode: announces prefixes to peers. Nothing of it is left in the kernel, so `held` is empty. */
export interface BgpMode extends VipMode<"bgp"> {
  /** Exactly these from now on. A peer that is as before is left alone. */
  setPeers(peers: readonly BgpPeer[]): void;
  /** In the order of `setPeers`. */
  reports(): readonly BgpPeerReport[];
  /** What a peer has of us; empty for one that is not known. */
  routes(peer: string): readonly BgpSentRoute[];
  /** `up` has been called for all routes that were wanted at start. Until then, or for 30 s, peers with graceful restart are told nothing. */
  complete(): void;
  /** `nodeAddresses` may answer differently: next hops are chosen anew. */
  addressesChanged(): void;
  /** `link` may answer differently. */
  linksChanged(): void;
  /**
   * A clean stop, bounded in time: GRACEFUL_SHUTDOWN, then all is withdrawn, then every session ends with Cease/Administrative Shutdown. `restarting`: another
   * process follows at once, so peers with graceful restart, unless BFD watches them, keep what no Lease stands behind, and hear no Cease. Resolves with
   * for how long they do, ms; 0: none does. Without it, disposing leaves all routes of peers with graceful restart to the process that follows.
   */
  drain(next: "ending" | "restarting"): Promise<number>;
}

/** Nothing is sent at once, so that what comes in one turn goes out in one UPDATE, ms. */
const COALESCE_MS = 1;
/** How long routes may take to be complete (RFC 4724 4.1: Selection_Deferral_Timer), ms. */
const COMPLETE_MS = 30_000;
/** How long withdrawals may take to be with the kernel, ms. */
const WITHDRAW_MS = 1000;
const WITHDRAW_POLL_MS = 10;

/** Nothing is dialled before `setPeers`. */
export function createBgpMode(config: BgpModeConfig, deps: BgpModeDeps): BgpMode {
  return new BgpSpeaker(config, deps);
}

class BgpSpeaker implements BgpMode {
  readonly name = "bgp";
  readonly #config: BgpModeConfig;
  readonly #deps: BgpModeDeps;
  readonly #listening: Listening;
  readonly #unnumbered: Unnumbered;
  readonly #routes = new Map<RouteKey, Route>();
  readonly #endFence: () => void;
  /** As they were set, by name. */
  #asked: ReadonlyMap<string, BgpPeer> = new Map();
  #neighbours: ReadonlyMap<string, Neighbour> = new Map();
  #rib = new Rib([]);
  #soon: Timer | undefined;
  #fenceEnd: Timer | undefined;
  #deferral: Timer | undefined;
  #complete = false;
  #leaving: "no" | "shown" | "gone" = "no";
  /** Peers that keep routes over a restart, and what these are. */
  #keeping: ReadonlySet<string> = new Set();
  #kept = new Rib([]);
  #drained: Promise<number> | undefined;
  #closed: Promise<void> | undefined;

  constructor(config: BgpModeConfig, deps: BgpModeDeps) {
    this.#config = config;
    this.#deps = deps;
    const { net, clock, log } = deps;
    this.#listening = new Listening(config.listenPort, { net, clock, log, accepted: (connection) => callingNeighbour(this.#neighbours.values(), connection.caller)?.peering.accept(connection), changed: () => deps.changed() });
    this.#unnumbered = new Unnumbered({ ...deps, link: (name) => deps.link(name), found: () => this.#applyPeers(), changed: () => deps.changed() });
    this.#endFence = deps.fence.onMoved(() => {
      if ([...this.#routes.values()].some(({ ownership }) => ownership !== undefined)) this.#schedule();
    });
  }

  async up(route: Route, signal: AbortSignal): Promise<void> {
    await Promise.resolve();
    signal.throwIfAborted();
    if (this.#closed !== undefined) return;
    this.#routes.set(route.key, route);
    this.#schedule();
  }

  async down(key: RouteKey, _reason: DownReason, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#routes.delete(key)) this.#schedule();
  }

  async held(signal: AbortSignal): Promise<readonly Held<"bgp">[]> {
    signal.throwIfAborted();
    return [];
  }

  setPeers(peers: readonly BgpPeer[]): void {
    if (this.#closed !== undefined || this.#drained !== undefined) return;
    const asked = new Map<string, BgpPeer>();
    for (const peer of peers) if (!asked.has(peer.name)) asked.set(peer.name, peer);
    this.#asked = asked;
    this.#unnumbered.set(peers);
    this.#applyPeers();
  }

  reports(): readonly BgpPeerReport[] {
    return [...this.#neighbours.values()].map(({ peering, watch, rival: { process: rival } }) => {
      const report = peering.report();
      const discovery = this.#discovery(peering.peer);
      const problems = [report.problem, discovery?.problem, rival === undefined ? undefined : rivalText(rival), peering.peer.passive ? this.#listening.problem(peering.peer) : undefined, watch.problem].filter((one) => one !== undefined);
      return { ...report, bfd: watch.report, discovery, rival, problem: problems.length === 0 ? undefined : problems.join("; ") };
    });
  }

  routes(peer: string): readonly BgpSentRoute[] {
    return this.#neighbours.get(peer)?.peering.routes() ?? [];
  }

  complete(): void {
    if (this.#complete) return;
    this.#complete = true;
    this.#deferral?.cancel();
    this.#schedule();
  }

  addressesChanged(): void {
    if (this.#closed !== undefined || this.#drained !== undefined) return;
    for (const { peering } of this.#neighbours.values()) peering.start(!this.#complete);
    this.#schedule();
  }

  linksChanged(): void {
    this.#unnumbered.linksChanged();
  }

  async drain(next: "ending" | "restarting"): Promise<number> {
    return await (this.#drained ??= this.#drain(next));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#closed ??= this.#close());
  }

  /** Sessions with the peers that were set, as far as their addresses are known. */
  #applyPeers(): void {
    if (this.#closed !== undefined || this.#drained !== undefined) return;
    const peers = [...this.#asked.values()].map((peer) => this.#unnumbered.resolved(peer));
    const before = this.#neighbours;
    const next = new Map(peers.map((peer) => [peer.name, this.#keep(peer, before.get(peer.name))]));
    for (const [name, neighbour] of before) if (!next.has(name)) endNeighbour(neighbour, { subcode: CEASE_DECONFIGURED });
    this.#neighbours = next;
    // Keys of passive peers must be there before these dial again.
    this.#listening.set(peers, this.#config.listen || peers.some(({ passive }) => passive));
    for (const { peering, watch } of next.values()) {
      peering.start(!this.#complete);
      watch.set(peering.peer);
    }
    if (!this.#complete && peers.some(({ gracefulRestartSeconds }) => gracefulRestartSeconds !== undefined)) {
      this.#deferral ??= this.#deps.clock.after(COMPLETE_MS, () => this.complete());
    }
    this.#deps.changed();
  }

  /** The neighbour that is there, where it fits; one with a new session otherwise. */
  #keep(peer: BgpPeer, known: Neighbour | undefined): Neighbour {
    if (known !== undefined && sameSession(known.peering.peer, peer)) {
      known.peering.revise(peer);
      return known;
    }
    if (known !== undefined) endNeighbour(known, { subcode: CEASE_CONFIG_CHANGE });
    // A router with another address is the same peer, and what has become of its sessions is still to be told.
    const moved = known !== undefined && sameSession({ ...known.peering.peer, address: peer.address }, peer) && this.#discovery(peer) !== undefined;
    return this.#open(peer, moved ? known.peering.report() : undefined);
  }

  #discovery({ name }: BgpPeer): BgpPeerReport["discovery"] {
    const asked = this.#asked.get(name);
    return asked === undefined ? undefined : this.#unnumbered.report(asked);
  }

  #open(peer: BgpPeer, past: PeeringPast | undefined): Neighbour {
    const deps: NeighbourDeps = {
      ...this.#deps,
      nodeAddresses: () => this.#deps.nodeAddresses(),
      rib: (of) => this.#ribFor(of),
      leaving: ({ name }) => (this.#leaving !== "shown" ? "none" : this.#keeping.has(name) ? "owned" : "all"),
      moved: () => this.#tellDiscovery(peer),
      changed: () => this.#deps.changed(),
    };
    return openNeighbour(peer, deps, past);
  }

  /** Whether a router that was found is one with which there is a session. */
  #tellDiscovery({ iface, name }: BgpPeer): void {
    if (iface === undefined || this.#asked.get(name)?.address !== undefined) return;
    const up = [...this.#neighbours.values()].some(({ peering }) => peering.peer.iface === iface && peering.established);
    this.#unnumbered.session(iface, up);
  }

  #schedule(): void {
    if (this.#closed !== undefined) return;
    this.#soon ??= this.#deps.clock.after(COALESCE_MS, () => this.#announce());
  }

  /** Tells all peers what there is now. */
  #announce(): void {
    this.#soon?.cancel();
    this.#soon = undefined;
    const { clock, fence } = this.#deps;
    const now = clock.now();
    const routes: Route[] = [];
    let next = Infinity;
    for (const route of this.#routes.values()) {
      const until = route.ownership === undefined ? Infinity : fence.heldUntil(route.ownership);
      if (until <= now) continue;
      routes.push(route);
      next = Math.min(next, until);
    }
    this.#rib = new Rib(this.#leaving === "gone" ? [] : routes);
    this.#kept = new Rib(this.#leaving === "gone" ? routes.filter(({ ownership }) => ownership === undefined) : []);
    // A process that cannot renew what it owns falls silent by itself.
    this.#fenceEnd?.cancel();
    this.#fenceEnd = next === Infinity ? undefined : clock.after(next - now, () => this.#announce());
    for (const { peering } of this.#neighbours.values()) peering.announce();
  }

  #ribFor({ name, gracefulRestartSeconds }: BgpPeer): Rib | undefined {
    if (gracefulRestartSeconds !== undefined && !this.#complete) return undefined;
    return this.#leaving === "gone" && this.#keeping.has(name) ? this.#kept : this.#rib;
  }

  async #drain(next: "ending" | "restarting"): Promise<number> {
    const all = [...this.#neighbours.values()];
    const keeping = next === "ending" ? [] : all.filter(({ peering }) => peering.keepsRoutes).map(({ peering: { peer } }) => peer);
    this.#keeping = new Set(keeping.map(({ name }) => name));
    if (all.some((one) => this.#goes(one)) && this.#config.gracefulShutdownMs > 0) {
      this.#leaving = "shown";
      this.#announce();
      await this.#wait(this.#config.gracefulShutdownMs);
    }
    this.#leaving = "gone";
    this.#announce();
    const until = this.#deps.clock.now() + WITHDRAW_MS;
    while (this.#deps.clock.now() < until && !all.every(({ peering }) => peering.flushed)) await this.#wait(WITHDRAW_POLL_MS);
    for (const one of all) endNeighbour(one, this.#keeping.has(one.peering.peer.name) ? "abandon" : { subcode: CEASE_ADMIN_SHUTDOWN });
    this.#deps.changed();
    const seconds = Math.max(0, ...keeping.map(({ gracefulRestartSeconds = 0 }) => gracefulRestartSeconds));
    if (seconds > 0) this.#deps.log.info("routes left for the process that follows", { peers: [...this.#keeping], seconds });
    return seconds * 1000;
  }

  /** Whether something is to be withdrawn from this peer. */
  #goes({ peering }: Neighbour): boolean {
    const has = peering.routes();
    return this.#keeping.has(peering.peer.name) ? has.some(({ key }) => this.#routes.get(key)?.ownership !== undefined) : has.length > 0;
  }

  async #wait(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#deps.clock.after(ms, resolve));
  }

  async #close(): Promise<void> {
    this.#endFence();
    for (const timer of [this.#soon, this.#fenceEnd, this.#deferral]) timer?.cancel();
    for (const neighbour of this.#neighbours.values()) {
      const { peer } = neighbour.peering;
      endNeighbour(neighbour, peer.gracefulRestartSeconds === undefined || this.#drained !== undefined ? { subcode: CEASE_ADMIN_SHUTDOWN } : "abandon");
    }
    await Promise.all([this.#listening[Symbol.asyncDispose](), this.#unnumbered[Symbol.asyncDispose]()]);
  }
}
