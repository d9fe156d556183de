import { describe, expect, test } from "vitest";
import type { LeaseRecord } from "../../src/lib/lease-record.js";
import {
  electionStart,
  heldUntil,
  holds,
  kernelDeadline,
  type ElectionConfig,
  type ElectionState,
} from "../../src/machine/election-state.js";
import { electionStep, microTime, type ElectionAction, type ElectionEvent } from "../../src/machine/election.js";

const config: ElectionConfig = {
  identity: "n1",
  leaseDurationMs: 5000,
  renewDeadlineMs: 3000,
  retryPeriodMs: 1000,
  drift: 0.01,
  kernelLatenessMs: 1500,
  handOverMs: 1000,
  heirMs: 80,
  patienceMs: 2000,
  offerAgainMs: 30_000,
};
const WALL = Date.UTC(2026, 0, 2, 3, 4, 5);

type Draft<E> = E extends unknown ? Omit<E, "wallMs"> : never;

/** A machine with its clock: events in, the actions of the last one out. */
class Bench {
  state: ElectionState = electionStart();
  wakeAt: number | undefined;
  actions: readonly ElectionAction[] = [];

  at(now: number, event: Draft<ElectionEvent>): readonly ElectionAction[] {
    const result = electionStep(this.state, { ...event, wallMs: WALL + now }, now, config);
    this.state = result.state;
    this.wakeAt = result.wakeAt;
    this.actions = result.actions;
    return result.actions;
  }

  /** n1 holds it since 1000, by version 7. */
  static holding(): Bench {
    const bench = new Bench();
    bench.at(1000, { type: "stance", stance: "run" });
    const [create] = bench.at(1000, { type: "seen", lease: undefined });
    bench.at(1010, { type: "written", id: 1, lease: { resourceVersion: "7", record: recordOf(create) } });
    return bench;
  }
}

function recordOf(action: ElectionAction | undefined): LeaseRecord {
  if (action === undefined || action.type === "read") throw new Error(`expected a write, not ${JSON.stringify(action)}`);
  return action.record;
}

function other(renewTime: string, seconds = 5, holder = "n2"): LeaseRecord {
  return { holderIdentity: holder, leaseDurationSeconds: seconds, acquireTime: renewTime, renewTime, leaseTransitions: 3 };
}

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
    expect(kernelDeadline(bench.state, config)).toBe(1000 + 4900 - 1500);
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

describe("leaving", () => {
  test("releases with an empty holder and one second, and keeps the address until the heir is seen", () => {
    const bench = Bench.holding();
    const [release] = bench.at(1500, { type: "stance", stance: "leave" });
    expect(recordOf(release)).toMatchObject({ holderIdentity: "", leaseDurationSeconds: 1, leaseTransitions: 0 });
    bench.at(1510, { type: "written", id: 2, lease: { resourceVersion: "8", record: recordOf(release) } });
    expect(holds(bench.state, config, 1520)).toBe(true);
    bench.at(1530, { type: "seen", lease: { resourceVersion: "9", record: other("h") } });
    expect(heldUntil(bench.state, config)).toBe(1610);
  });

  test("lets go after the hand-over time where no heir shows up", () => {
    const bench = Bench.holding();
    bench.at(1500, { type: "stance", stance: "leave" });
    expect(heldUntil(bench.state, config)).toBe(2500);
  });

  test("a release that meets a newer version of its own is sent again", () => {
    const bench = Bench.holding();
    const [renew] = bench.at(2000, { type: "tick" });
    bench.at(2001, { type: "stance", stance: "leave" });
    bench.at(2002, { type: "written", id: 2, lease: { resourceVersion: "8", record: recordOf(renew) } });
    const retry = bench.at(3100, { type: "failed", id: 3, conflict: true });
    expect(retry).toMatchObject([{ type: "replace", base: { resourceVersion: "8" }, record: { holderIdentity: "" } }]);
  });

  test("a release that meets a renew of its own which landed first is sent again at once", () => {
    const bench = Bench.holding();
    const [renew] = bench.at(2000, { type: "tick" });
    bench.at(2001, { type: "stance", stance: "leave" });
    bench.at(2002, { type: "failed", id: 3, conflict: true });
    expect(bench.at(2003, { type: "written", id: 2, lease: { resourceVersion: "8", record: recordOf(renew) } })).toMatchObject([{ record: { holderIdentity: "" } }]);
  });

  test("a renew that is refused after the release has landed leaves nothing to wait for", () => {
    const bench = Bench.holding();
    bench.at(2000, { type: "tick" });
    const [release] = bench.at(2001, { type: "stance", stance: "leave" });
    bench.at(2002, { type: "written", id: 3, lease: { resourceVersion: "8", record: recordOf(release) } });
    bench.at(2003, { type: "failed", id: 2, conflict: true });
    expect(bench.state.releasing).toBe(false);
  });

  test("one that holds nothing has nothing to release", () => {
    const bench = new Bench();
    bench.at(0, { type: "stance", stance: "run" });
    bench.at(0, { type: "seen", lease: { resourceVersion: "3", record: other("a") } });
    expect(bench.at(10, { type: "stance", stance: "leave" })).toEqual([]);
    bench.at(20, { type: "seen", lease: { resourceVersion: "4", record: other("b") } });
    expect(bench.state.releasing).toBe(false);
  });
});

describe("a node that is not fit", () => {
  test("yield: releases, keeps the address until the heir is seen, then takes part no more", () => {
    const bench = Bench.holding();
    const [release] = bench.at(1500, { type: "stance", stance: "yield" });
    expect(recordOf(release).holderIdentity).toBe("");
    bench.at(1510, { type: "written", id: 2, lease: { resourceVersion: "8", record: recordOf(release) } });
    expect(holds(bench.state, config, 2499)).toBe(true);
    bench.at(1530, { type: "seen", lease: { resourceVersion: "9", record: other("h") } });
    expect(bench.wakeAt).toBe(1610);
    bench.at(1610, { type: "tick" });
    expect(holds(bench.state, config, 1610)).toBe(false);
    expect(bench.state.leavingSince).toBeUndefined();
  });

  test("yield: where nobody else wants it, it takes it again after a while, and offers it again much later", () => {
    const bench = Bench.holding();
    const [release] = bench.at(1500, { type: "stance", stance: "yield" });
    bench.at(1510, { type: "written", id: 2, lease: { resourceVersion: "8", record: recordOf(release) } });
    bench.at(2500, { type: "tick" });
    expect(holds(bench.state, config, 2500)).toBe(false);
    expect(bench.wakeAt).toBe(3510);
    const [claim] = bench.at(3510, { type: "tick" });
    bench.at(3520, { type: "written", id: 3, lease: { resourceVersion: "9", record: recordOf(claim) } });
    expect(heldUntil(bench.state, config)).toBe(6510);
    bench.state = { ...bench.state, renewedAt: 33_500 };
    expect(recordOf(bench.at(33_520, { type: "tick" })[0]).holderIdentity).toBe("");
  });

  test("yield: a dead holder's Lease is left to others for a while", () => {
    const bench = new Bench();
    bench.at(0, { type: "stance", stance: "yield" });
    bench.at(0, { type: "seen", lease: { resourceVersion: "3", record: other("a") } });
    expect(bench.wakeAt).toBe(7000);
  });

  test("drop: releases and holds nothing from that moment on; fit again, it takes part as before", () => {
    const bench = Bench.holding();
    const [release] = bench.at(1500, { type: "stance", stance: "drop" });
    expect(holds(bench.state, config, 1500)).toBe(false);
    bench.at(1510, { type: "written", id: 2, lease: { resourceVersion: "8", record: recordOf(release) } });
    expect(bench.wakeAt).toBeUndefined();
    expect(bench.at(1600, { type: "stance", stance: "run" })).toMatchObject([{ type: "replace", base: { resourceVersion: "8" } }]);
  });
});

describe("doubt", () => {
  test("after a pause of the machine nothing is held until a renew that was started since has taken effect", () => {
    const bench = Bench.holding();
    const [renew] = bench.at(1500, { type: "confirm", stop: true });
    expect(holds(bench.state, config, 1500)).toBe(false);
    bench.at(1510, { type: "written", id: 2, lease: { resourceVersion: "8", record: recordOf(renew) } });
    expect(heldUntil(bench.state, config)).toBe(4500);
  });

  test("a renew that was under way when the doubt arose does not settle it", () => {
    const bench = Bench.holding();
    const [early] = bench.at(2000, { type: "tick" });
    bench.at(2005, { type: "confirm", stop: true });
    bench.at(2010, { type: "written", id: 2, lease: { resourceVersion: "8", record: recordOf(early) } });
    expect(holds(bench.state, config, 2010)).toBe(false);
  });

  test("a question without doubt renews at once and lets nothing go", () => {
    const bench = Bench.holding();
    expect(bench.at(1500, { type: "confirm", stop: false })).toHaveLength(1);
    expect(holds(bench.state, config, 1500)).toBe(true);
  });
});

test("microTime has six digits of which the last three count writes", () => {
  expect(microTime(WALL + 0.9, 1042)).toBe("2026-01-02T03:04:05.000042Z");
});
