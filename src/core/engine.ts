import { assertNever } from "../lib/errors.js";
import type { Wish } from "../machine/claim-state.js";
import type { Stance } from "../machine/election-state.js";
import type { MemberTerms } from "../machine/member-state.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { KernelEvent, Link, LinkAddress, Route as KernelRoute } from "../ports/kernel.js";
import type { EndpointSlice, Events, Services } from "../ports/kube.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import { AddressesInUse } from "./addresses-in-use.js";
import { driftOf } from "./drift.js";
import { EndpointIndex } from "./endpoints.js";
import { KernelView } from "./kernel-view.js";
import { Leisure } from "./leisure.js";
import { Loop } from "./loop.js";
import { AddressInUse, type ModeReport } from "./mode.js";
import { ModeSyncs, type Modes } from "./mode-syncs.js";
import type { LeaseKey, LeaseSeen, MappingKey, MappingView, Marks, OwnershipKey, ServiceKey, Vip, VipKey } from "./model.js";
import { plan, type Plan, type PlanConfig } from "./plan.js";
import { PlanMemo } from "./plan-memo.js";
import type { SkipReason } from "./plan-service.js";
import { emptyWorld, type OwnershipState, type World } from "./world.js";
import { Writers } from "./writers.js";

export interface EngineConfig {
  readonly node: string;
  readonly plan: PlanConfig;
  readonly marks: Marks;
}

export interface Pass {
  readonly world: World;
  readonly plan: Plan;
}

export interface EngineDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly services: Pick<Services, "patchStatus" | "patchService">;
  readonly events: Events;
  readonly ownership: {
    states(): ReadonlyMap<OwnershipKey, OwnershipState>;
    campaign(stances: ReadonlyMap<OwnershipKey, Stance>, wishes?: ReadonlyMap<OwnershipKey, Wish>, terms?: MemberTerms): void;
  };
  readonly modes: Modes;
  /** Called after every pass with what it knew and decided, and with what the one before it did. */
  planned(after: Pass, before: Pass | undefined): void;
  /** Called at the end of every pass with how long it took. */
  passed?(ms: number): void;
}

const COALESCE_MS = 2;
/** A link without carrier for so long makes this node ineligible for what stands on it. */
const BAD_LINK_MS = 200;
/** Long enough for the next event to have come and to have been planned with. */
const SECONDARY_MS = 20;

/** World in, plan out, every mode moved towards it. The one owner of the world; events only replace a part of it and wake the loop. */
export class Engine implements AsyncDisposable {
  #world: World;
  #newest: Pass | undefined;
  readonly #memo = new PlanMemo();
  readonly #suspended = new Set<VipKey>();
  readonly #inUse: AddressesInUse;
  readonly #later = new Map<VipKey, Timer>();
  readonly #loop: Loop;
  readonly #kernel: KernelView;
  readonly #endpoints: EndpointIndex;
  readonly #endpointsLoop: Loop;
  #slices: ReadonlyMap<string, EndpointSlice> = new Map();
  readonly #modes: ModeSyncs;
  readonly #writers: Writers;
  /** Behind which fence a VIP stood when it was last wanted. */
  #fences: ReadonlyMap<VipKey, OwnershipKey> = new Map();

  constructor(
    private readonly config: EngineConfig,
    private readonly deps: EngineDeps,
  ) {
    const { clock } = deps;
    this.#world = emptyWorld(config.node);
    this.#inUse = new AddressesInUse(clock, (inUse) => this.learn({ inUse }));
    this.#kernel = new KernelView(
      { marks: config.marks, controlPlane: config.plan.controlPlane.length > 0, badAfterMs: BAD_LINK_MS },
      { clock, learn: (part) => this.learn(part), returned: (link) => this.#refreshWhere((vip) => vip.iface === link) },
    );
    const leisure = new Leisure(clock);
    this.#loop = new Loop({ coalesceMs: COALESCE_MS }, { clock, pass: () => this.#pass(), late: (ms) => leisure.seen(ms) });
    this.#endpoints = new EndpointIndex(config.node);
    this.#endpointsLoop = new Loop({ coalesceMs: COALESCE_MS }, { clock, pass: () => this.#learnEndpoints() });
    this.#modes = new ModeSyncs({
      ...deps,
      changed: () => this.#loop.wake(),
      vipReported: (key, what) => this.#reported(key, what),
      vipFailed: (error) => this.#failed(error),
      leaseSeen: (key, seen) => this.#leaseSeen(key, seen),
      mapped: (key, view) => this.#mapped(key, view),
      letGo: (key) => this.#letGo(key),
      whyGone: (key) => this.#whyGone(key),
      isAskedFor: (key) => this.#plan?.asks.has(key) === true,
    });
    this.#writers = new Writers({ ...deps, leisure, learn: (part) => this.learn(part) });
  }

  /** Rejects when a pass throws: a bug, after which nothing can be trusted. */
  get failed(): Promise<never> {
    return Promise.race([this.#loop.failed, this.#endpointsLoop.failed]);
  }

  get world(): World {
    return this.#world;
  }

  /** World and plan of the newest pass; undefined before the first. */
  get newest(): Pass | undefined {
    return this.#newest;
  }

  get #plan(): Plan | undefined {
    return this.#newest?.plan;
  }

  wake(): void {
    this.#loop.wake();
  }

  /** Who owns what has changed. */
  ownershipChanged(): void {
    this.#loop.wakeSoon();
  }

  /** Something was learned. */
  learn(part: Partial<World>): void {
    this.#world = { ...this.#world, ...part };
    if (part.services !== undefined) this.#inUse.told(part.services.values());
    this.#loop.wake();
  }

  /** All EndpointSlices as they are now. */
  learnSlices(slices: ReadonlyMap<string, EndpointSlice>): void {
    this.#slices = slices;
    this.#endpointsLoop.wake();
  }

  /** A kernel event; only one that shows a difference leads to anything. */
  kernelEvent(event: KernelEvent): void {
    const wants = this.#plan?.wants.arp;
    const drifted = wants === undefined ? undefined : driftOf(event, wants, this.#world.links, { marks: this.config.marks, controlPlane: this.config.plan.controlPlane.length > 0 });
    const gone = event.type === "address" && event.gone;
    // A VIP that somebody changed is put right, not learned as an address of the node.
    if (drifted === undefined || gone) this.#kernel.event(event);
    if (event.type === "link") this.#refreshLink(event.link, event.gone);
    if (drifted === undefined || this.#suspended.has(drifted)) return;
    this.deps.log.info("vip not as wanted, repaired", { vip: drifted, gone });
    if (gone && wants?.get(drifted)?.scope === "global") this.#refreshLater(drifted);
    else this.#modes.vips.refresh(drifted);
  }

  /** What the kernel has now, at the start and after events were lost: then everything that is wanted is put again. */
  kernelDump(links: readonly Link[], addresses: readonly LinkAddress[], routes: readonly KernelRoute[]): void {
    this.#kernel.dump(links, addresses, routes);
    this.#refreshWhere(() => true);
    for (const key of this.#plan?.wants.link.keys() ?? []) this.#modes.links.refresh(key);
  }

  /** Runs a pass now and waits until every VIP is where the plan wants it, or has failed. */
  async settle(): Promise<void> {
    this.#pass();
    await this.#modes.settle();
  }

  /** Stops planning. What is held stays until its lifetime ends, unless `settle` removed it before. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#loop.stop();
    this.#endpointsLoop.stop();
    this.#kernel[Symbol.dispose]();
    this.#inUse[Symbol.dispose]();
    for (const timer of this.#later.values()) timer.cancel();
    this.#writers.stop();
    await this.#modes[Symbol.asyncDispose]();
  }

  /**
   * Linux removes secondary addresses with the first one of their subnet, and tells of them before it tells of that one. Put again at once, the VIP
   * would be the first of the subnet itself, and take the node's own address with it when it goes.
   */
  #refreshLater(key: VipKey): void {
    this.#later.get(key)?.cancel();
    const refresh = (): void => {
      this.#later.delete(key);
      this.#modes.vips.refresh(key);
    };
    this.#later.set(key, this.deps.clock.after(SECONDARY_MS, refresh));
  }

  #learnEndpoints(): void {
    const endpoints = this.#endpoints.update(this.#slices);
    if (endpoints !== this.#world.endpoints) this.learn({ endpoints });
  }

  #refreshWhere(which: (vip: Vip) => boolean): void {
    for (const [key, vip] of this.#plan?.wants.arp ?? []) if (which(vip)) this.#modes.vips.refresh(key);
  }

  /** A link that we made, and that somebody removed or set down. */
  #refreshLink({ name, up }: Link, gone: boolean): void {
    if (up && !gone) return;
    for (const key of this.#plan?.wants.link.keys() ?? []) if (key === name) this.#modes.links.refresh(key);
  }

  #reported(key: VipKey, what: ModeReport): void {
    switch (what.type) {
      case "refresh":
        this.#suspended.delete(key);
        this.#modes.vips.refresh(key);
        return;
      case "suspended":
        this.#suspended.add(key);
        return;
      case "conflict":
        this.deps.log.warn("another host announces this address", { vip: key, mac: what.mac });
        this.learn({ conflicts: new Map([...this.#world.conflicts, [key, what.mac]]) });
        return;
      default:
        assertNever(what);
    }
  }

  #leaseSeen(key: LeaseKey, seen: LeaseSeen | undefined): void {
    const others = [...this.#world.leases].filter(([other]) => other !== key);
    this.learn({ leases: new Map(seen === undefined ? others : [...others, [key, seen]]) });
  }

  #mapped(key: MappingKey, view: MappingView | undefined): void {
    if (view === undefined && !this.#world.mappings.has(key)) return;
    const others = [...this.#world.mappings].filter(([other]) => other !== key);
    this.learn({ mappings: new Map(view === undefined ? others : [...others, [key, view]]) });
  }

  #pass(): void {
    const { ownership, clock } = this.deps;
    const started = clock.now();
    this.#world = { ...this.#world, ...this.#modes.observed(), ownership: ownership.states() };
    const next = plan(this.#world, this.config.plan, this.#memo);
    this.#logSkips(this.#plan?.skipped, next.skipped);
    for (const problem of next.problems) if (this.#plan?.problems.includes(problem) !== true) this.deps.log.error("not as configured", { problem });
    const before = this.#newest;
    this.#world = { ...this.#world, grants: next.grants };
    this.#newest = { world: this.#world, plan: next };
    this.#modes.set(next.wants);
    this.#writers.set(next);
    this.deps.planned(this.#newest, before);
    ownership.campaign(next.campaigns, next.wishes, next.terms);
    this.#remember(next.wants.arp);
    if (next.settled) this.#modes.sweep();
    this.deps.passed?.(clock.now() - started);
  }

  /** What is let go is no longer in the plan, but its fence says why. */
  #remember(wants: ReadonlyMap<VipKey, Vip>): void {
    this.#fences = new Map([...wants].map(([key, { ownership }]) => [key, ownership]));
  }

  #letGo(key: VipKey): "unwanted" | "notOwner" {
    this.#suspended.delete(key);
    // Who else announced it is of interest only while it is held.
    if (this.#world.conflicts.has(key)) this.learn({ conflicts: new Map([...this.#world.conflicts].filter(([other]) => other !== key)) });
    return this.#whyGone(key);
  }

  #whyGone(key: VipKey): "unwanted" | "notOwner" {
    const ownership = this.#fences.get(key);
    return ownership === undefined || this.#world.ownership.get(ownership)?.held === true ? "unwanted" : "notOwner";
  }

  /** The allocator gives out another address for a while. */
  #failed(error: unknown): void {
    if (error instanceof AddressInUse) this.#inUse.seen(error.address);
  }

  #logSkips(before: ReadonlyMap<ServiceKey, SkipReason> | undefined, after: ReadonlyMap<ServiceKey, SkipReason>): void {
    for (const [service, reason] of after) {
      const old = before?.get(service);
      if (old?.code !== reason.code || old.message !== reason.message) this.deps.log.debug("service not served", { service, ...reason });
    }
  }
}
