import { describe, expect, test } from "vitest";
import { flush } from "../fakes/clock.js";
import { ClaimsBench, keysOf, shared, wishesOf } from "./claims-bench.js";

const KEYS = keysOf(30);

describe("three nodes that share thirty keys", () => {
  test("each is held by exactly one, and they are spread", async () => {
    await using bench = await shared(KEYS);
    const holders = bench.holders();
    expect(holders.size).toBe(30);
    expect([...holders.values()].every((holder) => /^n\d$/.test(holder))).toBe(true);
    for (const count of Object.values(bench.counts())) expect(count).toBeGreaterThanOrEqual(7);
    for (const node of bench.nodes.values()) {
      for (const [key, state] of node.claims.states()) {
        expect(state).toEqual({ held: holders.get(key) === node.name, view: holders.get(key) === node.name ? "mine" : "other", holder: holders.get(key), created: false });
      }
    }
  });

  test("nothing is asked before a key is wished for, and nothing of a node without any", async () => {
    await using bench = new ClaimsBench();
    const { claims } = bench.start("n1");
    claims.wish(undefined);
    claims.wish(new Map());
    claims.suspect();
    await bench.clock.advance(60_000);
    expect([bench.kube.requests, bench.at("n1").watches, bench.clock.pending]).toEqual([0, 0, 0]);
    claims.leave();
    await claims.left();
  });

  test("Leases: a member each, claims in sixteen at the most, all with the label and the names that are documented", async () => {
    await using bench = await shared(KEYS);
    expect(bench.kube.leasesOf("vip-member-").map(({ id }) => id)).toEqual(["n1", "n2", "n3"].map((node) => ({ namespace: "kube-system", name: `vip-member-${node}` })));
    const shards = bench.kube.leasesOf("vip-claims-");
    expect(shards.length).toBeGreaterThan(8);
    expect(shards.every(({ id }) => /^vip-claims-(\d|1[0-5])$/.test(id.name))).toBe(true);
    expect(bench.kube.leasesOf("vip-")).toHaveLength(3 + shards.length);
    expect(bench.kube.lease("vip-member-n1")?.record).toMatchObject({ holderIdentity: "n1", leaseDurationSeconds: 5 });
  });

  test("one dies: its keys are elsewhere within the lease time and a second, and nothing else moves", async () => {
    await using bench = await shared(KEYS);
    const before = bench.holders();
    await bench.kill("n2");
    await bench.clock.advance(6000);
    const after = bench.holders();
    expect(after.size).toBe(30);
    for (const [key, holder] of before) if (holder !== "n2") expect(after.get(key)).toBe(holder);
    expect(bench.member("n2")["state"]).toBe("fenced");
  });

  test("one drains: another takes each key before it lets go; called off, it takes keys again", async () => {
    await using bench = await shared(KEYS);
    const mine = bench.at("n1").held();
    bench.at("n1").claims.terms({ drain: true, weight: 1 });
    for (let step = 0; step < 200; step += 1) {
      await bench.clock.advance(10);
      const holders = bench.holders();
      expect(KEYS.filter((key) => !holders.has(key))).toEqual([]);
      expect(KEYS.filter((key) => [...bench.nodes.values()].filter(({ claims }) => claims.mayAnnounce(key)).length > 1)).toEqual([]);
    }
    expect(bench.counts()["n1"]).toBe(0);
    expect(mine.length).toBeGreaterThan(0);
    await bench.kill("n3");
    bench.at("n1").claims.terms({ drain: false, weight: 1 });
    await bench.clock.advance(6000);
    expect(bench.counts()["n1"]).toBeGreaterThan(0);
  });

  test("somebody asks for it: all members make the load even at once, not only once a node has been there for a while", async () => {
    await using bench = await shared(KEYS, 2);
    bench.start("n3");
    bench.wish(wishesOf(KEYS));
    await bench.clock.advance(2000);
    expect(bench.counts()["n3"]).toBe(0);
    await bench.at("n3").claims.rebalance();
    await bench.clock.advance(2500);
    expect(bench.counts()).toEqual({ n1: 10, n2: 10, n3: 10 });
  });

  test("somebody asks for it: hundreds of keys move in a few seconds, fifty a second, and no key moves twice", async () => {
    const keys = keysOf(300);
    await using bench = await shared(keys, 1);
    bench.start("n2");
    bench.wish(wishesOf(keys));
    await bench.clock.advance(2000);
    await bench.at("n1").claims.rebalance();
    await bench.clock.advance(1000);
    const early = bench.counts()["n2"] ?? 0;
    expect(early).toBeGreaterThan(30);
    expect(early).toBeLessThanOrEqual(60);
    await bench.clock.advance(3000);
    const counts = bench.counts();
    expect((counts["n1"] ?? 0) + (counts["n2"] ?? 0)).toBe(300);
    expect(Math.min(...Object.values(counts))).toBeGreaterThanOrEqual(136);
    await bench.clock.advance(10_000);
    expect(bench.counts()).toEqual(counts);
    // It is over: one that joins now is given something only once it has been there for a while.
    bench.start("n3");
    bench.wish(wishesOf(keys));
    await bench.clock.advance(10_000);
    expect(bench.counts()["n3"]).toBe(0);
  });

  test("who takes over is told that the one before may still have the address", async () => {
    await using bench = await shared(KEYS, 2);
    const key = bench.at("n1").held()[0] ?? "services";
    bench.at("n1").claims.terms({ drain: true, weight: 1 });
    await flush();
    await bench.clock.advance(20);
    expect(bench.at("n2").claims.states().get(key)).toMatchObject({ held: true, view: "mine", heir: true });
    expect(bench.at("n1").claims.states().get(key)).toMatchObject({ held: true, view: "other", holder: "n2" });
    await bench.clock.advance(200);
    expect(bench.at("n2").claims.states().get(key)).toEqual({ held: true, view: "mine", holder: "n2", created: false });
    expect(bench.at("n1").claims.states().get(key)?.held).toBe(false);
  });

  test("one leaves: its keys are handed over, its Lease is released, and only then has it left", async () => {
    await using bench = await shared(KEYS);
    const { claims } = bench.at("n1");
    claims.leave();
    let left = false;
    void claims.left().then(() => (left = true));
    await flush();
    expect(left).toBe(false);
    await bench.clock.advance(1000);
    expect([left, bench.counts()["n1"], bench.member("n1")["state"], bench.holders().size]).toEqual([true, 0, "released", 30]);
    claims.terms({ drain: false, weight: 1 });
    await bench.clock.advance(10_000);
    expect(bench.counts()["n1"]).toBe(0);
  });

  test("one leaves: no more than a few of its keys are between two nodes at a time, however many it has", async () => {
    const keys = keysOf(120);
    await using bench = await shared(keys, 2);
    const mine = bench.counts()["n1"] ?? 0;
    const { claims } = bench.at("n1");
    claims.leave();
    let left = false;
    void claims.left().then(() => (left = true));
    let most = 0;
    for (let ms = 0; !left && ms < 10_000; ms += 10) {
      await bench.clock.advance(10);
      const between = Array.from({ length: 16 }, (_, shard) => bench.kube.lease(`vip-claims-${shard}`)?.annotations["vip.internal/claims"] ?? "").join("").match(/[<>]n\d/g) ?? [];
      most = Math.max(most, between.length);
    }
    expect(mine).toBeGreaterThan(40);
    expect([left, most, bench.counts()["n2"]]).toEqual([true, 4, 120]);
  });

  test("one leaves while the API does not answer: it has left a second after its lease is no longer fresh", async () => {
    await using bench = await shared(KEYS);
    const { claims } = bench.at("n1");
    bench.kube.down = true;
    claims.leave();
    let left = false;
    void claims.left().then(() => (left = true));
    await bench.clock.advance(2000);
    expect(left).toBe(false);
    await bench.clock.advance(2100);
    expect([left, bench.counts()["n1"]]).toEqual([true, 0]);
    bench.kube.down = false;
  });

  test("the last one leaves: what nobody takes is let go of, and the Lease is released", async () => {
    await using bench = await shared(KEYS, 1);
    const { claims } = bench.at("n1");
    claims.leave();
    const left = claims.left();
    await bench.clock.advance(2000);
    await left;
    expect([bench.holders().size, bench.member("n1")["state"]]).toEqual([0, "released"]);
  });

  test("a process starts anew while its Lease is live: it goes on with that life and its keys, and nothing moves", async () => {
    await using bench = await shared(KEYS);
    const before = bench.holders();
    const { incarnation } = bench.member("n1");
    await bench.kill("n1");
    await bench.clock.advance(500);
    bench.start("n1", "n1-2").claims.wish(wishesOf(KEYS));
    await bench.clock.advance(1000);
    expect(bench.member("n1")).toMatchObject({ incarnation, process: "n1-2", state: "live" });
    await bench.clock.advance(9000);
    expect(bench.holders()).toEqual(before);
  });

  test("keys that nobody wishes for any more are shown no more, and given up", async () => {
    await using bench = await shared(KEYS);
    bench.wish(wishesOf(KEYS.slice(0, 3)));
    await bench.clock.advance(1000);
    expect([bench.holders().size, bench.at("n1").claims.states().size]).toEqual([3, 3]);
    const texts = bench.kube.leasesOf("vip-claims-").map(({ annotations }) => annotations["vip.internal/claims"] ?? "");
    expect(texts.flatMap((text) => Object.keys(JSON.parse(text) as object))).toHaveLength(3);
  });
});

describe("an API that is not there", () => {
  test("everybody drops everything at the renew deadline, and takes it back without a move afterwards", async () => {
    await using bench = await shared(KEYS);
    // Long enough for what makes the load even to be over.
    await bench.clock.advance(40_000);
    const before = bench.holders();
    bench.kube.down = true;
    const since = bench.clock.now();
    await bench.clock.advance(2000);
    expect(bench.holders()).toEqual(before);
    await bench.clock.advance(1001);
    expect(bench.clock.now() - since).toBeLessThan(3002);
    expect(bench.holders().size).toBe(0);
    await bench.clock.advance(60_000);
    bench.kube.down = false;
    await bench.clock.advance(3000);
    expect(bench.holders()).toEqual(before);
  });

  test("is complained of, but not with every attempt", async () => {
    await using bench = await shared(KEYS);
    bench.kube.down = true;
    await bench.clock.advance(20_000);
    const said = bench.at("n1").log.lines.filter(({ message }) => message === "lease request failed");
    expect(said.length).toBeGreaterThan(1);
    expect(said.length).toBeLessThan(10);
    expect(said[0]).toMatchObject({ level: "warn", lease: "vip-member-n1", request: "writeMember" });
  });

  test("a watch that has fallen silent is started anew, and what was missed is known then", async () => {
    await using bench = await shared(KEYS);
    const node = bench.at("n1");
    node.deaf = true;
    bench.kube.removeLease("vip-member-n3");
    await bench.clock.advance(3000);
    expect(node.watches).toBe(2);
    expect(node.log.lines.some(({ message }) => message.startsWith("watch of members and claims shows nothing"))).toBe(true);
    await bench.clock.advance(10_000);
    expect([bench.holders().size, node.watches]).toEqual([30, 2]);
  });
});
