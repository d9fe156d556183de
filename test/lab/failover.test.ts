import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { AddressLog } from "./address-log.js";
import { Cluster, VIP } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";
import { answeringNode } from "./service-plane.js";

const LEASE_MS = 5000;
/** The one bound that is a safety rule: two nodes never answer for longer. */
const OVERLAP_MS = 100;

async function serving(nodes = 3): Promise<{ readonly cluster: Cluster; readonly holder: string }> {
  const cluster = await Cluster.up(nodes);
  await cluster.api.client.createService(loadBalancer({ name: "web", ip: VIP }));
  return { cluster, holder: await cluster.heldBy(VIP, 2000) };
}

describe("the owner's process", () => {
  test.each(["SIGKILL", "SIGSTOP"] as const)("gets %s: its kernel drops the VIP, then another node serves, within the lease time and half a second", async (signal) => {
    const { cluster, holder } = await serving();
    await using _ = cluster;
    const { lab } = cluster;
    const answerers = await lab.answerers([VIP], { intervalMs: 10 });
    await using log = await AddressLog.start(lab);
    const struck = lab.now();
    cluster.vip(holder).kill(signal);
    const next = await lab.waitFor(async () => (await lab.holders(VIP)).find((node) => node !== holder), LEASE_MS + 2000, "another holder");
    expect(await answeringNode(lab, VIP)).toBe(next);
    if (signal === "SIGSTOP") {
      cluster.vip(holder).kill("SIGCONT");
      await sleep(2500);
      expect(await lab.holders(VIP)).toEqual([next]);
      expect(cluster.vip(holder).ended).toBeUndefined();
    }
    const dropped = await log.when(holder, VIP, "removed");
    const taken = await log.when(next, VIP, "added");
    console.log(JSON.stringify({ figure: `failover ${signal}`, droppedMs: Math.round(dropped - struck), takenMs: Math.round(taken - struck) }));
    expect(dropped).toBeLessThan(taken);
    expect(taken - struck).toBeLessThan(LEASE_MS + 500);
    expect((await answerers.stop()).worstOverlapMs).toBe(0);
  });

  test("gets SIGTERM: the next one has the VIP before the old one lets go, and the Lease is free of it", async () => {
    const { cluster, holder } = await serving();
    await using _ = cluster;
    const { lab } = cluster;
    const probe = await lab.probe(VIP);
    const answerers = await lab.answerers([VIP], { intervalMs: 5 });
    const exit = await cluster.vip(holder).stop("SIGTERM");
    expect(exit).toEqual({ code: 0, signal: null });
    const next = await cluster.heldBy(VIP, 1000);
    expect(next).not.toBe(holder);
    expect(await cluster.leaseHolder()).toBe(next);
    const { udp } = await probe.stop();
    console.log(JSON.stringify({ figure: "hand-over gap", udpMs: udp.gapMs }));
    expect((await answerers.stop()).worstOverlapMs).toBeLessThanOrEqual(OVERLAP_MS);
  });

  test("is alone and gets SIGTERM: nothing is left behind", async () => {
    const { cluster } = await serving(1);
    await using _ = cluster;
    expect(await cluster.vip("n1").stop("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(await cluster.lab.holders(VIP)).toEqual([]);
    expect(await cluster.leaseHolder()).toBe("");
  });

  test("is killed and comes back within its lease: it goes on, and the VIP was never away", async () => {
    const { cluster } = await serving(1);
    await using _ = cluster;
    await using log = await AddressLog.start(cluster.lab);
    await cluster.vip("n1").stop("SIGKILL");
    const again = await cluster.startVip("n1");
    await again.waitFor(/ownership taken/);
    await sleep(2000);
    expect(log.of("n1", VIP, "removed")).toEqual([]);
  });

  test("is killed and comes back when its Service is gone: the leftover goes, a foreign address stays", async () => {
    const { cluster } = await serving(1);
    await using _ = cluster;
    const { lab, api } = cluster;
    await lab.exec("n1", ["ip", "addr", "add", "10.77.0.222/32", "dev", "eth0", "scope", "host"]);
    await cluster.vip("n1").stop("SIGKILL");
    await api.client.deleteService("web");
    const again = await cluster.startVip("n1");
    await again.waitFor(/leftover removed/);
    expect(await lab.holders(VIP)).toEqual([]);
    expect(await lab.holders("10.77.0.222")).toEqual(["n1"]);
  });
});

describe("the way to the API", () => {
  test("is away for less than the renew deadline: nothing changes", async () => {
    const { cluster, holder } = await serving();
    await using _ = cluster;
    await using log = await AddressLog.start(cluster.lab);
    await cluster.admin.pause();
    await sleep(2000);
    await cluster.admin.resume();
    await sleep(4000);
    expect(log.of(holder, VIP, "removed")).toEqual([]);
    expect(await cluster.leaseHolder()).toBe(holder);
  });

  test("is cut for the owner only: it lets go by itself before another takes over, its process goes on, and after healing there is one owner", async () => {
    const { cluster, holder } = await serving();
    await using _ = cluster;
    const { lab } = cluster;
    const answerers = await lab.answerers([VIP], { intervalMs: 10 });
    await using log = await AddressLog.start(lab);
    const cut = lab.now();
    await lab.cutApi(holder);
    const next = await lab.waitFor(async () => (await lab.holders(VIP)).find((node) => node !== holder), LEASE_MS + 2000, "another holder");
    const taken = await log.when(next, VIP, "added");
    expect(await log.when(holder, VIP, "removed")).toBeLessThan(taken);
    expect(taken - cut).toBeLessThan(LEASE_MS + 500);
    await lab.healApi(holder);
    await lab.waitFor(() => cluster.vip(holder).output().includes(`"holder":"${next}"`), 15_000, "the old owner to see the new one");
    expect(cluster.vip(holder).ended).toBeUndefined();
    expect(await lab.holders(VIP)).toEqual([next]);
    expect((await answerers.stop()).worstOverlapMs).toBe(0);
    await cluster.vip(next).stop("SIGTERM");
    expect(await cluster.heldBy(VIP, 3000)).not.toBe(next);
  });

  test("loses its watches, the Service is deleted meanwhile: the VIP goes once the watches are back", async () => {
    const { cluster } = await serving(1);
    await using _ = cluster;
    // Both: with the Service its slices go, and a VIP without endpoints goes by itself.
    const resource = ["services", "endpointslices"];
    const fault = await cluster.admin.fault({ effect: { kind: "fail", code: 500 }, match: { resource, verb: ["watch", "list"], userAgent: "vip" } });
    await cluster.admin.cutWatches({ resource });
    await cluster.api.client.deleteService("web");
    await sleep(1000);
    expect(await cluster.lab.holders(VIP)).toEqual(["n1"]);
    await cluster.admin.clear(fault);
    await cluster.free(VIP, 5000);
  });
});

test("a VIP that someone removes by hand, or changes, is back within 100 ms and announced again", async () => {
  const { cluster } = await serving(1);
  await using _ = cluster;
  const { lab } = cluster;
  const times: number[] = [];
  for (let i = 0; i < 5; i += 1) {
    const log = await AddressLog.start(lab);
    await lab.exec("n1", ["ip", "addr", "del", `${VIP}/32`, "dev", "eth0"]);
    times.push((await log.when("n1", VIP, "added")) - (await log.when("n1", VIP, "removed")));
    await log[Symbol.asyncDispose]();
  }
  console.log(JSON.stringify({ figure: "removed by hand, back after", worstMs: Math.max(...times) }));
  expect(Math.max(...times)).toBeLessThan(100);
  await lab.exec("n1", ["ip", "addr", "change", `${VIP}/32`, "dev", "eth0", "scope", "global", "valid_lft", "forever"]);
  await lab.waitFor(async () => (await lab.addresses("n1", "eth0")).find((a) => a.local === VIP)?.scope === "host", 1000, "scope host again");
});
