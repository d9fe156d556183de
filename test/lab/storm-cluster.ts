import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { AddressLog } from "./address-log.js";
import type { Fault, Filter } from "./api/faults.js";
import { Cluster, ingressOf, VIP } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";
import type { LabProcess } from "./process.js";

export const RENEW_DEADLINE_MS = 3000;
export const OURS: Filter = { userAgent: "vip" };
/** Everything but Leases. */
export const REST = ["services", "endpointslices", "nodes", "configmaps", "events"];
/** The address log is what shows that a VIP was never away; the prober, on a machine that is busy, that it was of use. */
export const NO_GAP_MS = 1000;

export async function serving(): Promise<{ readonly cluster: Cluster; readonly owner: string }> {
  const cluster = await Cluster.up(2);
  await cluster.api.client.createService(loadBalancer({ name: "good", ip: VIP }));
  const owner = await cluster.heldBy(VIP, 2000);
  await cluster.service("good", 1000, "a status", (one) => ingressOf(one).join() === VIP);
  return { cluster, owner };
}

/** Runs `work` while the VIP is probed, and fails where a node lets go of it; the longest silence of any protocol, ms. */
export async function gapDuring(cluster: Cluster, work: () => Promise<void>): Promise<number> {
  const holders = await cluster.lab.holders(VIP);
  expect(holders).toHaveLength(1);
  await using log = await AddressLog.start(cluster.lab);
  await using probe = await cluster.lab.probe(VIP);
  await sleep(200);
  await work();
  const { udp, icmp, tcp } = await probe.stop();
  for (const holder of holders) expect(log.of(holder, VIP, "removed")).toEqual([]);
  expect(await cluster.lab.holders(VIP)).toEqual(holders);
  return Math.round(Math.max(...[udp, icmp, tcp].map(({ gapMs, silentAtEndMs }) => Math.max(gapMs, silentAtEndMs))));
}

/** Creates a Service and waits until it is held and its status says so; how long that took, ms. */
export async function servedIn(cluster: Cluster, { name, ip }: { readonly name: string; readonly ip: string }, ms: number): Promise<number> {
  const { lab, api } = cluster;
  const started = lab.now();
  await api.client.createService(loadBalancer({ name, ip }));
  await cluster.heldBy(ip, ms);
  await cluster.service(name, ms, `a status of ${name}`, (one) => ingressOf(one).join() === ip);
  return Math.round(lab.now() - started);
}

/** Waits until each of these is held by one node and says so in its status: one look at the nodes for all of them, for ten at once would be the load. */
export async function allServed({ lab, api }: Cluster, wanted: readonly { readonly name: string; readonly ip: string }[], ms: number): Promise<void> {
  await lab.waitFor(
    async () => {
      const held = (await Promise.all(lab.nodes.map(async ({ name }) => await lab.addresses(name, "eth0")))).flat().map(({ local }) => local);
      const services = await Promise.all(wanted.map(async ({ name }) => await api.client.service(name)));
      const notHeld = wanted.filter(({ ip }) => held.filter((address) => address === ip).length !== 1).map(({ ip }) => ip);
      const notSaid = wanted.filter(({ ip }, at) => services[at] === undefined || ingressOf(services[at]).join() !== ip).map(({ ip }) => ip);
      return { ok: notHeld.length + notSaid.length === 0, notHeld, notSaid };
    },
    ms,
    "all of them",
  );
}

export function warnings(vip: LabProcess): readonly Record<string, unknown>[] {
  return vip.logs().filter((line) => line["level"] === "warn" || line["level"] === "error");
}

export function figure(what: string, values: Readonly<Record<string, unknown>>): void {
  console.log(JSON.stringify({ figure: what, ...values }));
}

/** Memory of a process that is its own, KiB. */
export function rssAnonKiB(vip: LabProcess): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${vip.pid}/status`, "utf8"))?.[1]);
}

/** An API that answers so to what matches, for so long: the VIP is never away, and a Service made meanwhile is served soon after. */
export interface FailingApi {
  readonly what: string;
  readonly code: number;
  readonly match: Filter;
  readonly ms: number;
  /** Of 1: how much of it fails. */
  readonly probability: number;
}

export async function outlast({ what, code, match, ms, probability }: FailingApi): Promise<void> {
  const { cluster } = await serving();
  await using _ = cluster;
  const { admin, lab } = cluster;
  const effect: Fault["effect"] = { kind: "fail", code, ...(code === 429 ? { retryAfterSeconds: 1 } : {}) };
  let requests = 0;
  let after = 0;
  const gapMs = await gapDuring(cluster, async () => {
    await admin.resetCounters();
    await admin.fault({ effect, match: { ...OURS, ...match }, probability });
    await admin.cutWatches(OURS);
    await cluster.api.client.createService(loadBalancer({ name: "meanwhile", ip: "10.77.0.201" }));
    await sleep(ms);
    requests = (await admin.counters()).requests.filter((one) => one.code === code).reduce((sum, { count }) => sum + count, 0);
    await admin.clear();
    const healed = lab.now();
    await cluster.heldBy("10.77.0.201", 12_000);
    after = Math.round(lab.now() - healed);
  });
  figure(`API answers ${what}`, { gapMs, requests, servedAfterMs: after });
  expect(gapMs).toBeLessThan(NO_GAP_MS);
  expect(requests).toBeLessThan((ms / 1000) * 2 * 6 * 5); // two nodes with six watches each, five times a second at the worst
  for (const { name } of lab.nodes) expect(warnings(cluster.vip(name)).length).toBeLessThan(60);
}
