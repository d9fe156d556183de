// announce: from the creation of a Service to the first gratuitous ARP that the client sees, one by one and for 1,000 Services at once.
import { setTimeout as sleep } from "node:timers/promises";
import type { AnswerersResult, VipAnswerers } from "../lab/answerers.js";
import { Cluster } from "../lab/cluster.js";
import { loadBalancer } from "../lab/kube-client.js";
import { figure, progress, spread } from "./lib/figures.js";
import { benchOptions } from "./lib/options.js";
import { bulkAddress, makeServices, quiet } from "./lib/services.js";

const ONE_BUDGET_MS = 50;
const MANY_BUDGET_MS = 2000;
const MANY = 1000;
/** The most that 1,000 Services are given before the bench gives up. */
const MANY_PATIENCE_MS = 15_000;
/** How often each of 1,000 addresses is asked for, which is how exactly its first answer is known. */
const MANY_ASKED_MS = 250;

function firstAnnounced({ gratuitous: [first], vip }: VipAnswerers): number {
  if (first === undefined) throw new Error(`${vip} was never announced`);
  return first.at;
}

/** One Service after the other in a cluster with nothing else to do. */
async function single(cluster: Cluster, count: number): Promise<readonly number[]> {
  const { lab, api } = cluster;
  const vips = Array.from({ length: count }, (_, at) => `10.77.0.${130 + at}`);
  await using watch = await lab.answerers(vips, { intervalMs: 1000 });
  const created: number[] = [];
  for (const [at, vip] of vips.entries()) {
    await sleep(500 + Math.random() * 500);
    created.push(lab.now());
    await api.client.createService(loadBalancer({ name: `one-${at}`, ip: vip }));
  }
  await sleep(500);
  const { perVip } = await watch.stop();
  // The first creation opens connections on all sides: it is not counted.
  return vips.flatMap((vip, at) => {
    const seen = perVip.find((one) => one.vip === vip);
    return at === 0 || seen === undefined ? [] : [firstAnnounced(seen) - (created[at] ?? 0)];
  });
}

/** 1,000 Services in one go: when each was first announced and first answered, from the start of their creation. */
async function many(cluster: Cluster): Promise<{ readonly announced: number[]; readonly answered: number[]; readonly createdMs: number; readonly result: AnswerersResult }> {
  const { lab } = cluster;
  const vips = Array.from({ length: MANY }, (_, at) => bulkAddress(at));
  await using watch = await lab.answerers(vips, { intervalMs: MANY_ASKED_MS });
  await sleep(500);
  const start = lab.now();
  await makeServices(cluster, 0, MANY);
  const createdMs = lab.now() - start;
  const { name } = lab.node(await cluster.owner());
  await lab.waitFor(async () => {
    await sleep(500);
    return (await lab.addresses(name, "eth0")).filter(({ local }) => local.startsWith("10.99.")).length === MANY;
  }, MANY_PATIENCE_MS, `${MANY} addresses on ${name}`);
  await sleep(4000); // the announcements are spread over time
  const result = await watch.stop();
  const announced = result.perVip.map((one) => firstAnnounced(one) - start);
  const answered = result.perVip.map(({ holders: [first], vip }) => {
    if (first === undefined) throw new Error(`${vip} never answered`);
    return first.from - start;
  });
  return { announced, answered, createdMs, result };
}

const { vip, choose } = benchOptions();
await using cluster = await Cluster.up(3, vip);
await sleep(2000);
const samples = await single(cluster, choose(21, 9));
spread("announce.one", samples, "ms", { budget: ONE_BUDGET_MS });
await quiet(cluster);
const { announced, answered, createdMs, result } = await many(cluster);
progress(`creating ${MANY} Services took the API ${Math.round(createdMs)} ms; ${result.refused} requests of the client were refused by its own queue`);
for (const [name, times] of [["announced", announced], ["answered", answered]] as const) {
  const sorted = times.toSorted((a, b) => a - b);
  figure(`announce.many.${name}`, sorted[0] ?? Number.NaN, "ms", { services: MANY, stat: "first" });
  figure(`announce.many.${name}`, sorted[MANY / 2] ?? Number.NaN, "ms", { services: MANY, stat: "median" });
  figure(`announce.many.${name}`, sorted.at(-1) ?? Number.NaN, "ms", { services: MANY, stat: "all", budget: MANY_BUDGET_MS, createdMs: Math.round(createdMs) });
}
const written = performance.now();
await quiet(cluster);
figure("announce.many.quiet", performance.now() - written, "ms", { services: MANY, after: "last announcement + up to 4 s; resolution 2 s" });
