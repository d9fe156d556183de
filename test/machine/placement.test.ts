import { describe, expect, test } from "vitest";
import type { MemberView } from "../../src/machine/member-state.js";
import { betterFor, firstFor, hashText, rankFor, shardOf, tableOf, type Placed, type Table } from "../../src/machine/placement.js";

const NOW = 1_000_000;
const NOBODY: ReadonlySet<string> = new Set();

function member(node: string, change: Partial<MemberView> = {}): [string, MemberView] {
  return [node, { hash: hashText(node), incarnation: 1, state: "live", drain: false, weight: 1, after: "nothing", liveSince: 0, ...change }];
}

function table(members: readonly [string, MemberView][], total: number, loads: Readonly<Record<string, number>> = {}): Table {
  const made = tableOf(new Map(members), total, { steadyMs: 30_000, returnedMs: 300_000, now: NOW });
  for (const [node, seat] of made.seats) seat.load = loads[node] ?? 0;
  return made;
}

function placed(key: string, change: Partial<Placed> = {}): Placed {
  return { hash: hashText(key), weight: 1, nodes: undefined, preferred: [], ...change };
}

describe("the shard of a key", () => {
  test.each([
    ["default/web", 0x41d689bb, 13],
    ["", 0x811c9dc5, 9],
    ["a", 0xe40c292c, 0],
    ["services", 0xd96a9e35, 15],
    ["dns/bücher.example", 0xd31e1d9e, 0],
  ])("%j: hash %i, shard %i", (key, hash, shard) => {
    expect(hashText(key)).toBe(hash);
    expect(shardOf(key)).toBe(shard);
  });

  test("5,000 keys come to all 16 about evenly", () => {
    const counts = Array.from({ length: 16 }, () => 0);
    for (let i = 0; i < 5000; i += 1) counts[shardOf(`tenant-${i % 97}/service-${i}`)] = (counts[shardOf(`tenant-${i % 97}/service-${i}`)] ?? 0) + 1;
    expect(Math.min(...counts)).toBeGreaterThan(250);
    expect(Math.max(...counts)).toBeLessThan(375);
  });
});

/** Gives every key to the first in order, and counts. */
function share(keys: number, at: Table): Readonly<Record<string, number>> {
  for (let i = 0; i < keys; i += 1) {
    const seat = firstFor(placed(`default/web-${i}`), at, NOBODY);
    if (seat !== undefined) seat.load += 1;
  }
  return Object.fromEntries([...at.seats.values()].map(({ node, load }) => [node, load]));
}

describe("who takes a free key", () => {
  const three = [member("n1"), member("n2"), member("n3")];

  test("nobody gets more than a tenth above the average", () => {
    const loads = Object.values(share(1000, table(three, 1000)));
    expect(loads.reduce((a, b) => a + b)).toBe(1000);
    expect(Math.max(...loads)).toBeLessThanOrEqual(367);
    expect(Math.min(...loads)).toBeGreaterThan(260);
  });

  test("twice the weight, twice the keys", () => {
    const loads = share(1000, table([member("n1", { weight: 2 }), member("n2"), member("n3")], 1000));
    expect(loads["n1"]).toBeGreaterThan(450);
    expect(loads["n1"]).toBeLessThanOrEqual(551);
  });

  test("when one of three goes, only its keys get another first", () => {
    const all = table(three, 300);
    const two = table(three.slice(0, 2), 300);
    let moved = 0;
    for (let i = 0; i < 300; i += 1) {
      const [before, after] = [firstFor(placed(`k${i}`), all, NOBODY)?.node, firstFor(placed(`k${i}`), two, NOBODY)?.node];
      if (before !== after) expect(before).toBe("n3");
      moved += before === after ? 0 : 1;
    }
    expect(moved).toBeGreaterThan(70);
  });

  test("draining, fenced and unfit members get none", () => {
    const at = table([member("n1", { drain: true }), member("n2", { state: "fenced" }), member("n3"), member("n4")], 1);
    expect(firstFor(placed("k", { nodes: new Set(["n1", "n2", "n4"]) }), at, NOBODY)?.node).toBe("n4");
    expect(rankFor(placed("k", { nodes: new Set(["n4"]) }), at, "n3")).toBeUndefined();
    expect(firstFor(placed("k"), at, new Set(["n3", "n4"]))).toBeUndefined();
  });

  test("a preferred node comes first, full or not", () => {
    const at = table(three, 30, { n3: 30 });
    expect(firstFor(placed("k", { preferred: ["n9", "n3"] }), at, NOBODY)?.node).toBe("n3");
  });

  test("one that is back from a crash comes last for five minutes, also when it is the emptiest", () => {
    const at = table([member("n1"), member("n2", { after: "fenced", liveSince: NOW - 299_000 })], 10, { n1: 9 });
    expect(firstFor(placed("k"), at, NOBODY)?.node).toBe("n1");
    const later = table([member("n1"), member("n2", { after: "fenced", liveSince: NOW - 301_000 })], 10, { n1: 9 });
    expect(firstFor(placed("k"), later, NOBODY)?.node).toBe("n2");
  });

  test("ranks are 0 to n-1, each once, and rank 0 is the first", () => {
    const at = table(three, 30);
    for (let i = 0; i < 30; i += 1) {
      const key = placed(`k${i}`);
      expect(three.map(([node]) => rankFor(key, at, node) ?? -1).toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
      expect(rankFor(key, at, firstFor(key, at, NOBODY)?.node ?? "")).toBe(0);
    }
  });
});

describe("who is handed a key of another", () => {
  const better = (members: readonly [string, MemberView][], loads: Readonly<Record<string, number>>, key: Partial<Placed> = {}): string | undefined => {
    const at = table(members, Object.values(loads).reduce((a, b) => a + b), loads);
    const owner = at.seats.get("n1");
    return owner === undefined ? undefined : betterFor(placed("k", key), at, owner)?.node;
  };

  test.each([
    ["above 1.1 times the average: to the emptiest", { n1: 14, n2: 10, n3: 6 }, "n3"],
    ["within a tenth: nobody", { n1: 11, n2: 10, n3: 10 }, undefined],
    ["one is more than a tenth below: from those above the average", { n1: 50, n2: 50, n3: 0 }, "n3"],
    ["as few keys as cannot be shared more evenly: nobody", { n1: 2, n2: 1, n3: 1 }, undefined],
    ["below the average: nobody, whatever the others have", { n1: 5, n2: 20, n3: 0 }, undefined],
  ])("%s", (_name, loads, expected) => {
    expect(better([member("n1"), member("n2"), member("n3")], loads)).toBe(expected);
  });

  test("nobody who has been live for less than 30 s, or is back from a crash for less than 5 min", () => {
    const young = member("n2", { liveSince: NOW - 29_000 });
    const crashed = member("n3", { after: "fenced", liveSince: NOW - 299_000 });
    expect(better([member("n1"), young, crashed], { n1: 30, n2: 0, n3: 0 })).toBeUndefined();
    expect(better([member("n1"), member("n2", { liveSince: NOW - 31_000 }), crashed], { n1: 30, n2: 0, n3: 0 })).toBe("n2");
  });

  test("a preferred node gets its key whatever the load, and keeps it", () => {
    const three = [member("n1"), member("n2"), member("n3")];
    expect(better(three, { n1: 1, n2: 5, n3: 5 }, { preferred: ["n2"] })).toBe("n2");
    expect(better(three, { n1: 30, n2: 0, n3: 0 }, { preferred: ["n1", "n2"] })).toBeUndefined();
  });

  test("moves come to an end, with every load within a tenth of the average", () => {
    const at = table([member("n1"), member("n2"), member("n3"), member("n4")], 400, { n1: 390, n2: 10 });
    let moves = 0;
    for (; moves < 1000; moves += 1) {
      const move = [...at.seats.values()].map((owner) => [owner, owner.load === 0 ? undefined : betterFor(placed("k"), at, owner)] as const).find(([, to]) => to !== undefined);
      if (move?.[1] === undefined) break;
      move[0].load -= 1;
      move[1].load += 1;
    }
    expect(moves).toBeLessThan(400);
    for (const { load } of at.seats.values()) expect(Math.abs(load - 100)).toBeLessThanOrEqual(10);
  });
});
