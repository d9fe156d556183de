import { describe, expect, test } from "vitest";
import { claimHolds, claimKernelDeadline, claimMayAnnounce, claimView } from "../../src/machine/claimant.js";
import { SHARDS } from "../../src/machine/placement.js";
import { Bench, KEY, LIFE, MINE, OFFERED, SHARD, TAKEN, member, writes } from "./claims-bench.js";

describe("a free key", () => {
  test("is claimed by the first in order, and held once the write is acknowledged", () => {
    const bench = Bench.ready();
    expect(writes(bench.wish(1020, "run"))).toEqual([{ text: MINE, base: undefined }]);
    expect(bench.until()).toBe(0);
    bench.wrote(1030, 1, "20", MINE);
    expect(bench.until()).toBe(4000);
    expect(claimMayAnnounce(bench.state, KEY, { now: 1030, config: bench.config })).toBe(true);
    expect(claimKernelDeadline(bench.state, KEY, bench.config)).toBe(1000 + 4900 - 1600);
    expect(claimView(bench.state, KEY, bench.config)).toEqual({ type: "mine", node: "n1", heir: undefined });
  });

  test("of a live member is not touched, and of one that was fenced is claimed at once", () => {
    const bench = Bench.ready();
    bench.shard(1015, "20", `{"${KEY}":"n2#4"}`);
    expect(bench.wish(1020, "run")).toEqual([]);
    expect(writes(bench.peer(1500, "6", { state: "fenced" }))).toEqual([{ text: MINE, base: "20" }]);
  });

  test("of an earlier life of a live member is free", () => {
    const bench = Bench.ready();
    bench.shard(1015, "20", `{"${KEY}":"n2#3"}`);
    expect(writes(bench.wish(1020, "run"))).toEqual([{ text: MINE, base: "20" }]);
  });

  test("after a conflict the shard is read, and what is there then decides", () => {
    const bench = Bench.ready();
    bench.wish(1020, "run");
    expect(bench.at(1030, { type: "shardFailed", shard: SHARD, id: 1, conflict: true })).toMatchObject([{ type: "readShard", shard: SHARD }]);
    expect(bench.shard(1040, "21", `{"${KEY}":"n2#4"}`, true)).toEqual([]);
    expect(bench.until()).toBe(0);
  });

  test("a claim of unknown outcome is read before anything is added", () => {
    const bench = Bench.ready();
    bench.wish(1020, "run");
    expect(bench.at(2020, { type: "shardFailed", shard: SHARD, id: 1, conflict: false }).map(({ type }) => type)).toContain("readShard");
    expect(bench.until()).toBe(0);
    bench.shard(2030, "21", MINE, true);
    expect(bench.until()).toBe(4000);
  });
});

describe("a key of this node", () => {
  test("is held no longer than its own lease is fresh, and again when a renew has taken effect", () => {
    const bench = Bench.holding();
    expect(claimHolds(bench.state, KEY, { now: 3999, config: bench.config })).toBe(true);
    expect(claimHolds(bench.state, KEY, { now: 4000, config: bench.config })).toBe(false);
  });

  test("is handed over: named, taken, kept for the heir's time, and cleared", () => {
    const bench = Bench.holding();
    expect(writes(bench.wish(2000, "yield"))).toEqual([{ text: OFFERED, base: "20" }]);
    // From the start of that write on, the heir may have it.
    expect(bench.until()).toBe(3000);
    expect(claimMayAnnounce(bench.state, KEY, { now: 2001, config: bench.config })).toBe(false);
    expect(claimKernelDeadline(bench.state, KEY, bench.config)).toBe(3999);
    bench.wrote(2010, 2, "21", OFFERED);
    expect(writes(bench.shard(2030, "22", TAKEN))).toEqual([]);
    expect(bench.until()).toBe(2110);
    expect(bench.wakeAt).toBe(2110);
    expect(writes(bench.at(2160, { type: "tick" }))).toEqual([{ text: `{"${KEY}":"n2#4"}`, base: "22" }]);
  });

  test("on offer is read again and again, and let go of when nothing newer is known", () => {
    const bench = Bench.holding();
    bench.wish(2000, "yield");
    bench.wrote(2010, 2, "21", OFFERED);
    expect(bench.at(2250, { type: "tick" }).map(({ type }) => type)).toContain("readShard");
    expect(claimHolds(bench.state, KEY, { now: 2999, config: bench.config })).toBe(true);
    expect(claimHolds(bench.state, KEY, { now: 3000, config: bench.config })).toBe(false);
    bench.shard(2260, "21", OFFERED, true);
    expect(bench.until()).toBe(3250);
  });

  test("let go of while on offer, stays away until the offer is withdrawn: an heir may have taken it", () => {
    const bench = Bench.holding();
    bench.at(1040, { type: "confirm", stop: false });
    bench.at(1990, { type: "memberWritten", node: "n1", id: 2, version: { resourceVersion: "11", record: member({ incarnation: LIFE, process: "p1", seq: 2 }) } });
    bench.wish(2000, "yield");
    bench.wrote(2010, 2, "21", OFFERED);
    // Nobody else is there to be asked.
    expect(writes(bench.at(3000, { type: "tick" }))).toEqual([{ text: MINE, base: "21" }]);
    expect(bench.until()).toBe(0);
    bench.shard(3010, "21", OFFERED, true);
    expect(bench.until()).toBe(0);
    bench.wrote(3020, 3, "22", MINE);
    expect(bench.until()).toBe(4040);
  });

  test("on offer is not kept for what the watch shows, which may be of any age", () => {
    const bench = Bench.holding();
    bench.wish(2000, "yield");
    bench.wrote(2010, 2, "21", OFFERED);
    bench.shard(2900, "22", `{"default/other":"n2#4",${OFFERED.slice(1)}`);
    expect(bench.until()).toBe(3000);
  });

  test("a release of unknown outcome counts, too: the key is not held before the shard has moved past it", () => {
    const bench = Bench.holding();
    bench.wish(2000, "drop");
    bench.at(2050, { type: "tick" });
    bench.at(2500, { type: "shardFailed", shard: SHARD, id: 2, conflict: false });
    bench.wish(2510, "run");
    expect(bench.until()).toBe(0);
    expect(writes(bench.shard(2520, "20", MINE, true))).toEqual([{ text: MINE, base: "20" }]);
    expect(bench.until()).toBe(0);
    bench.wrote(2530, 3, "23", MINE);
    expect(bench.until()).toBe(4000);
  });

  test("an offer of unknown outcome counts until the shard has moved past it", () => {
    const bench = Bench.holding();
    bench.wish(2000, "yield");
    bench.at(2500, { type: "shardFailed", shard: SHARD, id: 2, conflict: false });
    bench.wish(2510, "run");
    expect(bench.until()).toBe(3000);
    expect(writes(bench.shard(2520, "20", MINE, true))).toEqual([{ text: MINE, base: "20" }]);
    bench.wrote(2540, 3, "23", MINE);
    expect(bench.until()).toBe(4000);
  });

  test("that cannot be served is let go of first, and cleared a moment later", () => {
    const bench = Bench.holding();
    expect(writes(bench.wish(2000, "drop"))).toEqual([]);
    expect(bench.until()).toBe(0);
    expect(writes(bench.at(2050, { type: "tick" }))).toEqual([{ text: "{}", base: "20" }]);
  });

  test("that nobody wishes for any more goes, too", () => {
    const bench = Bench.holding();
    bench.at(2000, { type: "wishes", wishes: new Map() });
    expect(writes(bench.at(2050, { type: "tick" }))).toEqual([{ text: "{}", base: "20" }]);
  });

  test("stays where nobody else can have it", () => {
    const bench = Bench.holding();
    bench.peer(1900, "6", { drain: true });
    expect(writes(bench.wish(2000, "yield"))).toEqual([]);
    expect(bench.until()).toBe(4000);
  });

  test("that nobody else could have is handed over as soon as somebody can", () => {
    const bench = Bench.holding();
    bench.peer(1900, "6", { drain: true });
    expect(writes(bench.wish(2000, "yield"))).toEqual([]);
    expect(writes(bench.peer(2100, "7", {}))).toEqual([{ text: OFFERED, base: "20" }]);
  });

  test("that nobody took is offered at once to who joins, and again to the others in a while only", () => {
    const bench = Bench.holding();
    bench.wish(2000, "yield");
    bench.wrote(2010, 2, "21", OFFERED);
    const back = bench.at(3005, { type: "tick" });
    expect(writes(back)).toEqual([{ text: MINE, base: "21" }]);
    bench.wrote(3010, 3, "22", MINE);
    expect(writes(bench.peer(3100, "7", {}))).toEqual([]);
    const joined = bench.at(3200, { type: "member", node: "n3", version: { resourceVersion: "8", record: member({ incarnation: 2, process: "p3" }) }, read: false });
    expect(writes(joined)).toEqual([{ text: `{"${KEY}":"n1#${LIFE}>n3#2"}`, base: "22" }]);
  });

  test("its member fenced: everything is let go of without another write", () => {
    const bench = Bench.holding();
    bench.at(2000, { type: "member", node: "n1", version: { resourceVersion: "30", record: member({ incarnation: LIFE, process: "p1", state: "fenced" }) }, read: false });
    expect(bench.until()).toBe(0);
    expect(claimView(bench.state, KEY, bench.config).type).not.toBe("mine");
  });

  test("a process that goes on with a life writes each shard that names it before it holds anything", () => {
    const bench = new Bench();
    for (let shard = 0; shard < SHARDS; shard += 1) bench.at(900, { type: "shard", shard, version: shard === SHARD ? { resourceVersion: "20", text: `{"${KEY}":"n1#7"}` } : undefined, read: false });
    bench.at(950, { type: "member", node: "n1", version: { resourceVersion: "5", record: member({ incarnation: 7, process: "p0" }) }, read: false });
    bench.wish(960, "run");
    bench.at(1000, { type: "membersListed" });
    const renewed = bench.at(1010, { type: "memberWritten", node: "n1", id: 1, version: { resourceVersion: "10", record: member({ incarnation: 7, process: "p1" }) } });
    expect(writes(renewed)).toEqual([{ text: `{"${KEY}":"n1#7"}`, base: "20" }]);
    expect(bench.until()).toBe(0);
    bench.wrote(1020, 1, "21", `{"${KEY}":"n1#7"}`);
    expect(bench.until()).toBe(4000);
  });
});
