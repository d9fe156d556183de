import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Frr } from "./bgp-fixture.js";
import { startBird, type BirdDaemon } from "./bird.js";
import { Cluster } from "./cluster.js";
import { startFlows, type Flow } from "./flows.js";
import { exampleOf, guide } from "./guide.js";
import { loadBalancer } from "./kube-client.js";
import { LabProcess } from "./process.js";
import { ROUTER_NS } from "./topology.js";
import { monotonicMs } from "./wait.js";

const VIP = "10.99.0.200";
const NODES = ["n1", "n2", "n3"] as const;
const ENV = { vip_arp: "false", bgp_enable: "true", bgp_as: "64500", bgp_peers: "10.77.0.1:64501", bgp_bfd: "300x3", bgp_hold_time: "30" };
/** Without BFD, only the hold time of 30 s would tell. */
const BOUND_MS = 5000;

/** The router between the client and the nodes, as the guide has it. */
const routerOf = (daemon: "bird" | "frr"): string => exampleOf(guide("bgp.md"), `${daemon}.conf of the router`).replaceAll("192.0.2.", "10.77.0.");

let cluster: Cluster;
let bird: BirdDaemon;

beforeAll(async () => {
  cluster = await Cluster.bare(NODES.length);
  const { lab } = cluster;
  // By ports, as routers do; the client is to come by this router, although it is on the same network as the nodes.
  await lab.exec(ROUTER_NS, ["sh", "-ec", "cd /proc/sys/net/ipv4; echo 1 >fib_multipath_hash_policy; for d in all eth0; do echo 0 >conf/$d/send_redirects; done"]);
  bird = await startBird(lab, { ns: ROUTER_NS, config: routerOf("bird") });
  for (const name of NODES) await cluster.startVip(name, { env: ENV });
  await cluster.api.client.createService(loadBalancer({ name: "pods", ip: VIP }));
}, 40_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** The next hops that the router's kernel has for the VIP, by node, in its order. */
async function nextHops(): Promise<readonly string[]> {
  const { stdout } = await cluster.lab.exec(ROUTER_NS, ["ip", "route", "show", VIP]);
  const addresses = [...stdout.matchAll(/via (\S+)/g)].map((match) => match[1]);
  return addresses.flatMap((address) => cluster.lab.nodes.filter(({ ipv4 }) => ipv4 === address).map(({ name }) => name));
}

/** All three next hops, and BFD up on each node. */
async function allThere(): Promise<void> {
  await cluster.lab.waitFor(async () => ((await nextHops()).toSorted().join() === NODES.join() ? true : { ok: false, hops: await nextHops() }), 30_000, "three next hops");
  for (const node of NODES) await cluster.lab.waitFor(async () => (await peer(node)).bfd?.state === "Up", 30_000, `BFD up as ${node} sees it`);
}

interface Peer {
  readonly state: string;
  readonly bfd: { readonly state: string; readonly diagnostic: string } | null;
  readonly lastEnd: { readonly reason: string; readonly by: string } | null;
}

/** What `vip bgp peers` says on a node of its one peer. */
async function peer(node: string): Promise<Peer> {
  const argv = [cluster.lab.built("vip"), "bgp", "peers", "-o", "json", "--directory", join(cluster.lab.dir, node, "run-vip")];
  const { stdout } = await cluster.lab.exec(node, argv, { mayFail: true });
  const [first] = (JSON.parse(stdout) as { readonly processes: readonly { readonly peers: readonly Peer[] }[] }).processes.flatMap(({ peers }) => peers);
  if (first === undefined) throw new Error(`${node} has no peer: ${stdout}`);
  return first;
}

/**
 * Starts flows, harms a node, and waits until the router sends nothing to it; then flows to the other nodes must be as they were. Returns the node: the one in
 * the middle of the router's next hops, for when a hash is spread over fewer of them, those at both ends keep their flows (net/ipv4/fib_semantics.c).
 */
async function harmed(event: string, harm: (victim: string) => void | Promise<void>): Promise<string> {
  const [first = "", victim = "", last = ""] = await nextHops();
  await using flows = await startFlows(cluster.lab, VIP, { count: 30 });
  const start = monotonicMs();
  await harm(victim);
  await cluster.lab.waitFor(async () => !(await nextHops()).includes(victim), BOUND_MS, `the next hop ${victim} to be gone`);
  const goneMs = Math.round(monotonicMs() - start);
  expect(await nextHops()).toEqual([first, last]);
  // Over the new next hops for a while.
  await cluster.lab.waitFor(() => monotonicMs() - start > goneMs + 500, 5000, "half a second more");
  const all = await flows.stop();
  const others = all.filter(({ node }) => node !== victim);
  const worst = (some: readonly Flow[]): number => Math.round(Math.max(...some.map(({ longestGapMs }) => longestGapMs)));
  console.log(JSON.stringify({ figure: "bgp with bfd 300x3", event, goneMs, flows: all.length, others: others.length, othersLongestGapMs: worst(others) }));
  // Every node had some, or this tells nothing.
  expect(new Set(all.map(({ node }) => node))).toEqual(new Set(NODES));
  expect(others.filter(({ end }) => end !== undefined)).toEqual([]);
  expect(worst(others)).toBeLessThan(3000);
  return victim;
}

/** Scheduling policies of the threads of a process that are called `vip-bfd`: 2 is SCHED_RR, field 41 of proc_pid_stat(5). */
function policies(pid: number): readonly string[] {
  const stats = readdirSync(`/proc/${pid}/task`).map((thread) => readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8"));
  return stats.filter((stat) => stat.includes("(vip-bfd)")).map((stat) => stat.slice(stat.lastIndexOf(")") + 2).split(" ")[38] ?? "");
}

describe("three nodes behind one router, BGP with BFD 300 ms x 3", () => {
  test("a node that is cut off is no next hop any more, on either side by BFD, and comes back", async () => {
    await allThere();
    expect(policies(cluster.vip("n1").pid)).toEqual(["2"]);
    const victim = await harmed("link cut", async (node) => cluster.lab.cutLan(node));
    await cluster.lab.waitFor(async () => (await peer(victim)).state !== "Established", 5000, "the node to see it");
    expect((await peer(victim)).lastEnd?.reason).toBe("Cease/BFD Down");
    await cluster.lab.healLan(victim);
    await allThere();
  }, 120_000);

  test("a process that hangs is no next hop any more, by BFD, and comes back", async () => {
    await allThere();
    const victim = await harmed("process stopped", (node) => cluster.vip(node).kill("SIGSTOP"));
    cluster.vip(victim).kill("SIGCONT");
    await allThere();
  }, 120_000);

  test("a process that is killed is no next hop any more", async () => {
    await allThere();
    const victim = await harmed("process killed", async (node) => void (await cluster.vip(node).stop("SIGKILL")));
    await cluster.startVip(victim, { env: ENV });
    await allThere();
  }, 120_000);

  test("another router in its place, FRR: the same", async () => {
    await bird.ctl("down");
    await cluster.lab.waitFor(async () => (await nextHops()).length === 0, 30_000, "BIRD to be gone");
    const host = { dir: cluster.lab.dir, spawn: async (name: string, argv: readonly string[]) => LabProcess.start(name, join(cluster.lab.dir, `${name}.log`), argv) };
    const frr = new Frr(host, ROUTER_NS, ["zebra", "bgpd", "bfdd"]);
    await frr.start(routerOf("frr"));
    await allThere();
    const victim = await harmed("link cut, FRR", async (node) => cluster.lab.cutLan(node));
    await cluster.lab.healLan(victim);
    await allThere();
  }, 120_000);
});
