import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBird, type BirdDaemon } from "./bird.js";
import { Cluster } from "./cluster.js";
import { startFlows } from "./flows.js";
import { loadBalancer } from "./kube-client.js";
import { ROUTER_NS } from "./topology.js";

const VIP = "10.99.0.200";
const NODES = ["n1", "n2", "n3"] as const;
const ENV = { vip_arp: "false", bgp_enable: "true", bgp_as: "64500", bgp_peers: "10.77.0.1:64501", bgp_graceful_shutdown: "300" };
const PATIENCE_MS = 20_000;

const ROUTER = `
router id 10.77.0.1;
protocol device {}
protocol kernel { merge paths on; ipv4 { export where source = RTS_BGP; }; }
protocol bgp nodes { local 10.77.0.1 as 64501; neighbor range 10.77.0.0/24 as 64500; dynamic name "node"; ipv4 { import all; export none; }; }
`;

let cluster: Cluster;
let bird: BirdDaemon;

beforeAll(async () => {
  cluster = await Cluster.bare(NODES.length);
  const { lab, api } = cluster;
  // By ports, as routers do; the client is to come by this router, although it is on the same network as the nodes.
  await lab.exec(ROUTER_NS, ["sh", "-ec", "cd /proc/sys/net/ipv4; echo 1 >fib_multipath_hash_policy; for d in all eth0; do echo 0 >conf/$d/send_redirects; done"]);
  bird = await startBird(lab, { ns: ROUTER_NS, config: ROUTER });
  await api.client.createService(loadBalancer({ name: "pods", ip: VIP }));
}, 60_000);
afterAll(async () => await cluster[Symbol.asyncDispose]());

/** A route by each node, with a session that is up: none is one of a process that is gone. */
async function allThere(): Promise<void> {
  const there = async (): Promise<unknown> => {
    const [sessions, routes, kernel] = [await bird.ctl("show protocols"), await bird.ctl("show route"), (await cluster.lab.exec(ROUTER_NS, ["ip", "route", "show", VIP])).stdout];
    const hops = cluster.lab.nodes.filter(({ ipv4 }) => kernel.includes(`via ${ipv4}`)).length;
    return { ok: (sessions.match(/Established/g) ?? []).length === NODES.length && hops === NODES.length && !/stale|\(-?\d+s\)/.test(routes), sessions, routes, hops };
  };
  await cluster.lab.waitFor(there, PATIENCE_MS, "three nodes at the router");
}

/** Updates the program on one node after the other, with connections in use all the time. */
async function rolled(env: Readonly<Record<string, string>>, name: string): Promise<{ readonly ended: number; readonly moved: readonly string[] }> {
  const { lab } = cluster;
  for (const node of NODES) await cluster.startVip(node, { env });
  await allThere();
  const monitor = await lab.spawn(ROUTER_NS, ["ip", "-o", "monitor", "route"], { name: "monitor" });
  await using flows = await startFlows(lab, VIP, { count: 30 });
  for (const node of NODES) {
    expect(await cluster.vip(node).stop("SIGTERM")).toEqual({ code: 0, signal: null });
    await cluster.startVip(node, { env });
    await allThere();
  }
  const all = await flows.stop();
  await monitor.stop("SIGTERM");
  const moved = monitor.lines().filter((line) => line.includes(VIP));
  const ended = all.filter(({ end }) => end !== undefined).length;
  console.log(JSON.stringify({ figure: "bgp rolling update of three nodes", name, flows: all.length, ended, changes: moved.length, longestGapMs: Math.round(Math.max(...all.map(({ longestGapMs }) => longestGapMs))) }));
  // Every node had some, or this tells nothing.
  expect(new Set(all.map(({ node }) => node)).size).toBe(NODES.length);
  return { ended, moved };
}

describe("a rolling update of three nodes behind one router", () => {
  test("with graceful restart: every connection lasts, and the router's kernel does nothing", async () => {
    expect(await rolled({ ...ENV, bgp_graceful_restart: "60" }, "with graceful restart")).toEqual({ ended: 0, moved: [] });
  }, 180_000);

  test("without it: connections of the node that is updated go to others, which do not know them", async () => {
    for (const node of NODES) await cluster.vip(node).stop("SIGTERM");
    await bird.ctl("restart all");
    const { ended, moved } = await rolled(ENV, "without");
    expect(moved.length).toBeGreaterThan(0);
    expect(ended).toBeGreaterThan(0);
  }, 180_000);
});
