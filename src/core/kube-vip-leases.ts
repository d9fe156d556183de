import { messageOf } from "../lib/errors.js";
import { Work } from "../lib/work.js";
import { microTime } from "../machine/election.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { KubeErrorShape, Lease, LeaseId, Leases, LeaseWrite } from "../ports/kube.js";
import type { Log } from "../ports/log.js";
import { Complaints } from "./complaints.js";
import type { OwnershipKey } from "./model.js";

/** `namespace/name` of a Lease. */
export type LeaseText = `${string}/${string}`;

/** Who has the Lease that kube-vip takes for a Service: a node on which kube-vip renews it, or one of ours. What nobody has is not in the map. */
export type KubeVipView = ReadonlyMap<LeaseText, { readonly holder: string; readonly ours: boolean }>;

/** `unknown`: not looked yet. `none`: kube-vip has made no Lease for a Service here, and none is heeded. */
export type KubeVipLeasesSeen = "unknown" | "none" | KubeVipView;

/** What kube-vip calls the Lease of a Service. */
export const KUBE_VIP_PREFIX = "kubevip-";
/** Before the node's name, so that no kube-vip takes the Lease for its own: it calls itself by its node's name, which has no slash. */
const HOLDER_PREFIX = "vip.internal/";
/** It is written once, and is to last: client-go goes by the duration in the Lease. The largest that the API takes, 68 years. */
const FOR_GOOD_SECONDS = 2_147_483_647;
const TIMEOUT_MS = 3000;
const RETRY_MS = 1000;

export interface KubeVipLeasesConfig {
  readonly node: string;
  /** Of the Services; undefined: all. */
  readonly namespace: string | undefined;
}

export interface KubeVipLeasesDeps {
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Log;
  /** What `view` says has changed. */
  changed(view: KubeVipLeasesSeen): void;
}

interface Known {
  readonly lease: Lease;
  /** Own monotonic time at which it was last seen to change. */
  readonly changedAt: number;
}

/**
 * The Leases that kube-vip takes with its election per Service, so that a cluster moves from it to this program node by node without a second owner: one that
 * kube-vip renews is left alone; one that it gave up, or let expire, is taken, once and for good, before the address goes up. Without any such Lease at the
 * start nothing of this happens.
 */
export class KubeVipLeases implements AsyncDisposable {
  readonly #complaints: Complaints;
  readonly #closing = new AbortController();
  readonly #known = new Map<LeaseText, Known>();
  readonly #writing = new Set<LeaseText>();
  readonly #work = new Work();
  #wanted: ReadonlyMap<LeaseText, OwnershipKey> = new Map();
  /** All that this node has needed, for when it leaves: by then it holds nothing. */
  readonly #needed = new Map<LeaseText, OwnershipKey>();
  #view: KubeVipLeasesSeen = "unknown";
  #expiry: Timer | undefined;
  #retry: Timer | undefined;

  constructor(
    private readonly config: KubeVipLeasesConfig,
    private readonly deps: KubeVipLeasesDeps,
  ) {
    this.#complaints = new Complaints(deps.clock);
  }

  /** Looks whether there are such Leases, and follows them if so; resolves when it is closed, or there are none. */
  async follow(): Promise<void> {
    const { signal } = this.#closing;
    const found = await this.#look(signal);
    if (found === undefined || signal.aborted) return;
    if (!found) {
      this.#show("none");
      return;
    }
    this.deps.log.info("Leases of kube-vip are heeded: once it runs nowhere, delete those whose names begin with kubevip-");
    await this.deps.leases.watchAll(this.config.namespace, (leases) => this.#seen(leases), signal);
  }

  /** The Leases that this node needs for what it holds, with the key that each belongs to. Those that it can have are taken. */
  take(wanted: ReadonlyMap<LeaseText, OwnershipKey>): void {
    this.#wanted = wanted;
    for (const [id, key] of wanted) this.#needed.set(id, key);
    if (typeof this.#view === "string") return;
    for (const id of wanted.keys()) if (!this.#view.has(id) && !this.#writing.has(id)) this.#work.add(this.#write(id, this.#claim()));
  }

  /** Gives back the Leases that this node needed for keys that nobody holds any more, so that a kube-vip takes them at once. */
  async release(isHeld: (key: OwnershipKey) => boolean): Promise<void> {
    const mine = typeof this.#view === "string" ? [] : [...this.#needed].filter(([id, key]) => this.#known.get(id)?.lease.record.holderIdentity.startsWith(HOLDER_PREFIX) === true && !isHeld(key));
    await Promise.all(mine.map(async ([id]) => this.#write(id, { ...this.#claim(), holderIdentity: "", leaseDurationSeconds: 1 })));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new DOMException("closing", "AbortError"));
    this.#expiry?.cancel();
    this.#retry?.cancel();
    await this.#work.ended();
  }

  /** Undefined: closed before there was an answer. Without the right to look there is nothing to be heeded. */
  async #look(signal: AbortSignal): Promise<boolean | undefined> {
    while (!signal.aborted) {
      try {
        const leases = await this.deps.leases.list(this.config.namespace, signal);
        return leases.some(({ id, record }) => id.name.startsWith(KUBE_VIP_PREFIX) && record.holderIdentity !== "");
      } catch (error) {
        if (signal.aborted) return undefined;
        if ((error as Partial<KubeErrorShape>).code === "forbidden") {
          this.deps.log.warn("Leases of kube-vip are not looked for: without the right to list Leases, no kube-vip with svc_election may run beside", { error: messageOf(error) });
          return false;
        }
        await new Promise<void>((resolve) => {
          const timer = this.deps.clock.after(RETRY_MS, resolve);
          const stop = (): void => {
            timer.cancel();
            resolve();
          };
          signal.addEventListener("abort", stop, { once: true });
        });
      }
    }
    return undefined;
  }

  #seen(leases: ReadonlyMap<string, Lease>): void {
    const now = this.deps.clock.now();
    for (const id of this.#known.keys()) if (!leases.has(id)) this.#known.delete(id);
    for (const [id, lease] of leases) this.#learn(id as LeaseText, lease, now);
    this.#judge();
  }

  #learn(id: LeaseText, lease: Lease, now: number): void {
    if (this.#known.get(id)?.lease.resourceVersion !== lease.resourceVersion) this.#known.set(id, { lease, changedAt: now });
  }

  /** Who has what now; looked at again when the next one expires. */
  #judge(): void {
    const now = this.deps.clock.now();
    this.#expiry?.cancel();
    let next = Infinity;
    const view = new Map<LeaseText, { readonly holder: string; readonly ours: boolean }>();
    for (const [id, { lease, changedAt }] of this.#known) {
      const { holderIdentity: holder, leaseDurationSeconds } = lease.record;
      const ours = holder.startsWith(HOLDER_PREFIX);
      const until = changedAt + leaseDurationSeconds * 1000;
      if (holder === "" || (!ours && until <= now)) continue;
      view.set(id, { holder, ours });
      if (!ours) next = Math.min(next, until);
    }
    if (next < Infinity) this.#expiry = this.deps.clock.after(next - now, () => this.#judge());
    this.#show(view);
    this.take(this.#wanted);
  }

  #show(view: KubeVipLeasesSeen): void {
    if (sameView(this.#view, view)) return;
    this.#view = view;
    this.deps.changed(view);
  }

  #claim(): LeaseWrite {
    const time = microTime(this.deps.clock.wallTime(), 0);
    return { holderIdentity: `${HOLDER_PREFIX}${this.config.node}`, leaseDurationSeconds: FOR_GOOD_SECONDS, acquireTime: time, renewTime: time, leaseTransitions: 0 };
  }

  /** One write based on the version last seen; where somebody was quicker the watch tells, and another look comes in any case. */
  async #write(id: LeaseText, write: LeaseWrite): Promise<void> {
    const { leases, log } = this.deps;
    const { signal } = this.#closing;
    const known = this.#known.get(id);
    const at = idOf(id);
    this.#writing.add(id);
    try {
      const record = { ...write, leaseTransitions: (known?.lease.record.leaseTransitions ?? -1) + 1 };
      const lease = known === undefined ? await leases.create(at, record, TIMEOUT_MS, signal) : await leases.replace(known.lease, record, TIMEOUT_MS, signal);
      this.#learn(id, lease, this.deps.clock.now());
      this.#writing.delete(id);
      if (!signal.aborted) this.#judge();
    } catch (error) {
      this.#writing.delete(id);
      const repeated = signal.aborted ? undefined : this.#complaints.worthSaying("kube-vip", String((error as Partial<KubeErrorShape>).code));
      if (repeated !== undefined) log.warn("Lease of kube-vip not taken", { lease: id, error: messageOf(error), repeated });
      this.#retryLater();
    }
  }

  #retryLater(): void {
    if (this.#retry !== undefined || this.#closing.signal.aborted) return;
    this.#retry = this.deps.clock.after(RETRY_MS, () => {
      this.#retry = undefined;
      this.take(this.#wanted);
    });
  }
}

function idOf(text: LeaseText): LeaseId {
  const [namespace = "", name = ""] = text.split("/");
  return { namespace, name };
}

function sameView(a: KubeVipLeasesSeen, b: KubeVipLeasesSeen): boolean {
  if (typeof a === "string" || typeof b === "string") return a === b;
  return a.size === b.size && [...b].every(([id, { holder, ours }]) => a.get(id)?.holder === holder && a.get(id)?.ours === ours);
}
