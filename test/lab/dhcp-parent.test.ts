import { join } from "node:path";
import { expect, test } from "vitest";
import { Cluster, ingressOf } from "./cluster.js";
import { Dnsmasq, macvlans } from "./dhcp-servers.js";
import { answers, deploy, expose, told } from "./kubectl-services.js";

const PATIENCE = 20_000;

/** A cluster of two with pods and a dnsmasq, and the node that holds the Services. */
async function start(env: Readonly<Record<string, string>>): Promise<{ readonly cluster: Cluster; readonly owner: string }> {
  const cluster = await Cluster.up(2, { env });
  try {
    await deploy(cluster, { replicas: 2 });
    await Dnsmasq.start(cluster.lab);
    return { cluster, owner: await cluster.owner() };
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
}

async function given(cluster: Cluster, name: string): Promise<string> {
  const service = await cluster.service(name, PATIENCE, `${name} to have an address`, (s) => ingressOf(s).length > 0);
  return ingressOf(service)[0] ?? "";
}

/** The MACs that answer ARP requests for an address, asked every 20 ms for as long as a few pings take. */
async function macsOf(cluster: Cluster, address: string): Promise<readonly string[]> {
  const asking = await cluster.lab.answerers([address]);
  expect((await cluster.lab.exec("client", ["ping", "-c", "5", "-i", "0.1", address])).code).toBe(0);
  const [seen] = (await asking.stop()).perVip;
  expect(seen?.answeredRounds).toBeGreaterThan(5);
  return Object.keys(seen?.macs ?? {}).toSorted();
}

async function arpOf(cluster: Cluster, node: string): Promise<readonly string[]> {
  const { stdout } = await cluster.lab.exec(node, ["sysctl", "-n", "net.ipv4.conf.eth0.arp_ignore", "net.ipv4.conf.eth0.arp_announce"]);
  return stdout.trim().split("\n");
}

test("without dhcp_manage_parent the link below answers for the address, too: nothing is changed there, and an Event says what to set", async () => {
  const { cluster, owner } = await start({});
  await using _cluster = cluster;
  await expose(cluster, "web", { ip: "0.0.0.0" });
  const address = await given(cluster, "web");
  const [link] = await macvlans(cluster.lab, owner);
  const parent = await cluster.lab.mac(owner);
  expect(await macsOf(cluster, address)).toEqual([link?.mac ?? "", parent].toSorted());
  expect(await arpOf(cluster, owner)).toEqual(["0", "0"]);
  const sysctl = "net.ipv4.conf.eth0";
  expect((await told(cluster, "web", "ParentAnswers")).map(({ message }) => message)).toEqual([
    `eth0 answers ARP for the address, too, with its own MAC (${sysctl}.arp_ignore is 0, ${sysctl}.arp_announce is 0): set them to 1 and 2, or dhcp_manage_parent to true`,
  ]);
});

test("with dhcp_manage_parent the macvlan alone answers; the link below is put back with the last Service, and by vip cleanup after a crash", async () => {
  const { cluster, owner } = await start({ dhcp_manage_parent: "true" });
  await using _cluster = cluster;
  const { lab } = cluster;
  await expose(cluster, "web", { ip: "0.0.0.0" });
  const address = await given(cluster, "web");
  const [link] = await macvlans(lab, owner);
  expect(await macsOf(cluster, address)).toEqual([link?.mac]);
  await answers(cluster, address);
  expect(await arpOf(cluster, owner)).toEqual(["1", "2"]);
  expect((await cluster.api.client.events()).filter(({ reason }) => reason === "ParentAnswers")).toEqual([]);
  await cluster.kubectl(["delete", "service", "web"]);
  await lab.waitFor(async () => (await arpOf(cluster, owner)).join() === "0,0", PATIENCE, "arp_ignore and arp_announce as before");

  await expose(cluster, "again", { ip: "0.0.0.0" });
  await given(cluster, "again");
  expect(await arpOf(cluster, owner)).toEqual(["1", "2"]);
  for (const { name } of lab.nodes) await cluster.vip(name).stop("SIGKILL");
  const cleanup = await lab.exec(owner, [lab.built("vip"), "cleanup", "--yes", "--directory", join(lab.dir, owner, "run-vip")]);
  expect(cleanup.stdout).toMatch(/^removed link vip-/m);
  expect(await macvlans(lab, owner)).toEqual([]);
  expect(await arpOf(cluster, owner)).toEqual(["0", "0"]);
});
