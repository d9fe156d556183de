import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBird } from "./bird.js";
import { Cluster } from "./cluster.js";
import { inNamespace, run } from "./command.js";
import { loadBalancer } from "./kube-client.js";
import { CLIENT_NS } from "./topology.js";

const VIP = "10.88.0.1";
const LATER = "10.88.0.2";
const ENV = { vip_arp: "false", bgp_enable: "true", bgp_as: "64500", bgp_peers: "10.77.0.100:64501", bgp_hold_time: "3" };

/** The router is the client of the lab: it takes routes from every node and puts all next hops into its kernel. */
const BIRD = `
router id 10.77.0.100;
protocol device {}
protocol kernel { merge paths on; ipv4 { export filter { if source = RTS_BGP then accept; reject; }; }; }
protocol bgp nodes { local as 64501; neighbor range 10.77.0.0/24 as 64500; dynamic name "node"; ipv4 { import all; export none; }; }
`;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.bare(3);
  await startBird(cluster.lab, { ns: "client", config: BIRD });
  for (const { name } of cluster.lab.nodes) await cluster.startVip(name, { env: ENV });
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** The next hops that the router's kernel has for an address, in order. */
async function nextHops(address = VIP): Promise<readonly string[]> {
  const { stdout } = await run(inNamespace(CLIENT_NS, ["ip", "route", "show", address]));
  return [...stdout.matchAll(/via (\S+)/g)].map((match) => match[1] ?? "").toSorted();
}

async function untilHops(count: number, ms: number): Promise<void> {
  await cluster.lab.waitFor(async () => (await nextHops()).length === count, ms, `${count} next hops`);
}

describe("BGP mode, from kubectl to the router's kernel", () => {
  test("a Service is announced by every node and written to the status by one; a node that stops, or dies, leaves the others", async () => {
    await cluster.api.client.createService(loadBalancer({ name: "pods", ip: VIP }));
    await untilHops(3, 15_000);
    await cluster.service("pods", 5000, "the address in its status", ({ status }) => status?.loadBalancer?.ingress?.[0]?.ip === VIP);
    await cluster.vip("n1").stop("SIGTERM");
    await untilHops(2, 3000);
    await cluster.vip("n2").stop("SIGKILL");
    await untilHops(1, 5000);
    expect(await nextHops()).toHaveLength(1);
  });

  test("with graceful restart, a process that is killed and started again is a next hop all the time", async () => {
    const { ipv4 } = cluster.lab.node("n1");
    const env = { ...ENV, bgp_graceful_restart: "60" };
    await cluster.startVip("n1", { env });
    await cluster.lab.waitFor(async () => (await nextHops()).includes(ipv4), 15_000, "n1 as next hop");
    await cluster.vip("n1").stop("SIGKILL");
    let looks = 0;
    const missing: (readonly string[])[] = [];
    // What is announced afresh comes after all that was announced before.
    const again = async (): Promise<boolean> => {
      const hops = await nextHops();
      looks += 1;
      if (!hops.includes(ipv4)) missing.push(hops);
      return (await nextHops(LATER)).includes(ipv4);
    };
    await cluster.api.client.createService(loadBalancer({ name: "later", ip: LATER }));
    await cluster.lab.waitFor(async () => (await nextHops(LATER)).length > 0, 15_000, "the new Service, by the others");
    expect(await again()).toBe(false);
    await cluster.startVip("n1", { env });
    await cluster.lab.waitFor(again, 20_000, "n1 as next hop of the new Service");
    expect(looks).toBeGreaterThan(5);
    expect(missing).toEqual([]);
    expect(await nextHops()).toContain(ipv4);
  });
});
