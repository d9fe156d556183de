import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bulkAddress, byNodes, makeServices, quiet } from "../bench/lib/services.js";
import { Cluster } from "./cluster.js";

/** The default timings, 5/3/1 s. */
const ENV = { svc_election: "true" };
const NODES = ["n1", "n2", "n3"];
const COUNT = 1000;
const LEASE_MS = 5000;
const RETRY_MS = 1000;
/** Those that are asked for all the time, by ARP. */
const PROBED = Array.from({ length: 50 }, (_, i) => bulkAddress(i * (COUNT / 50)));
const PROBE_MS = 20;
/** A node that hands over and its heir answer both for no longer than a hand-over may take. */
const HAND_OVER_MS = 1000;
/** How late the kernel may remove an address whose lifetime has ended. */
const KERNEL_LATE_MS = 1600;
/** For what only has to happen, however busy the machine is, ms. */
const PATIENCE_MS = 60_000;
/** Even is within a tenth of the average, and one for what cannot be divided. */
const EVEN = { least: Math.floor(COUNT / NODES.length / 1.1) - 1, most: Math.ceil((COUNT / NODES.length) * 1.1) + 1 };

type Placement = ReadonlyMap<string, string>;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.bare(NODES.length);
}, 120_000);

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** Node by address; undefined while one is on two nodes, or not all are held. */
async function placement(count = COUNT): Promise<Placement | undefined> {
  const found = new Map<string, string>();
  for (const node of NODES) {
    for (const { local } of await cluster.lab.addresses(node, "eth0")) {
      if (!local.startsWith("10.99.")) continue;
      if (found.has(local)) return undefined;
      found.set(local, node);
    }
  }
  return found.size === count ? found : undefined;
}

async function placed(what: string, is: (found: Placement) => boolean = () => true): Promise<Placement> {
  let last = "not each VIP on one node";
  const found = cluster.lab.waitFor(async () => {
    const now = await placement();
    if (now !== undefined) last = JSON.stringify(shares(now));
    return now !== undefined && is(now) ? now : undefined;
  }, PATIENCE_MS * 2, what);
  return await found.catch((error: unknown) => {
    throw new Error(`${what}: ${last}`, { cause: error });
  });
}

function shares(found: Placement): Readonly<Record<string, number>> {
  const counts: Record<string, number> = Object.fromEntries(NODES.map((node) => [node, 0]));
  for (const node of found.values()) counts[node] = (counts[node] ?? 0) + 1;
  return counts;
}

function isEven(found: Placement): boolean {
  return Object.values(shares(found)).every((count) => count >= EVEN.least && count <= EVEN.most);
}

/** Requests of the busiest node in a renew period; a watch that is made anew is not of the steady state. */
async function requestsPerPeriod(seconds = 10): Promise<number> {
  await quiet(cluster, 3 * PATIENCE_MS);
  await cluster.admin.resetCounters();
  await sleep(seconds * 1000);
  const seen = byNodes(cluster, await cluster.admin.counters()).filter(({ verb }) => verb !== "watch");
  const byNode = NODES.map((name) => seen.filter(({ node }) => node === name).reduce((sum, { count }) => sum + count, 0));
  return (Math.max(...byNode) * RETRY_MS) / (seconds * 1000);
}

/** Times a VIP ran out because this node was too busy to renew its lifetime. */
function lapses(node: string): number {
  return readFileSync(cluster.vip(node).logFile, "utf8").split("\n").filter((line) => line.includes('"vip not as wanted, repaired"')).length;
}

function figure(name: string, told: Readonly<Record<string, unknown>>): void {
  console.log(JSON.stringify({ figure: name, services: COUNT, ...told }));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

describe("1,000 Services with svc_election, three nodes", () => {
  let few = 0;
  let settled: Placement;

  test("with ten of them, nobody asks the API for more than two things in a renew period", async () => {
    await makeServices(cluster, 0, 10);
    for (const node of NODES) await cluster.startVip(node, { env: ENV });
    await cluster.lab.waitFor(async () => placement(10), PATIENCE_MS, "ten VIPs, each on one node");
    few = await requestsPerPeriod();
    expect(few).toBeGreaterThan(0);
    expect(few).toBeLessThanOrEqual(2);
    for (const node of NODES) await cluster.vip(node).stop("SIGTERM");
  });

  test("nodes that start 3 s apart come to hold one VIP each once, and spread them evenly", async () => {
    const { lab } = cluster;
    await makeServices(cluster, 10, COUNT);
    const started = lab.now();
    for (const [i, node] of NODES.entries()) {
      await sleep(Math.max(0, started + i * 3000 - lab.now()));
      await cluster.startVip(node, { env: ENV });
    }
    const first = await placed("every VIP on one node");
    const heldMs = lab.now() - started;
    for (const node of NODES) expect(lapses(node), `VIPs of ${node} that ran out`).toBe(0);
    const answerers = await lab.answerers(PROBED, { intervalMs: PROBE_MS });
    const asked = lab.now();
    await lab.exec("n2", [lab.built("vip"), "rebalance", "--directory", join(lab.dir, "n2", "run-vip")], { timeout: 2 * PATIENCE_MS });
    const even = await placed("VIPs spread evenly", isEven);
    const evenMs = lab.now() - asked;
    const { perVip, worstOverlapMs } = await answerers.stop();
    figure("cold start, nodes 3 s apart", { heldMs: Math.round(heldMs), shares: shares(first) });
    figure("rebalanced", { evenMs: Math.round(evenMs), shares: shares(even), worstOverlapMs: Math.round(worstOverlapMs), longestGapMs: Math.round(Math.max(...perVip.map(({ longestGapMs }) => longestGapMs))) });
    expect(worstOverlapMs).toBeLessThanOrEqual(HAND_OVER_MS);
  });

  test("cost the API as much as ten", async () => {
    const many = await requestsPerPeriod();
    settled = await placed("every VIP on one node");
    figure("API requests of a node in a renew period", { few, many });
    // Two a period, and now and then one that is none of the steady state, such as a list.
    expect(many).toBeLessThanOrEqual(few + 0.5);
  });

  test("a node dies: all that it held is held elsewhere within the lease time and a second; it comes back: nothing moves to it", async () => {
    const { lab } = cluster;
    const dead = await lab.mac("n2");
    const lost = [...settled].flatMap(([address, node]) => (node === "n2" ? [address] : []));
    const probed = PROBED.filter((address) => lost.includes(address));
    const answerers = await lab.answerers(PROBED, { intervalMs: PROBE_MS });
    const struck = lab.now();
    await cluster.vip("n2").stop("SIGKILL");
    await placed("every VIP on a node that lives", (found) => ![...found.values()].includes("n2"));
    const heldMs = lab.now() - struck;
    await lab.waitFor(() => lab.now() > struck + LEASE_MS + 2 * HAND_OVER_MS, PATIENCE_MS, "announcements");
    const { perVip, worstOverlapMs } = await answerers.stop();
    const gaps = perVip.filter(({ vip }) => probed.includes(vip)).map(({ longestGapMs }) => longestGapMs);
    figure("a node killed", { vips: lost.length, allHeldMs: Math.round(heldMs), probed: probed.length, medianGapMs: Math.round(median(gaps)), worstGapMs: Math.round(Math.max(...gaps)) });
    // The goal is a second after the lease time; looking at a thousand addresses of three nodes takes a part of another one.
    expect(heldMs).toBeLessThan(LEASE_MS + RETRY_MS);
    // Those that live may hand one over to make their shares even; with the dead one nobody ever answers.
    expect(worstOverlapMs).toBeLessThanOrEqual(HAND_OVER_MS);
    expect(perVip.flatMap(({ vip, holders }) => holders.filter(({ macs }) => macs.includes("+") && macs.includes(dead)).map(({ macs }) => `${vip} ${macs}`))).toEqual([]);

    await cluster.startVip("n2", { env: ENV });
    await lab.waitFor(async () => (await cluster.api.client.leases()).some(({ metadata, spec }) => metadata.name === "vip-member-n2" && spec?.holderIdentity === "n2"), PATIENCE_MS, "n2 to be a member again");
    await sleep(5000); // long enough for whoever would take something
    // Those that lived on may still make their shares even.
    expect(shares(await placed("every VIP on one node"))["n2"]).toBe(0);
  });

  test("all three nodes are restarted one by one: who asks for 50 of them hardly notices", async () => {
    const { lab } = cluster;
    const answerers = await lab.answerers(PROBED, { intervalMs: PROBE_MS });
    for (const node of NODES) {
      expect(await cluster.vip(node).stop("SIGTERM")).toEqual({ code: 0, signal: null });
      await placed(`every VIP on another node than ${node}`, (found) => ![...found.values()].includes(node));
      const again = await cluster.startVip(node, { env: ENV });
      await again.waitFor(/"started"/, PATIENCE_MS);
      await sleep(2000); // it is a member by then, and may be an heir
    }
    await placed("every VIP on one node");
    const { perVip, worstOverlapMs } = await answerers.stop();
    const lost = perVip.map(({ longestGapMs }) => Math.max(0, longestGapMs - PROBE_MS));
    figure("rolling restart of three nodes, lost time of a VIP", { vips: lost.length, medianMs: Math.round(median(lost)), worstMs: Math.round(Math.max(...lost)), worstOverlapMs: Math.round(worstOverlapMs) });
    // Nobody has to wait for a Lease to expire, and nobody lets go later than the kernel would.
    expect(Math.max(...lost)).toBeLessThan(LEASE_MS - RETRY_MS);
    expect(worstOverlapMs).toBeLessThanOrEqual(HAND_OVER_MS + KERNEL_LATE_MS);
  });
});
