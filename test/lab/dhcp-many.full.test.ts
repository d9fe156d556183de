import { expect, test } from "vitest";
import { Cluster, ingressOf } from "./cluster.js";
import { Dnsmasq, macvlans } from "./dhcp-servers.js";
import { loadBalancer } from "./kube-client.js";
import { answers, cleared, deploy } from "./kubectl-services.js";

const MANY = 100;

test(`${MANY} Services that ask for an address by DHCP at once: each gets its own, and gives it back`, async () => {
  await using cluster = await Cluster.up(2);
  await deploy(cluster, { replicas: 2 });
  const server = await Dnsmasq.start(cluster.lab, { range: ["10.77.0.130", "10.77.0.249"] });
  const { client } = cluster.api;
  const began = cluster.lab.now();
  await Promise.all(Array.from({ length: MANY }, async (_, n) => await client.createService(loadBalancer({ name: `many-${n}`, ip: "0.0.0.0" }))));
  await cluster.lab.waitFor(async () => (await client.services()).filter((s) => s.metadata.name.startsWith("many-") && ingressOf(s).length > 0).length === MANY, 40_000, `${MANY} addresses`);
  process.stdout.write(`${JSON.stringify({ figure: `${MANY} Services by DHCP, created to all in status`, ms: Math.round(cluster.lab.now() - began) })}\n`);
  const services = (await client.services()).filter((s) => s.metadata.name.startsWith("many-"));
  const addresses = new Set(services.map((s) => ingressOf(s)[0] ?? ""));
  expect(addresses.size).toBe(MANY);
  expect(addresses.difference(new Set(server.leases().keys())).size).toBe(0);
  await Promise.all([...addresses].slice(0, 5).map(async (address) => await answers(cluster, address)));
  await cleared(cluster, []);
  await cluster.lab.waitFor(async () => (await Promise.all(cluster.lab.nodes.map(async ({ name }) => await macvlans(cluster.lab, name)))).flat().length === 0, 10_000, "no macvlan");
  await cluster.lab.waitFor(() => server.leases().size === 0, 3000, "all leases to be given back");
});
