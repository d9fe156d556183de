import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Cluster } from "./cluster.js";
import type { VipOptions } from "./daemons.js";
import { loadBalancer, type KubeService } from "./kube-client.js";
import { annotate, answering, answers, cleared, decided, shows, told } from "./kubectl-services.js";
import { podName } from "./nodes.js";
import { healthOf } from "./proxy/bench.js";
import type { Pod } from "./proxy/pods.js";
import type { Proxies } from "./proxy/proxies.js";
import { foreignSources, sourceSeen, startSourceProbe } from "./proxy/sources.js";

const [A, A6, B] = ["10.77.0.220", "fd77::1:220", "10.77.0.221"] as const;
const PAIR = [A, A6] as const;
const CLIENT = ["10.77.0.100", "fd77::100"] as const;
/** What the source address is worth looking at for after a move, ms. */
const AFTER_MOVE_MS = 5000;

/** A Service of both protocols, for the pods of all nodes. */
function service(name: string, { ip = A, local = false, annotations = {} }: { readonly ip?: string; readonly local?: boolean; readonly annotations?: Readonly<Record<string, string>> } = {}): KubeService {
  const ports = [{ name: "http", port: 80, protocol: "TCP", targetPort: 8080 }, { name: "udp", port: 9000, protocol: "UDP", targetPort: 9000 }, { name: "tcp", port: 9001, protocol: "TCP", targetPort: 9001 }];
  return loadBalancer({ name, ip, annotations, spec: { ports, externalTrafficPolicy: local ? "Local" : "Cluster" } });
}

let cluster: Cluster;
let proxies: Proxies;

async function begin(env: VipOptions["env"] = {}): Promise<void> {
  cluster = await Cluster.bare(3);
  proxies = await cluster.lab.startProxies(cluster.api);
  for (const { name } of cluster.lab.nodes) await cluster.startVip(name, { env });
  await cluster.owner();
}

/** Which pods are ready, and no others. */
async function ready(...nodes: readonly string[]): Promise<void> {
  for (const { name } of cluster.lab.nodes) await cluster.admin.podReady(podName(name), nodes.includes(name));
}

const others = (node: string): readonly string[] => cluster.lab.nodes.map(({ name }) => name).filter((name) => name !== node);

/** One more pod on a node, at an address of its own. */
async function extraPod(name: string, node: string): Promise<Pod> {
  const { index, podIpv4, podIpv6 } = cluster.lab.node(node);
  const pod = await cluster.lab.startPod(node, { name, ipv4: `10.244.${index}.2` });
  await cluster.admin.podAddresses([{ node, ipv4: [podIpv4, `10.244.${index}.2`], ipv6: [podIpv6] }]);
  await cluster.kubectl(["run", name, "--image=lab/pod", "--labels=app=pods", "--port=8080", "--overrides", JSON.stringify({ spec: { nodeName: node } })]);
  return pod;
}

const end = async (): Promise<void> => await (cluster as Cluster | undefined)?.[Symbol.asyncDispose]();

async function tidied(): Promise<void> {
  for (const { name } of cluster.lab.nodes) proxies.well(name);
  await ready("n1", "n2", "n3");
  await cleared(cluster, [A, A6, B]);
}

describe("externalTrafficPolicy Cluster", () => {
  beforeAll(async () => await begin());
  afterAll(end);
  afterEach(tidied);

  test("without an endpoint in the cluster is not held; it comes within a second of one being ready, and goes with the last", async () => {
    await ready();
    await cluster.api.client.createService(service("web"));
    await decidedWithout();
    expect(await cluster.lab.holders(A)).toEqual([]);
    await ready("n2");
    await cluster.heldBy(A, 1000);
    expect(await answers(cluster, A)).toBe("n2");
    await ready();
    await cluster.free(A, 1000);
  });

  test("is held without endpoints where kube-vip.io/allow-reconcile-without-endpoints says so, from then on", async () => {
    await ready();
    await cluster.api.client.createService(service("web"));
    await decidedWithout();
    expect(await cluster.lab.holders(A)).toEqual([]);
    await annotate(cluster, "web", "kube-vip.io/allow-reconcile-without-endpoints=True");
    await cluster.heldBy(A, 1000);
    await annotate(cluster, "web", "kube-vip.io/allow-reconcile-without-endpoints-");
    await cluster.free(A, 1000);
  });

  test("counts an endpoint that terminates and still serves, and no longer when it does not", async () => {
    await ready("n1");
    await cluster.api.client.createService(service("web"));
    const holder = await cluster.heldBy(A, 1000);
    await answers(cluster, A);
    await using _extra = await extraPod("extra", "n3");
    await cluster.lab.waitFor(async () => (await endpoints("web")).length === 2, 2000, "two endpoints");
    await ready();
    await cluster.heldBy(A, 1000, holder);
    await cluster.admin.terminatePod("extra");
    await cluster.lab.waitFor(async () => (await endpoints("web", "terminating")).length === 1, 2000, "a terminating endpoint");
    await decidedWithout();
    await cluster.heldBy(A, 1000, holder);
    expect(await answers(cluster, A)).toBe("extra");
    await cluster.admin.finishPod("extra");
    await cluster.free(A, 1000);
  });
});

/** As `decided`, where no pod is ready. */
async function decidedWithout(): Promise<void> {
  const { client } = cluster.api;
  await client.createService(service("barrier", { ip: B, annotations: { "kube-vip.io/allow-reconcile-without-endpoints": "true" } }));
  await cluster.heldBy(B, 2000);
  await client.deleteService("barrier");
  await cluster.free(B, 2000);
}

async function endpoints(name: string, condition: "ready" | "terminating" = "ready"): Promise<readonly string[]> {
  const slices = await cluster.api.client.endpointSlices(name);
  return slices.flatMap((slice) => slice.endpoints ?? []).filter(({ conditions }) => conditions?.[condition] === true).map(({ nodeName }) => nodeName ?? "");
}

describe("externalTrafficPolicy Local", () => {
  beforeAll(async () => await begin());
  afterAll(end);
  afterEach(tidied);

  test("is held where the holder has an endpoint; without one it goes, an Event proposes svc_election, and it comes back with one", async () => {
    await cluster.api.client.createService(service("web", { local: true }));
    const holder = await cluster.heldBy(A, 1000);
    expect(await answers(cluster, A)).toBe(holder);
    await ready(...others(holder));
    await cluster.free(A, 1000);
    const [event] = await told(cluster, "web", "HolderHasNoEndpoint");
    expect(event).toMatchObject({ type: "Warning", message: `no endpoint of it is on node ${holder}, which holds the Services, and externalTrafficPolicy is Local; with svc_election each Service is held where its endpoints are` });
    await ready(holder);
    await cluster.heldBy(A, 1000, holder);
    await ready();
    await cluster.free(A, 1000);
  });

  test("merges all slices: a local endpoint in the last of several counts, and one slice less takes nothing away", async () => {
    await cluster.admin.maxEndpointsPerSlice(1);
    await cluster.api.client.createService(service("web", { local: true }));
    await cluster.lab.waitFor(async () => (await cluster.api.client.endpointSlices("web")).length === 3, 2000, "three slices");
    const holder = await cluster.heldBy(A, 1000);
    for (const other of others(holder)) {
      await cluster.admin.podReady(podName(other), false);
      await decided(cluster, B);
      await cluster.heldBy(A, 1000, holder);
    }
    await ready(...others(holder));
    await cluster.free(A, 1000);
    await cluster.admin.maxEndpointsPerSlice(100);
  });

  test("serves on from a terminating endpoint until it is gone", async () => {
    await cluster.api.client.createService(service("web", { local: true }));
    const holder = await cluster.heldBy(A, 1000);
    await answers(cluster, A);
    await using _extra = await extraPod("local-extra", holder);
    await cluster.lab.waitFor(async () => (await endpoints("web")).filter((node) => node === holder).length === 2, 2000, "two endpoints here");
    await cluster.admin.podReady(podName(holder), false);
    await cluster.admin.terminatePod("local-extra");
    await cluster.lab.waitFor(async () => (await endpoints("web", "terminating")).includes(holder), 2000, "a terminating endpoint");
    await decided(cluster, B);
    await cluster.heldBy(A, 1000, holder);
    await cluster.lab.waitFor(async () => (await answering(cluster, A)) === "local-extra", 3000, "the terminating pod to answer");
    await cluster.admin.finishPod("local-extra");
    await cluster.free(A, 1000);
  });

  test("does not serve from where the healthCheckNodePort says 503", async () => {
    await cluster.api.client.createService(service("web", { local: true }));
    const holder = await cluster.heldBy(A, 1000);
    await shows(cluster, "web", [A]);
    const port = Number((await cluster.api.client.service("web")).spec?.["healthCheckNodePort"]);
    await cluster.lab.waitFor(async () => (await healthOf(cluster.lab, holder, port)).status === 200, 2000, "the health port");
    proxies.sick(holder);
    const next = await cluster.lab.waitFor(async () => (await cluster.lab.holders(A)).filter((name) => name !== holder), 12_000, "another holder");
    expect(next).toHaveLength(1);
    await cluster.heldBy(A, 2000, next[0]);
    expect(await answers(cluster, A)).toBe(next[0]);
  });
});

describe("the client's address", () => {
  beforeAll(async () => await begin());
  afterAll(end);
  afterEach(tidied);

  test.each<readonly [string, NodeJS.Signals, number]>([
    ["a planned stop of the holder", "SIGTERM", 3000],
    ["a crash of the holder", "SIGKILL", 10_000],
  ])("is what the pod sees, by TCP and UDP, IPv4 and IPv6, also in the 5 s after %s", async (_name, signal, within) => {
    await cluster.api.client.createService(service("web", { ip: PAIR.join(), local: true }));
    await shows(cluster, "web", PAIR);
    const holder = await cluster.heldBy(A, 1000);
    for (const [i, ip] of PAIR.entries()) {
      for (const udp of [false, true]) expect(await cluster.lab.waitFor(async () => await sourceSeen(cluster.lab, ip, { udp }), 3000, `an answer of ${ip}`)).toEqual({ pod: holder, address: CLIENT[i] });
    }
    await using probe = await startSourceProbe(cluster.lab, { vips: PAIR });
    await cluster.vip(holder).stop(signal);
    const next = await cluster.lab.waitFor(async () => (await cluster.lab.holders(A)).find((name) => name !== holder), within, "another holder");
    const since = cluster.lab.now();
    await cluster.lab.waitFor(() => cluster.lab.now() > since + AFTER_MOVE_MS, AFTER_MOVE_MS + 500, "five seconds after the move");
    const samples = await probe.stop();
    expect(foreignSources(samples, CLIENT)).toEqual([]);
    for (const vip of PAIR) {
      for (const protocol of ["tcp", "udp"]) {
        const pods = samples.filter((sample) => sample.vip === vip && sample.protocol === protocol && sample.at > since).flatMap(({ pod }) => pod ?? []);
        expect(pods.at(-1), `${protocol} ${vip}`).toBe(next);
        expect(pods.length, `${protocol} ${vip}`).toBeGreaterThan(50);
      }
    }
    await cluster.startVip(holder);
  });
});

describe("a kube-proxy that is sick", () => {
  afterEach(async () => await end());

  test("moves what its node holds to one whose kube-proxy is well, which has it before the first lets go", async () => {
    await begin();
    await cluster.api.client.createService(service("web"));
    const holder = await cluster.heldBy(A, 1000);
    await answers(cluster, A);
    const probe = await cluster.lab.probe(A);
    const answerers = await cluster.lab.answerers([A], { intervalMs: 5 });
    proxies.sick(holder);
    const next = await cluster.lab.waitFor(async () => (await cluster.lab.holders(A)).find((name) => name !== holder), 12_000, "another holder");
    await cluster.heldBy(A, 2000, next);
    await decided(cluster, B);
    await cluster.heldBy(A, 1000, next); // it stays there
    const { udp, tcp } = await probe.stop();
    const [seen] = (await answerers.stop()).perVip;
    console.log(JSON.stringify({ figure: "move from a sick kube-proxy", udpGapMs: Math.round(udp.gapMs), tcpGapMs: Math.round(tcp.gapMs), arpGapMs: Math.round(seen?.longestGapMs ?? NaN), arpOverlapMs: Math.round(seen?.overlapMs ?? NaN) }));
    expect(seen?.macs).toHaveProperty([await cluster.lab.mac(next)]);
    expect(seen?.longestGapMs).toBeLessThan(250);
    for (const { gapMs } of [udp, tcp]) expect(gapMs).toBeLessThan(400);
  });

  test("is left where it is with dataplane_check=off", async () => {
    await begin({ dataplane_check: "off" });
    await cluster.api.client.createService(service("web"));
    const holder = await cluster.heldBy(A, 1000);
    for (const node of others(holder)) expect((await healthOf(cluster.lab, node, 10_256)).status).toBe(200);
    proxies.sick(holder);
    expect((await healthOf(cluster.lab, holder, 10_256)).status).toBe(503);
    // As long as it takes to be found sick where it is asked, and to move.
    const since = cluster.lab.now();
    await cluster.lab.waitFor(async () => {
      if ((await cluster.lab.holders(A)).join() !== holder) throw new Error(`${A} has moved`);
      return cluster.lab.now() > since + 4000;
    }, 4500, "four seconds without a move");
  });

  test("is not asked for where none has ever answered", async () => {
    cluster = await Cluster.up(2);
    await cluster.api.client.createService(service("web"));
    const holder = await cluster.heldBy(A, 1000);
    expect((await healthOf(cluster.lab, holder, 10_256)).status).toBe(0);
    expect(await answering(cluster, A)).toBe(holder);
  });
});
