import { claimHeldUntil, claimKernelDeadline, claimMayAnnounce, claimantStart, claimantStep, type ClaimantAction, type ClaimantConfig, type ClaimantEvent } from "../../src/machine/claimant.js";
import type { Fit, Wish } from "../../src/machine/claim-state.js";
import { ModelApi, type Stored } from "./claims-sim-api.js";
import { failure, simNode, success, type SimNode } from "./claims-sim-node.js";
import { SIM_CONFIG, type Fault, type SimOptions, type SimResult } from "./claims-sim-options.js";
import { Witness } from "./claims-sim-witness.js";
import { seeded } from "./election-sim.js";
import { SimJobs } from "./sim-jobs.js";

/** A whole cluster around the Leases of members and claims. */
export class ClaimsSim {
  #now = 0;
  readonly #jobs = new SimJobs();
  #events = 0;
  #apiDownUntil = -1;
  #calmSince = 0;
  #shardWritesBefore = 0;
  #memberWritesBefore = 0;
  readonly #random: () => number;
  readonly #nodes: SimNode[] = [];
  readonly #keys = new Set<string>();
  readonly #api: ModelApi;
  readonly #witness: Witness;

  constructor(private readonly options: SimOptions) {
    this.#random = seeded(options.seed);
    this.#witness = new Witness(options, { now: () => this.#now, calmSince: () => this.#calmSince, nodes: this.#nodes, keys: this.#keys });
    this.#api = new ModelApi({
      wanted: (key) => this.#keys.has(key),
      now: () => this.#now,
      leaseDurationMs: this.#config("").leaseDurationMs,
      wrote: (stored) => this.#nodes.forEach((node) => this.#tell(node, [stored])),
      changed: (change) => this.#witness.moved(change),
      fenced: (name) => this.#witness.fenced(name),
      broken: (rule) => this.#witness.broken(rule),
    });
    for (let i = 0; i < options.keys; i += 1) this.#keys.add(`default/web-${i}`);
    for (let i = 0; i < options.nodes; i += 1) this.#nodes.push(simNode(`n${i + 1}`, this.#random));
  }

  run(): SimResult {
    const { seconds, calmSeconds, faults } = this.options;
    for (const node of this.#nodes) this.#at(this.#random() * (this.options.startMs ?? 4000), () => this.#start(node));
    if (faults.length > 0) this.#at(6000, () => this.#fault());
    this.#at((seconds - calmSeconds / 3) * 1000, () => {
      this.#shardWritesBefore = this.#api.shardWrites;
      this.#memberWritesBefore = this.#api.memberWrites;
    });
    while (this.#now < seconds * 1000) {
      const job = this.#jobs.pop();
      if (job === undefined) break;
      this.#now = job.at;
      this.#witness.check();
      job.run();
      this.#events += 1;
    }
    return {
      ...this.#witness.result(),
      restlessWrites: this.#api.shardWrites - this.#shardWritesBefore,
      memberWritesPerSecond: ((this.#api.memberWrites - this.#memberWritesBefore) * 3) / calmSeconds,
      events: this.#events,
    };
  }

  #config(node: string, process = 0): ClaimantConfig {
    return { ...SIM_CONFIG, ...this.options.config, node, process: `${node}-${process}` };
  }

  #configOf(node: SimNode): ClaimantConfig {
    return this.#config(node.name, node.process);
  }

  #local(node: SimNode): number {
    return node.offset + this.#now * node.rate;
  }

  /** Wall clocks are wrong by up to an hour: they must not matter. */
  #wall(node: SimNode): number {
    return 1.7e12 + this.#now + (node.offset - 5e5) * 7;
  }

  #at(delay: number, run: () => void): void {
    this.#jobs.add(this.#now + delay, run);
  }

  #start(node: SimNode): void {
    node.alive = true;
    node.goodSince = this.#now;
    node.process += 1;
    node.state = claimantStart();
    this.#list(node);
    this.#on(node, () => this.#wishes(node), this.#random() * 300);
  }

  /** Runs `fn` on this process once it is not frozen, after `delay`. */
  #on(node: SimNode, fn: () => void, delay = 0): void {
    const { process } = node;
    const go = (): void => {
      if (!node.alive || node.process !== process) return;
      if (node.frozenUntil > this.#now) this.#at(node.frozenUntil - this.#now + this.#random(), go);
      else fn();
    };
    this.#at(delay, go);
  }

  #wishes(node: SimNode): void {
    const wishes = new Map<string, Wish>();
    for (const key of this.#keys) {
      const preferred = this.options.preferred === true && key.endsWith("5") ? [this.#nodes[0]?.name ?? ""] : [];
      wishes.set(key, { fit: node.fits.get(key) ?? "run", nodes: undefined, weight: 1, preferred });
    }
    this.#send(node, { type: "wishes", wishes, wallMs: this.#wall(node) });
  }

  #send(node: SimNode, event: ClaimantEvent): void {
    const config = this.#configOf(node);
    const { state, actions, wakeAt } = claimantStep(node.state, event, this.#local(node), config);
    node.state = state;
    this.#kernel(node, config);
    for (const action of actions) this.#request(node, action);
    if (wakeAt === undefined) return;
    const wake = (node.wake += 1);
    this.#on(
      node,
      () => {
        if (node.wake === wake) this.#send(node, { type: "tick", wallMs: this.#wall(node) });
      },
      Math.max(0, wakeAt - this.#local(node)) / node.rate + this.#random() * 2,
    );
  }

  /** What arp mode does: set the lifetime after a renew and when the key is being given away, drop when the node no longer holds. The kernel is up to 1.55 s late. */
  #kernel(node: SimNode, config: ClaimantConfig): void {
    const now = this.#local(node);
    for (const key of this.#keys) {
      const until = claimHeldUntil(node.state, key, config);
      if (now >= until) {
        node.kernel.delete(key);
        node.renewed.delete(key);
        continue;
      }
      const deadline = claimKernelDeadline(node.state, key, config);
      const stamp = String(deadline);
      const has = (node.kernel.get(key) ?? -1) > this.#now;
      if (has && node.renewed.get(key) === stamp) continue;
      // It is not added anew while it is being given away, whether it was never added or its lifetime has ended meanwhile.
      if (!has && !claimMayAnnounce(node.state, key, { now, config })) continue;
      const seconds = Math.floor((deadline - now) / 1000);
      if (seconds < 1) continue;
      node.renewed.set(key, stamp);
      node.kernel.set(key, this.#now + (seconds * 1000) / node.rate + this.#random() * 1550);
    }
    for (const key of node.kernel.keys()) if (!this.#keys.has(key)) node.kernel.delete(key);
  }

  #latency(): number {
    const r = this.#random();
    if (!this.options.stalls || r < 0.9) return 1 + this.#random() * 20;
    return r < 1 - (this.options.hanging ?? 0.02) ? this.#random() * 500 : this.#random() * 10_000;
  }

  #unreachable(node: SimNode): boolean {
    return node.cutUntil > this.#now || this.#apiDownUntil > this.#now;
  }

  #request(node: SimNode, action: ClaimantAction): void {
    if (action.type === "relist") return this.#list(node);
    const lost = this.options.stalls && this.#random() < 0.03;
    let done = false;
    const answer = (event: () => ClaimantEvent, delay: number): void =>
      this.#on(
        node,
        () => {
          if (done) return;
          done = true;
          this.#send(node, event());
        },
        delay,
      );
    const failed = (conflict: boolean): ClaimantEvent => failure(action, conflict, this.#wall(node));
    answer(() => failed(false), action.timeoutMs);
    if (this.#unreachable(node)) return answer(() => failed(false), this.#random() * 200);
    this.#at(this.#latency(), () => {
      const outcome = this.#api.apply(action, node.name, this.options.blindFence === true);
      if (lost || this.#unreachable(node)) return;
      answer(() => (outcome === "conflict" ? failed(true) : success(action, outcome, this.#wall(node))), this.#latency());
    });
  }

  /** Everything, as a list shows it; the watch goes on from there. */
  #list(node: SimNode): void {
    if (this.#unreachable(node)) return this.#on(node, () => this.#list(node), 200);
    this.#on(
      node,
      () => {
        node.watchDeadUntil = -1;
        this.#tell(node, this.#api.all(), true);
      },
      this.#latency(),
    );
  }

  /** The watch of a node shows this, in order, sooner or later. */
  #tell(node: SimNode, all: readonly Stored[], list = false): void {
    if (!node.alive) return;
    if (!list && node.watchDeadUntil > this.#now) return;
    const stall = Math.max(0, node.watchSlowUntil - this.#now, node.cutUntil - this.#now, this.#apiDownUntil - this.#now);
    const at = Math.max(node.lastTold, this.#now + stall + 1 + this.#random() * 10);
    node.lastTold = at;
    this.#on(
      node,
      () => {
        const wallMs = this.#wall(node);
        for (const stored of all) this.#send(node, { ...stored, read: false, wallMs });
        if (list) this.#listed(node, all, wallMs);
      },
      at - this.#now,
    );
  }

  #listed(node: SimNode, all: readonly Stored[], wallMs: number): void {
    const there = new Set(all.flatMap((stored) => (stored.type === "member" ? [stored.node] : [])));
    const shards = new Set(all.flatMap((stored) => (stored.type === "shard" ? [stored.shard] : [])));
    for (const [name] of node.state.member.peers) if (!there.has(name)) this.#send(node, { type: "member", node: name, version: undefined, read: false, wallMs });
    for (let shard = 0; shard < 16; shard += 1) if (!shards.has(shard)) this.#send(node, { type: "shard", shard, version: undefined, read: false, wallMs });
    this.#send(node, { type: "membersListed", wallMs });
  }

  #fault(): void {
    const { seconds, calmSeconds, faults } = this.options;
    const left = (seconds - calmSeconds) * 1000 - this.#now;
    if (left <= 0) return;
    const node = this.#nodes[Math.floor(this.#random() * this.#nodes.length)];
    const kind = faults[Math.floor(this.#random() * faults.length)];
    const ms = Math.min(left, this.#random() * 12_000);
    if (node !== undefined && kind !== undefined) this.#strike(node, kind, ms);
    this.#at(1000 + this.#random() * (this.options.faultMs ?? 8000), () => this.#fault());
  }

  #strike(node: SimNode, kind: Fault, ms: number): void {
    const until = this.#now + ms;
    this.#calmSince = Math.max(this.#calmSince, until);
    if (kind === "freeze") node.frozenUntil = until;
    if (kind === "cut") node.cutUntil = until;
    if (kind === "watchSlow") node.watchSlowUntil = until + ms;
    if (kind === "watchDead" && node.alive) this.#deafen(node, ms * 2);
    if (kind === "outage") this.#apiDownUntil = this.#now + ms / 2;
    if (kind === "kill" && node.alive) this.#kill(node, ms);
    if (kind === "leave" && node.alive) this.#stance(node, "leave", () => this.#at(6000, () => node.alive && this.#kill(node, ms)));
    if (kind === "leave") this.#calmSince = Math.max(this.#calmSince, until + 6000);
    if (kind === "drain" && node.alive) this.#stance(node, "drain", () => this.#on(node, () => this.#stance(node, "in", () => undefined), ms));
    if (kind === "suspect") this.#on(node, () => this.#send(node, { type: "confirm", stop: true, wallMs: this.#wall(node) }));
    if (kind === "unfit") this.#unfit(node, ms);
    if (kind === "service") this.#service();
  }

  /** The watch shows nothing any more, without a word, until somebody lists again or it ends by itself. */
  #deafen(node: SimNode, ms: number): void {
    node.watchDeadUntil = this.#now + ms;
    const { process, watchDeadUntil } = node;
    this.#at(ms, () => {
      if (node.process === process && node.watchDeadUntil === watchDeadUntil) this.#list(node);
    });
  }

  /** The process dies; the kernel keeps its addresses until their lifetimes end. */
  #kill(node: SimNode, ms: number): void {
    node.alive = false;
    this.#at(ms, () => {
      if (!node.alive) this.#start(node);
    });
  }

  #stance(node: SimNode, stance: "in" | "drain" | "leave", then: () => void): void {
    this.#on(node, () => {
      if (node.state.member.stance === "leave" || node.state.member.stance === "out") return;
      node.goodSince = this.#now;
      this.#send(node, { type: "stance", stance, wallMs: this.#wall(node) });
      then();
    });
  }

  #unfit(node: SimNode, ms: number): void {
    const fit = this.#random() < 0.5 ? "yield" : "drop";
    const keys = [...this.#keys].filter(() => this.#random() < 0.5);
    const change = (to: Fit): void => {
      for (const key of keys) node.fits.set(key, to);
      node.goodSince = this.#now;
      this.#on(node, () => this.#wishes(node));
    };
    change(fit);
    this.#at(ms, () => change("run"));
  }

  /** A Service comes or goes; every node hears of it in its own time. */
  #service(): void {
    const key = `default/web-${Math.floor(this.#random() * this.options.keys * 1.3)}`;
    if (!this.#keys.delete(key)) this.#keys.add(key);
    this.#witness.forget(key);
    for (const node of this.#nodes) if (node.alive) this.#on(node, () => this.#wishes(node), this.#random() * 500);
  }
}
