import { expect, test } from "vitest";
import { Cluster, ingressOf } from "./cluster.js";
import { Dnsmasq, macvlans } from "./dhcp-servers.js";
import { annotate, answers, deploy, expose, shows, told } from "./kubectl-services.js";

const RANGE = /^10\.77\.0\.1[5-9]\d$/;

/** A cluster with pods behind kube-proxy, and a dnsmasq. */
async function withDnsmasq(): Promise<{ readonly cluster: Cluster; readonly server: Dnsmasq }> {
  const cluster = await Cluster.up(3);
  try {
    await deploy(cluster, { replicas: 3 });
    return { cluster, server: await Dnsmasq.start(cluster.lab) };
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

/** The address that the Service was given; waits for it. */
async function given(cluster: Cluster, name: string, ms = 20_000): Promise<string> {
  const service = await cluster.service(name, ms, `${name} to have an address`, (s) => RANGE.test(ingressOf(s)[0] ?? ""));
  return ingressOf(service)[0] ?? "";
}

test("a Service on 0.0.0.0 gets its address from the network's DHCP server, answers there, keeps it through a failover, and gives it back when it is deleted", async () => {
  const { cluster, server } = await withDnsmasq();
  await using _cluster = cluster;
  const { lab } = cluster;
  const began = lab.now();
  await expose(cluster, "nginx-dhcp", { ip: "0.0.0.0", annotations: { "kube-vip.io/loadbalancerHostname": "mydhcp-test" } });
  const address = await given(cluster, "nginx-dhcp");
  const ms = Math.round(lab.now() - began);
  process.stdout.write(`${JSON.stringify({ figure: "kubectl expose to address by DHCP in status", ms })}\n`);
  await answers(cluster, address);
  expect((await lab.exec("client", ["ping", "-c", "1", "-W", "2", address])).code).toBe(0);

  const owner = await cluster.heldBy(address, 1000);
  const [link] = await macvlans(lab, owner);
  expect(link?.name).toMatch(/^vip-[0-9a-f]{11}$/);
  expect(server.leases().get(address)).toEqual({ mac: link?.mac, hostname: "mydhcp-test", clientId: `01:${link?.mac}` });
  const service = await cluster.api.client.service("nginx-dhcp");
  expect(service.spec?.["loadBalancerIP"]).toBe("0.0.0.0");
  expect(service.metadata.annotations).toMatchObject({ "kube-vip.io/requestedIP": address, "kube-vip.io/hwaddr": link?.mac, "kube-vip.io/vipHost": owner });
  expect((await told(cluster, "nginx-dhcp", "DhcpLease")).map((event) => event.message)).toEqual([`${address} is leased from DHCP server 10.77.0.1 as mydhcp-test (MAC ${link?.mac} on ${link?.name})`]);
  const held = (await lab.addresses(owner, link?.name)).find(({ local }) => local === address);
  expect(held).toMatchObject({ prefixlen: 32, scope: "host" });
  expect(held?.validLifetime).toBeLessThan(10);

  // The owner is killed: the next one asks for the same address by INIT-REBOOT, and gets it.
  cluster.vip(owner).kill("SIGKILL");
  const heir = await lab.waitFor(async () => (await lab.holders(address)).find((node) => node !== owner), 12_000, `${address} on another node`);
  await cluster.service("nginx-dhcp", 3000, "the heir in the annotation", (s) => s.metadata.annotations?.["kube-vip.io/vipHost"] === heir);
  expect(server.leases().get(address)?.mac).toBe(link?.mac);
  expect(server.messages().filter((line) => line.startsWith("DHCPRELEASE") || line.startsWith("DHCPDECLINE"))).toEqual([]);
  await answers(cluster, address);
  expect((await macvlans(lab, heir))[0]).toEqual(link);

  // The dead one comes back, and takes away what it left.
  await cluster.startVip(owner);
  await lab.waitFor(async () => (await macvlans(lab, owner)).length === 0, 5000, "no macvlan on the node that came back");

  await cluster.kubectl(["delete", "service", "nginx-dhcp"]);
  await server.logged(new RegExp(`DHCPRELEASE\\(eth0\\) ${address.replaceAll(".", "\\.")} ${link?.mac}`));
  await cluster.free(address, 2000);
  await lab.waitFor(async () => (await macvlans(lab, heir)).length === 0, 2000, "no macvlan");
  expect(server.leases().has(address)).toBe(false);
});

test("without a DHCP server nothing else waits, an Event tells, and the address comes when there is one", async () => {
  await using cluster = await Cluster.up(2);
  const { lab } = cluster;
  await deploy(cluster, { replicas: 2 });
  await expose(cluster, "silent", { ip: "0.0.0.0" });
  const owner = await cluster.owner();
  await lab.waitFor(async () => (await macvlans(lab, owner)).length === 1, 2000, "a macvlan");
  const began = lab.now();
  await expose(cluster, "other", { ip: "10.77.0.200" });
  await shows(cluster, "other", ["10.77.0.200"]);
  expect(lab.now() - began).toBeLessThan(3000);
  const server = await Dnsmasq.start(lab);
  const address = await given(cluster, "silent", 20_000);
  await answers(cluster, address);
  expect(server.leases().has(address)).toBe(true);
  // Another address from now on: the one by DHCP is given back.
  await annotate(cluster, "silent", "kube-vip.io/loadbalancerIPs=10.77.0.201");
  await server.logged(/DHCPRELEASE/);
  await shows(cluster, "silent", ["10.77.0.201"]);
  await lab.waitFor(async () => (await macvlans(lab, owner)).length === 0, 2000, "no macvlan");
});
