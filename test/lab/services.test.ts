import { describe, expect, test } from "vitest";
import { Cluster, ingressOf, VIP } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";
import { podName } from "./nodes.js";
import { answeringNode } from "./service-plane.js";

const OTHER = "10.77.0.201";

describe("a Service of type LoadBalancer", () => {
  test.each([
    ["spec.loadBalancerIP", { spec: { loadBalancerIP: VIP } }],
    ["kube-vip.io/loadbalancerIPs", { ip: VIP }],
  ])("asked for by %s is held by one node within a second, answers, and says so; deleted, it is gone", async (_name, spec) => {
    await using cluster = await Cluster.up();
    const { lab, api } = cluster;
    await api.client.createService(loadBalancer({ name: "web", ...spec }));
    const holder = await cluster.heldBy(VIP, 1000);
    expect(await answeringNode(lab, VIP)).toBe(holder);
    const service = await cluster.service("web", 1000, "a status", (s) => ingressOf(s).length > 0);
    expect(ingressOf(service)).toEqual([VIP]);
    expect(service.metadata.annotations?.["kube-vip.io/vipHost"]).toBe(holder);
    const events = await lab.waitFor(async () => (await api.client.events()).filter((e) => e.reason === "VipHeld"), 1000, "an Event");
    expect(events.map((e) => e.message)).toEqual([`${VIP} is held by node ${holder} (ARP on eth0)`]);
    await api.client.deleteService("web");
    await cluster.free(VIP, 1000);
  });

  test("changed to another address: the old one is gone within a second, the new one is there and in the status", async () => {
    await using cluster = await Cluster.up();
    const { client } = cluster.api;
    await client.createService(loadBalancer({ name: "web", ip: VIP }));
    await cluster.service("web", 2000, "the first status", (s) => ingressOf(s)[0] === VIP);
    await client.patchService("web", { metadata: { annotations: { "kube-vip.io/loadbalancerIPs": OTHER } } });
    await cluster.free(VIP, 1000);
    await cluster.heldBy(OTHER, 1000);
    await cluster.service("web", 1000, "the new status", (s) => ingressOf(s).join() === OTHER);
  });

  test.each([
    ["ignored", { metadata: { annotations: { "kube-vip.io/ignore": "true" } } }],
    ["of another type", { spec: { type: "ClusterIP" } }],
  ])("%s from now on: the VIP is gone within a second and what we wrote is taken back", async (_name, patch) => {
    await using cluster = await Cluster.up(2);
    const { client } = cluster.api;
    await client.createService(loadBalancer({ name: "web", ip: VIP }));
    await cluster.service("web", 2000, "a status", (s) => ingressOf(s)[0] === VIP);
    await client.patchService("web", patch);
    await cluster.free(VIP, 1000);
    const service = await cluster.service("web", 1000, "a cleared status", (s) => ingressOf(s).length === 0 && s.metadata.annotations?.["kube-vip.io/vipHost"] === undefined);
    expect(service.metadata.annotations?.["vip.internal/announced"]).toBeUndefined();
  });

  test("its annotation removed, it keeps the address that its status names, as with kube-vip", async () => {
    await using cluster = await Cluster.up(2);
    const { client } = cluster.api;
    await client.createService(loadBalancer({ name: "web", ip: VIP }));
    await cluster.service("web", 2000, "a status", (s) => ingressOf(s)[0] === VIP);
    await client.patchService("web", { metadata: { annotations: { "kube-vip.io/loadbalancerIPs": null } } });
    // The next Service is served after it: by then it would be gone.
    await client.createService(loadBalancer({ name: "next", ip: OTHER }));
    await cluster.service("next", 2000, "a status", (s) => ingressOf(s)[0] === OTHER);
    expect(await cluster.lab.holders(VIP)).toHaveLength(1);
    expect(ingressOf(await client.service("web"))).toEqual([VIP]);
  });

  test("without a ready endpoint has no VIP anywhere, with one it has it again", async () => {
    await using cluster = await Cluster.up(2);
    const { api, admin, lab } = cluster;
    await api.client.createService(loadBalancer({ name: "web", ip: VIP }));
    await cluster.heldBy(VIP, 2000);
    for (const { name } of lab.nodes) await admin.podReady(podName(name), false);
    await cluster.free(VIP, 2000);
    await admin.podReady(podName("n1"), true);
    await cluster.heldBy(VIP, 2000);
  });

  test("its VIP is never a source address, and not in the way of an explicit bind", async () => {
    await using cluster = await Cluster.up(1);
    const { lab, api } = cluster;
    await api.client.createService(loadBalancer({ name: "web", ip: "10.77.0.129" }));
    await cluster.heldBy("10.77.0.129", 2000);
    // Lowest address of the LAN or not, added first or not: the node's own address is what the kernel chooses.
    for (const target of ["10.77.0.100", "198.51.100.2", "10.77.0.129"]) {
      const { stdout } = await lab.exec("n1", ["ip", "-j", "route", "get", target], { mayFail: true });
      expect(stdout).not.toMatch(/"prefsrc":"10\.77\.0\.129"[^}]*"dst":"(10\.77\.0\.100|198)/);
      if (target !== "10.77.0.129") expect(stdout).toContain('"prefsrc":"10.77.0.11"');
    }
    await lab.exec("n1", ["ping", "-c1", "-W1", "-I", "10.77.0.129", "10.77.0.100"]);
    const address = (await lab.addresses("n1", "eth0")).find((a) => a.local === "10.77.0.129");
    expect(address).toMatchObject({ prefixlen: 32, scope: "host" });
    expect(address?.validLifetime).toBeLessThanOrEqual(3);
  });

  test("broken ones get one Event each, also across a failover, and harm nobody", async () => {
    await using cluster = await Cluster.up(2);
    const { lab, api } = cluster;
    const bad = ["192.0.2.300", "10.77.0.0/24", "127.0.0.1", "224.0.0.5", "fe80::1", ""];
    for (const [i, ip] of bad.entries()) await api.client.createService(loadBalancer({ name: `bad-${i}`, ip }));
    await api.client.createService(loadBalancer({ name: "web", ip: VIP }));
    const holder = await cluster.heldBy(VIP, 2000);
    const warnings = async () => (await api.client.events()).filter((e) => e.type === "Warning");
    await lab.waitFor(async () => (await warnings()).length === 5, 2000, "five warnings");
    expect((await warnings()).map((e) => e.message)).toContain('kube-vip.io/loadbalancerIPs has "192.0.2.300": expected an IP address such as 192.0.2.10, or a DNS name');
    await cluster.vip(holder).stop("SIGTERM");
    const next = await cluster.heldBy(VIP, 3000);
    expect(next).not.toBe(holder);
    await lab.waitFor(async () => (await api.client.events()).filter((e) => e.reason === "VipHeld").length === 2, 2000, "the new holder's Event");
    expect(await warnings()).toHaveLength(5);
  });

  test("a status that another controller writes is left alone, and the Event says so", async () => {
    await using cluster = await Cluster.up(1);
    const { lab, api } = cluster;
    const { client } = api;
    await client.createService(loadBalancer({ name: "web" }));
    await client.request("PATCH", "/api/v1/namespaces/default/services/web/status", { status: { loadBalancer: { ingress: [{ ip: "203.0.113.7" }] } } }, "application/merge-patch+json");
    await client.patchService("web", { metadata: { annotations: { "kube-vip.io/loadbalancerIPs": VIP } } });
    await cluster.heldBy(VIP, 1000);
    const [event] = await lab.waitFor(async () => (await client.events()).filter((e) => e.reason === "ForeignController"), 2000, "an Event");
    expect(event?.message).toContain("203.0.113.7");
    expect(ingressOf(await client.service("web"))).toEqual(["203.0.113.7"]);
  });
});
