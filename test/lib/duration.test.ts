import { expect, test } from "vitest";
import { durationSeconds } from "../../src/lib/duration.js";

test.each([
  ["0", 0],
  ["0s", 0],
  ["45s", 45],
  ["1h30m", 5400],
  ["1.5h", 5400],
  [".5m", 30],
  ["250ms", 0.25],
  ["-2m", -120],
  ["+1s", 1],
  ["1h2m3s4ms", 3723.004],
])("%s is %d s", (text, seconds) => {
  expect(durationSeconds(text)).toBeCloseTo(seconds, 9);
});

test.each(["", "5", "s", "1 s", "1d", "1h-2m", "one hour", "1h ", "--1s", "."])("%j is no duration", (text) => {
  expect(durationSeconds(text)).toBeUndefined();
});
