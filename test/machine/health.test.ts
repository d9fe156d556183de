import { describe, expect, test } from "vitest";
import { healthStart, healthStep, type HealthAction, type HealthConfig, type HealthEvent, type HealthState } from "../../src/machine/health.js";

const config: HealthConfig = { periodMs: 5000, timeoutMs: 3000, failureThreshold: 3 };

/** A machine with its clock. */
class Bench {
  state: HealthState = healthStart();
  wakeAt: number | undefined;

  constructor(private readonly timing: HealthConfig = config) {}

  at(now: number, event: HealthEvent = { type: "tick" }): readonly HealthAction[] {
    const result = healthStep(this.state, event, now, this.timing);
    this.state = result.state;
    this.wakeAt = result.wakeAt;
    return result.actions;
  }

  /** The check under way is answered. */
  answer(now: number, healthy: boolean, reason = healthy ? "200" : "500"): readonly HealthAction[] {
    return this.at(now, { type: "answer", id: this.state.probe?.id ?? 0, result: { healthy, reason } });
  }

  /** Healthy since 10, next check at 5000. */
  static well(): Bench {
    const bench = new Bench();
    bench.at(0);
    bench.answer(10, true);
    return bench;
  }
}

describe("at the start", () => {
  test("the first check goes out at once, and nothing is known before its answer", () => {
    const bench = new Bench();
    expect(bench.at(700)).toEqual([{ type: "probe", id: 1 }]);
    expect(bench.state.health).toBe("unknown");
    expect(bench.wakeAt).toBe(3700);
  });

  test("one success makes it healthy", () => {
    const bench = Bench.well();
    expect(bench.state).toMatchObject({ health: "healthy", reason: "200", failures: 0 });
    expect(bench.wakeAt).toBe(5000);
  });

  test("an API server that is not up yet is asked every second, and found in that time once it is", () => {
    const bench = new Bench();
    for (const now of [0, 1000, 2000, 3000]) {
      expect(bench.at(now)).toHaveLength(1);
      bench.answer(now + 5, false, "ECONNREFUSED");
      expect(bench.wakeAt).toBe(now + 1000);
      expect(bench.state.health).toBe(now < 2000 ? "unknown" : "sick");
    }
    bench.at(4000);
    bench.answer(4005, true);
    expect(bench.state.health).toBe("healthy");
    expect(bench.wakeAt).toBe(9000);
  });

  test("a period below a second counts from the start", () => {
    const bench = new Bench({ ...config, periodMs: 200 });
    bench.at(0);
    bench.answer(5, false);
    expect(bench.wakeAt).toBe(200);
  });
});

describe("a healthy API server", () => {
  test("is sick after the third failure in a row, not before, with the reason of the last one", () => {
    const bench = Bench.well();
    const seen: string[] = [];
    for (const now of [5000, 10_000, 15_000]) {
      bench.at(now);
      bench.answer(now + 1, false, `failed at ${now}`);
      seen.push(bench.state.health);
    }
    expect(seen).toEqual(["healthy", "healthy", "sick"]);
    expect(bench.state.reason).toBe("failed at 15000");
  });

  test("stays so when a success comes between failures", () => {
    const bench = Bench.well();
    for (const [now, healthy] of [[5000, false], [10_000, false], [15_000, true], [20_000, false], [25_000, false]] as const) {
      bench.at(now);
      bench.answer(now + 1, healthy);
      expect(bench.state.health).toBe("healthy");
    }
    expect(bench.state.failures).toBe(2);
  });

  test("is healthy again after one success, and asked at the same period while sick", () => {
    const bench = Bench.well();
    for (const now of [5000, 10_000, 15_000]) {
      bench.at(now);
      bench.answer(now + 1, false);
    }
    expect(bench.wakeAt).toBe(20_000);
    bench.at(20_000);
    bench.answer(20_001, true);
    expect(bench.state).toMatchObject({ health: "healthy", failures: 0 });
  });

  test("is sick at once with a threshold of 1", () => {
    const bench = new Bench({ ...config, failureThreshold: 1 });
    bench.at(0);
    bench.answer(1, true);
    bench.at(5000);
    bench.answer(5001, false);
    expect(bench.state.health).toBe("sick");
  });
});

describe("a check that overruns its timeout", () => {
  test("is cancelled and counts as a failure; its late answer counts for nothing", () => {
    const bench = Bench.well();
    bench.at(5000);
    expect(bench.wakeAt).toBe(8000);
    expect(bench.at(7999)).toEqual([]);
    expect(bench.at(8000)).toEqual([{ type: "cancel", id: 2 }]);
    expect(bench.state).toMatchObject({ failures: 1, reason: "no answer within 3000 ms" });
    expect(bench.at(8100, { type: "answer", id: 2, result: { healthy: true, reason: "late" } })).toEqual([]);
    expect(bench.state).toMatchObject({ failures: 1, reason: "no answer within 3000 ms" });
    expect(bench.wakeAt).toBe(10_000);
  });

  test("is followed at once by the next where the timeout is longer than the period, never by two", () => {
    const bench = new Bench({ ...config, periodMs: 1000 });
    bench.at(0);
    expect(bench.at(1000)).toEqual([]);
    expect(bench.at(3000)).toEqual([{ type: "cancel", id: 1 }, { type: "probe", id: 2 }]);
    expect(bench.wakeAt).toBe(6000);
  });

  test("counts once however long the process was stopped", () => {
    const bench = Bench.well();
    bench.at(5000);
    expect(bench.at(90_000)).toEqual([{ type: "cancel", id: 2 }, { type: "probe", id: 3 }]);
    expect(bench.state).toMatchObject({ health: "healthy", failures: 1 });
    bench.answer(90_005, true);
    expect(bench.wakeAt).toBe(95_000);
  });
});

test("the answer to a check that overran but was answered before anybody noticed counts", () => {
  const bench = Bench.well();
  bench.at(5000);
  expect(bench.answer(8000, true)).toEqual([]);
  expect(bench.state).toMatchObject({ health: "healthy", failures: 0 });
});
