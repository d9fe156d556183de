import { expect } from "vitest";
import { Claims, type ClaimsConfig } from "../../src/core/claims.js";
import type { OwnershipKey } from "../../src/core/model.js";
import type { Fit, Wish } from "../../src/machine/claim-state.js";
import type { Lease, Leases } from "../../src/ports/kube.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKube } from "../fakes/kube.js";
import { FakeLog } from "../fakes/log.js";
import { SIM_CONFIG } from "../machine/claims-sim-options.js";

export const CONFIG: Omit<ClaimsConfig, "node" | "process"> = {
  ...SIM_CONFIG,
  namespace: "kube-system",
  collectMs: 3_600_000,
  heirMs: 60,
  turnMs: 50,
  patienceMs: 700,
  offerAgainMs: 30_000,
  steadyMs: 30_000,
  returnedMs: 300_000,
  rebalanceRate: 5,
  giveAtOnce: 4,
  leaveMs: 2000,
  leaveAllMs: 10_000,
};

export const keysOf = (count: number): readonly OwnershipKey[] => Array.from({ length: count }, (_, index) => `svc/default/web-${index}` as const);

/** What a node wants of all these keys. */
export function wishesOf(keys: readonly OwnershipKey[], fit: Fit = "run"): ReadonlyMap<OwnershipKey, Wish> {
  return new Map(keys.map((key) => [key, { fit, nodes: undefined, weight: 1, preferred: [] }]));
}

/** One process on one node. */
export class ClaimsNode implements AsyncDisposable {
  readonly log = new FakeLog();
  readonly claims: Claims;
  readonly moved: (OwnershipKey | undefined)[] = [];
  changes = 0;
  /** Its watch shows nothing from now on, without a word; only a new watch helps. */
  deaf = false;
  watches = 0;

  constructor(
    readonly name: string,
    readonly clock: FakeClock,
    readonly kube: FakeKube,
    process = `${name}-1`,
  ) {
    const watchLabelled: Leases["watchLabelled"] = async (where, changed, signal) => {
      const watch = (this.watches += 1);
      const seen = (leases: ReadonlyMap<string, Lease>): void => {
        if (!this.deaf || watch < this.watches) changed(leases);
      };
      this.deaf = false;
      await kube.leases.watchLabelled(where, seen, signal);
    };
    const leases = { ...kube.leases, watchLabelled };
    this.claims = new Claims({ ...CONFIG, node: name, process }, { leases, clock, log: this.log, changed: () => void (this.changes += 1) });
    this.claims.onMoved((key) => this.moved.push(key));
  }

  /** Keys that this node holds; what states and fence say of them has to agree. */
  held(): readonly OwnershipKey[] {
    const now = this.clock.now();
    const held: OwnershipKey[] = [];
    for (const [key, state] of this.claims.states()) {
      expect(this.claims.heldUntil(key) > now, key).toBe(state.held);
      if (state.held) held.push(key);
      else expect([this.claims.kernelDeadline(key), this.claims.mayAnnounce(key)]).toEqual([0, false]);
    }
    return held;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.claims[Symbol.asyncDispose]();
  }
}

/** Nodes over one API in memory. */
export class ClaimsBench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly kube = new FakeKube();
  readonly nodes = new Map<string, ClaimsNode>();

  /** Starts a process on this node; in place of the one that runs there, if any. */
  start(name: string, process?: string): ClaimsNode {
    const node = new ClaimsNode(name, this.clock, this.kube, process);
    this.nodes.set(name, node);
    return node;
  }

  at(name: string): ClaimsNode {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  /** As a crash does: nothing is said to anybody. */
  async kill(name: string): Promise<void> {
    await this.at(name)[Symbol.asyncDispose]();
    this.nodes.delete(name);
  }

  wish(wishes: ReadonlyMap<OwnershipKey, Wish>): void {
    for (const { claims } of this.nodes.values()) claims.wish(wishes);
  }

  /** Who holds each key: names, joined by `+` where there are several. */
  holders(): ReadonlyMap<OwnershipKey, string> {
    const holders = new Map<OwnershipKey, string>();
    for (const [name, node] of this.nodes) {
      for (const key of node.held()) holders.set(key, holders.has(key) ? `${holders.get(key)}+${name}` : name);
    }
    return holders;
  }

  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.nodes].map(([name, node]) => [name, node.held().length]));
  }

  member(name: string): Record<string, unknown> {
    return JSON.parse(this.kube.lease(`vip-member-${name}`)?.annotations["vip.internal/member"] ?? "{}") as Record<string, unknown>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes.values()) await node[Symbol.asyncDispose]();
    expect(this.clock.pending).toBe(0);
  }
}

/** Nodes n1, n2, … that share out `keys`, came to know of each other before all but the first of these, and have come to rest. */
export async function shared(keys: readonly OwnershipKey[], nodes = 3): Promise<ClaimsBench> {
  const bench = new ClaimsBench();
  for (let index = 1; index <= nodes; index += 1) bench.start(`n${index}`);
  bench.wish(wishesOf(keys.slice(0, 1)));
  await bench.clock.advance(1000);
  bench.wish(wishesOf(keys));
  await bench.clock.advance(2000);
  return bench;
}
