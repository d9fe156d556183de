import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Cluster, ingressOf } from "./cluster.js";
import { eventsOf, externalIpsOf, makeApp, messageOf, nodesWithRules, reaches } from "./romana.js";

const CLIENT = "10.77.0.100";
const EXTERNAL_IPS = "vip.internal/external-ips";
/** A UDP flow that a node refused for a moment stays refused there: for it not to happen, the rules must be there with the address. */
const MOVE_MS = 500;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.up(3);
  await cluster.lab.startProxies(cluster.api);
});

// Where it never came up, there is nothing to end.
afterAll(async () => await (cluster as Cluster | undefined)?.[Symbol.asyncDispose]());

/** What a test that failed half-way left does not fail the others. */
afterEach(async () => {
  await cluster.admin.denyExternalIps(false);
  const left = (await cluster.api.client.services()).filter(({ metadata }) => metadata.name !== "kubernetes");
  for (const { metadata } of left) await cluster.api.client.deleteService(metadata.name);
});

/** The pod of `name` moves from n2 to n3: the VIP follows it, and n2 has nothing left. */
async function moveAndExpectNothingLeft(name: string, ip: string): Promise<void> {
  const probe = await cluster.lab.probe(ip);
  await cluster.admin.movePod(`${name}-n2`, "n3");
  await cluster.heldBy(ip, 3000, "n3");
  expect(await reaches(cluster, ip, "n3", { ms: 3000 })).toBe(CLIENT);
  await sleep(2 * MOVE_MS); // a flow that stays refused is silent at the end
  const { udp, icmp, tcp } = await probe.stop();
  console.log(JSON.stringify({ figure: `pod move by nftables, ${name}`, udpGapMs: Math.round(udp.gapMs), udpSilentAtEndMs: Math.round(udp.silentAtEndMs), icmpGapMs: Math.round(icmp.gapMs), tcpGapMs: Math.round(tcp.gapMs) }));
  expect(udp.silentAtEndMs).toBeLessThan(MOVE_MS);
  expect(Math.max(udp.gapMs, tcp.gapMs)).toBeLessThan(4 * MOVE_MS); // far from a Lease that runs out
  await cluster.lab.waitFor(async () => (await nodesWithRules(cluster)).join() === "n3", 1000, "rules on n3 only");
  await cluster.api.client.deleteService(name);
  await cluster.free(ip, 3000);
  await cluster.lab.waitFor(async () => (await nodesWithRules(cluster)).length === 0, 1000, "no rules");
}

describe("how traffic reaches the pods", () => {
  test("of type LoadBalancer: by the status; externalIPs stays empty", async () => {
    const ip = "10.77.0.220";
    await makeApp(cluster, { name: "balanced", ip, spec: { type: "LoadBalancer" } }, ["n2"]);
    await cluster.service("balanced", 2000, "a status", (service) => ingressOf(service).join() === ip);
    await reaches(cluster, ip, "n2");
    expect(await messageOf(cluster, "balanced", "VipHeld")).toContain("traffic is led to its pods by its status");
    expect(externalIpsOf(await cluster.api.client.service("balanced"))).toEqual([]);
    expect(await nodesWithRules(cluster)).toEqual([]);
    await cluster.api.client.patchService("balanced", { metadata: { annotations: { romanaip: "no JSON" } } });
    await cluster.service("balanced", 2000, "no status", (service) => ingressOf(service).length === 0);
    await cluster.free(ip, 3000);
    await cluster.api.client.deleteService("balanced");
  });

  test("where admission refuses externalIPs: by nftables on the holder, with the client's address; the Event says why, and a move leaves nothing behind", async () => {
    const ip = "10.77.0.221";
    await cluster.admin.denyExternalIps(true);
    await makeApp(cluster, { name: "denied", ip }, ["n2"]);
    await cluster.heldBy(ip, 2000, "n2");
    expect(await reaches(cluster, ip, "n2")).toBe(CLIENT);
    const events = async () => (await eventsOf(cluster, "denied", "Normal")).filter(({ message }) => message?.includes("by nftables") === true);
    const [event] = await cluster.lab.waitFor(events, 2000, "an Event that says nftables");
    expect(event?.message).toContain("spec.externalIPs was refused");
    expect(event?.message).toContain("Use of external IPs is denied by admission control");
    expect(await nodesWithRules(cluster)).toEqual(["n2"]);
    const service = await cluster.service("denied", 2000, "no record of entries", ({ metadata }) => metadata.annotations?.[EXTERNAL_IPS] === undefined);
    expect(externalIpsOf(service)).toEqual([]);
    await moveAndExpectNothingLeft("denied", ip);
  });

  test("headless: by nftables, TCP and UDP, with the client's address; a move leaves nothing behind", async () => {
    const ip = "10.77.0.222";
    await makeApp(cluster, { name: "headless", ip, spec: { clusterIP: "None" } }, ["n2"]);
    await cluster.heldBy(ip, 2000, "n2");
    expect(await reaches(cluster, ip, "n2")).toBe(CLIENT);
    expect(await reaches(cluster, ip, "n2", { udp: true })).toBe(CLIENT);
    expect(await messageOf(cluster, "headless", "VipHeld")).toContain("by nftables (the Service is headless)");
    expect(externalIpsOf(await cluster.api.client.service("headless"))).toEqual([]);
    await moveAndExpectNothingLeft("headless", ip);
  });

  test.each([
    ["externalIPs", "fd77::1:20", {}],
    ["nftables", "fd77::1:21", { clusterIP: "None" }],
  ])("over IPv6: by %s, TCP and UDP", async (how, ip, more) => {
    const name = `six-${how.toLowerCase()}`;
    await makeApp(cluster, { name, ip, spec: { ipFamilies: ["IPv6"], ipFamilyPolicy: "SingleStack", ...more } }, ["n3"]);
    await cluster.heldBy(ip, 2000, "n3");
    const sources = [await reaches(cluster, ip, "n3"), await reaches(cluster, ip, "n3", { udp: true })];
    if (how === "nftables") expect(sources).toEqual(["fd77::100", "fd77::100"]);
    else await cluster.service(name, 2000, "externalIPs", (service) => externalIpsOf(service).join() === ip);
    await cluster.api.client.deleteService(name);
    await cluster.free(ip, 3000);
  });

  test("an endpoint that comes and goes on the holder is in the rules and out of them", async () => {
    const ip = "10.77.0.223";
    const { lab, admin } = cluster;
    await using second = await lab.startPod("n2", { name: "second", ipv4: "10.244.2.9" });
    await makeApp(cluster, { name: "pair", ip, spec: { clusterIP: "None" } }, ["n2"]);
    await reaches(cluster, ip, "n2");
    await admin.podAddresses([{ node: "n2", ipv4: [second.ipv4 ?? ""], ipv6: [] }]);
    await cluster.api.client.create("/api/v1/namespaces/default/pods", { apiVersion: "v1", kind: "Pod", metadata: { name: "pair-more", labels: { app: "pair" } }, spec: { nodeName: "n2", containers: [{ name: "pod", image: "lab/pod" }] } });
    await reaches(cluster, ip, "second");
    await admin.podReady("pair-more", false);
    await lab.waitFor(async () => !(await lab.exec("n2", ["nft", "list", "table", "inet", "vip"])).stdout.includes("10.244.2.9"), 2000, "rules without it");
    // As `nft flush ruleset` of a firewall's restart takes it.
    await lab.exec("n2", ["nft", "delete", "table", "inet", "vip"]);
    await lab.waitFor(async () => (await lab.exec("n2", ["nft", "list", "tables"])).stdout.includes("table inet vip"), 8000, "the rules put again");
    await reaches(cluster, ip, "n2");
    expect(await lab.holders(ip)).toEqual(["n2"]);
    await admin.podAddresses([{ node: "n2", ipv4: [lab.node("n2").podIpv4], ipv6: [lab.node("n2").podIpv6] }]);
    await cluster.api.client.deleteService("pair");
    await cluster.free(ip, 3000);
  });

  test("with romana_datapath=nft, set on a running cluster: by nftables, with the client's address, and our entry in externalIPs goes", async () => {
    const ip = "10.77.0.224";
    await makeApp(cluster, { name: "switched", ip, spec: { externalIPs: ["192.0.2.77"] } }, ["n2"]);
    await cluster.service("switched", 3000, "both entries", (service) => externalIpsOf(service).join() === `192.0.2.77,${ip}`);
    expect(await reaches(cluster, ip, "n2")).not.toBe(CLIENT);
    for (const { name } of cluster.lab.nodes) await cluster.vip(name).stop("SIGTERM");
    for (const { name } of cluster.lab.nodes) await cluster.startVip(name, { env: { romana_datapath: "nft" } });
    await cluster.heldBy(ip, 5000, "n2");
    const service = await cluster.service("switched", 3000, "the user's entry only", (one) => externalIpsOf(one).join() === "192.0.2.77" && one.metadata.annotations?.[EXTERNAL_IPS] === undefined);
    expect(externalIpsOf(service)).toEqual(["192.0.2.77"]);
    await cluster.lab.waitFor(async () => (await reaches(cluster, ip, "n2")) === CLIENT, 2000, "the client's own address");
    expect(await nodesWithRules(cluster)).toEqual(["n2"]);
    await moveAndExpectNothingLeft("switched", ip);
  });
});
