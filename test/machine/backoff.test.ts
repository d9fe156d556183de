import { describe, expect, test } from "vitest";
import { backoffMs } from "../../src/machine/backoff.js";

/** The greatest that a Random port returns. */
const MOST = 1 - 2 ** -53;

describe("back-off", () => {
  test.each<readonly [string, number, number, number]>([
    ["the first, least", 0, 0, 100],
    ["the first, most", 0, MOST, 200],
    ["the second", 1, 0, 200],
    ["the third", 2, 0.5, 600],
    ["the last that doubles", 7, 0, 12_800],
    ["from where the limit holds, least", 8, 0, 15_000],
    ["from where the limit holds, most", 8, MOST, 30_000],
    ["after a year of failures", 1_000_000, 0, 15_000],
  ])("%s", (_name, attempt, random, expected) => {
    expect(backoffMs(attempt, 200, 30_000, random)).toBeCloseTo(expected, 6);
  });

  test("never reaches the whole of its step, and never falls below a half, so that the next is later for sure", () => {
    for (let attempt = 0; attempt < 40; attempt += 1) {
      const step = Math.min(200 * 2 ** attempt, 30_000);
      for (const random of [0, 0.25, 0.5, 0.999]) {
        const ms = backoffMs(attempt, 200, 30_000, random);
        expect(ms).toBeGreaterThanOrEqual(step / 2);
        expect(ms).toBeLessThan(step);
      }
    }
  });

  test("a first delay above the limit is the limit", () => {
    expect(backoffMs(0, 5000, 1000, 0)).toBe(500);
  });
});
