import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Cluster } from "./cluster.js";
import { HAVE_KUBECTL } from "./kubectl.js";
import type { LabProcess } from "./process.js";
import { ask } from "./proxy/sources.js";
import { answeringNode } from "./service-plane.js";
import { eventsOf, messageOf, nodesWithRules, reaches } from "./romana.js";

/** The examples' addresses are of no network of the lab: the client finds them on its LAN all the same, as a second subnet there. */
const SUBNET = "192.168.99.0/24";
const VIPS = ["192.168.99.110", "192.168.99.111", "192.168.99.112"];
const CQL = 9042;

/** Says, to whoever asks by HTTP, which pod it is, as the lab's pods do at their own ports. */
const SERVER = `const [name, port, address] = process.argv.slice(1);
require("node:http").createServer(({ socket }, answer) => answer.end(JSON.stringify({ pod: name, address: socket.remoteAddress, port: socket.remotePort }) + "\\n"))
  .listen(Number(port), address, () => console.log("ready"));`;

function example(name: string): string {
  return readFileSync(new URL(`../../examples/${name}`, import.meta.url), "utf8");
}

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.up(3);
  const { lab, api } = cluster;
  await lab.startProxies(api);
  await lab.exec("client", ["ip", "route", "add", SUBNET, "dev", "eth0"]);
});

// Where it never came up, there is nothing to end.
afterAll(async () => await (cluster as Cluster | undefined)?.[Symbol.asyncDispose]());

/** The servers of the pods that run now, by name. */
const servers = new Map<string, LabProcess>();

async function endPod(name: string): Promise<void> {
  await servers.get(name)?.stop("SIGKILL");
  servers.delete(name);
}

afterEach(async () => {
  for (const name of servers.keys()) await endPod(name);
});

/** Runs what a StatefulSet's pod runs, at the address and on the node that it has now. */
async function runPod(name: string): Promise<{ readonly node: string; readonly ip: string }> {
  const { lab, api } = cluster;
  const { spec, status } = await lab.waitFor(async () => (await api.client.pods()).find((pod) => pod.metadata.name === name && pod.status?.podIP !== undefined), 2000, `pod ${name}`);
  const [node, ip] = [spec?.nodeName ?? "", status?.podIP ?? ""];
  await lab.exec(node, ["ip", "addr", "replace", `${ip}/32`, "dev", "lo"]);
  const server = await lab.spawn(node, [process.execPath, "-e", SERVER, name, String(CQL), ip], { name: `cql-${name}` });
  servers.set(name, server);
  await server.waitFor(/^ready$/);
  return { node, ip };
}

describe.skipIf(!HAVE_KUBECTL)("examples/nginx-romana.yaml", () => {
  test("applied with kubectl: the VIP is held where a pod is, and answers", async () => {
    const { lab, api } = cluster;
    const input = example("nginx-romana.yaml");
    await cluster.kubectl(["apply", "-f", "-"], { input });
    const holder = await cluster.heldBy("192.168.99.101", 3000);
    expect((await api.client.pods("app=nginx")).map(({ spec }) => spec?.nodeName)).toContain(holder);
    const nodes = lab.nodes.map(({ name }) => name);
    await lab.waitFor(async () => nodes.includes((await answeringNode(lab, "192.168.99.101")) ?? ""), 3000, "an answer");
    expect(await messageOf(cluster, "nginx", "VipHeld")).toContain(`192.168.99.101 is held by node ${holder}`);
    await cluster.kubectl(["delete", "-f", "-", "--wait=false"], { input });
    await cluster.free("192.168.99.101", 3000);
  });
});

describe.skipIf(!HAVE_KUBECTL)("row 7: individual pods (Cassandra)", () => {
  // Beside the pod that every node has: addresses of their own.
  beforeAll(async () => await cluster.admin.podAddresses(cluster.lab.nodes.map(({ name, index, podIpv6 }) => ({ node: name, ipv4: [2, 3, 4].map((host) => `10.244.${index}.${host}`), ipv6: [podIpv6] }))));

  test.each([
    ["as the example has them", example("cassandra-per-pod.yaml"), false],
    ["headless", example("cassandra-per-pod.yaml").replaceAll("type: ClusterIP", "clusterIP: None"), true],
  ])("three Services %s: each VIP reaches its own pod only, and follows it to another node", async (_how, input, byNft) => {
    const { lab, admin, api } = cluster;
    await cluster.kubectl(["apply", "-f", "-"], { input });
    const names = VIPS.map((_, at) => `cassandra-${at}`);
    const places = await Promise.all(names.map(runPod));
    for (const [at, vip] of VIPS.entries()) {
      await cluster.heldBy(vip, 3000, places[at]?.node);
      await reaches(cluster, vip, `cassandra-${at}`, { port: CQL });
    }
    expect(new Set(places.map(({ node }) => node)).size).toBe(3);
    // The pod of the next one's node takes its place beside that one: two pods and two VIPs on one node.
    const { node: from = "" } = places[0] ?? {};
    const { node: to = "" } = places[1] ?? {};
    const start = lab.now();
    await endPod("cassandra-0");
    await admin.movePod("cassandra-0", to);
    await runPod("cassandra-0");
    await cluster.heldBy(VIPS[0] ?? "", 3000, to);
    const seenAs = await reaches(cluster, VIPS[0] ?? "", "cassandra-0", { port: CQL, ms: 3000 });
    console.log(JSON.stringify({ figure: `Cassandra pod rescheduled${byNft ? ", headless" : ""}`, ms: Math.round(lab.now() - start) }));
    if (byNft) expect(seenAs).toBe("10.77.0.100");
    for (const [at, vip] of VIPS.entries()) {
      const pods = (await ask(lab, vip, { port: CQL, times: 10 })).map(({ pod }) => pod);
      expect([...new Set(pods)]).toEqual([`cassandra-${at}`]);
    }
    const rules = await nodesWithRules(cluster);
    expect(rules).toEqual(byNft ? lab.nodes.map(({ name }) => name).filter((name) => name !== from) : []);
    for (const name of names) expect(await eventsOf(cluster, name, "Warning"), name).toEqual([]);
    await cluster.kubectl(["delete", "-f", "-", "--wait=false"], { input });
    for (const vip of VIPS) await cluster.free(vip, 3000);
    await lab.waitFor(async () => (await nodesWithRules(cluster)).length === 0, 3000, "no rules");
    await lab.waitFor(async () => (await api.client.pods("app=cassandra")).length === 0, 3000, "no pods");
  });
});
