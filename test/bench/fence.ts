// The riskiest assumption of the design, put to the test: does one loop keep the fence under load? Three processes of the built binary, 1,000
// VIPs, timings 5/3/1, five kinds of trouble in turn, and a capture that counts who answers.
import { parseArgs } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster } from "../lab/cluster.js";
import type { Lab } from "../lab/lab.js";
import type { LabProcess } from "../lab/process.js";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "100" }, vips: { type: "string", default: "1000" }, phases: { type: "string", default: "abcde" } },
  allowPositionals: true,
});
const vipCount = Number(values.vips);
const phaseSeconds = Number(values.seconds) / values.phases.length;

interface Phase {
  readonly name: string;
  /** What the bench promises: no VIP goes although its owner is alive and the API answers. */
  readonly noDrop: boolean;
  run(cluster: Cluster, until: number): Promise<void>;
}

const PHASES: Readonly<Record<string, Phase>> = {
  a: { name: "re-list of 10,000 Services every 2 s", noDrop: true, run: relists },
  b: { name: "storm of ip link add/del holding the rtnl lock", noDrop: true, run: linkStorm },
  c: { name: "CPU hogs at twice the cores", noDrop: true, run: hogs },
  d: { name: "SIGSTOP of the owner at random", noDrop: false, run: stops },
  e: { name: "API latency 0 to 2.9 s", noDrop: false, run: latency },
};

async function relists({ admin }: Cluster, until: number): Promise<void> {
  while (performance.now() < until) {
    await admin.compact();
    await admin.cutWatches({ resource: "services" });
    await sleep(2000);
  }
}

/** Links are made and destroyed in a namespace of their own: the rtnl lock is the kernel's, not the namespace's. */
async function linkStorm({ lab }: Cluster, until: number): Promise<void> {
  const script = `while :; do for i in 1 2 3 4 5 6 7 8; do echo "link add s$0-$i type veth peer name t$0-$i"; done | ip -batch -; for i in 1 2 3 4 5 6 7 8; do echo "link del s$0-$i"; done | ip -batch -; done`;
  const storms = await Promise.all(["1", "2"].map(async (n) => lab.spawn("lab-rt", ["sh", "-c", script, n], { name: `storm-${n}` })));
  await sleep(until - performance.now());
  for (const storm of storms) await storm.stop("SIGKILL");
}

async function hogs({ lab }: Cluster, until: number): Promise<void> {
  const spinning = await Promise.all([1, 2, 3, 4].map(async (n) => lab.spawn("lab-rt", ["sh", "-c", "while :; do :; done"], { name: `hog-${n}` })));
  await sleep(until - performance.now());
  for (const hog of spinning) await hog.stop("SIGKILL");
}

async function stops(cluster: Cluster, until: number): Promise<void> {
  while (performance.now() < until) {
    const owner = await cluster.leaseHolder();
    if (owner === undefined || owner === "") {
      await sleep(100);
      continue;
    }
    const process = cluster.vip(owner);
    process.kill("SIGSTOP");
    await sleep(500 + Math.random() * 8000);
    process.kill("SIGCONT");
    await sleep(500 + Math.random() * 3000);
  }
}

async function latency({ admin }: Cluster, until: number): Promise<void> {
  const fault = await admin.fault({ effect: { kind: "latency", minMs: 0, maxMs: 2900 } });
  await sleep(until - performance.now());
  await admin.clear(fault);
}

function addressOf(i: number): string {
  return `10.99.${i >> 8}.${i & 255}`;
}

/** Writes down every address that is removed on a node. */
async function monitor(lab: Lab, node: string): Promise<LabProcess> {
  return lab.spawn(node, ["ip", "-4", "monitor", "address"], { name: `monitor-${node}` });
}

function removals(monitors: readonly LabProcess[]): number {
  return monitors.reduce((sum, one) => sum + one.lines().filter((line) => line.startsWith("Deleted")).length, 0);
}

/** Waits until one node holds all VIPs again. */
async function settled({ lab }: Cluster): Promise<void> {
  const all = async (): Promise<boolean> => {
    const counts = await Promise.all(lab.nodes.map(async ({ name }) => (await lab.addresses(name, "eth0")).filter((a) => a.local.startsWith("10.99.")).length));
    return counts.filter((n) => n > 0).length === 1 && counts.includes(vipCount);
  };
  await lab.waitFor(all, 30_000, `${vipCount} addresses on one node`);
}

async function measure(cluster: Cluster, phase: Phase): Promise<boolean> {
  const { lab } = cluster;
  await settled(cluster);
  const vips = Array.from({ length: vipCount }, (_, i) => addressOf(i + 1));
  const often = vips.filter((_, i) => i % Math.ceil(vipCount / 20) === 0);
  const owner = await cluster.leaseHolder();
  const monitors = await Promise.all(lab.nodes.map(async ({ name }) => monitor(lab, name)));
  const answerers = await lab.answerers(vips, { intervalMs: 1000, often: { vips: often, intervalMs: 20 } });
  await phase.run(cluster, performance.now() + phaseSeconds * 1000);
  await settled(cluster);
  const result = await answerers.stop();
  const removed = removals(monitors);
  for (const one of monitors) await one.stop("SIGKILL");
  const figure = {
    figure: "fence.overlap",
    value: result.worstOverlapMs,
    unit: "ms",
    budget: 100,
    phase: phase.name,
    seconds: phaseSeconds,
    vips: vipCount,
    addressesRemoved: removed,
    ownerBefore: owner,
    ownerAfter: await cluster.leaseHolder(),
    worstGapMs: Math.max(...result.perVip.filter((v) => often.includes(v.vip)).map((v) => v.longestGapMs)),
    pass: result.worstOverlapMs <= 100 && (!phase.noDrop || removed === 0),
  };
  console.log(JSON.stringify(figure));
  return figure.pass;
}

async function main(): Promise<boolean> {
  await using cluster = await Cluster.up(3);
  await cluster.admin.bulkServices({ count: vipCount, prefix: "vip", ipBase: addressOf(1) });
  await cluster.admin.bulkServices({ count: Math.max(0, 10_000 - vipCount), prefix: "other" });
  let pass = true;
  for (const letter of values.phases) {
    const phase = PHASES[letter];
    if (phase === undefined) throw new Error(`--phases ${values.phases}: expected letters of abcde`);
    console.error(`${letter}) ${phase.name}, ${phaseSeconds} s`);
    pass = (await measure(cluster, phase)) && pass;
  }
  return pass;
}

const pass = await main();
console.error(pass ? "the fence held" : "the fence did NOT hold");
process.exitCode = pass ? 0 : 1;
