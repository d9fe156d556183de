import { describe, expect, test } from "vitest";
import { Cluster, VIP } from "./cluster.js";
import { LabGateway, TOLD } from "./gateway.js";
import { loadBalancer, type KubeService } from "./kube-client.js";

const EXTERNAL = "vip.internal/external";
const ENV = { env: { enable_upnp: "true" } };

/** As `kubectl expose --port=32380 --target-port=80` and `kubectl annotate` would make it. */
function web(name: string, { ip = VIP, port = 32380, annotations = {} }: { readonly ip?: string; readonly port?: number; readonly annotations?: Readonly<Record<string, string>> } = {}): KubeService {
  const service = loadBalancer({ name, ip, spec: { ports: [{ port, protocol: "TCP", targetPort: 8080 }] } });
  return { ...service, metadata: { ...service.metadata, annotations: { ...service.metadata.annotations, "kube-vip.io/forwardUPNP": "true", ...annotations } } };
}

describe.each([
  ["IGD 2, secure mode", { igd1: false, secure: true }],
  ["IGD 1, no secure mode", { igd1: true, secure: false }],
])("a gateway of %s", (_name, options) => {
  test("opens the port of an annotated Service to the Internet, and closes it when the Service is deleted", async () => {
    await using cluster = await Cluster.up(2, ENV);
    const { lab, api } = cluster;
    await lab.serve({ ports: [32380] });
    const gateway = await LabGateway.create(lab, options);
    await gateway.start();
    await api.client.createService(web("web"));
    const holder = await cluster.heldBy(VIP, 2000);
    expect(await lab.waitFor(async () => await gateway.answering(32380), 8000, "an answer on the outside")).toBe(holder);
    expect(await gateway.listed()).toMatchObject([{ protocol: "TCP", externalPort: 32380, target: `${VIP}:32380` }]);
    await cluster.service("web", 2000, "the annotation", (s) => s.metadata.annotations?.[EXTERNAL] === `${TOLD}:32380/TCP`);
    await api.client.deleteService("web");
    await lab.waitFor(async () => (await gateway.listed()).length === 0, 2000, "no mapping");
    await cluster.free(VIP, 2000);
    expect(gateway.leases()).toEqual([]);
  });
});
