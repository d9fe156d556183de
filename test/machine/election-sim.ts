import type { LeaseRecord } from "../../src/lib/lease-record.js";
import {
  electionStart,
  holds,
  kernelDeadline,
  type ElectionConfig,
  type ElectionState,
  type LeaseVersion,
  type Stance,
} from "../../src/machine/election-state.js";
import { electionStep, type ElectionAction, type ElectionEvent } from "../../src/machine/election.js";
import { SimJobs } from "./sim-jobs.js";

/** mulberry32: the same seed gives the same run. */
export function seeded(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export interface SimOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly seconds: number;
  /** Changes the rules, so that a test can show that each of them is worth something. */
  readonly config?: Partial<ElectionConfig>;
  readonly faults: boolean;
}

export interface SimResult {
  /** Longest time two kernels held the address outside a hand-over, ms. */
  readonly worstOverlapMs: number;
  /** Longest time nobody held it although some node was up, connected and had been so for a while, ms. */
  readonly worstGapMs: number;
  readonly takeovers: number;
  readonly writes: number;
}

interface Node {
  readonly name: string;
  readonly rate: number;
  readonly offset: number;
  state: ElectionState;
  alive: boolean;
  frozenUntil: number;
  cutUntil: number;
  watchStalledUntil: number;
  /** Real time at which this kernel's address ends; -1: it has none. */
  kernelEnd: number;
  wake: number;
  incarnation: number;
}

const BASE: ElectionConfig = {
  identity: "",
  leaseDurationMs: 5000,
  renewDeadlineMs: 3000,
  retryPeriodMs: 1000,
  drift: 0.01,
  kernelLatenessMs: 1600,
  handOverMs: 1000,
  heirMs: 80,
  patienceMs: 700,
  offerAgainMs: 30_000,
  spareAgainMs: 600_000,
  modestyMs: 200,
};

/** A whole cluster around one Lease: an API server with latency, loss and outages, kernels that are late, clocks that run differently. */
export class ElectionSim {
  #now = 0;
  readonly #jobs = new SimJobs();
  #lease: LeaseVersion | undefined;
  #version = 0;
  #handOverUntil = -1;
  #worstOverlap = 0;
  #overlapSince: number | undefined;
  #gapSince: number | undefined;
  #worstGap = 0;
  #takeovers = 0;
  #writes = 0;
  #apiDownUntil = -1;
  #calmSince = 0;
  readonly #random: () => number;
  readonly #nodes: Node[] = [];

  constructor(private readonly options: SimOptions) {
    this.#random = seeded(options.seed);
    for (let i = 0; i < options.nodes; i += 1) this.#nodes.push(this.#boot(`n${i + 1}`));
  }

  run(): SimResult {
    for (const node of this.#nodes) this.#at(this.#random() * 3000, () => this.#start(node));
    if (this.options.faults) this.#at(4000, () => this.#fault());
    const end = this.options.seconds * 1000;
    while (this.#now < end) {
      const job = this.#jobs.pop();
      if (job === undefined) break;
      this.#now = job.at;
      this.#check();
      job.run();
      this.#check();
    }
    return { worstOverlapMs: this.#worstOverlap, worstGapMs: this.#worstGap, takeovers: this.#takeovers, writes: this.#writes };
  }

  #boot(name: string): Node {
    const rate = 1 + (this.#random() - 0.5) * 0.02;
    return {
      name,
      rate,
      offset: this.#random() * 1e6,
      state: electionStart(),
      alive: false,
      frozenUntil: -1,
      cutUntil: -1,
      watchStalledUntil: -1,
      kernelEnd: -1,
      wake: 0,
      incarnation: 0,
    };
  }

  #start(node: Node): void {
    node.alive = true;
    node.incarnation += 1;
    node.state = electionStart();
    this.#send(node, { type: "stance", stance: "run", wallMs: this.#wall(node) });
    this.#watch(node);
  }

  #config(node: Node): ElectionConfig {
    return { ...BASE, ...this.options.config, identity: node.name };
  }

  #local(node: Node): number {
    return node.offset + this.#now * node.rate;
  }

  /** Wall clocks are wrong by up to an hour: they must not matter. */
  #wall(node: Node): number {
    return 1.7e12 + this.#now + (node.offset - 5e5) * 7;
  }

  #at(delay: number, run: () => void): void {
    this.#jobs.add(this.#now + delay, run);
  }

  /** Runs `fn` on the node once it is neither dead nor frozen. */
  #on(node: Node, incarnation: number, fn: () => void): void {
    if (!node.alive || node.incarnation !== incarnation) return;
    if (node.frozenUntil > this.#now) this.#at(node.frozenUntil - this.#now + this.#random(), () => this.#on(node, incarnation, fn));
    else fn();
  }

  #send(node: Node, event: ElectionEvent): void {
    const config = this.#config(node);
    const before = node.state;
    const { state, actions, wakeAt } = electionStep(node.state, event, this.#local(node), config);
    node.state = state;
    this.#kernel(node, before);
    for (const action of actions) this.#request(node, action);
    if (wakeAt === undefined) return;
    const wake = (node.wake += 1);
    const { incarnation } = node;
    this.#at(Math.max(0, wakeAt - this.#local(node)) / node.rate + this.#random() * 2, () =>
      this.#on(node, incarnation, () => {
        if (node.wake === wake) this.#send(node, { type: "tick", wallMs: this.#wall(node) });
      }),
    );
  }

  /** What arp mode does: set the lifetime after a renew, drop when the node no longer holds. The kernel ends lifetimes up to 1.55 s late. */
  #kernel(node: Node, before: ElectionState): void {
    const config = this.#config(node);
    const now = this.#local(node);
    if (!holds(node.state, config, now)) {
      node.kernelEnd = -1;
      return;
    }
    if (node.kernelEnd < this.#now) this.#takeovers += 1;
    const leaving = node.state.leavingSince !== undefined && before.leavingSince === undefined;
    if (node.state.renewedAt === before.renewedAt && !leaving && node.kernelEnd >= this.#now) return;
    const seconds = Math.floor((kernelDeadline(node.state, config) - now) / 1000);
    if (seconds >= 1) node.kernelEnd = this.#now + (seconds * 1000) / node.rate + this.#random() * 1550;
  }

  #latency(): number {
    const r = this.#random();
    if (!this.options.faults || r < 0.9) return 1 + this.#random() * 20;
    return r < 0.98 ? this.#random() * 500 : this.#random() * 10_000;
  }

  #unreachable(node: Node): boolean {
    return node.cutUntil > this.#now || this.#apiDownUntil > this.#now;
  }

  #request(node: Node, action: ElectionAction): void {
    const { incarnation } = node;
    const lost = this.options.faults && this.#random() < 0.03;
    let done = false;
    const answer = (event: () => ElectionEvent): void => {
      if (done) return;
      done = true;
      this.#on(node, incarnation, () => this.#send(node, event()));
    };
    const failed = (conflict: boolean): ElectionEvent =>
      action.type === "read" ? { type: "readFailed", wallMs: this.#wall(node) } : { type: "failed", id: action.id, conflict, wallMs: this.#wall(node) };
    this.#at(action.timeoutMs, () => answer(() => failed(false)));
    if (this.#unreachable(node)) {
      this.#at(this.#random() * 200, () => answer(() => failed(false)));
      return;
    }
    this.#at(this.#latency(), () => {
      const outcome = this.#apply(action);
      if (lost || this.#unreachable(node)) return;
      this.#at(this.#latency(), () =>
        answer(() => {
          const wallMs = this.#wall(node);
          if (outcome === "conflict") return failed(true);
          if (action.type === "read") return { type: "seen", read: true, lease: outcome, wallMs };
          return outcome === undefined ? failed(true) : { type: "written", id: action.id, lease: outcome, wallMs };
        }),
      );
    });
  }

  #apply(action: ElectionAction): LeaseVersion | undefined | "conflict" {
    if (action.type === "read") return this.#lease;
    if (action.type === "create" && this.#lease !== undefined) return "conflict";
    if (action.type === "replace" && this.#lease?.resourceVersion !== action.base.resourceVersion) return "conflict";
    this.#writes += 1;
    this.#write(action.record);
    return this.#lease;
  }

  #write(record: LeaseRecord): void {
    this.#version += 1;
    this.#lease = { resourceVersion: String(this.#version), record };
    if (record.holderIdentity === "") this.#handOverUntil = this.#now + 2500;
    for (const node of this.#nodes) this.#watch(node);
  }

  #watch(node: Node): void {
    const { incarnation } = node;
    const lease = this.#lease;
    const stall = Math.max(0, node.watchStalledUntil - this.#now, node.cutUntil - this.#now, this.#apiDownUntil - this.#now);
    this.#at(stall + 1 + this.#random() * 10, () => this.#on(node, incarnation, () => this.#send(node, { type: "seen", lease, wallMs: this.#wall(node) })));
  }

  #fault(): void {
    const node = this.#nodes[Math.floor(this.#random() * this.#nodes.length)];
    if (node === undefined) return;
    const kind = Math.floor(this.#random() * 9);
    const ms = this.#random() * 12_000;
    this.#calmSince = Math.max(this.#calmSince, this.#now + ms);
    if (kind === 0) node.frozenUntil = this.#now + ms;
    if (kind === 1) node.cutUntil = this.#now + ms;
    if (kind === 2) node.watchStalledUntil = this.#now + ms * 2;
    if (kind === 3 && node.alive) {
      // The process dies; the kernel keeps the address until its lifetime ends.
      node.alive = false;
      this.#at(ms, () => this.#start(node));
    }
    if (kind === 4) this.#apiDownUntil = this.#now + ms / 2;
    if (kind === 5 && node.alive && node.state.stance !== "leave" && node.frozenUntil < this.#now) {
      this.#send(node, { type: "stance", stance: "leave", wallMs: this.#wall(node) });
      this.#at(4000, () => {
        node.alive = false;
        this.#at(ms, () => this.#start(node));
      });
      this.#calmSince = Math.max(this.#calmSince, this.#now + 4000 + ms);
    }
    if (kind === 6 || kind === 7) this.#unfit(node, kind === 6 ? "yield" : "drop", ms);
    if (kind === 8) this.#on(node, node.incarnation, () => this.#send(node, { type: "confirm", stop: true, wallMs: this.#wall(node) }));
    this.#at(2000 + this.#random() * 15_000, () => this.#fault());
  }

  /** A sick API server, or a link without carrier, for a while. */
  #unfit(node: Node, stance: "yield" | "drop", ms: number): void {
    const change = (to: Stance): void => this.#on(node, node.incarnation, () => this.#send(node, { type: "stance", stance: to, wallMs: this.#wall(node) }));
    change(stance);
    this.#at(ms, () => change("run"));
  }

  #check(): void {
    const holders = this.#nodes.filter((node) => node.kernelEnd > this.#now);
    if (holders.length > 1 && this.#handOverUntil < this.#now) {
      this.#overlapSince ??= this.#now;
      this.#worstOverlap = Math.max(this.#worstOverlap, this.#now - this.#overlapSince);
    } else {
      this.#overlapSince = undefined;
    }
    const fit = this.#nodes.some((node) => node.alive && node.frozenUntil < this.#now && node.state.stance === "run");
    if (holders.length > 0 || !fit || this.#calmSince > this.#now) this.#gapSince = this.#now;
    this.#worstGap = Math.max(this.#worstGap, this.#now - (this.#gapSince ?? this.#now));
  }
}
