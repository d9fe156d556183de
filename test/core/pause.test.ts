import { describe, expect, test } from "vitest";
import { watchForPause } from "../../src/core/pause.js";
import type { Clock } from "../../src/ports/clock.js";
import { FakeClock } from "../fakes/clock.js";

/** A clock whose wall time somebody sets, and what was taken for a pause. */
class Bench implements Disposable {
  readonly time = new FakeClock();
  /** How far wall time is ahead of where it would be. */
  ahead = 0;
  readonly pauses: number[] = [];
  readonly #watch: Disposable;

  constructor() {
    const clock: Clock = {
      now: () => this.time.now(),
      wallTime: () => this.time.wallTime() + this.ahead,
      after: (ms, fn) => this.time.after(ms, fn),
    };
    this.#watch = watchForPause({ everyMs: 200, thresholdMs: 1000 }, { clock, paused: (ms) => void this.pauses.push(Math.round(ms)) });
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    expect(this.time.pending).toBe(0);
  }
}

describe("real time against monotonic time", () => {
  test.each<readonly [string, number, readonly number[]]>([
    ["a jump ahead of more than a second is a pause of that size", 1001, [1001]],
    ["a long jump ahead", 3_600_000, [3_600_000]],
    ["a jump of a second is none", 1000, []],
    ["a small step is none", 300, []],
    ["set back is none", -3_600_000, []],
  ])("%s", async (_name, jump, pauses) => {
    using bench = new Bench();
    await bench.time.advance(1000);
    bench.ahead += jump;
    await bench.time.advance(200);
    expect(bench.pauses).toEqual(pauses);
    await bench.time.advance(60_000);
    expect(bench.pauses).toEqual(pauses);
  });

  test("each jump is told on its own, also one after the clock was set back", async () => {
    using bench = new Bench();
    for (const jump of [5000, -9000, 7000]) {
      bench.ahead += jump;
      await bench.time.advance(200);
    }
    expect(bench.pauses).toEqual([5000, 7000]);
  });

  test("a clock that is slewed gains two seconds in an hour and never jumps", async () => {
    using bench = new Bench();
    // The kernel slews by 500 ppm at the most: 0.1 ms in every 200 ms.
    for (let i = 0; i < 20_000; i += 1) {
      bench.ahead += 0.1;
      await bench.time.advance(200);
    }
    expect(Math.round(bench.ahead)).toBe(2000);
    expect(bench.pauses).toEqual([]);
  });

  test("a process that was only stopped itself lost no real time against monotonic time", async () => {
    using bench = new Bench();
    await bench.time.freeze(30_000);
    await bench.time.advance(1000);
    expect(bench.pauses).toEqual([]);
  });
});
