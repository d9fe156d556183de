import { expect, it } from "vitest";
import { Delivery } from "../../src/kube/delivery.js";
import type { Pace } from "../../src/kube/delivery.js";
import { FakeClock } from "../fakes/clock.js";

const turn = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Marks once per ms for a second, where every delivery takes `costMs`; the times of the deliveries. */
async function deliveries(pace: Pace, costMs: number): Promise<readonly number[]> {
  const clock = new FakeClock();
  const start = clock.now();
  const at: number[] = [];
  let busy = 0; // the time of a fake clock must not run inside of one of its timers
  const delivery = new Delivery(pace, { now: () => clock.now() + busy, wallTime: () => clock.wallTime(), after: (ms, fn) => clock.after(ms, fn) }, {
    deliver: () => {
      at.push(clock.now() - start);
      busy += costMs;
    },
    failed: (error) => {
      throw error;
    },
  });
  while (clock.now() - start < 1000) {
    delivery.mark();
    await turn();
    await clock.advance(1);
    busy = 0;
  }
  delivery.cancel();
  return at;
}

it.each([
  { pace: "chunk", costMs: 1, most: 1000, least: 1000 },
  { pace: "turn", costMs: 1, most: 100, least: 80 },
  { pace: "calm", costMs: 0.125, most: 40, least: 35 },
  { pace: "calm", costMs: 1, most: 10, least: 9 },
  { pace: "calm", costMs: 20, most: 5, least: 4 },
  { pace: "calm", costMs: 0, most: 1000, least: 1000 },
] as const)("a burst of 1,000 changes in a second, $costMs ms each, pace $pace, is between $least and $most calls, the first of them at once", async ({ pace, costMs, most, least }) => {
  const at = await deliveries(pace, costMs);
  expect(at[0]).toBe(0);
  expect(at.length).toBeGreaterThanOrEqual(least);
  expect(at.length).toBeLessThanOrEqual(most);
});
