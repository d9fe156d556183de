import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { VIP } from "./cluster.js";
import { loadBalancer, type ServiceSpec } from "./kube-client.js";
import { allServed, figure, gapDuring, NO_GAP_MS, OURS, outlast, RENEW_DEADLINE_MS, REST, serving, warnings } from "./storm-cluster.js";

const PER_KIND = 50;
const asking = (ip: string): Pick<ServiceSpec, "annotations"> => ({ annotations: { "kube-vip.io/loadbalancerIPs": ip } });
/** Each kind of broken Service, by its number. */
const BROKEN: readonly ((at: number) => Omit<ServiceSpec, "name">)[] = [
  () => asking("192.0.2.300"),
  () => asking("10.77.0.0/24"),
  () => asking("127.0.0.1"),
  () => asking("fe80::1"),
  () => asking("224.0.0.251"),
  () => asking("not a name"),
  () => asking(`${"10.77.0.299,".repeat(2000)}x y`),
  (at) => asking(`host-${at}.invalid`),
  () => asking(VIP),
  (at) => ({ annotations: { ...asking(`10.77.${1 + (at >> 8)}.${at & 255}`).annotations, "kube-vip.io/serviceVLAN": "eth0.5000" } }),
];

function broken(at: number): ServiceSpec {
  return { name: `broken-${at}`, ...BROKEN[at % BROKEN.length]?.(at) };
}

describe("while the API fails", () => {
  test.each([
    { what: "500", code: 500, match: { resource: REST }, ms: 4000, probability: 1 },
    { what: "429, Leases too, for less than the renew deadline", code: 429, match: {}, ms: RENEW_DEADLINE_MS - 1800, probability: 1 },
  ])("every request with $what, the VIP is never away, and a Service made meanwhile is served soon after", async (failing) => await outlast(failing));

  test("every watch with 410 for 6 s, the VIP is never away, and Services made meanwhile and then are served within 2 s after", async () => {
    const { cluster } = await serving();
    await using _ = cluster;
    const { admin, lab, api } = cluster;
    let after = 0;
    let requests = 0;
    const gapMs = await gapDuring(cluster, async () => {
      await admin.resetCounters();
      await admin.fault({ effect: { kind: "fail", code: 410, reason: "Expired" }, match: { ...OURS, verb: "watch" } });
      await admin.cutWatches(OURS);
      await sleep(3000);
      await cluster.api.client.createService(loadBalancer({ name: "meanwhile", ip: "10.77.0.201" }));
      // The second sort: the watch opens, and says in its stream that its version is too old.
      await admin.clear();
      for (let at = 0; at < 4; at += 1) {
        await admin.compact();
        await admin.cutWatches(OURS);
        await sleep(750);
      }
      requests = (await admin.counters()).requests.filter(({ verb }) => verb === "watch" || verb === "list").reduce((sum, { count }) => sum + count, 0);
      const healed = lab.now();
      await api.client.createService(loadBalancer({ name: "last", ip: "10.77.0.202" }));
      for (const ip of ["10.77.0.201", "10.77.0.202"]) await cluster.heldBy(ip, 2000);
      after = Math.round(lab.now() - healed);
    });
    figure("watches answered by 410 for 6 s", { gapMs, listsAndWatches: requests, servedAfterMs: after });
    expect(gapMs).toBeLessThan(NO_GAP_MS);
    expect(requests).toBeLessThan(500);
  });
});

describe("a flood", () => {
  test("of 500 broken Services: ten good ones are served within 2 s, each broken one gets one Event, and the log is not flooded", async () => {
    const { cluster } = await serving();
    await using _ = cluster;
    const { lab, api } = cluster;
    const total = BROKEN.length * PER_KIND;
    let eventsMs = 0;
    const warned = async () => (await api.client.events()).filter(({ type, involvedObject }) => type === "Warning" && involvedObject?.name?.startsWith("broken-"));
    const gapMs = await gapDuring(cluster, async () => {
      const started = lab.now();
      await Promise.all(Array.from({ length: total }, async (_unused, at) => await api.client.createService(loadBalancer(broken(at)))));
      const made = lab.now();
      const good = Array.from({ length: 10 }, (_unused, at) => ({ name: `fine-${at}`, ip: `10.77.0.${210 + at}` }));
      await Promise.all(good.map(async (one) => await api.client.createService(loadBalancer(one))));
      await allServed(cluster, good, 4000); // on a busy machine
      figure("10 good Services among 500 broken ones", { madeMs: Math.round(made - started), servedMs: Math.round(lab.now() - made) });
      await lab.waitFor(
        async () => {
          const told = new Set((await warned()).map(({ involvedObject }) => involvedObject?.name));
          const silent = Array.from({ length: total }, (_unused, at) => at).filter((at) => !told.has(`broken-${at}`));
          return { ok: silent.length === 0, silent: silent.length, kinds: [...new Set(silent.map((at) => at % BROKEN.length))] };
        },
        20_000,
        "an Event for each",
      );
      eventsMs = Math.round(lab.now() - made);
    });
    await sleep(1000);
    const events = await warned();
    const lines = lab.nodes.map(({ name }) => warnings(cluster.vip(name)).length);
    figure("an Event for each of 500 broken Services", { ms: eventsMs, gapMs, warnings: lines });
    expect(events).toHaveLength(total);
    expect(new Set(events.map(({ involvedObject }) => involvedObject?.name)).size).toBe(total);
    expect(events.filter((one) => (one as { readonly count?: number }).count !== 1)).toEqual([]);
    expect(gapMs).toBeLessThan(NO_GAP_MS);
    // A line for each name that is not found, by each node at the most, and hardly anything else.
    for (const count of lines) expect(count).toBeLessThan(PER_KIND + 10);
  });
});
