// metrics: how long a scrape of /metrics takes with 1,000 VIPs held, and what four scrapes a second cost.
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster } from "../lab/cluster.js";
import { figure, spread } from "./lib/figures.js";
import { benchOptions } from "./lib/options.js";
import { makeServices, quiet } from "./lib/services.js";
import { cpuSeconds } from "./lib/usage.js";

const VIPS = 1000;
const BUDGET_MS = 20;
/** Beyond what is answered from memory. */
const PAUSE_MS = 260;

const { vip, choose } = benchOptions();
await using cluster = await Cluster.up(1, vip);
await makeServices(cluster, 0, VIPS);
await quiet(cluster);
const { pid } = cluster.vip("n1");
const used = (): number => Object.values(cpuSeconds(pid)).reduce((sum, seconds) => sum + seconds, 0);
const [before, start] = [used(), performance.now()];
const times: number[] = [];
for (let i = 0; i < choose(40, 12); i += 1) {
  await sleep(PAUSE_MS);
  const { stdout } = await cluster.lab.exec("n1", ["curl", "-s", "-o", "/dev/null", "-w", "%{time_total}", "http://127.0.0.1:2112/metrics"]);
  times.push(Number(stdout) * 1000);
}
spread("metrics.scrape", times, "ms", { vips: VIPS, budget: BUDGET_MS });
figure("metrics.cpu", ((used() - before) / (performance.now() - start)) * 100_000, "% of a core", { vips: VIPS, pauseMs: PAUSE_MS });
