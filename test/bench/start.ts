// start: from the start of the process to the first gratuitous ARP, on one node, for a Service that exists and a Lease that is free.
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster, VIP } from "../lab/cluster.js";
import { loadBalancer } from "../lab/kube-client.js";
import { median, spread } from "./lib/figures.js";
import { benchOptions, type BenchOptions } from "./lib/options.js";

const BUDGET_MS = 400;
const NODE = "n1";

/** What the lab's own steps before the program take: namespaces, a mount, two more programs. */
async function wrapperMs({ lab }: Cluster, runs: number): Promise<number> {
  const took: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const start = lab.now();
    await lab.exec(NODE, ["unshare", "--mount", "sh", "-c", 'mkdir -p /run/vip && mount --bind "$0" /run/vip && exec "$@"', lab.dir, "true"]);
    took.push(lab.now() - start);
  }
  return median(took);
}

async function once(cluster: Cluster, { vip }: BenchOptions): Promise<number> {
  const { lab } = cluster;
  await using watch = await lab.answerers([VIP], { intervalMs: 500 });
  await sleep(100 + Math.random() * 200);
  const start = lab.now();
  const started = await cluster.startVip(NODE, vip);
  await cluster.heldBy(VIP, 10_000);
  await sleep(300);
  const [seen] = (await watch.stop()).perVip;
  const first = seen?.gratuitous.find(({ at }) => at > start);
  if (first === undefined) throw new Error(`${VIP} was held and never announced:\n${started.tail()}`);
  await started.stop();
  await lab.waitFor(async () => (await cluster.leaseHolder()) === "" || (await cluster.leaseHolder()) === undefined, 10_000, "a free Lease");
  return first.at - start;
}

const options = benchOptions();
await using cluster = await Cluster.bare(1);
await cluster.api.client.createService(loadBalancer({ name: "web", ip: VIP }));
const wrapper = await wrapperMs(cluster, options.runs);
const samples: number[] = [];
for (let run = 0; run < options.runs; run += 1) samples.push(await once(cluster, options));
spread("start.announced", samples, "ms", { budget: BUDGET_MS, ofWhichLab: Math.round(wrapper) });
