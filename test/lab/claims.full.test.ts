import { expect, test } from "vitest";
import { campaign } from "../machine/claims-campaign.js";
import { FAULTS, STORM } from "../machine/claims-sim-options.js";

const RUNS = 1000;

test.each([
  { nodes: 2, keys: 8 },
  { nodes: 3, keys: 24 },
  { nodes: 6, keys: 40 },
])(`the model of claims, ${RUNS} schedules of four minutes with $nodes nodes and $keys keys: one holder each outside a hand-over`, { timeout: 3_600_000 }, ({ nodes, keys }) => {
  const options = { nodes, keys, seconds: 240, calmSeconds: 60, faults: FAULTS, stalls: true };
  const worst = campaign(options, RUNS, nodes * 1_000_000);
  console.log(JSON.stringify({ figure: "claims model", nodes, keys, ...worst }));
  expect(worst).toMatchObject({ runs: RUNS, overlap: "", broken: [], needless: [], restless: [], unheld: [] });
  expect(worst.gapMs).toBeLessThan(5000 + 3000 + 2000);
  const moving = campaign({ ...options, preferred: true, config: { rebalanceRate: 5 } }, RUNS / 4, nodes * 1_000_000 + RUNS);
  expect(moving).toMatchObject({ overlap: "", broken: [], unheld: [] });
  const storm = campaign({ ...options, ...STORM, preferred: true, config: { rebalanceRate: 5 } }, RUNS / 4, nodes * 1_000_000 + 2 * RUNS);
  expect(storm).toMatchObject({ overlap: "", broken: [], unheld: [] });
});
