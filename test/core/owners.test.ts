import { expect, test } from "vitest";
import { Claims } from "../../src/core/claims.js";
import { Owners } from "../../src/core/owners.js";
import { Ownership } from "../../src/core/ownership.js";
import type { OwnershipKey } from "../../src/core/model.js";
import { FakeClock, flush } from "../fakes/clock.js";
import { FakeKube } from "../fakes/kube.js";
import { FakeLog } from "../fakes/log.js";
import { CONFIG, keysOf, wishesOf } from "./claims-bench.js";

const SINGLE = { leaseDurationMs: 5000, renewDeadlineMs: 3000, retryPeriodMs: 1000, drift: 0.01, kernelLatenessMs: 1600, handOverMs: 1000, heirMs: 80, patienceMs: 2000, offerAgainMs: 30_000, spareAgainMs: 600_000, modestyMs: 200 };
const [KEY = "services"] = keysOf(1);
const WISHES = wishesOf([KEY, "romana/default/web"]);

/** Both kinds of keys of one node over one API. */
class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly kube = new FakeKube();
  changes = 0;
  readonly moved: (OwnershipKey | undefined)[] = [];
  readonly owners: Owners;

  constructor(sharing = true) {
    const deps = { leases: this.kube.leases, clock: this.clock, log: new FakeLog(), changed: () => void (this.changes += 1) };
    const claims = sharing ? new Claims({ ...CONFIG, node: "n1", process: "n1-1" }, deps) : undefined;
    this.owners = new Owners(new Ownership({ ...SINGLE, identity: "n1" }, deps), claims);
    this.owners.onMoved((key) => this.moved.push(key));
    this.owners.watch("services", { namespace: "kube-system", name: "plndr-svcs-lock" });
  }

  async taken(): Promise<void> {
    this.owners.campaign(new Map([["services", "run"]]), WISHES);
    await this.clock.advance(1000);
  }

  held(): readonly OwnershipKey[] {
    return [...this.owners.states()].flatMap(([key, { held }]) => (held ? [key] : []));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.owners[Symbol.asyncDispose]();
    expect(this.clock.pending).toBe(0);
  }
}

test("each key is held by its own rule: one Lease for itself, or a claim; all are shown as one", async () => {
  await using bench = new Bench();
  await bench.taken();
  expect(bench.held().toSorted()).toEqual(["romana/default/web", "services", KEY]);
  expect(bench.kube.lease("plndr-svcs-lock")?.record.holderIdentity).toBe("n1");
  expect(bench.kube.leasesOf("vip-claims-").length).toBeGreaterThan(0);
  for (const key of bench.held()) {
    expect([bench.owners.heldUntil(key) > bench.clock.now(), bench.owners.kernelDeadline(key) > bench.clock.now(), bench.owners.mayAnnounce(key)], key).toEqual([true, true, true]);
  }
});

test("what is shown stays the same map until something in it changes", async () => {
  await using bench = new Bench();
  await bench.taken();
  const states = bench.owners.states();
  await bench.clock.advance(10_000);
  expect(bench.owners.states()).toBe(states);
  bench.owners.campaign(new Map([["services", "drop"]]), WISHES);
  expect(bench.owners.states()).not.toBe(states);
  expect(bench.held().toSorted()).toEqual(["romana/default/web", KEY]);
});

test("deadlines that move are told by both", async () => {
  await using bench = new Bench();
  await bench.taken();
  bench.moved.length = 0;
  await bench.clock.advance(3000);
  expect(new Set(bench.moved)).toEqual(new Set(["services", undefined]));
  expect(bench.moved).toHaveLength(6);
});

test("wishes that are not known yet leave everything as it is", async () => {
  await using bench = new Bench();
  await bench.taken();
  bench.owners.campaign(new Map([["services", "run"]]), undefined);
  await bench.clock.advance(3000);
  expect(bench.held()).toHaveLength(3);
});

test("suspected, nothing of either kind is held until both are confirmed", async () => {
  await using bench = new Bench();
  await bench.taken();
  await bench.clock.advance(300);
  bench.owners.suspect();
  expect(bench.held()).toEqual([]);
  await flush();
  expect(bench.held()).toHaveLength(3);
  expect(await bench.owners.confirm(KEY)).toBe(true);
  expect(await bench.owners.confirm("services")).toBe(true);
});

test("it has left once both have", async () => {
  await using bench = new Bench();
  await bench.taken();
  bench.owners.leave();
  let left = false;
  void bench.owners.left().then(() => (left = true));
  await flush();
  expect(left).toBe(false);
  await bench.clock.advance(1000);
  expect([left, bench.held(), bench.kube.lease("plndr-svcs-lock")?.record.holderIdentity, bench.kube.lease("vip-member-n1")?.record.holderIdentity]).toEqual([true, [], "", ""]);
});

test("a process that takes no part in what is shared out holds none of it, and asks nothing about it", async () => {
  await using bench = new Bench(false);
  await bench.taken();
  expect(bench.held()).toEqual(["services"]);
  expect([bench.owners.heldUntil(KEY), bench.owners.kernelDeadline(KEY), bench.owners.mayAnnounce(KEY), await bench.owners.confirm(KEY)]).toEqual([0, 0, false, false]);
  expect(bench.kube.leasesOf("vip-")).toEqual([]);
  bench.owners.campaign(new Map(), undefined, { drain: true, weight: 1 });
  bench.owners.leave();
  const left = bench.owners.left();
  await bench.clock.advance(1000);
  await left;
});
