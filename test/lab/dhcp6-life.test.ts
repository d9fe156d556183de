import { afterAll, beforeAll, expect, test } from "vitest";
import { Cluster, ingressOf } from "./cluster.js";
import { Dnsmasq, macvlans } from "./dhcp-servers.js";
import { Kea } from "./kea.js";
import { answers, cleared, deploy, expose, shows, told } from "./kubectl-services.js";
import { CLIENT_NS } from "./topology.js";

const PATIENCE = 20_000;
const IPV6 = { ipFamilies: ["IPv6"], ipFamilyPolicy: "SingleStack" };

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

async function given(name: string, ms = PATIENCE): Promise<string> {
  const service = await cluster.service(name, ms, `${name} to have an address`, (s) => ingressOf(s).length > 0);
  return ingressOf(service)[0] ?? "";
}

/** Waits until the server has heard of the lease once more. */
async function renewed(kea: Kea, address: string): Promise<void> {
  const before = (await kea.leases()).get(address)?.cltt ?? 0;
  await cluster.lab.waitFor(async () => ((await kea.leases()).get(address)?.cltt ?? 0) > before, PATIENCE, `${address} to be renewed`);
}

/** Deletes all Services, and waits until their links are gone. */
async function gone(): Promise<void> {
  await cleared(cluster, []);
  await cluster.lab.waitFor(async () => (await macvlans(cluster.lab, owner)).length === 0, PATIENCE, "no macvlan");
}

test("Kea, leases of 12 s: name and DUID are written down, the lease is renewed; with that server gone another one is told by Rebind; given back in the end", async () => {
  const { lab } = cluster;
  const kea = await Kea.start(lab, { renew: 2, rebind: 5, valid: 12 }, { family: 6 });
  await expose(cluster, "web", { ip: "::", spec: IPV6, annotations: { "kube-vip.io/loadbalancerHostname": "kea6-test" } });
  const address = await given("web");
  expect(address).toMatch(/^fd77::1:15\d$/);
  const { uid = "" } = (await cluster.api.client.service("web")).metadata;
  const duid = `00:04:${uid.replaceAll("-", "").replaceAll(/..(?=.)/g, "$&:")}`;
  expect((await kea.leases()).get(address)).toMatchObject({ duid, hostname: expect.stringMatching(/^kea6-test\.?$/) as string });
  await renewed(kea, address);
  await renewed(kea, address);
  const probe = await lab.probe(address);
  const second = await Dnsmasq.start(lab, { ns: CLIENT_NS, more: ["dhcp-range=fd77::1:150,fd77::1:199,64,120"] });
  await kea.stop();
  await second.logged(new RegExp(`DHCPREBIND\\(eth0\\) ${duid}`), PATIENCE);
  await lab.waitFor(() => second.leases().get(address)?.clientId === duid, PATIENCE, "the lease at the other server");
  const { icmp } = await probe.stop();
  expect(icmp.gapMs).toBeLessThan(1000);
  expect(await lab.holders(address)).toEqual([owner]);
  await gone();
  await lab.waitFor(() => !second.leases().has(address), PATIENCE, "the lease to be given back");
  await cluster.free(address, PATIENCE);
  await second.stop();
});

test("with all servers gone the lease ends and the VIP goes; with a server it comes back under the same address, and is given back when the Service is deleted", async () => {
  const { lab } = cluster;
  const first = await Kea.start(lab, { renew: 2, rebind: 3, valid: 5 }, { family: 6 });
  await expose(cluster, "expiry", { ip: "::", spec: IPV6 });
  const address = await given("expiry");
  await cluster.heldBy(address, PATIENCE, owner);
  await first.stop();
  await cluster.free(address, PATIENCE);
  await shows(cluster, "expiry", [], PATIENCE);
  expect((await told(cluster, "expiry", "DhcpFailed", PATIENCE)).map(({ message }) => message)).toContain(`the lease of ${address} has ended and no DHCPv6 server has renewed it; asked again for ever`);
  const second = await Kea.start(lab, { renew: 2, rebind: 4, valid: 8 }, { family: 6 });
  await shows(cluster, "expiry", [address], PATIENCE);
  await answers(cluster, address);
  await gone();
  await lab.waitFor(async () => !(await second.leases()).has(address), PATIENCE, "the lease to be given back");
  await second.stop();
});
