import { messageOf } from "../lib/errors.js";
import type { Clock } from "../ports/clock.js";
import type { KernelEvent, Link } from "../ports/kernel.js";
import type { EventDraft, Events, Services } from "../ports/kube.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import { driftOf } from "./drift.js";
import { Loop } from "./loop.js";
import type { DownReason, VipMode } from "./mode.js";
import type { OwnershipKey, ServiceKey, Vip, VipKey } from "./model.js";
import { plan, type Plan, type PlanConfig } from "./plan.js";
import type { SkipReason } from "./plan-service.js";
import { sameStatusPatch, type StatusPatch } from "./status.js";
import { KeyedSync, type SyncConfig, type SyncDeps } from "./sync.js";
import { emptyWorld, type OwnershipState, type World } from "./world.js";

export interface EngineConfig {
  readonly node: string;
  readonly plan: PlanConfig;
  /** IFA_PROTO of what we make. */
  readonly mark: number;
}

export interface EngineDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly services: Pick<Services, "patchStatus">;
  readonly events: Events;
  readonly ownership: {
    states(): ReadonlyMap<OwnershipKey, OwnershipState>;
    campaign(keys: ReadonlySet<OwnershipKey>): void;
  };
  arp(refresh: (key: VipKey) => void): VipMode<"arp">;
}

const COALESCE_MS = 2;
const SYNC = { firstRetryMs: 200, lastRetryMs: 30_000 };

/** World in, plan out, every mode moved towards it. The one owner of the world; events only replace a part of it and wake the loop. */
export class Engine implements AsyncDisposable {
  #world: World;
  #plan: Plan | undefined;
  #swept = false;
  readonly #loop: Loop;
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
    this.#loop = new Loop({ coalesceMs: COALESCE_MS }, { clock, pass: () => this.#pass() });
    this.#arp = deps.arp((key) => this.#vips.refresh(key));
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
    this.#events = this.#writer({ same: () => true }, "event", async (event, signal) => deps.events.write(event, signal));
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

  kernelEvent(event: KernelEvent): void {
    if (event.type === "link") {
      this.learn({ links: withLink(this.#world.links, event.link, event.gone) });
      return;
    }
    const wants = this.#plan?.wants.arp;
    if (wants === undefined) return;
    const drifted = driftOf(event, wants, this.#world.links, this.config.mark);
    if (drifted === undefined) return;
    this.deps.log.info("vip not as wanted, repaired", { vip: drifted, gone: event.type === "address" && event.gone });
    this.#vips.refresh(drifted);
  }

  /** Events were lost: everything that is wanted is put again. */
  refreshAll(): void {
    for (const key of this.#plan?.wants.arp.keys() ?? []) this.#vips.refresh(key);
  }

  /** Runs a pass now and waits until every VIP is where the plan wants it, or has failed. */
  async settle(): Promise<void> {
    this.#pass();
    await this.#vips.settle();
  }

  /** Stops planning. What is held stays until its lifetime ends, unless `settle` removed it before. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#loop.stop();
    this.#closing.abort(new DOMException("closing", "AbortError"));
    for (const sync of [this.#vips, this.#statuses, this.#events]) sync.stop();
    await this.#arp[Symbol.asyncDispose]();
  }

  #pass(): void {
    const { ownership } = this.deps;
    this.#world = { ...this.#world, ownership: ownership.states(), observed: this.#vips.observed() };
    const next = plan(this.#world, this.config.plan);
    this.#logSkips(this.#plan?.skipped, next.skipped);
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
      this.#swept = false;
      this.deps.clock.after(SYNC.lastRetryMs, () => this.wake());
    }
  }

  async #letGo(key: VipKey, signal: AbortSignal): Promise<void> {
    const held = [...this.#world.ownership.values()].some((state) => state.held);
    const reason: DownReason = held ? "unwanted" : "notOwner";
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

function withLink(links: ReadonlyMap<string, Link>, link: Link, gone: boolean): ReadonlyMap<string, Link> {
  // A link may have been renamed: its index is what stays.
  const next = new Map([...links].filter(([, other]) => other.index !== link.index));
  if (!gone) next.set(link.name, link);
  return next;
}

/** Owners and ports may differ: what is held is the same. */
function sameVip(a: Vip, b: Vip): boolean {
  return a.key === b.key && a.prefix === b.prefix && a.ownership === b.ownership;
}
