import { describe, expect, test } from "vitest";
import { heldUntil, holds, kernelDeadline } from "../../src/machine/election-state.js";
import { Bench, config, other, recordOf } from "./election-bench.js";

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

  test("has kernel lifetimes shortened, in case the process dies beside its heir", () => {
    const bench = Bench.holding();
    bench.at(1500, { type: "stance", stance: "leave" });
    expect(kernelDeadline(bench.state, config)).toBe(1500 + 1000 + 999);
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

  test("one that has just lost the Lease holds nothing when it leaves, however fresh its last renew was", () => {
    const bench = Bench.holding();
    bench.at(1500, { type: "seen", lease: { resourceVersion: "9", record: other("x") } });
    bench.at(1600, { type: "stance", stance: "leave" });
    expect(holds(bench.state, config, 1600)).toBe(false);
  });

  test("one that lost it and tries to take it back holds nothing when it leaves", () => {
    const bench = Bench.holding();
    bench.at(1500, { type: "seen", lease: undefined });
    expect(bench.actions).toMatchObject([{ type: "create" }]);
    bench.at(1510, { type: "stance", stance: "leave" });
    expect(holds(bench.state, config, 1510)).toBe(false);
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

  test("spare: as yield, but it is offered again much more rarely", () => {
    const bench = Bench.holding();
    const [release] = bench.at(1500, { type: "stance", stance: "spare" });
    expect(recordOf(release).holderIdentity).toBe("");
    bench.at(1510, { type: "written", id: 2, lease: { resourceVersion: "8", record: recordOf(release) } });
    const [claim] = bench.at(3510, { type: "tick" });
    bench.at(3520, { type: "written", id: 3, lease: { resourceVersion: "9", record: recordOf(claim) } });
    const at = 3520 + config.spareAgainMs;
    bench.state = { ...bench.state, renewedAt: at - 100, nextAttemptAt: at + 900 };
    expect(bench.at(at - 10, { type: "tick" })).toEqual([]);
    expect(recordOf(bench.at(at, { type: "tick" })[0]).holderIdentity).toBe("");
  });

  test("what was offered and nobody better took goes back to the one that had it, not to another that is no better", () => {
    const bench = Bench.holding();
    const [release] = bench.at(1500, { type: "stance", stance: "spare" });
    bench.at(1510, { type: "written", id: 2, lease: { resourceVersion: "8", record: recordOf(release) } });
    const another = new Bench();
    another.at(0, { type: "stance", stance: "spare" });
    another.at(1510, { type: "seen", lease: { resourceVersion: "8", record: recordOf(release) } });
    expect(another.wakeAt).toBe(1510 + config.patienceMs + config.modestyMs);
    bench.at(2500, { type: "tick" });
    expect(bench.wakeAt).toBe(1510 + config.patienceMs);
  });

  test("a Lease that was made here is no longer new once somebody else has had it", () => {
    const bench = Bench.holding();
    expect(bench.state.created).toBe(true);
    bench.at(1500, { type: "seen", lease: { resourceVersion: "9", record: other("x") } });
    bench.at(1600, { type: "seen", lease: { resourceVersion: "10", record: other("y", 1, "") } });
    const [claim] = bench.actions;
    bench.at(1610, { type: "written", id: 2, lease: { resourceVersion: "11", record: recordOf(claim) } });
    expect(holds(bench.state, config, 1610)).toBe(true);
    expect(bench.state.created).toBe(false);
  });

  test("yield: a dead holder's Lease is left to others for a while", () => {
    const bench = new Bench();
    bench.at(0, { type: "stance", stance: "yield" });
    bench.at(0, { type: "seen", lease: { resourceVersion: "3", record: other("a") } });
    expect(bench.wakeAt).toBe(7200);
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
