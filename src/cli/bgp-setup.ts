import type { Settings } from "../config/settings.js";
import { bgpPeers, type BgpPeerFacts } from "../core/bgp-peers.js";
import type { Pass } from "../core/engine.js";
import type { Fence } from "../core/mode.js";
import { isToReturn } from "../core/node-standing.js";
import type { World } from "../core/world.js";
import { Cleanup } from "../lib/cleanup.js";
import { messageOf } from "../lib/errors.js";
import { createNative } from "../linux/native.js";
import { createRouterLinks } from "../linux/router-socket.js";
import { createTcpTable } from "../linux/tcp-table.js";
import { createNet } from "../linux/tcp.js";
import { createUdp } from "../linux/udp.js";
import type { AddressesOfRoutes } from "../modes/address.js";
import { isLinkLocal } from "../modes/bgp-next-hop.js";
import type { NodeAddress } from "../modes/bgp-report.js";
import type { BgpMode } from "../modes/bgp.js";
import { createBgpMode } from "../modes/index.js";
import type { LinkState } from "../modes/router-link.js";
import type { Clock } from "../ports/clock.js";
import type { Events } from "../ports/kube.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import { createBfd } from "./bfd.js";
import { SessionEvents } from "./bgp-events.js";

export interface BgpSetupDeps {
  readonly node: string;
  readonly fence: Fence;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly events: Events;
  /** As it is known now. */
  world(): World;
}

const SECOND_MS = 1000;
/** How long the kernel may take to set the lifetimes of all addresses, ms. */
const ADDRESSES_MS = 2000;

/** What peers are made of beside settings and links. */
export type PeerSources = Omit<BgpPeerFacts, "subnets">;

const NOTHING: PeerSources = { node: undefined, drafts: [], passwords: {}, password: undefined };

/** BGP of this process, where the settings want it: the mode, and its peers after what is known of them. */
export function createBgp(settings: Settings, deps: BgpSetupDeps): BgpSetup | undefined {
  return settings.bgp ? new BgpSetup(settings, deps) : undefined;
}

/** Tells the mode of everything that it depends on: peers, addresses of the node, when its routes are complete. Tells Kubernetes of sessions that are lost. */
export class BgpSetup implements AsyncDisposable {
  readonly mode: BgpMode;
  readonly #cleanup = new Cleanup();
  readonly #events: SessionEvents;
  #sources = NOTHING;
  #problems: readonly string[] = [];

  constructor(
    private readonly settings: Settings,
    private readonly deps: BgpSetupDeps,
  ) {
    const { clock, log, random } = deps;
    const native = createNative();
    const net = this.#cleanup.use(createNet({ clock, log, native }));
    const bfd = this.#cleanup.use(createBfd({ clock, random, log, udp: createUdp({ native, log, random }) }));
    this.#events = new SessionEvents(deps);
    this.#cleanup.defer(() => this.#events.stop());
    const { bgpListenPort: listenPort, bgpListen: listen, bgpGracefulShutdownMs: gracefulShutdownMs } = settings;
    this.mode = createBgpMode(
      { listenPort, listen, gracefulShutdownMs },
      {
        net,
        routerLinks: createRouterLinks({ native, log }),
        bfd,
        tcpTable: createTcpTable({ native }),
        clock,
        log,
        random,
        fence: deps.fence,
        nodeAddresses: () => nodeAddresses(deps.world()),
        link: (name) => linkState(name, deps.world()),
        changed: () => this.#events.look(this.mode.reports()),
      },
    );
  }

  /** Something that peers are made of has changed. */
  learn(part: Partial<PeerSources>): void {
    this.#sources = { ...this.#sources, ...part };
    this.#setPeers(this.deps.world());
  }

  /** After each pass of the planning loop. */
  planned({ world, plan }: Pass, before: Pass | undefined): void {
    if (world.subnets !== before?.world.subnets) {
      this.#setPeers(world);
      if (before !== undefined) this.mode.addressesChanged();
    }
    if (before === undefined || (["subnets", "links", "badLinks"] as const).some((part) => world[part] !== before.world[part])) this.mode.linksChanged();
    const asWanted = [...plan.wants.bgp.keys()].every((key) => world.observedRoutes.get(key)?.state === "up") && [...plan.wants.arp.keys()].every((key) => world.observed.get(key)?.state !== "pending");
    if (plan.settled && asWanted) this.mode.complete();
  }

  /**
   * A clean stop (`BgpMode.drain`). Where routers keep routes for the process that follows, the kernel keeps the addresses for as long, and no longer: what is left of
   * this process is in the stage that is returned.
   */
  async leave(addresses: AddressesOfRoutes): Promise<"ending" | "restarting"> {
    const { clock, log } = this.deps;
    const keptMs = await this.mode.drain(isToReturn(this.deps.world()) ? "restarting" : "ending");
    if (keptMs === 0) return "ending";
    const late = new AbortController();
    const timer = clock.after(ADDRESSES_MS, () => late.abort(new Error(`not done within ${ADDRESSES_MS} ms`)));
    try {
      // Whole seconds, rounded down: not before the routes go.
      await addresses.endBy(clock.now() + keptMs + SECOND_MS, late.signal);
    } catch (error) {
      log.warn("addresses have no end of their own: they stay until a process follows, or vip cleanup", { error: messageOf(error) });
    }
    timer.cancel();
    return "restarting";
  }

  /** The mode is whose it was given to. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup[Symbol.asyncDispose]();
  }

  #setPeers({ subnets }: World): void {
    const { peers, problems } = bgpPeers(this.settings, { ...this.#sources, subnets });
    for (const problem of problems) if (!this.#problems.includes(problem)) this.deps.log.warn("BGP peer", { problem });
    this.#problems = problems;
    this.mode.setPeers(peers);
  }
}

/** Addresses of the node itself; loopback and VIPs are not among subnets. */
function nodeAddresses({ subnets }: World): readonly NodeAddress[] {
  return [...subnets].flatMap(([iface, all]) => all.map(({ address, prefix }) => ({ address, prefix, iface })));
}

/** The link of an unnumbered peer. One that blinks is not down. */
function linkState(name: string, { links, badLinks, subnets }: World): LinkState | undefined {
  const link = links.get(name);
  if (link === undefined) return undefined;
  const linkLocals = (subnets.get(name) ?? []).map(({ address }) => address).filter((address) => isLinkLocal(address));
  return { index: link.index, up: !badLinks.has(name), mac: link.mac, linkLocals };
}
