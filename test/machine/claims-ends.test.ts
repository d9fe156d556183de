import { describe, expect, test } from "vitest";
import { claimRefusals, claimView, hasLeft } from "../../src/machine/claimant.js";
import { Bench, KEY, LIFE, MINE, OFFERED, SHARD, TAKEN, member, writes } from "./claims-bench.js";

describe("an heir", () => {
  test("takes the key in the name of its owner, and takes nothing where it is not fit", () => {
    const offer = `{"${KEY}":"n2#4>n1#${LIFE}"}`;
    const fit = Bench.ready();
    fit.wish(1020, "run");
    fit.at(1030, { type: "shardFailed", shard: SHARD, id: 1, conflict: true });
    expect(writes(fit.shard(1040, "21", offer, true))).toEqual([{ text: `{"${KEY}":"n1#${LIFE}<n2#4"}`, base: "21" }]);
    const unfit = Bench.ready();
    unfit.wish(1020, "drop");
    expect(writes(unfit.shard(1040, "21", offer))).toEqual([]);
  });

  test("that dies with the key gives it back to the one who still has the address", () => {
    const bench = Bench.holding();
    bench.wish(2000, "yield");
    bench.wrote(2010, 2, "21", OFFERED);
    bench.shard(2030, "22", TAKEN);
    expect(writes(bench.peer(2040, "6", { state: "fenced" }))).toEqual([{ text: MINE, base: "22" }]);
  });
});

test("of two that gave it on and died, the one who may still have the address is named when a third claims the key, and has the first right", () => {
  const bench = Bench.ready();
  bench.at(1012, { type: "member", node: "n3", version: { resourceVersion: "12", record: member({ incarnation: 9, process: "p3" }) }, read: false });
  bench.shard(1015, "20", `{"${KEY}":"n2#4<n3#9"}`);
  bench.wish(1020, "run");
  expect(writes(bench.peer(1500, "13", { state: "fenced" }))).toEqual([]);
  expect(bench.wakeAt).toBeLessThanOrEqual(2500);
  expect(writes(bench.at(2700, { type: "tick" }))).toEqual([{ text: `{"${KEY}":"n1#${LIFE}<n3#9"}`, base: "20" }]);
});

describe("limits and ends", () => {
  test("a shard that would grow beyond its limit takes no more claims, and says which limit", () => {
    const bench = Bench.ready({ shardLimitBytes: 20 });
    expect(writes(bench.wish(1020, "run"))).toEqual([]);
    expect(claimRefusals(bench.state)).toEqual([`vip-claims-${SHARD} would have ${MINE.length} bytes, more than the limit of 20 bytes per shard: 1 keys stay without an owner`]);
  });

  test("a shard that cannot be read changes nothing, and says so", () => {
    const bench = Bench.holding();
    expect(bench.shard(1500, "30", "{oops")).toEqual([]);
    expect(bench.until()).toBe(4000);
    expect(claimView(bench.state, KEY, bench.config)).toMatchObject({ type: "unknown" });
  });

  test("an entry of another version of this program is not taken", () => {
    const bench = Bench.ready();
    bench.shard(1015, "20", `{"${KEY}":{"node":"n9"}}`);
    expect(bench.wish(1020, "run")).toEqual([]);
  });

  test("a deleted shard is made again with what was in it, by those whom it names", () => {
    const bench = Bench.holding();
    expect(writes(bench.at(2000, { type: "shard", shard: SHARD, version: undefined, read: false }))).toEqual([{ text: MINE, base: undefined }]);
    expect(bench.until()).toBe(4000);
  });

  test("an old list that shows no shard yet, and the old versions after it, bring nothing back", () => {
    const bench = Bench.holding();
    bench.shard(1500, "30", `{"${KEY}":"n2#4"}`);
    expect(bench.until()).toBe(0);
    bench.at(1600, { type: "shard", shard: SHARD, version: undefined, read: false });
    expect(bench.shard(1610, "20", MINE)).toEqual([]);
    expect(bench.until()).toBe(0);
    bench.shard(1620, "30", `{"${KEY}":"n2#4"}`);
    expect(bench.until()).toBe(0);
  });

  test("leaving hands over, clears, and releases the membership last", () => {
    const bench = Bench.holding();
    const left = bench.at(2000, { type: "stance", stance: "leave" });
    expect(writes(left)).toEqual([{ text: OFFERED, base: "20" }]);
    bench.wrote(2010, 2, "21", OFFERED);
    bench.shard(2030, "22", TAKEN);
    expect(bench.at(2160, { type: "tick" }).some((action) => action.type === "writeMember" && action.record.state === "released")).toBe(false);
    const last = bench.wrote(2170, 3, "23", `{"${KEY}":"n2#4"}`);
    expect(last.map((action) => (action.type === "writeMember" ? action.record.state : ""))).toContain("released");
    expect(hasLeft(bench.state, bench.config)).toBe(false);
  });

  test("nobody there to take it: leaving lets go and clears, without waiting", () => {
    const bench = Bench.holding();
    bench.peer(1900, "6", { state: "released" });
    bench.at(2000, { type: "stance", stance: "leave" });
    expect(bench.until()).toBe(0);
    expect(writes(bench.at(2050, { type: "tick" }))).toEqual([{ text: "{}", base: "20" }]);
  });

  test("nobody there to take it, asked a moment before: leaving waits for nobody", () => {
    const bench = Bench.holding();
    bench.peer(1900, "6", { state: "released" });
    bench.wish(1950, "yield");
    bench.at(2000, { type: "stance", stance: "leave" });
    expect(bench.until()).toBe(0);
    expect(writes(bench.at(2050, { type: "tick" }))).toEqual([{ text: "{}", base: "20" }]);
  });
});
