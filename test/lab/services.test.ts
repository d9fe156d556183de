import { describe, expect, test } from "vitest";
import { Cluster, ingressOf, VIP } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";

describe("a Service of type LoadBalancer", () => {
  test.each([
    ["spec.loadBalancerIP", { spec: { loadBalancerIP: VIP } }],
    ["kube-vip.io/loadbalancerIPs", { ip: VIP }],
  ])("asked for by %s is held by one node within a second, answers, and says so; deleted, it is gone", async (_name, spec) => {
    await using cluster = await Cluster.up();
    const { lab, api } = cluster;
    await api.client.createService(loadBalancer({ name: "web", ...spec }));
    const holder = await cluster.heldBy(VIP, 1000);
    expect((await lab.exec("client", ["curl", "-sS", "--max-time", "2", `http://${VIP}/`])).stdout.trim()).toContain(holder);
    const service = await cluster.service("web", 1000, "a status", (s) => ingressOf(s).length > 0);
    expect(ingressOf(service)).toEqual([VIP]);
    expect(service.metadata.annotations?.["kube-vip.io/vipHost"]).toBe(holder);
    const events = await lab.waitFor(async () => (await api.client.events()).filter((e) => e.reason === "VipHeld"), 1000, "an Event");
    expect(events.map((e) => e.message)).toEqual([`${VIP} is held by node ${holder} (ARP on eth0)`]);
    await api.client.deleteService("web");
    await cluster.free(VIP, 1000);
  });
});
