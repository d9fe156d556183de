import { describe, expect, test } from "vitest";
import { Cluster, VIP } from "./cluster.js";
import { LabGateway, TOLD } from "./gateway.js";
import { HAVE_KUBECTL } from "./kubectl.js";
import { forwarded, opensAndCloses, reachedAt, toldOf, UPNP } from "./upnp.js";

test.each([
  ["IGD 2, secure mode", { igd1: false, secure: true }],
  ["IGD 1, no secure mode", { igd1: true, secure: false }],
])("a gateway of %s opens the ports of an annotated Service to the Internet, and closes them when the Service is deleted", async (_name, options) => {
  await opensAndCloses(options);
});

describe("two Services that want one port of the gateway", () => {
  test.each([
    ["of IGD 2: the second gets another one, and says so", false],
    ["of IGD 1: the second is told the gateway's own words", true],
  ])("%s", async (_name, igd1) => {
    await using cluster = await Cluster.up(1, UPNP);
    const { lab, api } = cluster;
    const gateway = await LabGateway.create(lab, { igd1 });
    await gateway.start();
    await api.client.createService(forwarded("first"));
    await reachedAt(cluster, "first", `${TOLD}:32380/TCP`, 8000);
    await api.client.createService(forwarded("second", { ip: "10.77.0.201" }));
    if (igd1) {
      const [event] = await toldOf(cluster, "second", "PortRefused");
      expect(event?.message).toMatch(/^port 32380\/TCP for 10\.77\.0\.201 is refused by gateway .+ \(10\.77\.0\.1\): 718 ConflictInMappingEntry$/);
      expect(await gateway.listed()).toMatchObject([{ externalPort: 32380, target: `${VIP}:32380` }]);
      return;
    }
    const [event] = await toldOf(cluster, "second", "PortOpened");
    expect(event?.message).toContain("leads to 10.77.0.201:32380");
    expect(event?.message).toContain("; port 32380 is taken there");
    const listed = await gateway.listed();
    const other = listed.find(({ target }) => target === "10.77.0.201:32380");
    expect(other?.externalPort).not.toBe(32380);
    await reachedAt(cluster, "second", `${TOLD}:${other?.externalPort}/TCP`, 2000);
  });
});

test.skipIf(!HAVE_KUBECTL)("kubectl expose --port=32380 --target-port=80, then kubectl annotate forwardUPNP=true: curl reaches it from the Internet, until the annotation goes", async () => {
  await using cluster = await Cluster.up(1, { env: { enableUPNP: "true", svc_addresses: "10.77.0.210-10.77.0.219" } });
  const { lab } = cluster;
  const kubectl = async (...args: readonly string[]): Promise<string> => await cluster.kubectl(args, { namespace: "plunder" });
  await lab.serve({ ports: [32380] });
  const gateway = await LabGateway.create(lab);
  await gateway.start();
  await cluster.kubectl(["create", "namespace", "plunder"]);
  await kubectl("create", "deployment", "plunder-nginx", "--image=nginx", "--port=80");
  await kubectl("rollout", "status", "deployment/plunder-nginx", "--timeout=20s");
  await kubectl("expose", "deployment", "plunder-nginx", "--port=32380", "--target-port=80", "--type=LoadBalancer");
  await cluster.heldBy("10.77.0.210", 5000);
  expect(await gateway.listed()).toEqual([]);
  await kubectl("annotate", "service", "plunder-nginx", "kube-vip.io/forwardUPNP=true");
  await lab.waitFor(async () => await gateway.answering(32380), 8000, "an answer on the outside");
  const external = async (): Promise<string> => await kubectl("get", "service", "plunder-nginx", "-o", "jsonpath={.metadata.annotations.vip\\.internal/external}");
  await lab.waitFor(async () => (await external()) === `${TOLD}:32380/TCP`, 5000, "the annotation that says where");
  await kubectl("annotate", "service", "plunder-nginx", "kube-vip.io/forwardUPNP-");
  await lab.waitFor(async () => (await external()) === "", 5000, "no such annotation");
  expect(await gateway.listed()).toEqual([]);
  expect(await lab.holders("10.77.0.210")).toEqual(["n1"]);
});
