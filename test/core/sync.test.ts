import { describe, expect, test } from "vitest";
import { KeyedSync } from "../../src/core/sync.js";
import { FakeClock, flush } from "../fakes/clock.js";

/** A world of keys with values; every verb is written down and can be made to fail or to wait. */
class Target {
  readonly ops: string[] = [];
  readonly actual = new Map<string, number>();
  readonly failing = new Set<string>();
  readonly gates = new Map<string, Promise<void>>();
  readonly clock = new FakeClock();
  changes = 0;
  readonly failures: string[] = [];

  sync(concurrency = Infinity): KeyedSync<string, number, string> {
    return new KeyedSync(
      { concurrency, firstRetryMs: 100, lastRetryMs: 1000, same: (a, b) => a === b },
      {
        up: async (key, value, signal) => {
          this.ops.push(`up ${key}=${value}`);
          await this.gates.get(key);
          signal.throwIfAborted();
          if (this.failing.has(key)) throw new Error("refused");
          this.actual.set(key, value);
          return `done ${value}`;
        },
        down: async (key) => {
          this.ops.push(`down ${key}`);
          this.actual.delete(key);
        },
      },
      {
        clock: this.clock,
        random: { float: () => 0.999_999 },
        changed: () => void (this.changes += 1),
        failed: (key, verb, _error, retryMs) => void this.failures.push(`${verb} ${key} ${Math.round(retryMs)}`),
      },
    );
  }
}

describe("KeyedSync", () => {
  test("brings up what is desired and takes down what no longer is", async () => {
    const target = new Target();
    const sync = target.sync();
    sync.set(new Map([["a", 1], ["b", 1]]));
    await sync.settle();
    sync.set(new Map([["b", 2]]));
    await sync.settle();
    expect(target.ops).toEqual(["up a=1", "up b=1", "up b=2", "down a"]);
    expect([...target.actual]).toEqual([["b", 2]]);
    expect([...sync.observed()]).toEqual([["b", { state: "up", result: "done 2" }]]);
  });

  test("some keys have rested when none of them runs or waits to run, whatever the others do, and when everything is called off", async () => {
    const target = new Target();
    let open: () => void = () => undefined;
    for (const key of ["slow", "a"]) target.gates.set(key, new Promise((resolve) => (open = resolve)));
    target.failing.add("bad");
    const sync = target.sync();
    const told: string[] = [];
    const watch = (name: string): void => void sync.rested((key) => key === name).then(() => told.push(name));
    sync.set(new Map([["slow", 1], ["a", 1], ["b", 1], ["bad", 1]]));
    for (const name of ["slow", "a", "b", "bad", "unknown"]) watch(name);
    await flush();
    expect(told.toSorted()).toEqual(["b", "bad", "unknown"]);
    sync.refresh("a");
    open();
    await flush();
    expect(target.ops.filter((op) => op === "up a=1")).toHaveLength(2);
    expect(told).toContain("a");
    expect(told).not.toContain("slow");
    sync.stop();
    await flush();
    expect(told).toContain("slow");
  });

  test("the same desire again does nothing; refresh does it again, for wanted keys only", async () => {
    const target = new Target();
    const sync = target.sync();
    sync.set(new Map([["a", 1]]));
    await sync.settle();
    sync.set(new Map([["a", 1]]));
    sync.refresh("b");
    await sync.settle();
    expect(target.ops).toHaveLength(1);
    sync.refresh("a");
    await sync.settle();
    expect(target.ops).toHaveLength(2);
  });

  test("a key that fails is tried again with back-off and harms no other", async () => {
    const target = new Target();
    target.failing.add("bad");
    const sync = target.sync();
    sync.set(new Map([["bad", 1], ["good", 1]]));
    await sync.settle();
    expect(target.actual.has("good")).toBe(true);
    expect(sync.observed().get("bad")).toMatchObject({ state: "failed", attempts: 1 });
    await target.clock.advance(100 + 200 + 400);
    expect(target.failures).toEqual(["up bad 100", "up bad 200", "up bad 400", "up bad 800"]);
    target.failing.clear();
    await target.clock.advance(800);
    expect(sync.observed().get("bad")?.state).toBe("up");
    expect(target.clock.pending).toBe(0);
  });

  test("a change of desire ends the wait for a retry", async () => {
    const target = new Target();
    target.failing.add("a");
    const sync = target.sync();
    sync.set(new Map([["a", 1]]));
    await sync.settle();
    target.failing.clear();
    sync.set(new Map([["a", 2]]));
    await sync.settle();
    expect(target.actual.get("a")).toBe(2);
    expect(target.clock.pending).toBe(0);
  });

  test("what is no longer wanted while it comes up is aborted, then taken down", async () => {
    const target = new Target();
    let open: () => void = () => undefined;
    target.gates.set("a", new Promise((resolve) => (open = resolve)));
    const sync = target.sync();
    sync.set(new Map([["a", 1]]));
    await flush();
    sync.set(new Map());
    open();
    await sync.settle();
    expect(target.ops).toEqual(["up a=1", "down a"]);
    expect(target.failures).toEqual([]);
    expect(sync.observed().size).toBe(0);
  });

  test("never runs two verbs of one key at once, and no more in all than allowed", async () => {
    const target = new Target();
    const opens: (() => void)[] = [];
    for (const key of ["a", "b", "c"]) target.gates.set(key, new Promise((resolve) => opens.push(resolve)));
    const sync = target.sync(2);
    sync.set(new Map([["a", 1], ["b", 1], ["c", 1]]));
    await flush();
    sync.set(new Map([["a", 2], ["b", 1], ["c", 1]]));
    await flush();
    expect(target.ops).toEqual(["up a=1", "up b=1"]);
    for (const open of opens) open();
    await sync.settle();
    expect(target.ops.slice(2).sort()).toEqual(["up a=2", "up c=1"]);
    expect(target.actual.get("a")).toBe(2);
  });

  test("stop calls off every retry", async () => {
    const target = new Target();
    target.failing.add("a");
    const sync = target.sync();
    sync.set(new Map([["a", 1]]));
    await sync.settle();
    sync.stop();
    expect(target.clock.pending).toBe(0);
  });
});
