// failover: how long a client is without an answer when the owner's process is killed, its node is cut off, or it is stopped in order.
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster, VIP } from "../lab/cluster.js";
import { loadBalancer } from "../lab/kube-client.js";
import { figure } from "./lib/figures.js";
import { interrupt, repeat, undisturbed, type Interruption } from "./lib/interrupt.js";
import { benchOptions, type BenchOptions } from "./lib/options.js";

/** Leases of 5 s, of which a crash may use all, and half a second to act. */
const CRASH_BUDGET = { gap: 5500, takeover: 5500 };
const PLANNED_BUDGET = { gap: 50 };
const TIMINGS = { lease: 5, deadline: 3, retry: 1 };

/** Starts the program again on a node where it ended, and gives it the time to be a standby. */
async function restart(cluster: Cluster, node: string, { vip }: BenchOptions): Promise<void> {
  const started = await cluster.startVip(node, vip);
  await started.waitFor(/"message":"started"/);
  await sleep(1500);
}

async function killed(cluster: Cluster, options: BenchOptions): Promise<Interruption> {
  const holder = await cluster.heldBy(VIP, 15_000);
  const seen = await interrupt(cluster.lab, { vip: VIP, holder, inject: () => cluster.vip(holder).kill("SIGKILL") });
  await restart(cluster, holder, options);
  return seen;
}

async function cutOff({ lab, heldBy }: Pick<Cluster, "lab" | "heldBy">): Promise<Interruption> {
  const holder = await heldBy(VIP, 15_000);
  const inject = async () => void (await Promise.all([lab.cutLan(holder), lab.cutApi(holder)]));
  const seen = await interrupt(lab, { vip: VIP, holder, inject });
  await Promise.all([lab.healLan(holder), lab.healApi(holder)]);
  await sleep(3000); // until it follows the API again
  return seen;
}

async function stopped(cluster: Cluster, options: BenchOptions): Promise<Interruption> {
  const holder = await cluster.heldBy(VIP, 15_000);
  const seen = await interrupt(cluster.lab, { vip: VIP, holder, inject: () => cluster.vip(holder).kill("SIGTERM") });
  await cluster.vip(holder).stop();
  await restart(cluster, holder, options);
  return seen;
}

const options = benchOptions();
await using cluster = await Cluster.up(3, options.vip);
// A node answers for what it holds and nothing else: the strictest reading of who has the address.
await cluster.lab.serve({ heldOnly: true });
await cluster.api.client.createService(loadBalancer({ name: "web", ip: VIP }));
await cluster.heldBy(VIP, 5_000);
figure("failover.gap", await undisturbed(cluster.lab, VIP, 3000), "ms", { event: "none" });
const { runs, choose } = options;
const common = { runs, name: "failover" };
await repeat({ ...common, runs: choose(Math.max(20, runs), runs), budget: PLANNED_BUDGET, parameters: { event: "SIGTERM" }, once: async () => await stopped(cluster, options) });
await repeat({ ...common, budget: CRASH_BUDGET, parameters: { event: "kill -9", ...TIMINGS }, once: async () => await killed(cluster, options) });
await repeat({
  ...common,
  budget: CRASH_BUDGET,
  parameters: { event: "node cut off", ...TIMINGS },
  once: async () => await cutOff({ lab: cluster.lab, heldBy: async (...given) => await cluster.heldBy(...given) }),
});
