import { afterAll, beforeAll, expect, test } from "vitest";
import { Cluster, ingressOf } from "./cluster.js";
import { Dnsmasq, macvlans } from "./dhcp-servers.js";
import { answers, cleared, deploy, expose, shows, told } from "./kubectl-services.js";

let cluster: Cluster;
let server: Dnsmasq;
let owner: string;

beforeAll(async () => {
  cluster = await Cluster.up(2);
  await deploy(cluster, { replicas: 2 });
  server = await Dnsmasq.start(cluster.lab, { range: ["10.77.0.130", "10.77.0.249"] });
  owner = await cluster.owner();
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

async function given(name: string, ms = 20_000): Promise<string> {
  const service = await cluster.service(name, ms, `${name} to have an address`, (s) => ingressOf(s).length > 0);
  return ingressOf(service)[0] ?? "";
}

async function gone(): Promise<void> {
  await cleared(cluster, []);
  await cluster.lab.waitFor(async () => (await macvlans(cluster.lab, owner)).length === 0, 10_000, "no macvlan");
}

async function sysctl(name: string, value?: string): Promise<string> {
  const { stdout } = await cluster.lab.exec(owner, ["sysctl", "-n", ...(value === undefined ? [name] : ["-w", `${name}=${value}`])]);
  return stdout.trim();
}

test.each(["0", "1"])("rp_filter %s on all links of the node: the address answers, and the sysctls of its link are set", async (all) => {
  await sysctl("net.ipv4.conf.all.rp_filter", all);
  await expose(cluster, "filtered", { ip: "0.0.0.0" });
  const address = await given("filtered");
  await answers(cluster, address);
  const [link] = await macvlans(cluster.lab, owner);
  const conf = await Promise.all(["rp_filter", "arp_ignore", "arp_announce"].map(async (name) => await sysctl(`net.ipv4.conf.${link?.name}.${name}`)));
  expect(conf).toEqual(["2", "1", "2"]);
  const { stdout } = await cluster.lab.exec(owner, ["ip", "-6", "-br", "addr", "show", "dev", link?.name ?? ""]);
  expect(stdout).toBe("");
  await gone();
  await sysctl("net.ipv4.conf.all.rp_filter", "0");
});

test("Services that name one link share it and one address, which is given back with the last of them", async () => {
  const annotations = { "kube-vip.io/macvlanName": "shared0", "kube-vip.io/hwaddr": "02:00:00:00:0a:01" };
  await expose(cluster, "one", { ip: "0.0.0.0", annotations });
  const address = await given("one");
  await expose(cluster, "two", { ip: "0.0.0.0", port: 9001, annotations: { "kube-vip.io/macvlanName": "shared0" } });
  expect(await given("two")).toBe(address);
  expect(await macvlans(cluster.lab, owner)).toEqual([{ name: "shared0", mac: "02:00:00:00:0a:01" }]);
  await cluster.service("two", 1000, "the MAC in its annotation", (s) => s.metadata.annotations?.["kube-vip.io/hwaddr"] === "02:00:00:00:0a:01");
  const releases = (): number => server.messages().filter((line) => line.startsWith("DHCPRELEASE")).length;
  const before = releases();
  await cluster.kubectl(["delete", "service", "one"]);
  await shows(cluster, "two", [address]);
  await cluster.heldBy(address, 1000, owner);
  expect(releases()).toBe(before);
  await cluster.kubectl(["delete", "service", "two"]);
  await cluster.lab.waitFor(() => releases() > before, 2000, "a release");
  await gone();
});

test("a pool that is 0.0.0.0/32, as kube-vip-cloud-provider has it: a Service that names no address gets its own by DHCP, and keeps it when the pool changes", async () => {
  await cluster.api.client.putConfigMap("kubevip", { "cidr-global": "0.0.0.0/32" });
  await expose(cluster, "pooled");
  const address = await given("pooled");
  expect(server.leases().has(address)).toBe(true);
  await answers(cluster, address);
  await cluster.api.client.putConfigMap("kubevip", { "range-global": "10.77.0.120-10.77.0.121" });
  await expose(cluster, "ranged");
  await shows(cluster, "ranged", ["10.77.0.120"], 20_000);
  expect(await given("pooled")).toBe(address);
  await gone();
  await cluster.api.client.deleteConfigMap("kubevip");
});

test("an address that somebody has already is declined, and another one is taken", async () => {
  const annotations = { "kube-vip.io/hwaddr": "02:00:00:00:0a:02" };
  // The server chooses by the MAC: what this one gets, it gets again.
  await expose(cluster, "first", { ip: "0.0.0.0", annotations });
  const taken = await given("first");
  await gone();
  await cluster.lab.exec("client", ["ip", "addr", "add", `${taken}/32`, "dev", "eth0"]);
  await expose(cluster, "second", { ip: "0.0.0.0", annotations });
  const mac = await cluster.lab.mac("lab-cl");
  const events = await told(cluster, "second", "DhcpFailed");
  expect(events.map(({ message }) => message)).toEqual([`${taken}, given by DHCP server 10.77.0.1, is in use by ${mac}: declined; asked again for ever`]);
  expect(server.messages()).toContain(`DHCPDECLINE ${taken} 02:00:00:00:0a:02`);
  // RFC 2131 3.1.5: after ten seconds.
  const other = await given("second", 15_000);
  expect(other).not.toBe(taken);
  await answers(cluster, other);
  await cluster.lab.exec("client", ["ip", "addr", "del", `${taken}/32`, "dev", "eth0"]);
  await gone();
});
