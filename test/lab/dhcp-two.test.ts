import { writeFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Cluster, ingressOf } from "./cluster.js";
import { Dnsmasq } from "./dhcp-servers.js";
import { Kea } from "./kea.js";
import { answers, deploy, expose, shows, told } from "./kubectl-services.js";
import type { Lab } from "./lab.js";
import type { LabProcess } from "./process.js";
import { CLIENT_NS, ROUTER_NS } from "./topology.js";

const PATIENCE = 20_000;

async function given(cluster: Cluster, name: string): Promise<string> {
  const service = await cluster.service(name, PATIENCE, `${name} to have an address`, (s) => ingressOf(s).length > 0);
  return ingressOf(service)[0] ?? "";
}

/** BusyBox' server in the namespace of the router, with leases of 8 s; it keeps none when it is killed. */
async function udhcpd(lab: Lab): Promise<LabProcess> {
  const [config, leases] = [join(lab.dir, "udhcpd.conf"), join(lab.dir, "udhcpd.leases")];
  rmSync(leases, { force: true });
  const lines = ["start 10.77.0.150", "end 10.77.0.159", "interface eth0", `lease_file ${leases}`, `pidfile ${join(lab.dir, "udhcpd.pid")}`, "min_lease 5", "opt lease 8", "opt subnet 255.255.255.0", "opt router 10.77.0.1"];
  writeFileSync(config, `${lines.join("\n")}\n`);
  const server = await lab.spawn(ROUTER_NS, ["udhcpd", "-f", config], { name: "udhcpd" });
  await server.waitFor(/started/);
  return server;
}

test("of two servers the first one goes away: the other one renews the lease, and the address answers all the time", async () => {
  await using cluster = await Cluster.up(2);
  const { lab } = cluster;
  await deploy(cluster, { replicas: 2 });
  const first = await Kea.start(lab, { renew: 3, rebind: 6, valid: 14 });
  await expose(cluster, "web", { ip: "0.0.0.0" });
  const address = await given(cluster, "web");
  const owner = await cluster.heldBy(address, PATIENCE);
  const second = await Dnsmasq.start(lab, { ns: CLIENT_NS });
  const probe = await lab.probe(address);
  await first.stop();
  await second.logged(new RegExp(`DHCPACK\\(eth0\\) ${address.replaceAll(".", "\\.")} `), PATIENCE);
  await answers(cluster, address);
  const { icmp } = await probe.stop();
  expect(icmp.gapMs).toBeLessThan(1000);
  expect(await lab.holders(address)).toEqual([owner]);
  const server = (await lab.exec(CLIENT_NS, ["ip", "-4", "-br", "addr", "show", "dev", "eth0"])).stdout.match(/10\.77\.0\.\d+/)?.[0];
  const status = await lab.exec(owner, [lab.built("vip"), "status", "-o", "json", "--directory", join(lab.dir, owner, "run-vip")]);
  const { processes } = JSON.parse(status.stdout) as { readonly processes: readonly { readonly leases: readonly unknown[] }[] };
  expect(processes[0]?.leases).toMatchObject([{ address, server, state: "bound", services: ["default/web"], askingFor: null }]);
});

test("a server that comes back without its leases, and says nothing to who has one: the lease ends, the VIP goes, and a new lease is taken", async () => {
  await using cluster = await Cluster.up(1);
  const { lab } = cluster;
  await deploy(cluster, { replicas: 1 });
  const before = await udhcpd(lab);
  await expose(cluster, "web", { ip: "0.0.0.0" });
  const address = await given(cluster, "web");
  await before.stop("SIGKILL");
  await udhcpd(lab);
  expect((await told(cluster, "web", "DhcpFailed", PATIENCE)).map(({ message }) => message)).toContain(`the lease of ${address} has ended and no DHCP server has renewed it; asked again for ever`);
  await answers(cluster, await given(cluster, "web"));
});

test("with svc_election each Service has a lease of its own on its owner, which the others take over with the same address", async () => {
  await using cluster = await Cluster.up(2, { env: { svc_election: "true" } });
  const { lab } = cluster;
  await deploy(cluster, { replicas: 2 });
  const server = await Dnsmasq.start(lab);
  const names = ["a", "b", "c", "d"];
  for (const name of names) await expose(cluster, name, { ip: "0.0.0.0" });
  const before = await Promise.all(names.map(async (name) => await given(cluster, name)));
  expect(new Set(before).size).toBe(names.length);
  const holders = await Promise.all(before.map(async (address) => await cluster.heldBy(address, PATIENCE)));
  const lost = holders[0] ?? "";
  await cluster.vip(lost).stop("SIGKILL");
  const heir = lab.nodes.map(({ name }) => name).find((name) => name !== lost) ?? "";
  for (const address of before) await lab.waitFor(async () => (await lab.holders(address)).includes(heir), PATIENCE, `${address} on ${heir}`);
  for (const [i, name] of names.entries()) await shows(cluster, name, [before[i] ?? ""], PATIENCE);
  expect(server.messages().filter((line) => line.startsWith("DHCPRELEASE") || line.startsWith("DHCPDECLINE"))).toEqual([]);
});
