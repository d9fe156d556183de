import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Cluster, ingressOf } from "./cluster.js";
import { Dnsmasq, macvlans } from "./dhcp-servers.js";
import { Kea } from "./kea.js";
import { loadBalancer, type KubeService } from "./kube-client.js";
import { answers, cleared, deploy } from "./kubectl-services.js";
import type { Lab } from "./lab.js";

const MANY = 100;
const RANGE = ["10.77.0.130", "10.77.0.249"] as const;

interface Server {
  leases(): ReadonlyMap<string, unknown> | Promise<ReadonlyMap<string, unknown>>;
}

const SERVERS: readonly (readonly [name: string, start: (lab: Lab) => Promise<Server>])[] = [
  ["dnsmasq", async (lab) => await Dnsmasq.start(lab, { range: RANGE })],
  ["Kea", async (lab) => await Kea.start(lab, { renew: 60, rebind: 90, valid: 120 }, { range: RANGE })],
];

test.each(SERVERS)(`${MANY} Services that ask for an address by DHCP at once, of %s: each gets its own, and gives it back`, async (name, start) => {
  await using cluster = await Cluster.up(2);
  await deploy(cluster, { replicas: 2 });
  const server = await start(cluster.lab);
  const { client } = cluster.api;
  const vip = cluster.vip(await cluster.owner());
  const [began, cpu] = [cluster.lab.now(), vip.cpuMs()];
  await Promise.all(Array.from({ length: MANY }, async (_, n) => await client.createService(loadBalancer({ name: `many-${n}`, ip: "0.0.0.0" }))));
  const created = cluster.lab.now();
  const served = async (): Promise<readonly KubeService[]> => {
    // Asked less often than every 10 ms: a list of a hundred Services is work for a machine of two cores.
    await sleep(50);
    return (await client.services()).filter((s) => s.metadata.name.startsWith("many-") && ingressOf(s).length > 0);
  };
  const services = await cluster.lab.waitFor(async () => {
    const now = await served();
    return now.length === MANY ? now : undefined;
  }, 40_000, `${MANY} addresses`);
  // How long it takes depends on what else the machine does, the CPU time of the node that holds them hardly.
  process.stdout.write(`${JSON.stringify({ figure: `${MANY} Services by DHCP of ${name}, created to all in status`, ms: Math.round(cluster.lab.now() - began), creatingMs: Math.round(created - began), cpuMs: vip.cpuMs() - cpu })}\n`);
  const addresses = new Set(services.map((s) => ingressOf(s)[0] ?? ""));
  expect(addresses.size).toBe(MANY);
  expect(addresses.difference(new Set((await server.leases()).keys())).size).toBe(0);
  await Promise.all([...addresses].slice(0, 5).map(async (address) => await answers(cluster, address)));
  const ending = cluster.lab.now();
  await cleared(cluster, []);
  await cluster.lab.waitFor(async () => (await Promise.all(cluster.lab.nodes.map(async ({ name: node }) => await macvlans(cluster.lab, node)))).flat().length === 0, 20_000, "no macvlan");
  await cluster.lab.waitFor(async () => (await server.leases()).size === 0, 5000, "all leases to be given back");
  process.stdout.write(`${JSON.stringify({ figure: `${MANY} Services by DHCP of ${name}, deleted to all links gone and leases given back`, ms: Math.round(cluster.lab.now() - ending) })}\n`);
});
