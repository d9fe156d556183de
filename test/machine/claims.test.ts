import { describe, expect, test } from "vitest";
import type { MemberRecord } from "../../src/machine/claim-codec.js";
import type { Fit } from "../../src/machine/claim-state.js";
import {
  claimHeldUntil,
  claimHolds,
  claimKernelDeadline,
  claimMayAnnounce,
  claimRefusals,
  claimantStart,
  claimantStep,
  claimView,
  hasLeft,
  type ClaimantAction,
  type ClaimantConfig,
  type ClaimantEvent,
  type ClaimantState,
} from "../../src/machine/claimant.js";
import { SHARDS, shardOf } from "../../src/machine/placement.js";
import { SIM_CONFIG } from "./claims-sim-options.js";

const WALL = 1_700_000_000_000;
const LIFE = 1_700_000_000;
const KEY = "default/web";
const SHARD = shardOf(KEY);

type Draft<E> = E extends unknown ? Omit<E, "wallMs"> : never;

/** One node in a cluster with n2, and an API that the test answers for. */
class Bench {
  state: ClaimantState = claimantStart();
  wakeAt: number | undefined;
  readonly config: ClaimantConfig;

  constructor(config: Partial<ClaimantConfig> = {}) {
    this.config = { ...SIM_CONFIG, node: "n1", process: "p1", ...config };
  }

  at(now: number, event: Draft<ClaimantEvent>): readonly ClaimantAction[] {
    const result = claimantStep(this.state, { ...event, wallMs: WALL }, now, this.config);
    this.state = result.state;
    this.wakeAt = result.wakeAt;
    return result.actions;
  }

  wish(now: number, fit: Fit, key = KEY): readonly ClaimantAction[] {
    return this.at(now, { type: "wishes", wishes: new Map([[key, { fit, nodes: undefined, weight: 1, preferred: ["n1"] }]]) });
  }

  shard(now: number, resourceVersion: string, text: string, read = false): readonly ClaimantAction[] {
    return this.at(now, { type: "shard", shard: SHARD, version: { resourceVersion, text }, read });
  }

  wrote(now: number, id: number, resourceVersion: string, text: string): readonly ClaimantAction[] {
    return this.at(now, { type: "shardWritten", shard: SHARD, id, version: { resourceVersion, text } });
  }

  peer(now: number, resourceVersion: string, record: Partial<MemberRecord> = {}): readonly ClaimantAction[] {
    return this.at(now, { type: "member", node: "n2", version: { resourceVersion, record: member(record) }, read: false });
  }

  until(key = KEY): number {
    return claimHeldUntil(this.state, key, this.config);
  }

  /** Fresh since 1000, all shards known and empty; n2 is live in its life 4. */
  static ready(config: Partial<ClaimantConfig> = {}): Bench {
    const bench = new Bench(config);
    for (let shard = 0; shard < SHARDS; shard += 1) bench.at(900, { type: "shard", shard, version: undefined, read: false });
    bench.peer(950, "5", {});
    bench.at(1000, { type: "membersListed" });
    bench.at(1010, { type: "memberWritten", node: "n1", id: 1, version: { resourceVersion: "10", record: member({ incarnation: LIFE, process: "p1" }) } });
    return bench;
  }

  /** Holds the key by version 20 of its shard, written at 1020. */
  static holding(config: Partial<ClaimantConfig> = {}): Bench {
    const bench = Bench.ready(config);
    bench.wish(1020, "run");
    bench.wrote(1030, 1, "20", MINE);
    return bench;
  }
}

function member(change: Partial<MemberRecord>): MemberRecord {
  return { incarnation: 4, seq: 1, process: "p2", state: "live", drain: false, weight: 1, after: "nothing", ...change };
}

const MINE = `{"${KEY}":"n1#${LIFE}"}`;
const OFFERED = `{"${KEY}":"n1#${LIFE}>n2#4"}`;
const TAKEN = `{"${KEY}":"n2#4<n1#${LIFE}"}`;

function writes(actions: readonly ClaimantAction[]): readonly { readonly text: string; readonly base: string | undefined }[] {
  return actions.flatMap((action) => (action.type === "writeShard" ? [{ text: action.text, base: action.base?.resourceVersion }] : []));
}

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
});
