import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { AddressLog } from "./address-log.js";
import { Cluster, ingressOf } from "./cluster.js";
import { HealthServers } from "./health-servers.js";
import { loadBalancer, type KubeService } from "./kube-client.js";
import { answering, answers, cleared, decided, shows, told } from "./kubectl-services.js";
import type { Lab } from "./lab.js";

const [A, B, C, D] = ["10.77.0.220", "10.77.0.221", "10.77.0.222", "10.77.0.223"] as const;
const FD = "fd77::1:220";

interface Asked {
  readonly ip?: string;
  readonly port?: number;
  readonly protocol?: "TCP" | "UDP";
  readonly local?: boolean;
}

/** A Service with one port; TCP leads to the pods' HTTP server. */
function web(name: string, { ip = A, port = 80, protocol = "TCP", local = false }: Asked = {}): KubeService {
  const ports = [{ port, protocol, targetPort: protocol === "TCP" ? 8080 : 9000 }];
  return loadBalancer({ name, ip, spec: { ports, externalTrafficPolicy: local ? "Local" : "Cluster" } });
}

/** Every address of every node, without their lifetimes. */
async function allAddresses(lab: Lab): Promise<readonly string[]> {
  const found = await Promise.all(lab.nodes.map(async ({ name }) => (await lab.addresses(name)).map(({ iface, local, prefixlen, scope }) => `${name} ${iface} ${local}/${prefixlen} ${scope}`)));
  return found.flat().toSorted();
}

let cluster: Cluster;

describe("Services on one address", () => {
  beforeAll(async () => {
    cluster = await Cluster.up(2);
    await cluster.lab.serve({ ports: [81] });
  });
  afterAll(async () => await (cluster as Cluster | undefined)?.[Symbol.asyncDispose]());
  afterEach(async () => await cleared(cluster, [A, B, C, D, FD]));

  test("with the same port and protocol: the older one keeps it, the newer one is told so and gets it once the older is gone", async () => {
    const { client } = cluster.api;
    await client.createService(web("older"));
    await shows(cluster, "older", [A]);
    await client.createService(web("newer"));
    const holder = await cluster.heldBy(A, 1000);
    const [event] = await told(cluster, "newer", "PortConflict");
    expect(event?.message).toBe(`TCP/80 of ${A} is taken by Service default/older, which had it first: expected another port, or another address`);
    await shows(cluster, "older", [A]);
    expect(ingressOf(await client.service("newer"))).toEqual([]);
    await using log = await AddressLog.start(cluster.lab);
    await client.deleteService("older");
    await shows(cluster, "newer", [A], 1000);
    expect(await cluster.lab.holders(A)).toEqual([holder]);
    expect(log.of(holder, A, "removed")).toEqual([]);
    await client.deleteService("newer");
    await log.when(holder, A, "removed"); // it does see removals
  });

  test("made in the same second count as made in the order in which they were announced", async () => {
    const { client } = cluster.api;
    await client.createService(web("zeta"));
    await shows(cluster, "zeta", [A]);
    await client.createService(web("alpha"));
    await told(cluster, "alpha", "PortConflict");
    await shows(cluster, "zeta", [A]);
  });

  test("one of which comes to the address later by a change: it robs nobody, however old it is, and gets the port when it is free", async () => {
    const { client } = cluster.api;
    await client.createService(web("first", { ip: B }));
    const { metadata } = await client.service("first");
    await cluster.lab.waitFor(() => Date.now() >= Date.parse((metadata as { creationTimestamp?: string }).creationTimestamp ?? "") + 1000, 1500, "the next second");
    await client.createService(web("second"));
    await Promise.all([shows(cluster, "first", [B]), shows(cluster, "second", [A])]);
    const holder = await cluster.heldBy(A, 1000);
    await using log = await AddressLog.start(cluster.lab);
    await client.patchService("first", { metadata: { annotations: { "kube-vip.io/loadbalancerIPs": A } } });
    await cluster.free(B, 1000);
    await told(cluster, "first", "PortConflict");
    await shows(cluster, "first", []);
    await shows(cluster, "second", [A]);
    await client.deleteService("second");
    await shows(cluster, "first", [A]);
    expect(log.of(holder, A, "removed")).toEqual([]);
  });

  test("with TCP and UDP of the same port are no conflict", async () => {
    const { client } = cluster.api;
    await client.createService(web("tcp", { port: 9000 }));
    await client.createService(web("udp", { port: 9000, protocol: "UDP" }));
    await Promise.all([shows(cluster, "tcp", [A]), shows(cluster, "udp", [A])]);
    await decided(cluster);
    expect((await client.events()).filter(({ reason, involvedObject }) => reason === "PortConflict" && involvedObject?.name === "udp")).toEqual([]);
  });

  test("come out of a conflict when one changes its port, and the address never leaves the link", async () => {
    const { client } = cluster.api;
    await client.createService(web("first"));
    await client.createService(web("third"));
    const holder = await cluster.heldBy(A, 1000);
    await told(cluster, "third", "PortConflict");
    await using log = await AddressLog.start(cluster.lab);
    await client.patchService("third", { spec: { ports: [{ port: 81, protocol: "TCP", targetPort: 8080 }] } });
    await Promise.all([shows(cluster, "third", [A], 1000), answers(cluster, A, 81), answers(cluster, A, 80)]);
    await client.patchService("third", { spec: { ports: [{ port: 80, protocol: "TCP", targetPort: 8080 }] } });
    await shows(cluster, "third", []); // into the conflict again
    await shows(cluster, "first", [A]);
    for (const { name } of cluster.lab.nodes) expect(log.of(name, A, "removed")).toEqual([]);
    expect(await cluster.lab.holders(A)).toEqual([holder]);
  });

  test("with different traffic policies share it, and the newer one is told", async () => {
    const { client } = cluster.api;
    await client.createService(web("all"));
    await client.createService(web("near", { port: 81, local: true }));
    const holder = await cluster.heldBy(A, 1000);
    const [event] = await told(cluster, "near", "MixedTrafficPolicies");
    expect(event).toMatchObject({ type: "Normal", message: expect.stringContaining("default/all") as string });
    await Promise.all([shows(cluster, "all", [A]), shows(cluster, "near", [A])]);
    // Each by its own policy: without an endpoint on the holder, the local one is not served, the other is.
    await cluster.admin.podReady(`pods-${holder}`, false);
    await told(cluster, "near", "HolderHasNoEndpoint");
    await cluster.heldBy(A, 1000, holder);
    await client.deleteService("all");
    await cluster.free(A, 1000);
    await cluster.admin.podReady(`pods-${holder}`, true);
    await cluster.heldBy(A, 1000, holder);
  });

  test("stay together when their holder goes", async () => {
    const { client } = cluster.api;
    await client.createService(web("one"));
    await client.createService(web("two", { port: 81 }));
    const holder = await cluster.heldBy(A, 1000);
    await Promise.all([shows(cluster, "one", [A]), shows(cluster, "two", [A])]);
    await cluster.vip(holder).stop("SIGTERM");
    const next = holder === "n1" ? "n2" : "n1";
    await cluster.heldBy(A, 3000, next);
    for (const name of ["one", "two"]) await cluster.service(name, 2000, "the new holder", (s) => s.metadata.annotations?.["kube-vip.io/vipHost"] === next);
    await cluster.startVip(holder);
  });

  test("that is a node's, a gateway's or the API server's are refused by name, and nothing is touched", async () => {
    const { client } = cluster.api;
    const owner = await cluster.owner();
    const cases = [
      ["own", cluster.lab.node(owner).ipv4, "AddressOfNode"],
      ["others", cluster.lab.nodes.find(({ name }) => name !== owner)?.ipv4, "AddressOfNode"],
      ["others-v6", cluster.lab.nodes.find(({ name }) => name !== owner)?.ipv6, "AddressOfNode"],
      ["api-network", cluster.lab.node(owner).apiIpv4, "AddressOfNode"],
      ["gateway", "10.77.0.1", "AddressOfGateway"],
      ["gateway-v6", "fd77::1", "AddressOfGateway"],
      ["api", "10.78.0.1", "AddressOfApi"],
    ] as const;
    const before = await allAddresses(cluster.lab);
    for (const [name, ip] of cases) await client.createService(web(name, { ip: ip ?? "" }));
    for (const [name, ip, reason] of cases) {
      const [event] = await told(cluster, name, reason);
      expect(event).toMatchObject({ type: "Warning", message: expect.stringContaining(ip ?? "?") as string });
      expect(ingressOf(await client.service(name)), name).toEqual([]);
    }
    await decided(cluster);
    expect(await allAddresses(cluster.lab)).toEqual(before);
    for (const { ipv4, ipv6 } of cluster.lab.nodes) for (const ip of [ipv4, ipv6]) await cluster.lab.exec("client", ["ping", "-c1", "-W1", ip]);
  });
});

describe("a Service on the control-plane VIP", () => {
  const HEALTH = { control_plane_health_check_period_seconds: "1", control_plane_health_check_timeout_seconds: "1", control_plane_health_check_failure_threshold: "1" };
  const ENV = { cp_enable: "true", address: D, ...HEALTH };

  test("is served where the control plane is, not where the other Services are, and never gets the API server's port", async () => {
    await using both = await Cluster.bare(2);
    const health = await HealthServers.start(both.lab, ["n1", "n2"]);
    await both.startVip("n1", { env: ENV });
    await both.heldBy(D, 8000, "n1");
    await both.owner();
    const second = await both.startVip("n2", { env: ENV });
    await second.waitFor(/api server is healthy/);
    const { client } = both.api;
    await client.createService(web("ingress", { ip: D }));
    await client.createService(web("greedy", { ip: D, port: 6443 }));
    await client.createService(web("other"));
    await Promise.all([shows(both, "ingress", [D]), shows(both, "other", [A])]);
    const [event] = await told(both, "greedy", "PortConflict");
    expect(event?.message).toBe(`TCP/6443 of ${D} is the API server's: expected another port, or another address`);
    expect(ingressOf(await client.service("greedy"))).toEqual([]);
    expect(await answering(both, D)).toBe("n1");

    health.set("n1", "sick");
    await both.heldBy(D, 8000, "n2");
    expect(await both.leaseHolder("plndr-cp-lock")).toBe("n2");
    expect(await answers(both, D)).toBe("n2");
    await both.service("ingress", 2000, "its new holder", (s) => s.metadata.annotations?.["kube-vip.io/vipHost"] === "n2");
    await both.heldBy(A, 1000, "n1"); // the other Services stay where they were

    await client.deleteService("ingress");
    await decided(both);
    await both.heldBy(D, 1000, "n2"); // still the control plane's
    await client.createService(web("ingress", { ip: D }));
    await second.stop("SIGTERM");
    await both.heldBy(D, 8000, "n1");
    await both.service("ingress", 2000, "its last holder", (s) => s.metadata.annotations?.["kube-vip.io/vipHost"] === "n1");
  });
});
