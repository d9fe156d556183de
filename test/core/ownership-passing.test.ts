import { describe, expect, test } from "vitest";
import type { RomanaKey } from "../../src/core/model.js";
import type { LeaseId, Leases } from "../../src/ports/kube.js";
import { FakeClock, flush } from "../fakes/clock.js";
import { FakeKube } from "../fakes/kube.js";
import { holder, OwnershipBench } from "./ownership-bench.js";

const KEY: RomanaKey = "romana/default/web";
const OTHER: RomanaKey = "romana/default/other";

/** Counts the watches that are open, by the name of their Lease. */
class Watched extends FakeKube {
  readonly open: string[] = [];

  readonly watchLease: Leases["watch"] = async (id: LeaseId, seen, signal) => {
    this.open.push(id.name);
    await this.leases.watch(id, seen, signal);
    this.open.splice(this.open.indexOf(id.name), 1);
  };

  /** Of keys that come and go. */
  get passing(): readonly string[] {
    return this.open.filter((name) => name.startsWith("romana/"));
  }
}

function bench(kube = new Watched(), clock = new FakeClock(), node = "n1"): OwnershipBench & { readonly kube: Watched } {
  return new OwnershipBench(clock, kube, node, kube.watchLease) as OwnershipBench & { readonly kube: Watched };
}

describe("a key that comes and goes", () => {
  test("is watched from the first time that it is named, and taken", async () => {
    await using one = bench();
    expect(one.ownership.states().has(KEY)).toBe(false);
    expect([one.ownership.heldUntil(KEY), one.ownership.kernelDeadline(KEY), one.ownership.mayAnnounce(KEY)]).toEqual([0, 0, false]);
    await one.campaign({ [KEY]: "run" });
    expect(one.held(KEY)).toBe(true);
    expect(one.ownership.states().get(KEY)).toEqual({ held: true, view: "mine", holder: "n1", created: true });
    expect(one.kube.passing).toEqual([KEY]);
    await one.campaign({ [KEY]: "run" });
    expect(one.kube.passing).toEqual([KEY]);
  });

  test("is unknown until its Lease has been seen, and wakes the loop then", async () => {
    await using one = bench();
    await flush();
    one.ownership.campaign(new Map([[KEY, "out"]]));
    expect(one.ownership.states().get(KEY)).toMatchObject({ held: false, view: "unknown" });
    const before = one.changes;
    await flush();
    expect(one.ownership.states().get(KEY)).toMatchObject({ held: false, view: "free" });
    expect(one.changes).toBe(before + 1);
  });

  test("that is named no more is given up, held on to for want of an heir, and then forgotten, its watch with it", async () => {
    await using one = bench();
    await one.campaign({ services: "run", [KEY]: "run" });
    await one.campaign({ services: "run" });
    expect([one.kube.lease(KEY)?.record.holderIdentity, one.held(KEY), one.kube.passing]).toEqual(["", true, [KEY]]);
    await one.clock.advance(1000);
    expect([one.held(KEY), one.ownership.states().has(KEY), one.kube.passing]).toEqual([false, false, []]);
    const { requests } = one.kube;
    await one.clock.advance(10_000);
    // The ten renews of the other Lease.
    expect([one.held(), one.kube.requests - requests]).toEqual([true, 10]);
  });

  test("that was never held is forgotten at once", async () => {
    await using one = bench();
    await one.campaign({ [KEY]: "out" });
    await one.campaign({});
    expect([one.ownership.states().has(KEY), one.kube.passing, one.kube.requests]).toEqual([false, [], 0]);
  });

  test("is forgotten only once the API has heard that it is given up", async () => {
    await using one = bench();
    await one.campaign({ [KEY]: "run" });
    one.kube.down = true;
    await one.campaign({});
    await one.clock.advance(20_000);
    expect([one.held(KEY), one.ownership.states().has(KEY), one.kube.passing]).toEqual([false, true, [KEY]]);
    one.kube.down = false;
    await one.clock.advance(1000);
    expect([one.kube.lease(KEY)?.record.holderIdentity, one.ownership.states().has(KEY), one.kube.passing]).toEqual(["", false, []]);
  });

  test("is forgotten although a claim was under way when it was named no more, and leaves no Lease with this node's name", async () => {
    await using one = bench();
    one.ownership.campaign(new Map([[KEY, "run"]]));
    // Seen, and the write sent; the answer is still to come.
    while (one.kube.passing.length === 0 || one.ownership.states().get(KEY)?.view === "unknown") await Promise.resolve();
    one.ownership.campaign(new Map());
    await one.clock.advance(2000);
    expect([one.kube.lease(KEY)?.record.holderIdentity ?? "", one.ownership.states().has(KEY), one.kube.passing]).toEqual(["", false, []]);
  });

  test("is named again while it is being given up: kept, on the same watch", async () => {
    await using one = bench();
    await one.campaign({ [KEY]: "run" });
    await one.campaign({});
    await one.clock.advance(500);
    await one.campaign({ [KEY]: "run" });
    await one.clock.advance(5000);
    expect([one.held(KEY), one.kube.lease(KEY)?.record.holderIdentity, one.kube.passing]).toEqual([true, "n1", [KEY]]);
  });

  test("is named again after it was forgotten: as if for the first time, but its Lease is not new", async () => {
    await using one = bench();
    for (const created of [true, false]) {
      await one.campaign({ [KEY]: "run" });
      expect(one.ownership.states().get(KEY)).toMatchObject({ held: true, created });
      await one.campaign({});
      await one.clock.advance(2000);
      expect(one.ownership.states().has(KEY)).toBe(false);
    }
  });

  test("a hundred times over leaves nothing behind", async () => {
    await using one = bench();
    for (let i = 0; i < 100; i += 1) {
      await one.campaign({ [KEY]: i % 3 === 0 ? "out" : "run", ...(i % 2 === 0 ? { [OTHER]: "run" } : {}) });
      await one.clock.advance((i * 37) % 300);
      await one.campaign({});
      await one.clock.advance((i * 53) % 400);
    }
    await one.clock.advance(5000);
    expect([[...one.ownership.states().keys()], one.kube.passing, one.clock.pending]).toEqual([["services"], [], 0]);
  });

  test("of another's is left to that one: watched, not asked for", async () => {
    await using one = bench();
    await using two = bench(one.kube, one.clock, "n2");
    await one.campaign({ [KEY]: "run" });
    await two.campaign({ [KEY]: "out" });
    await one.clock.advance(10_000);
    expect(two.ownership.states().get(KEY)).toMatchObject({ held: false, view: "other", holder: "n1" });
    await one.campaign({ [KEY]: "drop" });
    expect([one.held(KEY), two.held(KEY), two.ownership.states().get(KEY)?.view]).toEqual([false, false, "free"]);
  });
});

describe("leaving", () => {
  test("gives up the keys that come and go, too, and has left once all are", async () => {
    await using one = bench();
    await one.campaign({ services: "run", [KEY]: "run" });
    let left = false;
    one.ownership.leave();
    void one.ownership.left().then(() => (left = true));
    await one.clock.advance(999);
    expect([left, one.kube.lease(KEY)?.record.holderIdentity]).toEqual([false, ""]);
    await one.clock.advance(1);
    expect([left, one.held(KEY), one.held()]).toEqual([true, false, false]);
  });

  test("opens no more keys", async () => {
    await using one = bench();
    one.ownership.leave();
    await one.campaign({ [KEY]: "run" });
    expect([one.ownership.states().has(KEY), one.kube.passing]).toEqual([false, []]);
  });

  test("while a key is being opened takes it no more", async () => {
    await using one = bench();
    one.ownership.campaign(new Map([[KEY, "run"]]));
    one.ownership.leave();
    let left = false;
    void one.ownership.left().then(() => (left = true));
    await one.clock.advance(10_000);
    expect([left, one.kube.lease(KEY)?.record.holderIdentity ?? "", one.held(KEY)]).toEqual([true, "", false]);
  });

  test("after a campaign without the key: it is given up, and left ends all the same", async () => {
    await using one = bench();
    await one.campaign({ [KEY]: "run" });
    one.ownership.leave();
    await one.campaign({});
    let left = false;
    void one.ownership.left().then(() => (left = true));
    await one.clock.advance(1000);
    expect([left, one.kube.lease(KEY)?.record.holderIdentity]).toEqual([true, ""]);
  });
});

test("after the end a campaign opens nothing any more", async () => {
  const one = bench();
  await one[Symbol.asyncDispose]();
  one.ownership.campaign(new Map([[KEY, "run"]]));
  await one.clock.advance(5000);
  expect([one.kube.open, one.kube.requests, one.clock.pending]).toEqual([[], 0, 0]);
});

test("whether it is still ours: yes while it is held, no once it is forgotten", async () => {
  await using one = bench();
  await one.campaign({ [KEY]: "run" });
  let said: boolean | undefined;
  void one.ownership.confirm(KEY).then((yes) => (said = yes));
  await flush();
  expect(said).toBe(true);
  await one.campaign({});
  await one.clock.advance(2000);
  expect(await one.ownership.confirm(KEY)).toBe(false);
});

test("a node that is asked whether a key is still its, and gives it up meanwhile, says no", async () => {
  await using one = await holder();
  await one.campaign({ services: "run", [KEY]: "run" });
  await one.clock.advance(500);
  one.kube.down = true;
  let said: boolean | undefined;
  void one.ownership.confirm(KEY).then((yes) => (said = yes));
  await one.campaign({ services: "run" });
  await flush();
  expect(said).toBe(false);
});
