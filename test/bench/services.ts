// services: 1,000 and 5,000 Services: a cold start until all are announced, memory and CPU with nothing to do, CPU while endpoints come and go.
import { setTimeout as sleep } from "node:timers/promises";
import { churn, sliceChanges } from "../lab/churn.js";
import { Cluster } from "../lab/cluster.js";
import { figure, progress } from "./lib/figures.js";
import { benchOptions } from "./lib/options.js";
import { bulkAddress, makeServices, quiet } from "./lib/services.js";
import { usageOver } from "./lib/usage.js";

const NODE = "n1";
/** Changes of EndpointSlices per second. */
const CHURN_PER_SECOND = 100;

/** From the start of the process until every address has been announced, as a client on the LAN hears it. */
async function coldStart(cluster: Cluster, count: number): Promise<void> {
  const { lab } = cluster;
  const vips = Array.from({ length: count }, (_, at) => bulkAddress(at));
  await using watch = await lab.answerers(vips, { intervalMs: 60_000 });
  await sleep(500);
  const start = lab.now();
  await cluster.startVip(NODE, benchOptions().vip);
  await lab.waitFor(async () => {
    await sleep(500);
    return (await lab.addresses(NODE, "eth0")).filter(({ local }) => local.startsWith("10.99.")).length === count;
  }, 60_000, `${count} addresses on ${NODE}`);
  await sleep(count * 3 + 3000); // announcements are paced
  const { perVip } = await watch.stop();
  const announced = perVip.flatMap(({ gratuitous: [first] }) => (first === undefined ? [] : [first.at - start])).toSorted((a, b) => a - b);
  const missing = count - announced.length;
  figure("services.coldStart", announced.at(-1) ?? Number.NaN, "ms", { services: count, stat: "all announced", missing, ...(count === 1000 ? { budget: 2400 } : {}) });
  figure("services.coldStart", announced[Math.floor(announced.length / 2)] ?? Number.NaN, "ms", { services: count, stat: "median" });
}

async function use(cluster: Cluster, what: { readonly name: string; readonly services: number; readonly ms: number }): Promise<void> {
  const [used] = await usageOver(what.ms, [cluster.vip(NODE).pid]);
  if (used === undefined) return;
  const { user, system } = used.cpu;
  figure(`services.${what.name}.cpu`, user + system, "% of a core", { services: what.services, user, system, seconds: what.ms / 1000 });
  figure(`services.${what.name}.rssAnon`, used.rssAnonMb, "MB", { services: what.services });
}

async function measure(count: number, ms: number): Promise<void> {
  await using cluster = await Cluster.bare(2);
  await makeServices(cluster, 0, count);
  await coldStart(cluster, count);
  await quiet(cluster, 120_000);
  await use(cluster, { name: "idle", services: count, ms });
  const changes = await sliceChanges(cluster.api.client);
  const [rate] = await Promise.all([churn({ perSecond: CHURN_PER_SECOND, ms }, changes), use(cluster, { name: "churn", services: count, ms })]);
  progress(`endpoints changed ${Math.round(rate)} times a second`);
  await cluster.vip(NODE).stop();
}

const { choose } = benchOptions();
for (const count of choose([1000, 5000], [1000])) await measure(count, choose(20_000, 5000));
