import type { Clock } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import type { DownReason, ModeReport, VipMode } from "./mode.js";
import { ModeSync } from "./mode-sync.js";
import { vipOfMapping, type LeaseKey, type LeaseSeen, type MappingKey, type MappingView, type VipKey } from "./model.js";
import type { Plan } from "./plan-model.js";
import { sameDnat, sameLease, sameLink, sameMapping, sameRoute, sameVip } from "./same-wants.js";
import type { World } from "./world.js";

/** The modes of this process. */
export interface Modes {
  arp(report: (key: VipKey, what: ModeReport) => void): VipMode<"arp">;
  link(): VipMode<"link">;
  /** `report`: how far a lease is; undefined: it is asked for no more. */
  dhcp(report: (key: LeaseKey, seen: LeaseSeen | undefined) => void): VipMode<"dhcp">;
  dnat(): VipMode<"dnat">;
  /** Undefined where nothing is announced by BGP. */
  readonly bgp?: VipMode<"bgp"> | undefined;
  /** Absent where no ports are opened. */
  upnp?(report: (key: MappingKey, view: MappingView | undefined) => void): VipMode<"upnp">;
}

export interface ModeSyncsDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly modes: Modes;
  /** Some observation changed. */
  changed(): void;
  vipReported(key: VipKey, what: ModeReport): void;
  vipFailed(error: unknown): void;
  leaseSeen(key: LeaseKey, seen: LeaseSeen | undefined): void;
  mapped(key: MappingKey, view: MappingView | undefined): void;
  /** A VIP that is no longer wanted is about to go: why. */
  letGo(key: VipKey): DownReason;
  /** Why the ports of a VIP that is no longer wanted are. */
  whyGone(key: VipKey): DownReason;
  /** Whether some Service still asks for the lease. */
  isAskedFor(key: LeaseKey): boolean;
}

/** `nft flush ruleset` takes everybody's rules, and the kernel tells nobody who has not asked to hear of every rule of the host. */
const DNAT_LOOK_MS = 5000;

/** Every mode, moved towards what is wanted of it, in an order that lets one stand on another. */
export class ModeSyncs implements AsyncDisposable {
  readonly vips: ModeSync<"arp">;
  readonly links: ModeSync<"link">;
  readonly #leases: ModeSync<"dhcp">;
  readonly #dnat: ModeSync<"dnat">;
  readonly #routes: ModeSync<"bgp"> | undefined;
  readonly #upnp: ModeSync<"upnp"> | undefined;

  constructor(deps: ModeSyncsDeps) {
    const { modes, clock, log, random } = deps;
    const shared = { clock, log, random, changed: () => deps.changed() };
    this.vips = new ModeSync(
      modes.arp((key, what) => deps.vipReported(key, what)),
      { noun: "vip", concurrency: Infinity, same: sameVip },
      { ...shared, failed: (_key, error) => deps.vipFailed(error), reason: (key) => deps.letGo(key), before: async (key, reason) => this.#closePorts(key, reason) },
    );
    // Those that begin together share a list of all links; so many are one write, behind which others wait some 100 ms at the most.
    // What is given back to its server is told by a link that may go with it.
    this.links = new ModeSync(modes.link(), { noun: "link", concurrency: 32, same: sameLink }, { ...shared, before: async () => this.#leases.settle() });
    this.#leases = new ModeSync(
      modes.dhcp((key, seen) => deps.leaseSeen(key, seen)),
      { noun: "lease", concurrency: Infinity, same: sameLease },
      // Another node goes on with what a Service still asks for; only what nobody wants is given back.
      { ...shared, reason: (key) => (deps.isAskedFor(key) ? "notOwner" : "unwanted") },
    );
    this.#dnat = new ModeSync(modes.dnat(), { noun: "dnat", concurrency: 8, same: sameDnat, lookMs: DNAT_LOOK_MS }, shared);
    this.#routes = modes.bgp === undefined ? undefined : new ModeSync(modes.bgp, { noun: "route", concurrency: Infinity, same: sameRoute }, shared);
    const upnp = modes.upnp?.((key, view) => deps.mapped(key, view));
    this.#upnp = upnp && new ModeSync(
      upnp,
      { noun: "port", concurrency: Infinity, same: sameMapping },
      { ...shared, reason: (key) => deps.whyGone(vipOfMapping(key)) },
    );
  }

  /** What each mode has made of what was wanted of it. */
  observed(): Pick<World, "observed" | "observedLinks" | "observedDnat" | "observedRoutes"> {
    return {
      observed: this.vips.observed(),
      observedLinks: this.links.observed(),
      observedDnat: this.#dnat.observed(),
      observedRoutes: this.#routes?.observed() ?? NO_ROUTES,
    };
  }

  /** Exactly these from now on. */
  set(wants: Plan["wants"]): void {
    // Before the links: these wait for what is given back.
    this.#leases.set(wants.dhcp);
    this.links.set(wants.link);
    this.#dnat.set(wants.dnat);
    this.#routes?.set(wants.bgp);
    // Before the addresses: ports are closed from the address that they lead to.
    this.#upnp?.set(wants.upnp);
    this.vips.set(wants.arp);
  }

  /** What an earlier life of this program left in the kernel goes; once. */
  sweep(): void {
    for (const mode of [this.vips, this.#dnat, this.links]) mode.sweep();
  }

  /** Waits until everything is as wanted, or has failed. */
  async settle(): Promise<void> {
    await this.vips.settle();
    await Promise.all([this.#leases.settle(), this.#dnat.settle(), this.links.settle(), this.#routes?.settle(), this.#upnp?.settle()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const mode of [this.#upnp, this.#routes, this.vips, this.#leases, this.#dnat, this.links]) await mode?.[Symbol.asyncDispose]();
  }

  /** Those of this address only: another one may wait for a router that hangs. An address that somebody else owns now goes at once. */
  async #closePorts(vip: VipKey, reason: DownReason): Promise<void> {
    if (reason === "unwanted") await this.#upnp?.rested((key) => vipOfMapping(key) === vip);
  }
}

const NO_ROUTES: World["observedRoutes"] = new Map();
