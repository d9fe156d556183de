import { readlinkSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ApiAdmin } from "./api/admin.js";
import { KubeClient, KubeError, loadBalancer } from "./kube-client.js";
import { Lab } from "./lab.js";
import { registerNodes } from "./nodes.js";
import { waitForAnswer } from "./service-plane.js";

describe("the Kubernetes API of the lab", () => {
  test("answers the tests' own client, and the nodes, until their way to it is cut", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const start = performance.now();
    const { client, adminConf } = await lab.startApi();
    console.log(JSON.stringify({ figure: "api-start", ms: Math.round(performance.now() - start) }));
    using _client: KubeClient = client;
    const made = await client.createService(loadBalancer({ name: "web", ip: "10.77.0.200" }));
    expect(made.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    const patched = await client.patchService("web", { metadata: { annotations: { colour: "blue" } } });
    expect(patched.metadata.annotations).toMatchObject({ colour: "blue", "kube-vip.io/loadbalancerIPs": "10.77.0.200" });
    expect((await client.services()).map(({ metadata }) => metadata.name)).toContain("web");
    await expect(client.replaceService(made)).rejects.toMatchObject({ code: 409, reason: "Conflict" });
    await client.deleteService("web");
    await expect(client.service("web")).rejects.toBeInstanceOf(KubeError);
    expect([await client.leases(), await client.events()]).toEqual([[], []]);

    const asked = async () => await lab.exec("n1", ["curl", "-sk", "-m", "1", "-o", "/dev/null", "-w", "%{http_code}", "https://10.78.0.1:6443/version"], { mayFail: true });
    expect((await asked()).stdout).toMatch(/^[24]\d\d$/);
    await lab.cutApi("n1");
    expect((await asked()).stdout).toBe("000");
    expect(await client.services()).toHaveLength(1); // the tests' own way is never cut; `kubernetes` is always there
    await lab.healApi("n1");
    expect(KubeClient.from(adminConf)).toBeInstanceOf(KubeClient);
  });

  test("serves the built binary, whose pid the lab knows and whose address the client reaches", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const [{ client, adminSocket }] = await Promise.all([lab.startApi(), lab.serve()]);
    using _client: KubeClient = client;
    await registerNodes({ client, admin: new ApiAdmin(adminSocket) }, lab.nodes);
    const vip = await lab.startVip("n1");
    expect(readlinkSync(`/proc/${vip.pid}/exe`)).toBe(lab.built("vip"));
    await client.createService(loadBalancer({ name: "web", ip: "10.77.0.200" }));
    expect(await waitForAnswer(lab, "10.77.0.200", { ms: 15_000 })).toBe("n1");
    expect(vip.logs().length).toBeGreaterThan(0);
    expect(await lab.addresses("n1", "eth0")).toContainEqual(expect.objectContaining({ local: "10.77.0.200" }));
    await vip.stop();
    expect(await lab.holders("10.77.0.200")).toEqual([]);
  });
});
