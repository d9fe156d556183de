import { expect, test } from "vitest";
import { Complaints } from "../../src/core/complaints.js";
import { FakeClock } from "../fakes/clock.js";

test("the same again is said at 1, 2, 4, 8 and at least once a minute, other things each by themselves", async () => {
  const clock = new FakeClock();
  const complaints = new Complaints(clock);
  const said = Array.from({ length: 10 }, () => [complaints.worthSaying("lease", "server"), complaints.worthSaying("lease", "timeout")]);
  expect(said.map(([server]) => server)).toEqual([1, 2, undefined, 4, undefined, undefined, undefined, 8, undefined, undefined]);
  expect(said.map(([, timeout]) => timeout)).toEqual(said.map(([server]) => server));
  await clock.advance(59_000);
  expect(complaints.worthSaying("lease", "server")).toBeUndefined();
  expect(complaints.worthSaying("other", "server")).toBe(1);
  await clock.advance(1000);
  expect(complaints.worthSaying("lease", "server")).toBe(12);
  await clock.advance(60_000);
  expect(complaints.worthSaying("lease", "server")).toBe(1);
});

test("what is forbidden is said once, and again after five minutes", async () => {
  const clock = new FakeClock();
  const complaints = new Complaints(clock);
  const said: (number | undefined)[] = [];
  for (let second = 0; second <= 600; second += 1) {
    said.push(complaints.worthSaying("lease", "forbidden"));
    await clock.advance(1000);
  }
  expect(said.filter((count) => count !== undefined)).toEqual([1, 301, 601]);
});
