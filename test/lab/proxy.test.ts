import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ApiAdmin } from "./api/admin.js";
import { healthOf, movedVip, ProxyBench, type Spot } from "./proxy/bench.js";
import type { ProxyService } from "./proxy/objects.js";
import { ask, foreignSources, sourceSeen, startSourceProbe } from "./proxy/sources.js";

const CLIENT = ["10.77.0.100", "fd77::100"];
const N1 = ["10.77.0.11", "fd77::11"];

let bench: ProxyBench;

beforeAll(async () => {
  bench = await ProxyBench.up();
});

// Where it never came up, there is nothing to end.
afterAll(async () => await (bench as ProxyBench | undefined)?.[Symbol.asyncDispose]());

const everywhere: readonly Spot[] = [{ node: "n1" }, { node: "n2" }, { node: "n3" }];
const WAYS = [
  { way: "IPv4 by TCP", family: 0, udp: false },
  { way: "IPv4 by UDP", family: 0, udp: true },
  { way: "IPv6 by TCP", family: 1, udp: false },
  { way: "IPv6 by UDP", family: 1, udp: true },
] as const;

describe("externalTrafficPolicy Cluster", () => {
  test("leads to the pods of all nodes, which see the node as the source", async () => {
    const vips = await bench.serve("spread", { spots: everywhere, heldBy: "n1" });
    for (const { way, family, udp } of WAYS) {
      const samples = await ask(bench.lab, vips[family], { udp, times: 40 });
      expect(samples.filter(({ outcome }) => outcome !== "answered"), way).toEqual([]);
      expect(new Set(samples.map(({ pod }) => pod)), way).toEqual(new Set(["n1", "n2", "n3"]));
      expect(new Set(samples.map(({ address }) => address)), way).toEqual(new Set([N1[family]]));
    }
  });

  test("leads to what ends but serves only while nothing is ready", async () => {
    const ends: Spot = { node: "n2", ready: false, serving: true, terminating: true };
    const vips = await bench.serve("ending", { spots: [ends, { node: "n3", ready: false, serving: false }], heldBy: "n1" });
    expect((await sourceSeen(bench.lab, vips[0]))?.pod).toBe("n2");
    await bench.endpoints("ending", [ends, { node: "n1" }]);
    expect(new Set((await ask(bench.lab, vips[0], { times: 20 })).map(({ pod }) => pod))).toEqual(new Set(["n1"]));
  });
});

describe("externalTrafficPolicy Local", () => {
  test("leads to the pod of this node only, which sees the client", async () => {
    const vips = await bench.serve("local", { spots: everywhere, heldBy: "n1", local: true });
    for (const { way, family, udp } of WAYS) {
      const samples = await ask(bench.lab, vips[family], { udp, times: 20 });
      expect(samples.map(({ pod, address }) => ({ pod, address })), way).toEqual(samples.map(() => ({ pod: "n1", address: CLIENT[family] })));
    }
  });

  test("drops where no endpoint is on this node; the node itself is served by the others", async () => {
    const vips = await bench.serve("away", { spots: [{ node: "n2" }], heldBy: "n1", local: true });
    await Promise.all(WAYS.map(async ({ way, family, udp }) => {
      expect(await ask(bench.lab, vips[family], { udp }), way).toMatchObject([{ outcome: "silent" }]);
      expect(await sourceSeen(bench.lab, vips[family], { udp, from: "n1" }), way).toEqual({ pod: "n2", address: N1[family] });
    }));
  });

  test("leads to a pod of this node that ends but serves, until another is ready there", async () => {
    const ends: Spot = { node: "n1", ready: false, serving: true, terminating: true };
    const vips = await bench.serve("local-ending", { spots: [ends, { node: "n2" }], heldBy: "n1", local: true });
    expect(await sourceSeen(bench.lab, vips[0])).toEqual({ pod: "n1", address: CLIENT[0] });
    await using second = await bench.lab.startPod("n1", { name: "n1-second", ipv4: "10.244.1.2", ipv6: "fd44:0:0:1::2" });
    await bench.endpoints("local-ending", [ends, { node: "n1", pod: second }]);
    expect(new Set((await ask(bench.lab, vips[0], { times: 20 })).map(({ pod }) => pod))).toEqual(new Set(["n1-second"]));
    await bench.endpoints("local-ending", [{ ...ends, serving: false }]);
    expect(await ask(bench.lab, vips[0])).toMatchObject([{ outcome: "refused" }]);
  });

  test("keeps the client's address through a move from node to node", async () => {
    const vips = await bench.serve("moving", { spots: everywhere, heldBy: "n1", local: true });
    await using probe = await startSourceProbe(bench.lab, { vips });
    await bench.flow("n1", vips[0], "10.244.1.1");
    await movedVip(bench.lab, vips, { from: "n1", to: "n2" });
    await bench.flow("n2", vips[0], "10.244.2.1");
    await bench.flow("n2", vips[1], "fd44:0:0:2::1");
    const samples = await probe.stop();
    expect(foreignSources(samples, CLIENT)).toEqual([]);
    expect(foreignSources(samples, ["192.0.2.1"]).length).toBeGreaterThan(0); // it does find others
    for (const vip of vips) {
      for (const protocol of ["tcp", "udp"]) {
        const pods = samples.filter((one) => one.vip === vip && one.protocol === protocol).flatMap(({ pod }) => pod ?? []);
        expect([...new Set(pods)], `${protocol} ${vip}`).toEqual(["n1", "n2"]);
      }
    }
  });
});

test("a Service without endpoints is refused", async () => {
  const vips = await bench.serve("nobody", { spots: [], heldBy: "n1" });
  for (const { way, family, udp } of WAYS) expect(await ask(bench.lab, vips[family], { udp }), way).toMatchObject([{ outcome: "refused" }]);
});

test("externalIPs are served by every node that gets packets for them, held or not, until the Service is gone", async () => {
  const externalIPs = ["10.99.7.7", "fd99::77"];
  await bench.serve("external", { spots: [{ node: "n3" }], externalIPs });
  for (const gateways of [N1, ["10.77.0.12", "fd77::12"]]) {
    for (const [at, ip] of externalIPs.entries()) await bench.lab.exec("client", ["ip", "route", "replace", ip, "via", gateways[at] ?? ""]);
    for (const { way, family, udp } of WAYS) expect(await sourceSeen(bench.lab, externalIPs[family] ?? "", { udp }), way).toEqual({ pod: "n3", address: gateways[family] });
  }
  await bench.api.client.deleteService("external");
  await bench.lab.waitFor(async () => (await ask(bench.lab, externalIPs[0] ?? ""))[0]?.outcome === "silent", 5_000, "the end of the rules");
});

test("a cluster address is served to the nodes", async () => {
  await bench.serve("inside", { spots: [{ node: "n3" }] });
  const service: ProxyService = await bench.api.client.service("inside");
  const [ipv4 = "", ipv6 = ""] = service.spec?.clusterIPs ?? [];
  expect((await sourceSeen(bench.lab, ipv4, { from: "n1" }))?.pod).toBe("n3");
  expect((await sourceSeen(bench.lab, ipv6, { from: "n1", udp: true }))?.pod).toBe("n3");
});

test("a UDP flow goes on at another pod when its own is gone", async () => {
  const vips = await bench.serve("flowing", { spots: [{ node: "n2" }], heldBy: "n1" });
  await using probe = await startSourceProbe(bench.lab, { vips });
  for (const [vip, pod] of [[vips[0], "10.244.2.1"], [vips[1], "fd44:0:0:2::1"]] as const) await bench.flow("n1", vip, pod);
  await bench.endpoints("flowing", [{ node: "n3" }]);
  for (const [vip, pod] of [[vips[0], "10.244.3.1"], [vips[1], "fd44:0:0:3::1"]] as const) await bench.flow("n1", vip, pod);
  const samples = await probe.stop();
  for (const vip of vips) expect(samples.findLast((one) => one.vip === vip && one.protocol === "udp" && one.pod !== undefined)?.pod).toBe("n3");
});

describe("health", () => {
  test("a healthCheckNodePort says 200 where a ready pod is and 503 elsewhere, and is closed with the Service", async () => {
    await bench.serve("checked", { spots: [{ node: "n1" }, { node: "n2", ready: false, serving: true, terminating: true }], local: true });
    const port = Number((await bench.api.client.service("checked")).spec?.["healthCheckNodePort"]);
    const answers = await Promise.all(["n1", "n2"].map(async (node) => await healthOf(bench.lab, node, port)));
    expect(answers).toEqual([1, 0].map((localEndpoints) => ({
      status: localEndpoints === 1 ? 200 : 503,
      body: { service: { namespace: "default", name: "checked" }, localEndpoints, serviceProxyHealthy: true },
    })));
    await bench.api.client.deleteService("checked");
    await bench.lab.waitFor(async () => (await healthOf(bench.lab, "n1", port)).status === 0, 2_000, "the end of the health server");
  });

  test("10256 says 200 while all is well, 503 when it is sick, and nothing when it is stopped; the rules stay", async () => {
    const vips = await bench.serve("steady", { spots: [{ node: "n2" }], heldBy: "n2", local: true });
    const port = Number((await bench.api.client.service("steady")).spec?.["healthCheckNodePort"]);
    expect(await healthOf(bench.lab, "n2", 10_256)).toMatchObject({ status: 200, body: { nodeEligible: true } });
    bench.proxies.sick("n2");
    expect(await healthOf(bench.lab, "n2", 10_256)).toMatchObject({ status: 503 });
    expect(await healthOf(bench.lab, "n2", port)).toMatchObject({ status: 503, body: { localEndpoints: 1, serviceProxyHealthy: false } });
    bench.proxies.well("n2");
    expect((await healthOf(bench.lab, "n2", 10_256)).status).toBe(200);
    await bench.proxies.stop("n2");
    expect((await healthOf(bench.lab, "n2", 10_256)).status).toBe(0);
    expect((await sourceSeen(bench.lab, vips[0]))?.pod).toBe("n2");
    await bench.proxies.start("n2");
    expect((await healthOf(bench.lab, "n2", 10_256)).status).toBe(200);
  });
});

test("a node that was cut from the API keeps its rules, and follows again when its watches and the history are gone", async () => {
  const vips = await bench.serve("cut", { spots: [{ node: "n3" }], heldBy: "n3", local: true });
  await bench.lab.cutApi("n3");
  const admin = new ApiAdmin(bench.api.adminSocket);
  const missed = await bench.api.client.patchService("cut", { spec: { externalIPs: ["10.99.8.8"] } });
  await admin.compact();
  await admin.cutWatches();
  expect((await sourceSeen(bench.lab, vips[0]))?.pod).toBe("n3");
  expect(bench.proxies.applied("n3").at(-1)?.services).not.toBe(missed.metadata.resourceVersion);
  await bench.lab.healApi("n3");
  await bench.proxies.settled(missed, 15_000);
  await bench.lab.exec("client", ["ip", "route", "replace", "10.99.8.8", "via", "10.77.0.13"]);
  expect(await sourceSeen(bench.lab, "10.99.8.8")).toEqual({ pod: "n3", address: CLIENT[0] });
});

test("a change is in the kernel soon after its event arrived", () => {
  const lags = bench.lags();
  const medianMs = lags[Math.floor(lags.length / 2)] ?? NaN;
  console.log(JSON.stringify({ figure: "proxy rules", medianMs: Math.round(medianMs), mostMs: Math.round(lags.at(-1) ?? NaN), changes: lags.length }));
  expect(medianMs).toBeLessThan(500); // about 20 ms on an idle machine, 100 ms on a busy one
});
