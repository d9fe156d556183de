// memory: RssAnon and CPU of the owner and of a standby that have nothing to do, at 1, 100 and 1,000 VIPs.
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster } from "../lab/cluster.js";
import { figure } from "./lib/figures.js";
import { benchOptions } from "./lib/options.js";
import { makeServices, quiet } from "./lib/services.js";
import { usageOver } from "./lib/usage.js";

const MEMORY_BUDGET_MB = { few: 40, many: 60 };
const CPU_BUDGET_PERCENT = 3;
const MANY = 1000;

async function measure(cluster: Cluster, vips: number, ms: number): Promise<void> {
  const owner = await cluster.owner();
  const standby = cluster.lab.nodes.find(({ name }) => name !== owner)?.name ?? "";
  const roles = [["owner", cluster.vip(owner).pid], ["standby", cluster.vip(standby).pid]] as const;
  const used = await usageOver(ms, roles.map(([, pid]) => pid));
  for (const [at, [role]] of roles.entries()) {
    const one = used[at];
    if (one === undefined) continue;
    figure("memory.rssAnon", one.rssAnonMb, "MB", { vips, role, budget: vips < MANY ? MEMORY_BUDGET_MB.few : MEMORY_BUDGET_MB.many });
    const { user, system } = one.cpu;
    figure("cpu.idle", user + system, "% of a core", { vips, role, user: Math.round(user * 10) / 10, system: Math.round(system * 10) / 10, seconds: ms / 1000, budget: CPU_BUDGET_PERCENT });
  }
}

const { vip, choose } = benchOptions();
await using cluster = await Cluster.up(2, vip);
let made = 0;
for (const count of choose([1, 100, MANY], [1, MANY])) {
  await makeServices(cluster, made, count);
  made = count;
  await cluster.lab.waitFor(async () => {
    await sleep(300);
    const held = (await cluster.lab.addresses(await cluster.owner(), "eth0")).filter(({ local }) => local.startsWith("10.99."));
    return held.length === count;
  }, 20_000, `${count} addresses on the owner`);
  await quiet(cluster);
  await measure(cluster, count, choose(20_000, 5_000));
}
// In order, so that a profiler can write what it saw.
await Promise.all(cluster.lab.nodes.map(async ({ name }) => await cluster.vip(name).stop()));
