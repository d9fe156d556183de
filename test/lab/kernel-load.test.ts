import { spawn } from "node:child_process";

import { describe, expect, it } from "vitest";

import { clock, figure, ip, manyPuts, marked, never, put, run, tenths, useKernelLab, watchLoop } from "./kernel-fixture.js";

const lab = useKernelLab();
const kernel = () => lab().kernel;
const a = () => lab().a;

it("puts, refreshes, lists and removes 1,000 addresses in batches", async () => {
  const wanted = manyPuts(a(), 1000);
  const measure = async (work: () => Promise<unknown>): Promise<number> => {
    const start = clock.now();
    await work();
    return tenths(clock.now() - start);
  };
  const stopWatch = watchLoop();
  const addMs = await measure(async () => Promise.all(wanted.map(async (one) => kernel().putAddress(one, never))));
  const validUntil = clock.now() + 60_000;
  const refreshMs = await measure(async () => Promise.all(wanted.map(async (one) => kernel().putAddress({ ...one, validUntil }, never))));
  const listMs = await measure(async () => marked(kernel()));
  expect(await marked(kernel())).toHaveLength(1000);
  let removed: readonly boolean[] = [];
  const removeMs = await measure(async () => {
    removed = await Promise.all(wanted.map(async (one) => kernel().removeAddress(one, never)));
  });
  figure("kernel.1000", { addMs, refreshMs, listMs, removeMs, loopLagMs: stopWatch() });
  expect(removed.every(Boolean)).toBe(true);
});

describe("while others hold the rtnl lock", () => {
  const STORM = `i=0; while [ $i -lt 1000 ]; do ip link add vks$1$i type veth peer name vkt$1$i && ip link del vks$1$i; i=$((i+1)); done`;

  it("never blocks the loop, and every write completes", async () => {
    const storms = ["x", "y"].map((name) => spawn("sh", ["-c", STORM, "sh", name], { detached: true, stdio: "ignore" }));
    const wanted = manyPuts(a(), 300);
    const stopWatch = watchLoop();
    const waits: number[] = [];
    try {
      const end = clock.now() + 2000;
      while (clock.now() < end) {
        const start = clock.now();
        const puts = wanted.map(async (one) => kernel().putAddress({ ...one, validUntil: clock.now() + 60_000 }, never));
        await Promise.all(puts);
        waits.push(clock.now() - start);
        await kernel().addresses(never);
      }
    } finally {
      // Each storm is a process group of its own, so its children end with it.
      for (const storm of storms) if (storm.pid !== undefined) process.kill(-storm.pid, "SIGKILL");
    }
    figure("kernel.rtnlStorm", { rounds: waits.length, puts: wanted.length, worstRoundMs: Math.round(Math.max(...waits)), loopLagMs: stopWatch() });
    expect(waits.length).toBeGreaterThan(0);
    expect(await marked(kernel())).toHaveLength(wanted.length);
  });
});

describe("behind one long holder of the rtnl lock", () => {
  it("never blocks the loop", async () => {
    const pairs = Array.from({ length: 800 }, (_, index) => `link add vkg${index} group 99 type veth peer name vkh${index} group 99`);
    const adding = run("ip", ["-batch", "-"]);
    adding.child.stdin?.end(pairs.join("\n"));
    await adding;
    const stopWatch = watchLoop();
    const deletion = new AbortController();
    const deleting = ip("link", "del", "group", "99").finally(() => deletion.abort());
    const waits: number[] = [];
    while (!deletion.signal.aborted) {
      const start = clock.now();
      await kernel().putAddress(put(a(), "192.0.2.35", { validUntil: clock.now() + 60_000 }), never);
      waits.push(clock.now() - start);
    }
    await deleting;
    figure("kernel.rtnlHeld", { puts: waits.length, longestPutMs: Math.round(Math.max(...waits)), loopLagMs: stopWatch() });
    expect(await marked(kernel())).toHaveLength(1);
  });
});
