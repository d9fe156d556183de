import { assertNever, messageOf } from "../lib/errors.js";
import type { Stance } from "../machine/election-state.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { KernelEvent, Link, LinkAddress, Route } from "../ports/kernel.js";
import type { EventDraft, Events, KubeErrorShape, Services } from "../ports/kube.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import { driftOf } from "./drift.js";
import { KernelView } from "./kernel-view.js";
import { Loop } from "./loop.js";
import type { DownReason, ModeReport, VipMode } from "./mode.js";
import { splitVipKey, type Marks, type OwnershipKey, type ServiceKey, type Vip, type VipKey } from "./model.js";
import { ownershipOf, plan, type Plan, type PlanConfig } from "./plan.js";
import { PlanMemo } from "./plan-memo.js";
import type { SkipReason } from "./plan-service.js";
import { sameStatusPatch, type StatusPatch } from "./status.js";
import { KeyedSync, type SyncConfig, type SyncDeps } from "./sync.js";
import { emptyWorld, type OwnershipState, type World } from "./world.js";

export interface EngineConfig {
  readonly node: string;
  readonly plan: PlanConfig;
  readonly marks: Marks;
}

export interface EngineDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly services: Pick<Services, "patchStatus">;
  readonly events: Events;
  readonly ownership: {
    states(): ReadonlyMap<OwnershipKey, OwnershipState>;
    campaign(stances: ReadonlyMap<OwnershipKey, Stance>): void;
  };
  arp(report: (key: VipKey, what: ModeReport) => void): VipMode<"arp">;
}

const COALESCE_MS = 2;
/** A link without carrier for so long makes this node ineligible for what stands on it. */
const BAD_LINK_MS = 200;
const SYNC = { firstRetryMs: 200, lastRetryMs: 30_000 };

/** World in, plan out, every mode moved towards it. The one owner of the world; events only replace a part of it and wake the loop. */
export class Engine implements AsyncDisposable {
  #world: World;
  #plan: Plan | undefined;
  readonly #memo = new PlanMemo();
  readonly #suspended = new Set<VipKey>();
  #swept = false;
  #sweepAgain: Timer | undefined;
  #eventsForbidden = false;
  readonly #loop: Loop;
  readonly #kernel: KernelView;
  readonly #arp: VipMode<"arp">;
  readonly #vips: KeyedSync<VipKey, Vip, void>;
  readonly #statuses: KeyedSync<ServiceKey, StatusPatch, void>;
  readonly #events: KeyedSync<string, EventDraft, void>;
  readonly #closing = new AbortController();

  constructor(
    private readonly config: EngineConfig,
    private readonly deps: EngineDeps,
  ) {
    const { clock } = deps;
    this.#world = emptyWorld(config.node);
    this.#kernel = new KernelView(
      { marks: config.marks, badAfterMs: BAD_LINK_MS },
      { clock, learn: (part) => this.learn(part), returned: (link) => this.#refreshWhere((vip) => vip.iface === link) },
    );
    this.#loop = new Loop({ coalesceMs: COALESCE_MS }, { clock, pass: () => this.#pass() });
    this.#arp = deps.arp((key, what) => this.#reported(key, what));
    this.#vips = new KeyedSync(
      { ...SYNC, concurrency: Infinity, same: sameVip },
      {
        up: async (_key, vip, signal) => this.#arp.up(vip, signal),
        down: async (key, signal) => this.#letGo(key, signal),
      },
      this.#syncDeps("vip"),
    );
    this.#statuses = this.#writer({ same: sameStatusPatch }, "status", async ({ service, ingress, annotations }, signal) =>
      deps.services.patchStatus(service, { ingress, annotations }, signal),
    );
    this.#events = this.#writer({ same: () => true }, "event", async (event, signal) => this.#writeEvent(event, signal));
  }

  /** Rejects when a pass throws: a bug, after which nothing can be trusted. */
  get failed(): Promise<never> {
    return this.#loop.failed;
  }

  get world(): World {
    return this.#world;
  }

  wake(): void {
    this.#loop.wake();
  }

  /** Something was learned. */
  learn(part: Partial<World>): void {
    this.#world = { ...this.#world, ...part };
    this.#loop.wake();
  }

  /** A kernel event; only one that shows a difference leads to anything. */
  kernelEvent(event: KernelEvent): void {
    const wants = this.#plan?.wants.arp;
    const drifted = wants === undefined ? undefined : driftOf(event, wants, this.#world.links, this.config.marks);
    const gone = event.type === "address" && event.gone;
    // A VIP that somebody changed is put right, not learned as an address of the node.
    if (drifted === undefined || gone) this.#kernel.event(event);
    if (drifted === undefined || this.#suspended.has(drifted)) return;
    this.deps.log.info("vip not as wanted, repaired", { vip: drifted, gone });
    this.#vips.refresh(drifted);
  }

  /** What the kernel has now, at the start and after events were lost: then everything that is wanted is put again. */
  kernelDump(links: readonly Link[], addresses: readonly LinkAddress[], routes: readonly Route[]): void {
    this.#kernel.dump(links, addresses, routes);
    this.#refreshWhere(() => true);
  }

  /** Runs a pass now and waits until every VIP is where the plan wants it, or has failed. */
  async settle(): Promise<void> {
    this.#pass();
    await this.#vips.settle();
  }

  /** Stops planning. What is held stays until its lifetime ends, unless `settle` removed it before. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#loop.stop();
    this.#kernel[Symbol.dispose]();
    this.#sweepAgain?.cancel();
    this.#closing.abort(new DOMException("closing", "AbortError"));
    for (const sync of [this.#vips, this.#statuses, this.#events]) sync.stop();
    await this.#arp[Symbol.asyncDispose]();
  }

  /** Without the right to write Events the program does its work all the same, and says so once. */
  async #writeEvent(event: EventDraft, signal: AbortSignal): Promise<void> {
    try {
      await this.deps.events.write(event, signal);
    } catch (error) {
      if ((error as Partial<KubeErrorShape>).code !== "forbidden") throw error;
      if (!this.#eventsForbidden) this.deps.log.warn("events are not written", { error: messageOf(error) });
      this.#eventsForbidden = true;
    }
  }

  #refreshWhere(which: (vip: Vip) => boolean): void {
    for (const [key, vip] of this.#plan?.wants.arp ?? []) if (which(vip)) this.#vips.refresh(key);
  }

  #reported(key: VipKey, what: ModeReport): void {
    switch (what.type) {
      case "refresh":
        this.#suspended.delete(key);
        this.#vips.refresh(key);
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

  #pass(): void {
    const { ownership } = this.deps;
    this.#world = { ...this.#world, ownership: ownership.states(), observed: this.#vips.observed() };
    const next = plan(this.#world, this.config.plan, this.#memo);
    this.#logSkips(this.#plan?.skipped, next.skipped);
    for (const problem of next.problems) if (this.#plan?.problems.includes(problem) !== true) this.deps.log.error("not as configured", { problem });
    this.#plan = next;
    this.#vips.set(next.wants.arp);
    this.#statuses.set(next.statuses);
    this.#events.set(next.events);
    ownership.campaign(next.campaigns);
    if (next.settled && !this.#swept) {
      this.#swept = true;
      void this.#sweep();
    }
  }

  /** What an earlier life left and the plan does not want goes; once, when it is first known what is wanted. */
  async #sweep(): Promise<void> {
    try {
      for (const { key, describe } of await this.#arp.held(this.#closing.signal)) {
        if (this.#plan?.wants.arp.has(key) === true) continue;
        this.deps.log.info("leftover removed", { vip: key, was: describe });
        await this.#arp.down(key, "leftover", this.#closing.signal);
      }
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      this.deps.log.warn("leftovers not removed, tried again", { error: messageOf(error) });
      this.#sweepAgain = this.deps.clock.after(SYNC.lastRetryMs, () => void this.#sweep());
    }
  }

  async #letGo(key: VipKey, signal: AbortSignal): Promise<void> {
    const ownership = ownershipOf(splitVipKey(key).address, this.config.plan);
    const reason: DownReason = this.#world.ownership.get(ownership)?.held === true ? "unwanted" : "notOwner";
    this.#suspended.delete(key);
    // Who else announced it is of interest only while it is held.
    if (this.#world.conflicts.has(key)) this.learn({ conflicts: new Map([...this.#world.conflicts].filter(([other]) => other !== key)) });
    await this.#arp.down(key, reason, signal);
    this.deps.log.info("vip removed", { vip: key, reason });
  }

  /** A sync whose values are written once each; taking a value away undoes nothing. */
  #writer<K, V>(
    { same }: Pick<SyncConfig<V>, "same">,
    what: string,
    write: (value: V, signal: AbortSignal) => Promise<void>,
  ): KeyedSync<K, V, void> {
    const verbs = {
      up: async (_key: K, value: V, signal: AbortSignal): Promise<void> => write(value, AbortSignal.any([signal, this.#closing.signal])),
      down: async (): Promise<void> => undefined,
    };
    return new KeyedSync<K, V, void>({ ...SYNC, concurrency: 8, same }, verbs, { ...this.#syncDeps<K>(what), changed: () => undefined });
  }

  #syncDeps<K>(what: string): SyncDeps<K> {
    const { clock, random, log } = this.deps;
    return {
      clock,
      random,
      changed: () => this.#loop.wake(),
      failed: (key, verb, error, retryMs) => {
        if (this.#closing.signal.aborted) return;
        log.warn("not done, tried again", { what, key, verb, error: messageOf(error), retryMs: Math.round(retryMs) });
      },
    };
  }

  #logSkips(before: ReadonlyMap<ServiceKey, SkipReason> | undefined, after: ReadonlyMap<ServiceKey, SkipReason>): void {
    for (const [service, reason] of after) {
      const old = before?.get(service);
      if (old?.code !== reason.code || old.message !== reason.message) this.deps.log.debug("service not served", { service, ...reason });
    }
  }
}

/** Owners and ports may differ: what is held is the same. */
function sameVip(a: Vip, b: Vip): boolean {
  return a.key === b.key && a.prefix === b.prefix && a.ownership === b.ownership;
}
