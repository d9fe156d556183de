import { describe, expect, test } from "vitest";
import { Loop } from "../../src/core/loop.js";
import type { Clock, Timer } from "../../src/ports/clock.js";
import { FakeClock } from "../fakes/clock.js";

/** A clock on which a pass takes time: it moves only by `work` and by waiting. */
class BusyClock implements Clock {
  #now = 1000;
  readonly #timers = new Map<object, { readonly at: number; readonly fn: () => void }>();

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#now;
  }

  after(ms: number, fn: () => void): Timer {
    const id = {};
    this.#timers.set(id, { at: this.#now + ms, fn });
    return { cancel: () => void this.#timers.delete(id) };
  }

  work(ms: number): void {
    this.#now += ms;
  }

  /** Runs what is due until then. */
  until(end: number): void {
    for (;;) {
      const [first] = [...this.#timers].sort(([, a], [, b]) => a.at - b.at);
      if (first === undefined || first[1].at > end) break;
      this.#timers.delete(first[0]);
      this.#now = Math.max(this.#now, first[1].at);
      first[1].fn();
    }
    this.#now = Math.max(this.#now, end);
  }
}

interface Busy {
  readonly clock: BusyClock;
  readonly loop: Loop;
  /** When each pass began. */
  readonly passes: number[];
}

function busy(passMs: () => number): Busy {
  const clock = new BusyClock();
  const passes: number[] = [];
  const pass = (): void => {
    passes.push(clock.now());
    clock.work(passMs());
  };
  return { clock, loop: new Loop({ coalesceMs: 2 }, { clock, pass }), passes };
}

/** Wakes it every ms for so long; says how much of the time the passes took. */
function flood({ clock, loop, passes }: Busy, forMs: number, passMs: number): number {
  const [start, before] = [clock.now(), passes.length];
  while (clock.now() < start + forMs) {
    loop.wake();
    clock.until(clock.now() + 1);
  }
  return ((passes.length - before) * passMs) / (clock.now() - start);
}

describe("passes", () => {
  test("one for all wakes of two milliseconds", async () => {
    const clock = new FakeClock();
    const passes: number[] = [];
    const loop = new Loop({ coalesceMs: 2 }, { clock, pass: () => void passes.push(clock.now()) });
    for (let i = 0; i < 100; i += 1) loop.wake();
    await clock.advance(1);
    expect(passes).toEqual([]);
    loop.wake();
    await clock.advance(10);
    expect(passes).toEqual([1002]);
    expect(clock.pending).toBe(0);
  });

  test("none without a wake, and another for a wake from within a pass", async () => {
    const clock = new FakeClock();
    const passes: number[] = [];
    const loop: Loop = new Loop({ coalesceMs: 2 }, { clock, pass: () => {
      passes.push(clock.now());
      if (passes.length < 3) loop.wake();
    } });
    await clock.advance(100);
    expect(passes).toEqual([]);
    loop.wake();
    await clock.advance(100);
    expect(passes).toEqual([1102, 1104, 1106]);
  });

  test("no more after stop, whatever wakes it", async () => {
    const clock = new FakeClock();
    let passes = 0;
    const loop = new Loop({ coalesceMs: 2 }, { clock, pass: () => void (passes += 1) });
    loop.wake();
    loop.stop();
    loop.wake();
    await clock.advance(1000);
    expect([passes, clock.pending]).toEqual([0, 0]);
  });

  test("one that throws comes out of `failed`", async () => {
    const clock = new FakeClock();
    const loop = new Loop({ coalesceMs: 2 }, { clock, pass: () => {
      throw new TypeError("a bug");
    } });
    const failed = loop.failed.catch((error: unknown) => error);
    loop.wake();
    await clock.advance(2);
    expect(await failed).toMatchObject({ message: "a bug" });
  });
});

describe("in a flood of changes", () => {
  test.each([1, 5, 20, 40, 100])("passes of %s ms each take a fifth of the time, once the first 50 ms of them are over", (passMs) => {
    const of = busy(() => passMs);
    flood(of, 2000, passMs);
    const share = flood(of, 20_000, passMs);
    expect(share).toBeGreaterThan(0.15);
    expect(share).toBeLessThanOrEqual(0.21);
  });

  test("the first 50 ms of passes are not put off", () => {
    const of = busy(() => 5);
    flood(of, 60, 5);
    const gaps = of.passes.slice(1, 9).map((at, i) => at - (of.passes[i] ?? 0));
    // 5 ms of work, 2 ms of waiting, and the ms until the next wake.
    expect(Math.max(...gaps)).toBeLessThanOrEqual(8);
  });

  test("no pass comes later than what is owed: the newest change is seen after five times a pass at the most", () => {
    const of = busy(() => 40);
    flood(of, 10_000, 40);
    const gaps = of.passes.slice(1).map((at, i) => at - (of.passes[i] ?? 0));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(40 * 5 + 3);
  });

  test("what comes now and then is never put off", () => {
    const of = busy(() => 40);
    const late: number[] = [];
    for (let i = 0; i < 50; i += 1) {
      const woken = of.clock.now();
      of.loop.wake();
      of.clock.until(woken + 250);
      late.push((of.passes.at(-1) ?? 0) - woken);
    }
    expect(new Set(late)).toEqual(new Set([2]));
  });

  test("the debt of a flood is paid a while after it, and one very slow pass is no flood for ever", () => {
    const of = busy(() => (of.passes.length === 1 ? 1000 : 1));
    of.loop.wake();
    of.clock.until(2100);
    const woken = of.clock.now();
    of.loop.wake();
    of.clock.until(woken + 10_000);
    expect((of.passes.at(-1) ?? 0) - woken).toBeLessThanOrEqual(4000);
    const again = of.clock.now();
    of.loop.wake();
    of.clock.until(again + 100);
    expect((of.passes.at(-1) ?? 0) - again).toBe(2);
  });

  test("what cannot wait comes 25 ms after the pass before it, and the rest is not put off any longer for that", () => {
    const of = busy(() => 40);
    flood(of, 2000, 40);
    const before = of.passes.length;
    for (let i = 0; i < 10; i += 1) {
      of.loop.wakeSoon();
      of.clock.until(of.clock.now() + 65);
    }
    const soon = of.passes.slice(before);
    expect(soon).toHaveLength(10);
    expect(Math.max(...soon.slice(1).map((at, i) => at - (soon[i] ?? 0)))).toBeLessThanOrEqual(65);
    const woken = of.clock.now();
    of.loop.wake();
    of.clock.until(woken + 1000);
    expect((of.passes.at(-1) ?? 0) - woken).toBeLessThanOrEqual(40 * 5);
  });

  test("what cannot wait comes at once where no pass was made for a while, and once for several", async () => {
    const clock = new FakeClock();
    const passes: number[] = [];
    const loop = new Loop({ coalesceMs: 2 }, { clock, pass: () => void passes.push(clock.now()) });
    loop.wake();
    loop.wakeSoon();
    loop.wakeSoon();
    await clock.advance(100);
    expect(passes).toEqual([1002]);
    expect(clock.pending).toBe(0);
  });
});
