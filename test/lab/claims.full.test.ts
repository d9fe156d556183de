import { expect, test } from "vitest";
import { campaign } from "../machine/claims-campaign.js";
import { FAULTS, STORM } from "../machine/claims-sim-options.js";

test.each([
  { runs: 500, nodes: 2, keys: 8 },
  { runs: 500, nodes: 3, keys: 24 },
  { runs: 150, nodes: 6, keys: 40 },
])("the model of claims, $runs schedules of four minutes with $nodes nodes and $keys keys: one holder each outside a hand-over", { timeout: 3_600_000 }, ({ runs, nodes, keys }) => {
  const options = { nodes, keys, seconds: 240, calmSeconds: 60, faults: FAULTS, stalls: true };
  const worst = campaign(options, runs, nodes * 1_000_000);
  console.log(JSON.stringify({ figure: "claims model", nodes, keys, ...worst }));
  expect(worst).toMatchObject({ runs, overlap: "", broken: [], needless: [], restless: [], unheld: [] });
  expect(worst.gapMs).toBeLessThan(5000 + 3000 + 2000);
  const moving = campaign({ ...options, preferred: true, config: { rebalanceRate: 5 } }, Math.ceil(runs / 4), nodes * 1_000_000 + runs);
  expect(moving).toMatchObject({ overlap: "", broken: [], unheld: [] });
  const storm = campaign({ ...options, ...STORM, preferred: true, config: { rebalanceRate: 5 } }, Math.ceil(runs / 4), nodes * 1_000_000 + 2 * runs);
  // With so many requests that hang, a member may lapse at any time, the end of a run included: what counts is for how long nobody holds its keys.
  expect(storm).toMatchObject({ overlap: "", broken: [] });
  expect(storm.gapMs).toBeLessThan(5000 + 3000 + 2000);
});
