import { expect, test } from "vitest";
import { keysOf, shared, wishesOf } from "./claims-bench.js";

const SECONDS = 20;

/** Requests in so many quiet seconds. */
async function requestsAt(count: number): Promise<number> {
  const keys = keysOf(count);
  await using bench = await shared(keys);
  // What makes the load even is over by then.
  await bench.clock.advance(60_000);
  expect(bench.holders().size).toBe(count);
  const { requests } = bench.kube;
  for (let second = 0; second < SECONDS; second += 1) {
    await bench.clock.advance(1000);
    // The plan says the same with every pass, in maps of its own.
    bench.wish(wishesOf(keys));
  }
  return bench.kube.requests - requests;
}

test("requests in rest are a renew per node and second, whatever the number of keys", { timeout: 30_000 }, async () => {
  expect([await requestsAt(30), await requestsAt(3000)]).toEqual([3 * SECONDS, 3 * SECONDS]);
});

test("a passing renew costs nothing that grows with the number of keys", async () => {
  const keys = keysOf(1000);
  await using bench = await shared(keys, 2);
  const { claims } = bench.at("n1");
  const states = claims.states();
  const { changes } = bench.at("n1");
  await bench.clock.advance(5000);
  expect(claims.states()).toBe(states);
  expect(bench.at("n1").changes).toBe(changes);
});
