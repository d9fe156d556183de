// requests: what a cluster in which nothing happens asks of the API server, by node, verb and resource.
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster } from "../lab/cluster.js";
import { figure } from "./lib/figures.js";
import { benchOptions } from "./lib/options.js";
import { byNodes, makeServices, quiet } from "./lib/services.js";

/** One request per node and renew period (1 s). */
const PER_NODE_BUDGET = 1;
const NODES = 3;

async function measure(cluster: Cluster, services: number, ms: number): Promise<void> {
  const owner = await cluster.owner();
  await cluster.admin.resetCounters();
  const start = performance.now();
  await sleep(ms);
  const report = await cluster.admin.counters();
  const seconds = (performance.now() - start) / 1000;
  const rows = byNodes(cluster, report);
  const parameters = { services, nodes: NODES, seconds: Math.round(seconds) };
  const total = rows.reduce((sum, { count }) => sum + count, 0);
  figure("requests.all", total / seconds, "1/s", { ...parameters, budget: PER_NODE_BUDGET * NODES });
  for (const { node, verb, resource, count } of rows) {
    figure("requests.node", count / seconds, "1/s", { ...parameters, role: node === owner ? "owner" : "standby", node, verb, resource });
  }
}

const { vip, choose } = benchOptions();
await using cluster = await Cluster.up(NODES, vip);
let made = 0;
for (const count of [1, 1000]) {
  await makeServices(cluster, made, count);
  made = count;
  await sleep(2000);
  await quiet(cluster);
  await measure(cluster, count, choose(20_000, 6_000));
}
