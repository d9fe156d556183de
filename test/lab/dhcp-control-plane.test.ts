import { expect, test } from "vitest";
import { Cluster } from "./cluster.js";
import { Dnsmasq, macvlans } from "./dhcp-servers.js";

const LEASE = "plndr-cp-lock";
const ENV = { svc_enable: "", cp_enable: "true", address: "vip.cluster.test", vip_ddns: "true", control_plane_health_check_address: "off" };
const CLIENT_PING = ["ping", "-c", "1", "-W", "2"];

test("the control plane's address comes from a DHCP server under the name of the settings, and is the same on the next holder", async () => {
  await using cluster = await Cluster.bare(2);
  const { lab } = cluster;
  const server = await Dnsmasq.start(lab, { more: ["dhcp-range=fd77::1:150,fd77::1:199,64,120"] });
  for (const { name } of lab.nodes) await cluster.startVip(name, { env: { ...ENV, dhcp_mode: "dual" } });
  const given = async (family: RegExp): Promise<string> =>
    await lab.waitFor(async () => [...server.leases()].find(([address, { hostname }]) => family.test(address) && hostname === "vip")?.[0], 20_000, `an address for vip like ${family.source}`);
  const [ipv4, ipv6] = [await given(/^10\./), await given(/^fd77:/)];
  const owner = await cluster.heldBy(ipv4, 20_000);
  expect(await cluster.leaseHolder(LEASE)).toBe(owner);
  await cluster.heldBy(ipv6, 20_000, owner);
  expect((await lab.exec("client", [...CLIENT_PING, ipv4])).code).toBe(0);
  expect((await lab.exec("client", [...CLIENT_PING, ipv6])).code).toBe(0);
  const [link] = await macvlans(lab, owner);
  expect(link?.name).toBe("vip-cp");

  // Killed: the other one asks as the same client.
  cluster.vip(owner).kill("SIGKILL");
  const heir = await lab.waitFor(async () => (await lab.holders(ipv4)).find((node) => node !== owner), 20_000, `${ipv4} on the other node`);
  await lab.waitFor(async () => (await lab.holders(ipv6)).includes(heir), 20_000, `${ipv6} there, too`);
  expect(await macvlans(lab, heir)).toEqual([link]);
  await lab.waitFor(async () => (await lab.holders(ipv4)).length === 1, 20_000, `${ipv4} on one node`);

  // Handed over: nothing is given back, and what the first life left is gone.
  await cluster.startVip(owner, { env: { ...ENV, dhcp_mode: "dual" } });
  await lab.waitFor(async () => (await macvlans(lab, owner)).length === 0, 20_000, "no link on the node that came back");
  await cluster.vip(heir).stop("SIGTERM");
  await cluster.heldBy(ipv4, 20_000, owner);
  await cluster.heldBy(ipv6, 20_000, owner);
  expect((await lab.exec("client", [...CLIENT_PING, ipv4])).code).toBe(0);
  expect(server.messages().filter((line) => /^DHCP(RELEASE|DECLINE|NAK)/.test(line))).toEqual([]);
});
