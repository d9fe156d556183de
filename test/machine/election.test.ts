import { describe, expect, test } from "vitest";
import { heldUntil, holds, kernelDeadline } from "../../src/machine/election-state.js";
import { microTime } from "../../src/machine/election.js";
import { Bench, config, other, recordOf, WALL } from "./election-bench.js";

describe("taking a Lease", () => {
  test("does nothing before the Lease or its absence was seen", () => {
    const bench = new Bench();
    expect(bench.at(0, { type: "stance", stance: "run" })).toEqual([]);
    expect(bench.wakeAt).toBeUndefined();
  });

  test("creates one that is absent, with the fields of client-go", () => {
    const bench = new Bench();
    bench.at(0, { type: "stance", stance: "run" });
    expect(bench.at(5, { type: "seen", lease: undefined })).toEqual([
      {
        type: "create",
        id: 1,
        timeoutMs: 3000,
        record: {
          holderIdentity: "n1",
          leaseDurationSeconds: 5,
          acquireTime: "2026-01-02T03:04:05.005001Z",
          renewTime: "2026-01-02T03:04:05.005001Z",
          leaseTransitions: 0,
        },
      },
    ]);
  });

  test("leaves another's alone until its own duration has passed on our clock since it was last seen to change", () => {
    const bench = new Bench();
    bench.at(0, { type: "stance", stance: "run" });
    bench.at(10, { type: "seen", lease: { resourceVersion: "3", record: other("2020-01-01T00:00:00.000000Z", 15) } });
    expect(bench.wakeAt).toBe(15_010);
    expect(bench.at(15_009, { type: "tick" })).toEqual([]);
    const [take] = bench.at(15_010, { type: "tick" });
    expect(take).toMatchObject({ type: "replace", base: { resourceVersion: "3" } });
    expect(recordOf(take)).toMatchObject({ holderIdentity: "n1", leaseTransitions: 4 });
  });

  test("every change that is seen starts the wait anew", () => {
    const bench = new Bench();
    bench.at(0, { type: "stance", stance: "run" });
    bench.at(0, { type: "seen", lease: { resourceVersion: "3", record: other("a") } });
    bench.at(4000, { type: "seen", lease: { resourceVersion: "4", record: other("b") } });
    expect(bench.at(5000, { type: "tick" })).toEqual([]);
    expect(bench.wakeAt).toBe(9000);
  });

  test("takes a released one in the same step", () => {
    const bench = new Bench();
    bench.at(0, { type: "stance", stance: "run" });
    bench.at(0, { type: "seen", lease: { resourceVersion: "3", record: other("a") } });
    expect(bench.at(50, { type: "seen", lease: { resourceVersion: "4", record: other("b", 1, "") } })).toHaveLength(1);
  });

  test("continues one that names it already, as after a restart, without counting a transition", () => {
    const bench = new Bench();
    bench.at(0, { type: "stance", stance: "run" });
    const [renew] = bench.at(0, { type: "seen", lease: { resourceVersion: "3", record: other("a", 5, "n1") } });
    expect(recordOf(renew)).toMatchObject({ leaseTransitions: 3, acquireTime: "a" });
    expect(holds(bench.state, config, 1)).toBe(false);
  });

  test("does not hold before the write is acknowledged, then from the moment at which it was started", () => {
    const bench = new Bench();
    bench.at(1000, { type: "stance", stance: "run" });
    const [create] = bench.at(1000, { type: "seen", lease: undefined });
    expect(holds(bench.state, config, 1500)).toBe(false);
    bench.at(1900, { type: "written", id: 1, lease: { resourceVersion: "7", record: recordOf(create) } });
    expect(heldUntil(bench.state, config)).toBe(4000);
    expect(kernelDeadline(bench.state, config)).toBe(1000 + 4900 - 1600);
  });
});

describe("keeping a Lease", () => {
  test("renews one retry period after the last start", () => {
    const bench = Bench.holding();
    expect(bench.wakeAt).toBe(2000);
    expect(bench.at(2000, { type: "tick" })).toMatchObject([{ type: "replace", base: { resourceVersion: "7" } }]);
  });

  test("a second write starts while the first hangs, and only one can take effect", () => {
    const bench = Bench.holding();
    const [first] = bench.at(2000, { type: "tick" });
    const [second] = bench.at(3000, { type: "tick" });
    expect([first, second]).toMatchObject([{ base: { resourceVersion: "7" } }, { base: { resourceVersion: "7" } }]);
    bench.at(3010, { type: "written", id: 3, lease: { resourceVersion: "8", record: recordOf(second) } });
    expect(heldUntil(bench.state, config)).toBe(6000);
    expect(bench.at(3020, { type: "failed", id: 2, conflict: true })).toEqual([]);
  });

  test("where two writes hang, a third starts before the deadline", () => {
    const bench = Bench.holding();
    bench.at(2000, { type: "tick" });
    bench.at(3000, { type: "tick" });
    expect(bench.wakeAt).toBe(3500);
    const [third] = bench.at(3500, { type: "tick" });
    bench.at(3510, { type: "written", id: 4, lease: { resourceVersion: "8", record: recordOf(third) } });
    expect(heldUntil(bench.state, config)).toBe(6500);
  });

  test("a lost reply counts, from its start, once any reading shows it", () => {
    const bench = Bench.holding();
    const [renew] = bench.at(2000, { type: "tick" });
    bench.at(2400, { type: "failed", id: 2, conflict: false });
    bench.at(2500, { type: "seen", lease: { resourceVersion: "8", record: recordOf(renew) } });
    expect(heldUntil(bench.state, config)).toBe(5000);
  });

  test("a conflict that nothing explains is read back, and another's name ends it at once", () => {
    const bench = Bench.holding();
    bench.at(2000, { type: "tick" });
    expect(bench.at(2010, { type: "failed", id: 2, conflict: true })).toMatchObject([{ type: "read" }]);
    bench.at(2020, { type: "seen", read: true, lease: { resourceVersion: "9", record: other("x") } });
    expect(holds(bench.state, config, 2020)).toBe(false);
  });

  test("an older version that a slow watch delivers is passed over", () => {
    const bench = Bench.holding();
    bench.at(1020, { type: "seen", lease: { resourceVersion: "6", record: other("old") } });
    expect(holds(bench.state, config, 1020)).toBe(true);
  });

  test("a failed renew is tried again after a quarter of the retry period", () => {
    const bench = Bench.holding();
    bench.at(2000, { type: "tick" });
    bench.at(2001, { type: "failed", id: 2, conflict: false });
    expect(bench.wakeAt).toBe(2251);
  });

  test("without a renew it holds no longer than the renew deadline, and wakes up then", () => {
    const bench = Bench.holding();
    for (const [now, id] of [
      [2000, 2],
      [2250, 3],
      [2500, 4],
    ] as const) {
      bench.at(now, { type: "tick" });
      bench.at(now, { type: "failed", id, conflict: false });
    }
    expect(holds(bench.state, config, 3999)).toBe(true);
    expect(holds(bench.state, config, 4000)).toBe(false);
  });

  test("a Lease that someone deletes is not held, and created again at once", () => {
    const bench = Bench.holding();
    expect(bench.at(1500, { type: "seen", lease: undefined })).toMatchObject([{ type: "create" }]);
    expect(holds(bench.state, config, 1500)).toBe(false);
  });
});

test("microTime has six digits of which the last three count writes", () => {
  expect(microTime(WALL + 0.9, 1042)).toBe("2026-01-02T03:04:05.000042Z");
});
