import { claimHeldUntil, claimKernelDeadline, claimantStart, claimantStep, type ClaimantAction, type ClaimantConfig, type ClaimantEvent, type ClaimantState } from "../../src/machine/claimant.js";
import type { Fit, Wish } from "../../src/machine/claim-state.js";
import { ModelApi, type Change, type Stored } from "./claims-sim-api.js";
import { seeded } from "./election-sim.js";

export interface SimOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly keys: number;
  readonly seconds: number;
  /** Faults end so many seconds before the end. */
  readonly calmSeconds: number;
  /** Which of FAULTS; empty: none, and no slow or lost requests. */
  readonly faults: readonly Fault[];
  readonly stalls: boolean;
  /** Share of the requests that may hang for up to 10 s; 0.02 by default. */
  readonly hanging?: number;
  /** Longest time between two faults, ms. */
  readonly faultMs?: number;
  /** Count what is not held during faults, too. */
  readonly strict?: boolean;
  /** Every fifth key prefers a node. */
  readonly preferred?: boolean;
  /** The nodes start so far apart, ms. */
  readonly startMs?: number;
  /** Fences go through whatever the member has written since. */
  readonly blindFence?: boolean;
  readonly config?: Partial<ClaimantConfig>;
}

export const FAULTS = ["freeze", "cut", "watchSlow", "watchDead", "kill", "outage", "leave", "drain", "unfit", "suspect", "service"] as const;
export type Fault = (typeof FAULTS)[number];

/** Hand-overs of all kinds while many requests hang and watches are slow or dead: what is in the air matters. */
export const STORM = {
  stalls: true,
  hanging: 0.09,
  faultMs: 3000,
  faults: ["leave", "drain", "unfit", "unfit", "kill", "watchDead", "watchSlow", "suspect"],
} as const satisfies Partial<SimOptions>;

export interface SimResult {
  /** Longest time two kernels held a key that is not being handed over, ms. */
  readonly overlapMs: number;
  readonly overlapText: string;
  /** Longest overlap of a hand-over between two that run, ms; of all, the median. */
  readonly handOverMs: number;
  readonly handOverMedianMs: number;
  /** Longest time nobody held a key that somebody could have, ms. */
  readonly gapMs: number;
  readonly gapText: string;
  /** Times a key came to another node. */
  readonly moves: number;
  readonly handOvers: number;
  /** Moves whose reason the model does not know. */
  readonly needless: readonly string[];
  readonly broken: readonly string[];
  /** Writes to shards in the last third of the calm. */
  readonly restlessWrites: number;
  readonly memberWritesPerSecond: number;
  /** Of the members that live at the end: fewest and most keys. */
  readonly spread: readonly [number, number];
  readonly unheld: number;
  /** Members that were fenced although their process ran, not frozen and not cut off, for the last two lease times. */
  readonly fencedAlive: number;
  readonly events: number;
}

interface Node {
  readonly name: string;
  readonly rate: number;
  readonly offset: number;
  state: ClaimantState;
  process: number;
  alive: boolean;
  frozenUntil: number;
  cutUntil: number;
  watchSlowUntil: number;
  watchDeadUntil: number;
  lastTold: number;
  wake: number;
  goodSince: number;
  readonly fits: Map<string, Fit>;
  /** Real time at which this kernel's address of a key ends. */
  readonly kernel: Map<string, number>;
  readonly renewed: Map<string, string>;
}

interface Job {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export const SIM_CONFIG: Omit<ClaimantConfig, "node" | "process"> = {
  weight: 1,
  leaseDurationMs: 5000,
  renewDeadlineMs: 3000,
  retryPeriodMs: 1000,
  drift: 0.01,
  kernelLatenessMs: 1600,
  fenceTurnMs: 50,
  echoMs: 900,
  collectMs: 30_000,
  handOverMs: 1000,
  heirMs: 80,
  dropMs: 50,
  turnMs: 100,
  patienceMs: 1000,
  offerAgainMs: 5000,
  steadyMs: 5000,
  returnedMs: 20_000,
  rebalanceRate: 0,
  shardLimitBytes: 200 * 1024,
  leaveMs: 5000,
};

/** Beyond it two holders are two holders, hand-over or not: the bound of the owner, the heir's time, and a kernel lifetime that was left behind. */
const HAND_OVER_BOUND_MS = 1000 + 80 + 999 + 1550 + 100;

/** A whole cluster around the Leases of members and claims. */
export class ClaimsSim {
  #now = 0;
  #order = 0;
  #jobs: Job[] = [];
  #events = 0;
  #apiDownUntil = -1;
  #calmSince = 0;
  #takeovers = 0;
  #handOvers = 0;
  #fencedAlive = 0;
  #gap = { ms: 0, text: "" };
  #overlap = { ms: 0, text: "" };
  #shardWritesBefore = 0;
  #memberWritesBefore = 0;
  readonly #took = new Map<string, { readonly from: string; readonly to: string; readonly at: number }>();
  readonly #overlapSince = new Map<string, number>();
  readonly #heldAt = new Map<string, number>();
  readonly #planned: number[] = [];
  readonly #needless: string[] = [];
  readonly #broken: string[] = [];
  readonly #random: () => number;
  readonly #nodes: Node[] = [];
  readonly #keys = new Set<string>();
  readonly #api: ModelApi;

  constructor(private readonly options: SimOptions) {
    this.#random = seeded(options.seed);
    this.#api = new ModelApi({
      now: () => this.#now,
      leaseDurationMs: this.#config("").leaseDurationMs,
      wrote: (stored) => this.#nodes.forEach((node) => this.#tell(node, [stored])),
      changed: (change) => this.#moved(change),
      fenced: (name) => this.#fenced(name),
      broken: (rule) => this.#broken.push(`${Math.round(this.#now)}: ${rule}`),
    });
    for (let i = 0; i < options.keys; i += 1) this.#keys.add(`default/web-${i}`);
    for (let i = 0; i < options.nodes; i += 1) this.#nodes.push(this.#node(`n${i + 1}`));
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
      const job = this.#pop();
      if (job === undefined) break;
      this.#now = job.at;
      this.#check();
      job.run();
      this.#events += 1;
    }
    return this.#result();
  }

  #result(): SimResult {
    const quiet = (this.options.calmSeconds / 3) * 1;
    const live = this.#nodes.filter((node) => node.alive);
    const counts = live.map((node) => [...node.kernel.values()].filter((end) => end > this.#now).length);
    const planned = this.#planned.toSorted((a, b) => a - b);
    return {
      overlapMs: this.#overlap.ms,
      overlapText: this.#overlap.text,
      handOverMs: planned.at(-1) ?? 0,
      handOverMedianMs: planned[Math.floor(planned.length / 2)] ?? 0,
      gapMs: this.#gap.ms,
      gapText: this.#gap.text,
      moves: this.#takeovers,
      handOvers: this.#handOvers,
      needless: this.#needless,
      broken: this.#broken,
      restlessWrites: this.#api.shardWrites - this.#shardWritesBefore,
      memberWritesPerSecond: (this.#api.memberWrites - this.#memberWritesBefore) / quiet,
      spread: [Math.min(...counts), Math.max(...counts)],
      unheld: [...this.#keys].filter((key) => this.#holders(key).length === 0).length,
      fencedAlive: this.#fencedAlive,
      events: this.#events,
    };
  }

  #node(name: string): Node {
    return {
      name,
      rate: 1 + (this.#random() - 0.5) * 0.02,
      offset: this.#random() * 1e6,
      state: claimantStart(),
      process: 0,
      alive: false,
      frozenUntil: -1,
      cutUntil: -1,
      watchSlowUntil: -1,
      watchDeadUntil: -1,
      lastTold: 0,
      wake: 0,
      goodSince: 0,
      fits: new Map(),
      kernel: new Map(),
      renewed: new Map(),
    };
  }

  #config(node: string, process = 0): ClaimantConfig {
    return { ...SIM_CONFIG, ...this.options.config, node, process: `${node}-${process}` };
  }

  #configOf(node: Node): ClaimantConfig {
    return this.#config(node.name, node.process);
  }

  #local(node: Node): number {
    return node.offset + this.#now * node.rate;
  }

  /** Wall clocks are wrong by up to an hour: they must not matter. */
  #wall(node: Node): number {
    return 1.7e12 + this.#now + (node.offset - 5e5) * 7;
  }

  #at(delay: number, run: () => void): void {
    this.#jobs.push({ at: this.#now + delay, order: this.#order++, run });
  }

  #pop(): Job | undefined {
    let best = 0;
    for (let i = 1; i < this.#jobs.length; i += 1) {
      const [a, b] = [this.#jobs[i], this.#jobs[best]];
      if (a !== undefined && b !== undefined && (a.at < b.at || (a.at === b.at && a.order < b.order))) best = i;
    }
    const job = this.#jobs[best];
    const last = this.#jobs.pop();
    if (last !== undefined && last !== job) this.#jobs[best] = last;
    return job;
  }

  #start(node: Node): void {
    node.alive = true;
    node.goodSince = this.#now;
    node.process += 1;
    node.state = claimantStart();
    this.#list(node);
    this.#on(node, () => this.#wishes(node), this.#random() * 300);
  }

  /** Runs `fn` on this process once it is not frozen, after `delay`. */
  #on(node: Node, fn: () => void, delay = 0): void {
    const { process } = node;
    const go = (): void => {
      if (!node.alive || node.process !== process) return;
      if (node.frozenUntil > this.#now) this.#at(node.frozenUntil - this.#now + this.#random(), go);
      else fn();
    };
    this.#at(delay, go);
  }

  #wishes(node: Node): void {
    const wishes = new Map<string, Wish>();
    for (const key of this.#keys) {
      const preferred = this.options.preferred === true && key.endsWith("5") ? [this.#nodes[0]?.name ?? ""] : [];
      wishes.set(key, { fit: node.fits.get(key) ?? "run", nodes: undefined, weight: 1, preferred });
    }
    this.#send(node, { type: "wishes", wishes, wallMs: this.#wall(node) });
  }

  #send(node: Node, event: ClaimantEvent): void {
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
  #kernel(node: Node, config: ClaimantConfig): void {
    const now = this.#local(node);
    for (const key of this.#keys) {
      const until = claimHeldUntil(node.state, key, config);
      if (now >= until) {
        node.kernel.delete(key);
        continue;
      }
      const deadline = claimKernelDeadline(node.state, key, config);
      const stamp = String(deadline);
      const has = (node.kernel.get(key) ?? -1) > this.#now;
      if (has && node.renewed.get(key) === stamp) continue;
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

  #unreachable(node: Node): boolean {
    return node.cutUntil > this.#now || this.#apiDownUntil > this.#now;
  }

  #request(node: Node, action: ClaimantAction): void {
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
  #list(node: Node): void {
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
  #tell(node: Node, all: readonly Stored[], list = false): void {
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

  #listed(node: Node, all: readonly Stored[], wallMs: number): void {
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

  #strike(node: Node, kind: Fault, ms: number): void {
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
  #deafen(node: Node, ms: number): void {
    node.watchDeadUntil = this.#now + ms;
    const { process, watchDeadUntil } = node;
    this.#at(ms, () => {
      if (node.process === process && node.watchDeadUntil === watchDeadUntil) this.#list(node);
    });
  }

  /** The process dies; the kernel keeps its addresses until their lifetimes end. */
  #kill(node: Node, ms: number): void {
    node.alive = false;
    this.#at(ms, () => {
      if (!node.alive) this.#start(node);
    });
  }

  #stance(node: Node, stance: "in" | "drain" | "leave", then: () => void): void {
    this.#on(node, () => {
      if (node.state.member.stance === "leave" || node.state.member.stance === "out") return;
      node.goodSince = this.#now;
      this.#send(node, { type: "stance", stance, wallMs: this.#wall(node) });
      then();
    });
  }

  #unfit(node: Node, ms: number): void {
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
    this.#heldAt.delete(key);
    this.#took.delete(key);
    this.#overlapSince.delete(`${key} planned`);
    for (const node of this.#nodes) if (node.alive) this.#on(node, () => this.#wishes(node), this.#random() * 500);
  }

  #moved({ key, old, next, writer }: Change): void {
    const by = this.#nodes.find(({ name }) => name === writer);
    if (by === undefined) return;
    if (next !== undefined && old?.owner.node !== next.owner.node) {
      this.#takeovers += 1;
      if (next.from !== undefined && next.from.node === old?.owner.node) {
        this.#handOvers += 1;
        this.#overlapSince.delete(`${key} planned`);
        this.#took.set(key, { from: old.owner.node, to: next.owner.node, at: this.#now });
      }
    }
    const offers = old?.owner.node === writer && next?.heir !== undefined && old.heir?.node !== next.heir.node;
    const rebalancing = (this.options.config?.rebalanceRate ?? 0) > 0;
    // A write under way may be older than the reason's end.
    const reason = by.state.member.stance !== "in" || (by.fits.get(key) ?? "run") !== "run" || this.#now - by.goodSince < 12_000 || rebalancing;
    if (offers && !reason) this.#needless.push(`${Math.round(this.#now)}: ${writer} offers ${key} to ${next.heir?.node}`);
  }

  #fenced(name: string): void {
    const node = this.#nodes.find((other) => other.name === name);
    const since = this.#now - 10_000;
    if (node?.alive === true && node.frozenUntil < since && node.cutUntil < since && node.state.member.stance !== "out") this.#fencedAlive += 1;
  }

  #holders(key: string): Node[] {
    return this.#nodes.filter((node) => (node.kernel.get(key) ?? -1) > this.#now);
  }

  #check(): void {
    for (const key of this.#keys) {
      const holders = this.#holders(key);
      this.#checkOverlap(key, holders);
      this.#checkGap(key, holders.length > 0);
    }
  }

  #checkOverlap(key: string, holders: readonly Node[]): void {
    const took = this.#took.get(key);
    if (took !== undefined && !holders.some(({ name }) => name === took.from)) {
      const both = this.#overlapSince.get(`${key} planned`);
      if (both !== undefined) this.#planned.push(this.#now - both);
      this.#overlapSince.delete(`${key} planned`);
      this.#took.delete(key);
    }
    if (holders.length < 2) {
      this.#overlapSince.delete(key);
      return;
    }
    const pair = holders.length === 2 && took !== undefined && holders.every(({ name }) => name === took.from || name === took.to);
    if (pair && this.#now < took.at + HAND_OVER_BOUND_MS) {
      if (!this.#overlapSince.has(`${key} planned`)) this.#overlapSince.set(`${key} planned`, this.#now);
      return;
    }
    const since = this.#overlapSince.get(key) ?? this.#now;
    this.#overlapSince.set(key, since);
    const ms = this.#now - since;
    if (ms >= this.#overlap.ms) this.#overlap = { ms, text: `${Math.round(this.#now)}: ${key} at ${holders.map(({ name }) => name).join(", ")}` };
  }

  #checkGap(key: string, held: boolean): void {
    const good = this.#nodes.some((node) => node.alive && node.frozenUntil < this.#now && node.state.member.stance === "in" && (node.fits.get(key) ?? "run") === "run");
    if (held || !good || (this.#calmSince > this.#now && this.options.strict !== true)) this.#heldAt.set(key, this.#now);
    const ms = this.#now - (this.#heldAt.get(key) ?? this.#now);
    if (!this.#heldAt.has(key)) this.#heldAt.set(key, this.#now);
    if (ms > this.#gap.ms) this.#gap = { ms, text: `${Math.round(this.#now)}: ${key}` };
  }
}

type Request = Exclude<ClaimantAction, { readonly type: "relist" }>;

function failure(action: Request, conflict: boolean, wallMs: number): ClaimantEvent {
  switch (action.type) {
    case "readMember":
      return { type: "memberReadFailed", node: action.node, wallMs };
    case "readShard":
      return { type: "shardReadFailed", shard: action.shard, wallMs };
    case "writeShard":
      return { type: "shardFailed", shard: action.shard, id: action.id, conflict, wallMs };
    default:
      return { type: "memberFailed", node: action.node, id: action.id, conflict, wallMs };
  }
}

function success(action: Request, stored: Stored, wallMs: number): ClaimantEvent {
  if (action.type === "readMember" || action.type === "readShard") return { ...stored, read: true, wallMs };
  if (stored.type === "member") return { type: "memberWritten", node: stored.node, id: "id" in action ? action.id : 0, version: stored.version, wallMs };
  if (stored.version === undefined) throw new Error("a shard was written and is not there");
  return { type: "shardWritten", shard: stored.shard, id: "id" in action ? action.id : 0, version: stored.version, wallMs };
}
