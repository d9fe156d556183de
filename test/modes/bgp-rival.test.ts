import { expect, test } from "vitest";
import { BgpBench, peer, ROUTER4 } from "./bgp-bench.js";

test("without a session, another process of the node that has one with the router is told of, until there is a session after all", async () => {
  await using bench = new BgpBench();
  bench.silent.add(ROUTER4);
  bench.rivals.set(ROUTER4, "bird (812)");
  await bench.peers(peer());
  expect(bench.mode.reports()[0]).toMatchObject({ rival: undefined, problem: undefined });
  expect(bench.asked).toBe(0);
  const before = bench.changes;
  await bench.clock.advance(6000);
  expect(bench.mode.reports()[0]).toMatchObject({ rival: "bird (812)", problem: expect.stringMatching(/^bird \(812\) on this node already has a session with it, .*docs\/bird-publisher\.md/) as string });
  expect(bench.changes).toBeGreaterThan(before);
  bench.silent.delete(ROUTER4);
  await bench.clock.advance(30_000);
  expect(bench.mode.reports()[0]).toMatchObject({ state: "Established", rival: undefined, problem: undefined });
});

test("a process that cannot be seen is one, too; nobody is none", async () => {
  await using bench = new BgpBench();
  bench.silent.add(ROUTER4);
  bench.rivals.set(ROUTER4, undefined);
  await bench.peers(peer());
  await bench.clock.advance(6000);
  expect(bench.mode.reports()[0]?.rival).toBe("a process that cannot be seen from here");
  bench.rivals.clear();
  await bench.clock.advance(30_000);
  expect(bench.mode.reports()[0]).toMatchObject({ rival: undefined, problem: undefined });
});

test("who it is is asked every ten seconds at most, and not where the session is up or the peer is gone", async () => {
  await using bench = new BgpBench();
  await bench.peers(peer());
  await bench.clock.advance(60_000);
  expect([bench.mode.reports()[0]?.state, bench.asked]).toEqual(["Established", 0]);
  bench.silent.add(ROUTER4);
  bench.router().connection.fail("the peer closed the connection");
  await bench.clock.advance(100_000);
  expect(bench.asked).toBeGreaterThan(1);
  expect(bench.asked).toBeLessThanOrEqual(11);
  const asked = bench.asked;
  await bench.peers();
  await bench.clock.advance(60_000);
  expect(bench.asked).toBe(asked);
});
