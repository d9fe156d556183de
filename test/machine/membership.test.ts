import { describe, expect, test } from "vitest";
import type { MemberRecord } from "../../src/machine/claim-codec.js";
import { freshUntil, isAlive, memberKernelDeadline, memberStart, ownRef, type MemberState, type MemberVersion } from "../../src/machine/member-state.js";
import { memberStep, type MemberAction, type MemberEvent } from "../../src/machine/membership.js";
import { SIM_CONFIG } from "./claims-sim-options.js";

const CONFIG = { ...SIM_CONFIG, node: "n1", process: "p1" };
const WALL = 1_700_000_000_000;
const LIFE = 1_700_000_000;

type Draft<E> = E extends unknown ? Omit<E, "wallMs"> : never;

/** A machine with its clock: events in, actions out. */
class Bench {
  state: MemberState = memberStart();
  wakeAt: number | undefined;

  at(now: number, event: Draft<MemberEvent>): readonly MemberAction[] {
    const result = memberStep(this.state, { ...event, wallMs: WALL }, now, CONFIG);
    this.state = result.state;
    this.wakeAt = result.wakeAt;
    return result.actions;
  }

  seen(now: number, node: string, seenVersion: MemberVersion | undefined, read = false): readonly MemberAction[] {
    return this.at(now, { type: "member", node, version: seenVersion, read });
  }

  get fresh(): number {
    return freshUntil(this.state, CONFIG);
  }

  /** n1 renewed at 1000 by version 10, in a cluster of n1 alone. */
  static live(echo = true): Bench {
    const bench = new Bench();
    const first = version("10", { incarnation: LIFE, seq: 1, process: "p1" });
    bench.at(1000, { type: "membersListed" });
    if (echo) bench.seen(1005, "n1", first);
    bench.at(1010, { type: "memberWritten", node: "n1", id: 1, version: first });
    return bench;
  }
}

function record(change: Partial<MemberRecord>): MemberRecord {
  return { incarnation: 1, seq: 1, process: "p9", state: "live", drain: false, weight: 1, after: "nothing", ...change };
}

function version(resourceVersion: string, change: Partial<MemberRecord> = {}): MemberVersion {
  return { resourceVersion, record: record(change) };
}

describe("the own Lease", () => {
  test("is made once the members are known, with a number that no earlier life had, and counts from the start of the write", () => {
    const bench = new Bench();
    expect(bench.at(500, { type: "tick" })).toEqual([]);
    expect(bench.at(1000, { type: "membersListed" })).toMatchObject([{ type: "writeMember", node: "n1", base: undefined, record: { incarnation: LIFE, state: "live", after: "nothing" } }]);
    expect(bench.fresh).toBe(0);
    bench.at(1400, { type: "memberWritten", node: "n1", id: 1, version: version("10", { incarnation: LIFE, seq: 1, process: "p1" }) });
    expect(bench.fresh).toBe(4000);
    expect(memberKernelDeadline(bench.state, CONFIG)).toBe(1000 + 4900 - 1600);
    expect(ownRef(bench.state, CONFIG)).toEqual({ node: "n1", incarnation: LIFE });
  });

  test("is renewed every retry period; where one hangs the next starts sooner, three at the most", () => {
    const bench = Bench.live();
    expect(bench.wakeAt).toBe(2000);
    expect(bench.at(2000, { type: "tick" })).toMatchObject([{ type: "writeMember", id: 2 }]);
    expect(bench.at(2900, { type: "tick" }).filter(({ type }) => type === "writeMember")).toEqual([]);
    expect(bench.at(3000, { type: "tick" })).toMatchObject([{ type: "writeMember", id: 3 }]);
    expect(bench.at(3500, { type: "tick" })).toMatchObject([{ type: "writeMember", id: 4 }]);
    expect(bench.at(4000, { type: "tick" })).toEqual([]);
  });

  test("a renew whose reply was lost counts from its start, once a version shows its process and seq", () => {
    const bench = Bench.live();
    bench.at(2000, { type: "tick" });
    bench.at(2900, { type: "memberFailed", node: "n1", id: 2, conflict: false });
    expect(bench.fresh).toBe(4000);
    bench.seen(3000, "n1", version("11", { incarnation: LIFE, seq: 2, process: "p1" }));
    expect(bench.fresh).toBe(5000);
  });

  test("a seq of another process is not taken for an own renew", () => {
    const bench = Bench.live();
    bench.at(2000, { type: "tick" });
    bench.seen(2100, "n1", version("11", { incarnation: LIFE, seq: 2, process: "p0" }));
    expect(bench.fresh).toBe(0);
  });

  test("a conflict that no newer version explains is read", () => {
    const bench = Bench.live();
    bench.at(2000, { type: "tick" });
    expect(bench.at(2100, { type: "memberFailed", node: "n1", id: 2, conflict: true })).toEqual([{ type: "readMember", node: "n1", timeoutMs: 3000 }]);
  });

  test("once fenced, nothing is held, and the next life begins at once", () => {
    const bench = Bench.live();
    expect(bench.seen(1500, "n1", version("11", { incarnation: LIFE, seq: 1, process: "p1", state: "fenced" }))).toMatchObject([
      { type: "writeMember", record: { incarnation: LIFE + 1, state: "live", after: "fenced" } },
    ]);
    expect(bench.fresh).toBe(0);
    expect(ownRef(bench.state, CONFIG)).toBeUndefined();
  });

  test("a process that starts while the Lease is live goes on with that life", () => {
    const bench = new Bench();
    bench.seen(900, "n1", version("5", { incarnation: 7, process: "p0" }));
    expect(bench.at(1000, { type: "membersListed" })).toMatchObject([{ type: "writeMember", base: { resourceVersion: "5" }, record: { incarnation: 7, process: "p1" } }]);
    expect(ownRef(bench.state, CONFIG)).toBeUndefined();
  });

  test("a newer process of the same name has the Lease: this one lets go, and writes again only when that one falls silent", () => {
    const bench = Bench.live();
    expect(bench.seen(1500, "n1", version("11", { incarnation: LIFE, seq: 1, process: "p2" }))).toEqual([]);
    expect(bench.fresh).toBe(0);
    expect(bench.at(6000, { type: "tick" })).toEqual([]);
    expect(bench.at(6500, { type: "tick" })).toMatchObject([{ type: "writeMember", record: { incarnation: LIFE + 1, process: "p1" } }]);
  });

  test("after a standstill nothing is held until a renew started since then has taken effect", () => {
    const bench = Bench.live();
    expect(bench.at(2000, { type: "confirm", stop: true })).toMatchObject([{ type: "writeMember", id: 2 }]);
    expect(bench.fresh).toBe(0);
    bench.at(2010, { type: "memberWritten", node: "n1", id: 2, version: version("11", { incarnation: LIFE, seq: 2, process: "p1" }) });
    expect(bench.fresh).toBe(5000);
  });

  test("draining is told at once; out releases it, for good", () => {
    const bench = Bench.live();
    expect(bench.at(1100, { type: "stance", stance: "drain" })).toMatchObject([{ type: "writeMember", record: { drain: true, state: "live" } }]);
    const drained = version("11", { incarnation: LIFE, seq: 2, process: "p1", drain: true });
    bench.at(1110, { type: "memberWritten", node: "n1", id: 2, version: drained });
    expect(ownRef(bench.state, CONFIG)).toBeDefined();
    expect(bench.at(1200, { type: "stance", stance: "out" })).toMatchObject([{ type: "writeMember", record: { state: "released" } }]);
    expect(bench.fresh).toBe(0);
    bench.at(1210, { type: "memberWritten", node: "n1", id: 3, version: version("12", { incarnation: LIFE, seq: 3, process: "p1", state: "released" }) });
    expect(bench.at(9000, { type: "tick" })).toEqual([]);
  });
});

/** Lets time pass with every renew of n1 answered and shown at once; returns what else was asked for. */
function renewing(bench: Bench, from: number, until: number): MemberAction[] {
  const others: MemberAction[] = [];
  let resourceVersion = 100 + from;
  for (let now = from; now <= until; now += 10) {
    for (const action of bench.at(now, { type: "tick" })) {
      if (action.type !== "writeMember" || action.node !== "n1") others.push(action);
      else {
        const shown = { resourceVersion: String((resourceVersion += 1)), record: action.record };
        others.push(...bench.seen(now, "n1", shown), ...bench.at(now, { type: "memberWritten", node: "n1", id: action.id, version: shown }));
      }
    }
  }
  return others;
}

const fences = (actions: readonly MemberAction[]): readonly MemberAction[] => actions.filter((action) => action.type === "writeMember" && action.node !== "n1");

describe("other members", () => {
  test("one that is silent for a lease time is fenced with the version last seen; only then its claims end", () => {
    const bench = Bench.live();
    bench.seen(1000, "n2", version("7", { incarnation: 4 }));
    expect(fences(renewing(bench, 1010, 5990))).toEqual([]);
    expect(fences(renewing(bench, 6000, 6010))).toMatchObject([{ node: "n2", base: { resourceVersion: "7" }, record: { incarnation: 4, state: "fenced" } }]);
    expect(isAlive({ node: "n2", incarnation: 4 }, bench.state.view)).toBe(true);
    const id = bench.state.peers.get("n2")?.write ?? 0;
    bench.at(6020, { type: "memberWritten", node: "n2", id, version: version("8", { incarnation: 4, state: "fenced" }) });
    expect(isAlive({ node: "n2", incarnation: 4 }, bench.state.view)).toBe(false);
    expect(isAlive({ node: "n2", incarnation: 5 }, bench.state.view)).toBe(true);
  });

  test("a conflict says that it lives: the wait starts again, and it is read", () => {
    const bench = Bench.live();
    bench.seen(1000, "n2", version("7"));
    renewing(bench, 1010, 6010);
    const id = bench.state.peers.get("n2")?.write ?? 0;
    expect(bench.at(6020, { type: "memberFailed", node: "n2", id, conflict: true })).toMatchObject([{ type: "readMember", node: "n2" }]);
    expect(fences(renewing(bench, 6030, 11_010))).toEqual([]);
    expect(fences(renewing(bench, 11_020, 11_050))).toHaveLength(1);
  });

  test("after this node was cut off, everybody's silence starts anew", () => {
    const bench = Bench.live();
    bench.seen(1000, "n2", version("7"));
    expect(bench.at(8000, { type: "tick" }).map(({ type }) => type)).toContain("writeMember");
    expect(fences(renewing(bench, 8000, 8010))).toEqual([]);
    bench.at(8020, { type: "memberWritten", node: "n1", id: bench.state.nextId - 1, version: version("50", { incarnation: LIFE, seq: bench.state.nextId - 1, process: "p1" }) });
    expect(bench.fresh).toBeGreaterThan(8020);
    expect(bench.state.peers.get("n2")?.changedAt).toBeGreaterThan(7990);
  });

  test("a member that claims name and that has no Lease is gone after a lease time, by a read at both ends", () => {
    const bench = Bench.live();
    expect(bench.at(1100, { type: "named", nodes: new Set(["n1", "n5"]) }), "and its own Lease is no stranger").toEqual([{ type: "readMember", node: "n5", timeoutMs: 3000 }]);
    bench.seen(1110, "n5", undefined, true);
    expect(renewing(bench, 1120, 6090).filter(({ type }) => type === "readMember")).toEqual([]);
    expect(isAlive({ node: "n5", incarnation: 3 }, bench.state.view)).toBe(true);
    expect(renewing(bench, 6100, 6110).filter(({ type }) => type === "readMember")).toHaveLength(1);
    bench.seen(6120, "n5", undefined, true);
    expect(isAlive({ node: "n5", incarnation: 3 }, bench.state.view)).toBe(false);
    bench.seen(6200, "n5", version("90", { incarnation: 9 }));
    expect(isAlive({ node: "n5", incarnation: 9 }, bench.state.view)).toBe(true);
  });

  test("the Lease of one long dead is removed, unless claims name it", () => {
    const bench = Bench.live();
    bench.seen(1000, "n2", version("7", { state: "released" }));
    bench.seen(1000, "n3", version("8", { state: "fenced" }));
    bench.at(1000, { type: "named", nodes: new Set(["n3"]) });
    const removed = renewing(bench, 1010, 31_100).filter(({ type }) => type === "deleteMember");
    expect(removed).toMatchObject([{ node: "n2", base: { resourceVersion: "7" } }]);
    expect([...bench.state.view.keys()]).toContain("n2");
    bench.seen(31_200, "n2", undefined);
    expect([...bench.state.view.keys()]).not.toContain("n2");
  });

  test("a renew of another member changes nothing that placing keys depends on", () => {
    const bench = Bench.live();
    bench.seen(1100, "n2", version("20"));
    const { view } = bench.state;
    bench.seen(1200, "n2", version("21", { seq: 2 }));
    expect(bench.state.view).toBe(view);
    bench.seen(1300, "n2", version("22", { seq: 3, drain: true }));
    expect(bench.state.view.get("n2")).toMatchObject({ drain: true, liveSince: 1100 });
  });

  test("an older version, late, changes nothing", () => {
    const bench = Bench.live();
    bench.seen(1100, "n2", version("21", { state: "fenced" }));
    bench.seen(1200, "n2", version("20"));
    expect(bench.state.view.get("n2")?.state).toBe("fenced");
  });
});

describe("the echo of the own renews", () => {
  test("none, and nothing else heard for 0.9 s: list again", () => {
    expect(Bench.live(false).at(1910, { type: "tick" })).toContainEqual({ type: "relist" });
  });

  test("anything heard meanwhile: the watch is slow, not dead", () => {
    const bench = Bench.live(false);
    bench.at(1500, { type: "heard" });
    expect(bench.at(1910, { type: "tick" })).not.toContainEqual({ type: "relist" });
  });

  test("shown before or after the answer: all is well", () => {
    const bench = Bench.live(false);
    bench.seen(1020, "n1", version("10", { incarnation: LIFE, seq: 1, process: "p1" }));
    expect(bench.at(1950, { type: "tick" })).toEqual([]);
  });
});
