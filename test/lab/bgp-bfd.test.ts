import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { startBird, type BirdDaemon } from "./bird.js";
import { Cluster } from "./cluster.js";
import { startFlows, type Flow } from "./flows.js";
import { exampleOf, guide } from "./guide.js";
import { loadBalancer } from "./kube-client.js";
import { ROUTER_NS } from "./topology.js";
import { monotonicMs } from "./wait.js";

const VIP = "10.99.0.200";
const NODES = ["n1", "n2", "n3"] as const;
/** In the middle of the router's next hops: those before and after it keep their flows when a hash is spread over fewer of them (net/ipv4/fib_semantics.c). */
const VICTIM = "n2";
const ENV = { vip_arp: "false", bgp_enable: "true", bgp_as: "64500", bgp_peers: "10.77.0.1:64501", bgp_bfd: "300x3", bgp_hold_time: "30" };
/** Without BFD, only the hold time of 30 s would tell. */
const BOUND_MS = 5000;

/** The router between the client and the nodes, as the guide has it. */
const ROUTER = exampleOf(guide("bgp.md"), "bird.conf of the router").replaceAll("192.0.2.", "10.77.0.");

let cluster: Cluster;
let bird: BirdDaemon;

beforeAll(async () => {
  cluster = await Cluster.bare(NODES.length);
  const { lab } = cluster;
  // By ports, as routers do; the client is to come by this router, although it is on the same network as the nodes.
  await lab.exec(ROUTER_NS, ["sh", "-ec", "cd /proc/sys/net/ipv4; echo 1 >fib_multipath_hash_policy; for d in all eth0; do echo 0 >conf/$d/send_redirects; done"]);
  bird = await startBird(lab, { ns: ROUTER_NS, config: ROUTER });
  for (const name of NODES) await cluster.startVip(name, { env: ENV });
  await cluster.api.client.createService(loadBalancer({ name: "pods", ip: VIP }));
}, 40_000);
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});
afterEach(async () => {
  await cluster.lab.healLan(VICTIM);
});

/** The next hops that the router's kernel has for the VIP, by node, in its order. */
async function nextHops(): Promise<readonly string[]> {
  const { stdout } = await cluster.lab.exec(ROUTER_NS, ["ip", "route", "show", VIP]);
  const addresses = [...stdout.matchAll(/via (\S+)/g)].map((match) => match[1]);
  return addresses.flatMap((address) => cluster.lab.nodes.filter(({ ipv4 }) => ipv4 === address).map(({ name }) => name));
}

/** All three next hops, and BFD up on both sides of each session. */
async function allThere(): Promise<void> {
  await cluster.lab.waitFor(async () => ((await nextHops()).join() === NODES.join() ? true : { ok: false, hops: await nextHops() }), 30_000, "three next hops");
  await cluster.lab.waitFor(async () => [...(await bird.ctl("show bfd sessions")).matchAll(/^10\.77\.0\.\d+ +eth0 +Up /gm)].length === NODES.length, 30_000, "three BFD sessions at the router");
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

/** Starts flows, harms the victim, and waits until the router sends nothing to it; then flows to the other nodes must be as they were. */
async function harmed(event: string, harm: () => void | Promise<void>): Promise<void> {
  await using flows = await startFlows(cluster.lab, VIP, { count: 30 });
  const start = monotonicMs();
  await harm();
  await cluster.lab.waitFor(async () => !(await nextHops()).includes(VICTIM), BOUND_MS, `the next hop ${VICTIM} to be gone`);
  const goneMs = Math.round(monotonicMs() - start);
  expect(await nextHops()).toEqual(NODES.filter((name) => name !== VICTIM));
  // Over the new next hops for a while.
  await cluster.lab.waitFor(() => monotonicMs() - start > goneMs + 500, 5000, "half a second more");
  const all = await flows.stop();
  const others = all.filter(({ node }) => node !== VICTIM);
  const worst = (some: readonly Flow[]): number => Math.round(Math.max(...some.map(({ longestGapMs }) => longestGapMs)));
  console.log(JSON.stringify({ figure: "bgp with bfd 300x3", event, goneMs, flows: all.length, others: others.length, othersLongestGapMs: worst(others) }));
  // Every node had some, or this tells nothing.
  expect(new Set(all.map(({ node }) => node))).toEqual(new Set(NODES));
  expect(others.filter(({ end }) => end !== undefined)).toEqual([]);
  expect(worst(others)).toBeLessThan(1000);
}

describe("three nodes behind one router, BGP with BFD 300 ms x 3", () => {
  test("a node that is cut off is no next hop any more, on either side by BFD, and comes back", async () => {
    await allThere();
    await harmed("link cut", async () => cluster.lab.cutLan(VICTIM));
    await cluster.lab.waitFor(async () => (await peer(VICTIM)).state !== "Established", 5000, "the node to see it");
    const { lastEnd } = await peer(VICTIM);
    expect(lastEnd?.reason).toBe("Cease/BFD Down");
    await cluster.lab.healLan(VICTIM);
    await allThere();
  }, 120_000);

  test("a process that hangs is no next hop any more, by BFD, and comes back", async () => {
    await allThere();
    try {
      await harmed("process stopped", () => cluster.vip(VICTIM).kill("SIGSTOP"));
    } finally {
      cluster.vip(VICTIM).kill("SIGCONT");
    }
    await allThere();
  }, 120_000);

  test("a process that is killed is no next hop any more", async () => {
    await allThere();
    await harmed("process killed", async () => void (await cluster.vip(VICTIM).stop("SIGKILL")));
  }, 120_000);
});
