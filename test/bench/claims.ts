// claims: many keys on many members, by the machines alone: no sockets, no kernel; an API server that answers within a few milliseconds.
import { claimOf, claimantStart, claimantStep, claimHolds, type ClaimantAction, type ClaimantConfig, type ClaimantEvent, type ClaimantState } from "../../src/machine/claimant.js";
import { bytesOf, encodeShard, type Claim } from "../../src/machine/claim-codec.js";
import type { Wish } from "../../src/machine/claim-state.js";
import type { MemberView } from "../../src/machine/member-state.js";
import { firstFor, hashText, shardOf, SHARDS, tableOf } from "../../src/machine/placement.js";
import { ModelApi, type Stored } from "../machine/claims-sim-api.js";
import { SIM_CONFIG } from "../machine/claims-sim-options.js";
import { figure, median, progress } from "./lib/figures.js";
import { benchOptions } from "./lib/options.js";

const REQUEST_MS = 2;
const WATCH_MS = 4;
const SETTLE_MS = 4000;
const STEADY_MS = 3000;
const NO_ONE: ReadonlySet<string> = new Set();

interface Member {
  readonly name: string;
  readonly config: ClaimantConfig;
  state: ClaimantState;
  wake: number;
  alive: boolean;
}

interface Job {
  readonly at: number;
  readonly run: () => void;
}

/** Jobs by time, in buckets of a millisecond. */
class Agenda {
  readonly #buckets = new Map<number, Job[]>();
  #at = 0;

  add(job: Job): void {
    const bucket = Math.max(this.#at, Math.ceil(job.at));
    const jobs = this.#buckets.get(bucket);
    if (jobs === undefined) this.#buckets.set(bucket, [job]);
    else jobs.push(job);
  }

  *until(end: number): Generator<Job> {
    for (; this.#at < end; this.#at += 1) {
      for (let jobs = this.#buckets.get(this.#at); jobs !== undefined; jobs = this.#buckets.get(this.#at)) {
        this.#buckets.delete(this.#at);
        yield* jobs;
      }
    }
  }
}

class Cluster {
  readonly #agenda = new Agenda();
  readonly #members: Member[] = [];
  readonly #keys: readonly string[];
  readonly api: ModelApi;
  readonly steps: { readonly event: string; readonly ms: number }[] = [];
  now = 0;

  constructor(members: number, keys: number) {
    this.#keys = Array.from({ length: keys }, (_, index) => `tenant-${index % 97}/service-${index}`);
    this.api = new ModelApi({
      wanted: () => true,
      now: () => this.now,
      leaseDurationMs: SIM_CONFIG.leaseDurationMs,
      wrote: (stored) => this.#tell(stored),
      changed: () => undefined,
      fenced: () => undefined,
      broken: (rule) => {
        throw new Error(rule);
      },
    });
    this.#prepare(members);
    for (let i = 0; i < members; i += 1) this.#start(`node-${i}`, (i / members) * SIM_CONFIG.retryPeriodMs);
  }

  runFor(ms: number): void {
    const end = this.now + ms;
    for (const job of this.#agenda.until(end)) {
      this.now = Math.max(this.now, job.at);
      job.run();
    }
    this.now = end;
  }

  /** Requests since the last time: all that any member has sent. */
  requests(): number {
    const { memberWrites, shardWrites, reads, conflicts } = this.api;
    return memberWrites + shardWrites + reads + conflicts;
  }

  largestShard(): number {
    return Math.max(...[...this.api.shards.values()].map(({ text }) => bytesOf(text ?? "")));
  }

  /** The process of a member ends without a word. Returns the keys that it held. */
  kill(index: number): readonly string[] {
    const member = this.#members[index];
    if (member === undefined) throw new Error(`no member ${index}`);
    const held = this.#keys.filter((key) => claimHolds(member.state, key, { now: this.now, config: member.config }));
    member.alive = false;
    return held;
  }

  holds(key: string): boolean {
    const claim = this.#members.map(({ state, alive }) => (alive ? claimOf(state, key) : undefined)).find((one) => one !== undefined);
    const owner = this.#members.find(({ name }) => name === claim?.owner.node);
    return owner?.alive === true && claimHolds(owner.state, key, { now: this.now, config: owner.config });
  }

  /** A cluster that has been there for long: every key where it belongs. */
  #prepare(members: number): void {
    const record = { incarnation: 1, seq: 1, process: "earlier", state: "live", drain: false, weight: 1, after: "nothing" } as const;
    const views = new Map<string, MemberView>();
    for (let i = 0; i < members; i += 1) {
      this.api.members.set(`node-${i}`, { resourceVersion: "0", record });
      views.set(`node-${i}`, { ...record, hash: hashText(`node-${i}`), liveSince: -1e9 });
    }
    const table = tableOf(views, this.#keys.length, { steadyMs: 0, returnedMs: 0, now: 0 });
    const claims = Array.from({ length: SHARDS }, () => new Map<string, Claim>());
    for (const key of this.#keys) {
      const seat = firstFor({ hash: hashText(key), weight: 1, nodes: undefined, preferred: [] }, table, NO_ONE);
      if (seat === undefined) throw new Error("no member");
      seat.load += 1;
      claims[shardOf(key)]?.set(key, { owner: { node: seat.node, incarnation: 1 }, heir: undefined, from: undefined });
    }
    for (const [shard, content] of claims.entries()) this.api.shards.set(shard, { resourceVersion: "0", text: encodeShard({ claims: content, kept: new Map() }) });
  }

  #start(name: string, at: number): void {
    // No rebalancing: the steady state is to be measured.
    const config = { ...SIM_CONFIG, rebalanceRate: 0, node: name, process: name };
    const member: Member = { name, config, state: claimantStart(), wake: 0, alive: true };
    this.#members.push(member);
    const wish: Wish = { fit: "run", nodes: undefined, weight: 1, preferred: [] };
    this.#agenda.add({
      at,
      run: () => {
        for (const stored of this.api.all()) this.#send(member, { ...stored, read: false, wallMs: 0 });
        this.#send(member, { type: "membersListed", wallMs: 0 });
        this.#send(member, { type: "wishes", wishes: new Map(this.#keys.map((key) => [key, wish])), wallMs: 0 });
      },
    });
  }

  #send(member: Member, event: ClaimantEvent): void {
    if (!member.alive) return;
    const start = performance.now();
    const { state, actions, wakeAt } = claimantStep(member.state, event, this.now, member.config);
    const kind = state.claims === member.state.claims ? "member" : "claims";
    this.steps.push({ event: kind, ms: performance.now() - start });
    member.state = state;
    for (const action of actions) this.#request(member, action);
    const wake = (member.wake += 1);
    if (wakeAt === undefined) return;
    this.#agenda.add({ at: wakeAt, run: () => member.wake === wake && this.#send(member, { type: "tick", wallMs: 0 }) });
  }

  #request(member: Member, action: ClaimantAction): void {
    if (action.type === "relist") throw new Error("a watch that works was taken for dead");
    this.#agenda.add({
      at: this.now + REQUEST_MS,
      run: () => {
        const outcome = this.api.apply(action, member.name);
        this.#agenda.add({ at: this.now + REQUEST_MS, run: () => this.#send(member, answer(action, outcome)) });
      },
    });
  }

  #tell(stored: Stored): void {
    this.#agenda.add({
      at: this.now + WATCH_MS,
      run: () => {
        for (const member of this.#members) this.#send(member, { ...stored, read: false, wallMs: 0 });
      },
    });
  }
}

function answer(action: Exclude<ClaimantAction, { readonly type: "relist" }>, outcome: Stored | "conflict"): ClaimantEvent {
  const wallMs = 0;
  if (action.type === "readMember" || action.type === "readShard") {
    if (outcome === "conflict") throw new Error("a read cannot conflict");
    return { ...outcome, read: true, wallMs };
  }
  const { id } = action;
  if (outcome === "conflict") {
    return action.type === "writeShard" ? { type: "shardFailed", shard: action.shard, id, conflict: true, wallMs } : { type: "memberFailed", node: action.node, id, conflict: true, wallMs };
  }
  if (outcome.type === "member") return { type: "memberWritten", node: outcome.node, id, version: outcome.version, wallMs };
  if (outcome.version === undefined) throw new Error("a shard that was written is there");
  return { type: "shardWritten", shard: outcome.shard, id, version: outcome.version, wallMs };
}

function steps(cluster: Cluster, kind: string): readonly number[] {
  return cluster.steps.filter(({ event }) => event === kind).map(({ ms }) => ms);
}

const { choose } = benchOptions();
const [members, keys] = choose([300, 5000] as const, [30, 500] as const);
const parameters = { members, keys };
const cluster = new Cluster(members, keys);
cluster.runFor(SETTLE_MS);
figure("claims.restart", cluster.requests(), "requests", { ...parameters, what: "every process restarted within a second, and settled" });
progress("steady");
const [before, shardWrites] = [cluster.requests(), cluster.api.shardWrites];
cluster.steps.length = 0;
cluster.runFor(STEADY_MS);
figure("claims.requests", (cluster.requests() - before) / (STEADY_MS / 1000), "1/s", { ...parameters, state: "steady", budget: (members * 1000) / SIM_CONFIG.retryPeriodMs });
figure("claims.shardWrites", cluster.api.shardWrites - shardWrites, "writes", { ...parameters, state: "steady", budget: 0 });
figure("claims.shard", cluster.largestShard(), "bytes", { ...parameters, budget: SIM_CONFIG.shardLimitBytes });
figure("claims.step", median(steps(cluster, "member")), "ms", { ...parameters, kind: "member", stat: "median" });
progress("a member dies");
const [requestsBefore, conflictsBefore] = [cluster.requests(), cluster.api.conflicts];
const lost = cluster.kill(7);
const killedAt = cluster.now;
cluster.runFor(SIM_CONFIG.leaseDurationMs - SIM_CONFIG.retryPeriodMs);
const left = new Set(lost);
while (left.size > 0 && cluster.now < killedAt + 20_000) {
  cluster.runFor(5);
  for (const key of left) if (cluster.holds(key)) left.delete(key);
}
if (left.size > 0) throw new Error(`${left.size} of ${lost.length} keys have no owner`);
figure("claims.takeOver", cluster.now - killedAt, "ms", { ...parameters, lost: lost.length, budget: SIM_CONFIG.leaseDurationMs + 500 });
cluster.runFor(1000);
const renews = (members - 1) * ((cluster.now - killedAt) / SIM_CONFIG.retryPeriodMs);
figure("claims.takeOverRequests", cluster.requests() - requestsBefore - renews, "requests", { ...parameters, lost: lost.length, conflicts: cluster.api.conflicts - conflictsBefore });
const looks = steps(cluster, "claims");
figure("claims.step", median(looks), "ms", { ...parameters, kind: "look at all claims", stat: "median" });
figure("claims.step", Math.max(...looks), "ms", { ...parameters, kind: "look at all claims", stat: "worst" });
