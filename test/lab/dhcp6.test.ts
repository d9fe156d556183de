import { expect, test } from "vitest";
import { Cluster, ingressOf } from "./cluster.js";
import { Dnsmasq, macvlans } from "./dhcp-servers.js";
import { answers, deploy, expose, told } from "./kubectl-services.js";

const RANGE6 = /^fd77::1:1[5-9][0-9a-f]$/;
const RANGE4 = /^10\.77\.0\.1[5-9]\d$/;
/** Stateful DHCPv6 beside DHCPv4, where the pods serve. */
const DHCP6 = ["dhcp-range=fd77::1:150,fd77::1:199,64,120"];
const IPV6 = { ipFamilies: ["IPv6"], ipFamilyPolicy: "SingleStack" };

/** A cluster with pods behind kube-proxy, and a dnsmasq for both families. */
async function withDnsmasq(): Promise<{ readonly cluster: Cluster; readonly server: Dnsmasq }> {
  const cluster = await Cluster.up(3);
  try {
    await deploy(cluster, { replicas: 3 });
    return { cluster, server: await Dnsmasq.start(cluster.lab, { more: DHCP6 }) };
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

test("a Service on :: gets its address by DHCPv6, answers there, keeps it through a failover, and gives it back when it is deleted", async () => {
  const { cluster, server } = await withDnsmasq();
  await using _cluster = cluster;
  const { lab } = cluster;
  const began = lab.now();
  await expose(cluster, "web6", { ip: "::", spec: IPV6, annotations: { "kube-vip.io/loadbalancerHostname": "mydhcp6-test" } });
  const service = await cluster.service("web6", 20_000, "web6 to have an address", (s) => RANGE6.test(ingressOf(s)[0] ?? ""));
  const [address = ""] = ingressOf(service);
  process.stdout.write(`${JSON.stringify({ figure: "kubectl expose to address by DHCPv6 in status", ms: Math.round(lab.now() - began) })}\n`);
  await answers(cluster, address);
  expect((await lab.exec("client", ["ping", "-6", "-c", "1", "-W", "2", address])).code).toBe(0);

  const owner = await cluster.heldBy(address, 1000);
  const [link] = await macvlans(lab, owner);
  const duid = `00:04:${(service.metadata.uid ?? "").replaceAll("-", "").replaceAll(/..(?=.)/g, "$&:")}`;
  expect(server.leases().get(address)).toMatchObject({ hostname: "mydhcp6-test", clientId: duid });
  const held = await cluster.api.client.service("web6");
  expect(held.metadata.annotations).toMatchObject({ "kube-vip.io/requestedIP": address, "kube-vip.io/hwaddr": link?.mac, "kube-vip.io/vipHost": owner });
  expect((await told(cluster, "web6", "DhcpLease")).map((event) => event.message)).toEqual([expect.stringMatching(new RegExp(`^${address} is leased from DHCPv6 server fe80::\\S+ as mydhcp6-test \\(MAC ${link?.mac} on ${link?.name}\\)$`))]);
  const kept = (await lab.addresses(owner, link?.name)).find(({ local }) => local === address);
  expect(kept).toMatchObject({ prefixlen: 128 });
  expect(kept?.validLifetime).toBeLessThan(10);
  // Neighbor Discovery leads to the macvlan, and to nothing else of that node.
  const neighbour = await lab.exec("client", ["ip", "-6", "neigh", "show", address]);
  expect(neighbour.stdout).toContain(`lladdr ${link?.mac}`);

  cluster.vip(owner).kill("SIGKILL");
  const heir = await lab.waitFor(async () => (await lab.holders(address)).find((node) => node !== owner), 20_000, `${address} on another node`);
  await cluster.service("web6", 20_000, "the heir in the annotation", (s) => s.metadata.annotations?.["kube-vip.io/vipHost"] === heir);
  expect(server.messages().filter((line) => /^DHCP(RELEASE|DECLINE)/.test(line))).toEqual([]);
  await answers(cluster, address);

  await cluster.kubectl(["delete", "service", "web6"]);
  await server.logged(new RegExp(`DHCPRELEASE\\(eth0\\) ${duid}`), 20_000);
  await cluster.free(address, 5000);
  await lab.waitFor(async () => (await macvlans(lab, heir)).length === 0, 5000, "no macvlan");
  await lab.waitFor(async () => !server.leases().has(address), 5000, "no lease");
});

test("a Service on 0.0.0.0,:: gets an address of each family on one link, and asks for both again after a restart", async () => {
  const { cluster, server } = await withDnsmasq();
  await using _cluster = cluster;
  const { lab } = cluster;
  await expose(cluster, "both", { spec: { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "RequireDualStack" }, annotations: { "kube-vip.io/loadbalancerIPs": "0.0.0.0,::" } });
  const service = await cluster.service("both", 20_000, "both to have two addresses", (s) => ingressOf(s).length === 2);
  const [ipv4 = "", ipv6 = ""] = ingressOf(service);
  expect([RANGE4.test(ipv4), RANGE6.test(ipv6)]).toEqual([true, true]);
  await answers(cluster, ipv4);
  await answers(cluster, ipv6);
  const owner = await cluster.heldBy(ipv6, 2000);
  const links = await macvlans(lab, owner);
  expect(links).toHaveLength(1);
  const { annotations } = (await cluster.api.client.service("both")).metadata;
  expect(annotations?.["kube-vip.io/requestedIP"]).toBe(`${ipv4},${ipv6}`);

  await Promise.all(lab.nodes.map(async ({ name }) => await cluster.vip(name).stop()));
  await lab.waitFor(async () => (await lab.holders(ipv6)).length === 0, 10_000, "nobody with the address");
  await Promise.all(lab.nodes.map(async ({ name }) => await cluster.startVip(name)));
  await cluster.heldBy(ipv4, 20_000);
  await cluster.heldBy(ipv6, 20_000);
  expect(server.messages().filter((line) => /^DHCP(RELEASE|DECLINE|NAK)/.test(line))).toEqual([]);

  await cluster.kubectl(["delete", "service", "both"]);
  await cluster.free(ipv4, 10_000);
  await cluster.free(ipv6, 10_000);
  await lab.waitFor(async () => server.leases().size === 0, 10_000, "no leases");
});
