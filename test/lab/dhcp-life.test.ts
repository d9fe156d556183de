import { afterAll, beforeAll, expect, test } from "vitest";
import { Cluster, ingressOf } from "./cluster.js";
import { macvlans } from "./dhcp-servers.js";
import { Kea } from "./kea.js";
import { answers, cleared, deploy, expose, shows, told } from "./kubectl-services.js";

let cluster: Cluster;
let owner: string;

beforeAll(async () => {
  cluster = await Cluster.up(2);
  await deploy(cluster, { replicas: 2 });
  owner = await cluster.owner();
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

async function given(name: string, ms = 20_000): Promise<string> {
  const service = await cluster.service(name, ms, `${name} to have an address`, (s) => ingressOf(s).length > 0);
  return ingressOf(service)[0] ?? "";
}

/** Waits until the server has heard of the lease once more. */
async function renewed(kea: Kea, address: string, ms: number): Promise<void> {
  const before = (await kea.leases()).get(address)?.cltt ?? 0;
  await cluster.lab.waitFor(async () => ((await kea.leases()).get(address)?.cltt ?? 0) > before, ms, `${address} to be renewed`);
}

async function gone(): Promise<void> {
  await cleared(cluster, []);
  await cluster.lab.waitFor(async () => (await macvlans(cluster.lab, owner)).length === 0, 3000, "no macvlan");
}

test("Kea, leases of 8 s: renewed by unicast; where that is lost, by broadcast; the address is there all the time, and given back in the end", async () => {
  const { lab } = cluster;
  const kea = await Kea.start(lab, { renew: 2, rebind: 4, valid: 8 });
  await expose(cluster, "kea", { ip: "0.0.0.0", annotations: { "kube-vip.io/loadbalancerHostname": "kea-test" } });
  const address = await given("kea");
  await cluster.heldBy(address, 1000, owner);
  const [link] = await macvlans(lab, owner);
  expect((await kea.leases()).get(address)).toMatchObject({ "hw-address": link?.mac, "client-id": `01:${link?.mac}`, hostname: "kea-test" });
  const probe = await lab.probe(address);
  // By broadcast nothing gets through: what is renewed is renewed by unicast.
  const noBroadcast = await lab.drop({ network: "lan", to: "rt", match: "ether daddr ff:ff:ff:ff:ff:ff udp dport 67" });
  await renewed(kea, address, 4000);
  await renewed(kea, address, 4000);
  await noBroadcast();
  const noUnicast = await lab.drop({ network: "lan", to: "rt", match: "ip daddr 10.77.0.1 udp dport 67" });
  await renewed(kea, address, 7000);
  await noUnicast();
  await renewed(kea, address, 4000);
  const { icmp } = await probe.stop();
  expect(icmp.gapMs).toBeLessThan(500);
  expect(icmp.silentAtEndMs).toBeLessThan(500);
  expect(await lab.holders(address)).toEqual([owner]);
  await gone();
  await lab.waitFor(async () => !(await kea.leases()).has(address), 2000, "the lease to be given back");
  await kea.stop();
});

test("a lease that nobody renews takes the VIP down, and its address comes back with the server; refused, it moves to another", async () => {
  const { lab } = cluster;
  const first = await Kea.start(lab, { renew: 2, rebind: 3, valid: 4 });
  await expose(cluster, "expiry", { ip: "0.0.0.0" });
  const address = await given("expiry");
  await cluster.heldBy(address, 1000, owner);
  await first.stop();
  await cluster.free(address, 6000);
  await shows(cluster, "expiry", [], 3000);
  expect((await told(cluster, "expiry", "DhcpFailed")).map(({ message }) => message)).toContain(`the lease of ${address} has ended and no DHCP server has renewed it; asked again for ever`);
  const second = await Kea.start(lab, { renew: 2, rebind: 4, valid: 8 });
  await shows(cluster, "expiry", [address], 12_000);
  // Another client has the address now: the server says NAK.
  await second.command("lease4-del", { "ip-address": address });
  await second.command("lease4-add", { "ip-address": address, "hw-address": "02:00:00:00:00:66", "subnet-id": 1, "valid-lft": 600 });
  const moved = await cluster.service("expiry", 8000, "another address", (s) => ingressOf(s).length === 1 && ingressOf(s)[0] !== address);
  const other = ingressOf(moved)[0] ?? "";
  await cluster.free(address, 1000);
  await answers(cluster, other);
  await cluster.service("expiry", 1000, "the address to be remembered", (s) => s.metadata.annotations?.["kube-vip.io/requestedIP"] === other);
  await gone();
  await second.stop();
});
