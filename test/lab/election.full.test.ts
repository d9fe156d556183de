import { expect, test } from "vitest";
import { ElectionSim } from "../machine/election-sim.js";

const RUNS = 3000;

test.each([2, 3, 5])(`the election model, ${RUNS} schedules of five minutes with %i nodes: never two kernels outside a hand-over`, { timeout: 600_000 }, (nodes) => {
  let [runs, takeovers] = [0, 0];
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const result = new ElectionSim({ seed: seed * 7919 + nodes, nodes, seconds: 300, faults: true }).run();
    if (result.worstOverlapMs > 0) throw new Error(`seed ${seed * 7919 + nodes}: two kernels for ${result.worstOverlapMs} ms`);
    runs += 1;
    takeovers += result.takeovers;
  }
  console.log(JSON.stringify({ figure: "election model", nodes, runs, takeovers }));
  expect(runs).toBe(RUNS);
  expect(takeovers).toBeGreaterThan(RUNS * 5);
});
