import { describe, expect, test } from "vitest";
import { runsOf } from "../runs.js";
import { ElectionSim, type SimOptions } from "./election-sim.js";

const RUNS = runsOf(150, 3);

function campaign(options: Omit<SimOptions, "seed">): { overlap: number; overlapSeed: number; gap: number; gapSeed: number; takeovers: number; runs: number } {
  const worst = { overlap: 0, overlapSeed: 0, gap: 0, gapSeed: 0, takeovers: 0, runs: 0 };
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const result = new ElectionSim({ ...options, seed }).run();
    worst.runs += 1;
    worst.takeovers += result.takeovers;
    if (result.worstOverlapMs > worst.overlap) [worst.overlap, worst.overlapSeed] = [result.worstOverlapMs, seed];
    if (result.worstGapMs > worst.gap) [worst.gap, worst.gapSeed] = [result.worstGapMs, seed];
  }
  return worst;
}

describe("one Lease, three nodes, random faults", () => {
  const faulty = { nodes: 3, seconds: 120, faults: true } as const;

  test("two kernels never hold the address at once outside a hand-over, and it is held again soon after the last fault", () => {
    const worst = campaign(faulty);
    expect(worst).toMatchObject({ runs: RUNS, overlap: 0 });
    expect(worst.takeovers).toBeGreaterThan(RUNS * 3);
    // A lease time, a request that waits for its time-out, and a retry.
    expect(worst.gap).toBeLessThan(5000 + 3000 + 2000);
  });

  test("without faults nobody but the first holder ever takes it", () => {
    const worst = campaign({ nodes: 3, seconds: 60, faults: false });
    expect(worst).toMatchObject({ runs: RUNS, overlap: 0, takeovers: RUNS });
    expect(worst.gap).toBeLessThan(3100);
  });

  test("the kernel's lateness is needed: without it two kernels hold the address", () => {
    expect(campaign({ ...faulty, config: { kernelLatenessMs: 0 } }).overlap).toBeGreaterThan(0);
  });

  test("a renew deadline beyond the lease duration is not survived", () => {
    expect(campaign({ ...faulty, config: { renewDeadlineMs: 9000, kernelLatenessMs: -6000 } }).overlap).toBeGreaterThan(0);
  });
});
