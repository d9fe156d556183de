import { expect, test } from "vitest";
import { exact } from "../../src/lib/exact.js";

test("a list is another one that says the same, and every empty one is the same", () => {
  const pushed: number[] = [];
  pushed.push(1, 2);
  const kept = exact(pushed);
  pushed.push(3);
  expect(kept).toEqual([1, 2]);
  expect(exact([])).toBe(exact<string>([]));
});
