import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { AddressLog } from "./address-log.js";
import { Cluster, ingressOf } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";
import { makePod } from "./romana.js";
import { waitForAnswer } from "./service-plane.js";

const ENV = { svc_election: "true" };
const LEASE_MS = 5000;
/** Two nodes never answer for longer in a planned move. */
const OVERLAP_MS = 100;
const COUNT = 12;

function address(index: number): string {
  return `10.77.0.${160 + index}`;
}

const ALL = Array.from({ length: COUNT }, (_, i) => address(i));

async function serving(nodes = 3): Promise<Cluster> {
  const cluster = await Cluster.up(nodes, { env: ENV });
  const members = async (): Promise<number> => (await cluster.api.client.leases()).filter(({ metadata, spec }) => metadata.name.startsWith("vip-member-") && (spec?.holderIdentity ?? "") !== "").length;
  await cluster.lab.waitFor(async () => (await members()) === nodes, 5000, "every node to be a member");
  await sleep(500); // each has to see the others
  for (const [i, ip] of ALL.entries()) await cluster.api.client.createService(loadBalancer({ name: `web-${i}`, ip }));
  await placed(cluster, 6000);
  return cluster;
}

/** Waits until every address is on exactly one node; who has which. */
async function placed(cluster: Cluster, ms: number): Promise<ReadonlyMap<string, string>> {
  return await cluster.lab.waitFor(
    async () => {
      const found = new Map<string, string>();
      for (const ip of ALL) {
        const holders = await cluster.lab.holders(ip);
        if (holders.length === 1 && holders[0] !== undefined) found.set(ip, holders[0]);
      }
      return found.size === COUNT ? found : undefined;
    },
    ms,
    "every address on exactly one node",
  );
}

function shares(found: ReadonlyMap<string, string>): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const node of found.values()) counts[node] = (counts[node] ?? 0) + 1;
  return counts;
}

describe("leader election per Service (svc_election)", () => {
  test("spreads the VIPs over the nodes, each on exactly one, which answers and says so", async () => {
    await using cluster = await serving();
    const found = await placed(cluster, 1000);
    console.log(JSON.stringify({ figure: "spread of 12 VIPs", shares: shares(found) }));
    expect(Object.keys(shares(found)).length).toBe(3);
    expect(Math.max(...Object.values(shares(found)))).toBeLessThanOrEqual(6);
    for (const [i, ip] of ALL.entries()) {
      const node = found.get(ip) ?? "";
      await waitForAnswer(cluster.lab, ip, { node });
      await cluster.service(`web-${i}`, 2000, "its status", (s) => ingressOf(s).join() === ip && s.metadata.annotations?.["kube-vip.io/vipHost"] === node);
    }
  });

  test("a node dies: only its VIPs move, within the lease time and a second, and no two nodes ever have one; it comes back: nothing moves", async () => {
    await using cluster = await serving();
    const { lab } = cluster;
    const before = await placed(cluster, 1000);
    const victim = before.get(ALL[0] ?? "") ?? "";
    await using log = await AddressLog.start(lab);
    const answerers = await lab.answerers(ALL, { intervalMs: 20 });
    const struck = lab.now();
    cluster.vip(victim).kill("SIGKILL");
    const after = await lab.waitFor(async () => {
      const found = await placed(cluster, 10_000);
      return [...found.values()].includes(victim) ? undefined : found;
    }, LEASE_MS + 4000, "no VIP on the dead node");
    const taken = await Promise.all(ALL.filter((ip) => before.get(ip) === victim).map(async (ip) => log.when(after.get(ip) ?? "", ip, "added")));
    console.log(JSON.stringify({ figure: "VIPs of a dead node held elsewhere", vips: taken.length, worstMs: Math.round(Math.max(...taken) - struck) }));
    expect(Math.max(...taken) - struck).toBeLessThan(LEASE_MS + 1000);
    for (const ip of ALL) if (before.get(ip) !== victim) expect(after.get(ip)).toBe(before.get(ip));
    await cluster.startVip(victim, { env: ENV });
    await sleep(3000); // long enough for whoever would take something
    expect(await placed(cluster, 1000)).toEqual(after);
    expect((await answerers.stop()).worstOverlapMs).toBe(0);
  });

  test("a node is stopped: its VIPs are handed over make before break", async () => {
    await using cluster = await serving();
    const { lab } = cluster;
    const before = await placed(cluster, 1000);
    const leaving = before.get(ALL[0] ?? "") ?? "";
    const moved = ALL.filter((ip) => before.get(ip) === leaving);
    const probe = await lab.probe(moved[0] ?? "");
    const answerers = await lab.answerers(ALL, { intervalMs: 10 });
    expect(await cluster.vip(leaving).stop("SIGTERM")).toEqual({ code: 0, signal: null });
    const after = await placed(cluster, 2000);
    expect([...after.values()]).not.toContain(leaving);
    const { udp } = await probe.stop();
    const { worstOverlapMs } = await answerers.stop();
    console.log(JSON.stringify({ figure: "hand-over of a node's VIPs", vips: moved.length, udpGapMs: udp.gapMs, worstOverlapMs }));
    expect(worstOverlapMs).toBeLessThanOrEqual(OVERLAP_MS);
    for (const ip of ALL) if (before.get(ip) !== leaving) expect(after.get(ip)).toBe(before.get(ip));
  });

  test("policy Local: a Service is held where its pod is and follows it make before break, while the others stay", async () => {
    await using cluster = await serving();
    const { lab, api, admin } = cluster;
    const others = await placed(cluster, 1000);
    const ip = address(COUNT);
    await makePod(cluster, "local", "n2", "local-1");
    await api.client.createService(loadBalancer({ name: "local", ip, spec: { externalTrafficPolicy: "Local", selector: { app: "local" } } }));
    expect(await cluster.heldBy(ip, 3000)).toBe("n2");
    const answerers = await lab.answerers([ip], { intervalMs: 10 });
    await makePod(cluster, "local", "n3", "local-2");
    await admin.terminatePod("local-1");
    await cluster.heldBy(ip, 3000, "n3");
    await admin.finishPod("local-1");
    const { perVip, worstOverlapMs } = await answerers.stop();
    console.log(JSON.stringify({ figure: "Local Service follows its pod", longestGapMs: perVip[0]?.longestGapMs, worstOverlapMs }));
    expect(worstOverlapMs).toBeLessThanOrEqual(OVERLAP_MS);
    await admin.deletePod("local-2");
    await cluster.free(ip, 3000);
    expect(await placed(cluster, 1000)).toEqual(others);
  });
});
