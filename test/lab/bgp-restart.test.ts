import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBird, type BirdDaemon } from "./bird.js";
import { Cluster } from "./cluster.js";
import { startFlows } from "./flows.js";
import { loadBalancer } from "./kube-client.js";
import { ROUTER_NS } from "./topology.js";
import { monotonicMs } from "./wait.js";

/** Of the pods, and of a Service that goes while no process runs. */
const VIP = "10.99.0.200";
const GONE = "10.99.0.201";
const ENV = { vip_arp: "false", bgp_enable: "true", bgp_as: "64500", bgp_peers: "10.77.0.1:64501", bgp_hold_time: "3" };
const RESTARTING = { ...ENV, bgp_graceful_restart: "60" };
const PATIENCE_MS = 20_000;

const ROUTER = `
router id 10.77.0.1;
protocol device {}
protocol kernel { ipv4 { export where source = RTS_BGP; }; }
protocol bgp node { local 10.77.0.1 as 64501; neighbor 10.77.0.11 as 64500; passive; error wait time 1,2; graceful restart on; ipv4 { import all; export none; }; }
`;

let cluster: Cluster;
let bird: BirdDaemon;

beforeAll(async () => {
  cluster = await Cluster.bare(1);
  const { lab, api } = cluster;
  // The client is to come by this router, although it is on the same network as the node.
  await lab.exec(ROUTER_NS, ["sh", "-ec", "for d in all eth0; do echo 0 >/proc/sys/net/ipv4/conf/$d/send_redirects; done"]);
  bird = await startBird(lab, { ns: ROUTER_NS, config: ROUTER });
  await cluster.startVip("n1", { env: RESTARTING });
  await api.client.createService(loadBalancer({ name: "pods", ip: VIP }));
  await api.client.createService(loadBalancer({ name: "gone", ip: GONE }));
  for (const address of [VIP, GONE]) await lab.waitFor(async () => routed(address), PATIENCE_MS, `a route to ${address}`);
}, 60_000);
afterAll(async () => await cluster[Symbol.asyncDispose]());

/** Whether the router's kernel leads this address to the node. */
async function routed(address: string): Promise<boolean> {
  return (await cluster.lab.exec(ROUTER_NS, ["ip", "route", "show", address])).stdout.includes("via 10.77.0.11");
}

async function established(): Promise<boolean> {
  return (await bird.ctl("show protocols node")).includes("Established");
}

describe("one node behind a router", () => {
  test("a process that is killed and started again, with graceful restart: the router's kernel never moves, flows go on, and what went meanwhile goes", async () => {
    const { lab, api } = cluster;
    const monitor = await lab.spawn(ROUTER_NS, ["ip", "-o", "monitor", "route"], { name: "monitor" });
    await using flows = await startFlows(lab, VIP, { count: 20 });
    await cluster.vip("n1").stop("SIGKILL");
    await lab.waitFor(async () => !(await established()), PATIENCE_MS, "the router to lose the session");
    await api.client.deleteService("gone");
    expect([await routed(VIP), await routed(GONE)]).toEqual([true, true]);
    await cluster.startVip("n1", { env: RESTARTING });
    await lab.waitFor(async () => established(), PATIENCE_MS, "the session to be back");
    await lab.waitFor(async () => !(await routed(GONE)), PATIENCE_MS, "the stale route to go");
    const all = await flows.stop();
    console.log(JSON.stringify({ figure: "bgp graceful restart", flows: all.length, longestGapMs: Math.round(Math.max(...all.map(({ longestGapMs }) => longestGapMs))) }));
    expect(all.length).toBeGreaterThan(0);
    expect(all.filter(({ end }) => end !== undefined)).toEqual([]);
    expect(await routed(VIP)).toBe(true);
    const moved = monitor.lines();
    expect(moved.filter((line) => line.includes(VIP))).toEqual([]);
    expect(moved.filter((line) => line.startsWith(`Deleted ${GONE}`))).toHaveLength(1);
  });

  test("a process that is killed while its link is cut, without graceful restart and BFD: the hold time tells", async () => {
    const { lab } = cluster;
    await cluster.vip("n1").stop("SIGTERM");
    // The routes of the first process stay otherwise, for it has graceful restart.
    await bird.ctl("restart node");
    await lab.waitFor(async () => !(await routed(VIP)), PATIENCE_MS, "the old route to go");
    await cluster.startVip("n1", { env: ENV });
    await lab.waitFor(async () => routed(VIP), PATIENCE_MS, `a route to ${VIP}`);
    const start = monotonicMs();
    await lab.cutLan("n1");
    await cluster.vip("n1").stop("SIGKILL");
    // Each question wakes BIRD 2.0.12, which goes to sleep for up to 3 s between the end of its hold timer and what follows from it, where nothing else happens.
    await lab.waitFor(async () => !(await established()) && !(await routed(VIP)), PATIENCE_MS, "the route to go");
    console.log(JSON.stringify({ figure: "bgp hold time 3 s", goneMs: Math.round(monotonicMs() - start) }));
    expect(await bird.ctl("show protocols all node")).toContain("Hold timer expired");
  });
});
