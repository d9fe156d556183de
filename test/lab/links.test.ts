import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { AddressLog } from "./address-log.js";
import type { VipAnswerers } from "./answerers.js";
import { Cluster, VIP } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";
import type { Lab } from "./lab.js";
import { waitForAnswer } from "./service-plane.js";
import { BRIDGE_NS, portName } from "./topology.js";

const VIP6 = "fd77::1:1";
/** The one bound that is a safety rule: two nodes never answer for longer. */
const OVERLAP_MS = 100;
/** A link is given up when it has been without carrier for so long. */
const BAD_LINK_MS = 200;

async function shell(lab: Lab, ns: string, script: string): Promise<void> {
  await lab.exec(ns, ["sh", "-ec", script]);
}

/** When this MAC answered first, after `since`. */
function answeredAt({ holders }: VipAnswerers, mac: string, since: number): number {
  return holders.find(({ macs, from }) => macs === mac && from >= since)?.from ?? Infinity;
}

/** Takes the carrier of a node's LAN link away for less than it takes to be given up; says for how long, as the node saw it. */
async function blink(lab: Lab, node: string): Promise<number> {
  const monitor = await lab.spawn(node, ["ip", "-ts", "-o", "monitor", "link"], { name: `links-${node}` });
  await lab.waitFor(async () => {
    await shell(lab, node, "ip link add blink type veth peer name blink2; ip link del blink");
    return monitor.output().includes("blink");
  }, 2000, "the link monitor");
  const port = portName("lan", node);
  await shell(lab, BRIDGE_NS, `ip link set ${port} down; sleep 0.03; ip link set ${port} up`);
  const carrier = (line: string) => / eth0@/.test(line) && !line.includes("NO-CARRIER") && /LOWER_UP/.test(line);
  const events = () => monitor.lines().filter((line) => / eth0@/.test(line));
  const changes = await lab.waitFor(() => {
    const lost = events().findIndex((line) => line.includes("NO-CARRIER"));
    return lost >= 0 && events().slice(lost).some(carrier) ? events().slice(lost) : undefined;
  }, 2000, "carrier lost and found");
  await monitor.stop("SIGKILL");
  const [lost, found] = [changes[0] ?? "", changes.find(carrier) ?? ""].map((line) => Date.parse(/\[(\S+)\]/.exec(line)?.[1] ?? ""));
  return (found ?? NaN) - (lost ?? NaN);
}

async function serving(nodes: number, env: Readonly<Record<string, string>> = {}): Promise<{ readonly cluster: Cluster; readonly owner: string }> {
  const cluster = await Cluster.up(nodes, { env });
  await cluster.api.client.createService(loadBalancer({ name: "web", ip: `${VIP},${VIP6}` }));
  const owner = await cluster.heldBy(VIP, 2000);
  await cluster.heldBy(VIP6, 2000, owner);
  return { cluster, owner };
}

describe("the LAN link of the owner", () => {
  test.each<readonly [string, (lab: Lab, node: string) => Promise<void>, (lab: Lab, node: string) => Promise<void>]>([
    ["loses its carrier", async (lab, node) => lab.cutLan(node, { carrier: true }), async (lab, node) => lab.healLan(node)],
    ["is set down", async (lab, node) => shell(lab, node, "ip link set eth0 down"), async (lab, node) => shell(lab, node, "ip link set eth0 up")],
  ])("%s while the API stays in reach: another node serves both families within a second; when it is back nothing moves", async (name, strike, heal) => {
    const { cluster, owner } = await serving(3);
    await using _ = cluster;
    const { lab } = cluster;
    const answerers = await lab.answerers([VIP, VIP6], { intervalMs: 5 });
    const cut = lab.now();
    await strike(lab, owner);
    const next = await lab.waitFor(async () => (await lab.holders(VIP)).find((node) => node !== owner), 2000, "another holder");
    expect(await waitForAnswer(lab, VIP, { node: next })).toBe(next);
    await cluster.heldBy(VIP6, 1000, next);
    await using log = await AddressLog.start(lab);
    await heal(lab, owner);
    await lab.waitFor(async () => (await lab.exec(owner, ["ip", "link", "show", "eth0"])).stdout.includes("LOWER_UP"), 1000, "the carrier of the old owner");
    await sleep(2000); // in which something could move back
    const { perVip, worstOverlapMs } = await answerers.stop();
    const mac = await lab.mac(next);
    const took = perVip.map((one) => Math.round(answeredAt(one, mac, cut) - cut));
    console.log(JSON.stringify({ figure: "link lost, another serves", because: name, ipv4Ms: took[0], ipv6Ms: took[1], overlapMs: worstOverlapMs }));
    expect(Math.max(...took)).toBeLessThan(1000);
    expect(worstOverlapMs).toBeLessThanOrEqual(OVERLAP_MS);
    expect([await lab.holders(VIP), await lab.holders(VIP6)]).toEqual([[next], [next]]);
    expect(log.of(next, VIP, "removed")).toEqual([]);
    expect(await cluster.leaseHolder()).toBe(next);
    expect(cluster.vip(owner).ended).toBeUndefined();
  });

  test("blinks for less than it takes to be given up: nothing moves, and the VIP is announced anew", async () => {
    const { cluster, owner } = await serving(2, { vip_arpRate: "3600000" });
    await using _ = cluster;
    const { lab } = cluster;
    await using log = await AddressLog.start(lab);
    const answerers = await lab.answerers([VIP], { intervalMs: 20 });
    const before = lab.now();
    const blinkMs = await blink(lab, owner);
    console.log(JSON.stringify({ figure: "blink of the carrier", blinkMs }));
    expect(blinkMs).toBeLessThan(BAD_LINK_MS);
    await sleep(1000); // in which the link could be given up
    const mac = await lab.mac(owner);
    const gratuitous = (await answerers.stop()).perVip[0]?.gratuitous ?? [];
    expect(gratuitous.filter((one) => one.mac === mac && one.at > before).length).toBeGreaterThan(0);
    expect(log.of(owner, VIP, "removed")).toEqual([]);
    expect(await cluster.leaseHolder()).toBe(owner);
    expect(cluster.vip(owner).output()).not.toContain("vip removed");
  });
});

const MACVLAN = "ip link add v0 link eth0 type macvlan mode bridge; ip link set v0 up";
const BRIDGED = (address: string) =>
  `ip link add v0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0; ip link set eth0 master v0; ip addr del ${address}/24 dev eth0; ip link set v0 up; ip addr add ${address}/24 dev v0; ip route add default via 10.77.0.1`;
const VETH = (address: string) =>
  `ip link add b0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0; ip link add v0 type veth peer name v1; ip link set eth0 master b0; ip link set v1 master b0 up; ip addr del ${address}/24 dev eth0; ip link set b0 up; ip addr add ${address}/24 dev b0; ip link set v0 up; ip route add default via 10.77.0.1`;

describe("a VIP", () => {
  test.each([
    ["a macvlan", () => MACVLAN],
    ["a bridge", BRIDGED],
    ["a veth", VETH],
  ])("on %s is held and served there, without a conflict with its own node, and handed over", async (_name, script) => {
    await using cluster = await Cluster.bare(2);
    const { lab, api } = cluster;
    for (const { name, ipv4 } of lab.nodes) {
      await shell(lab, name, script(ipv4));
      await cluster.startVip(name, { env: { vip_interface: "v0" } });
    }
    await api.client.createService(loadBalancer({ name: "web", ip: VIP }));
    await cluster.owner();
    const owner = await cluster.heldBy(VIP, 2000);
    expect((await lab.addresses(owner, "v0")).map(({ local }) => local)).toContain(VIP);
    expect(await waitForAnswer(lab, VIP, { node: owner })).toBe(owner);
    // The node has to ask for the client now, which Linux does in the name of the VIP, on the link of the route: heard on its own other link.
    await lab.exec(owner, ["ip", "neigh", "flush", "all"]);
    expect(await waitForAnswer(lab, VIP, { node: owner })).toBe(owner);
    await cluster.vip(owner).stop("SIGTERM");
    const next = await cluster.heldBy(VIP, 2000);
    expect(next).not.toBe(owner);
    expect(await waitForAnswer(lab, VIP, { node: next })).toBe(next);
    expect((await api.client.events()).map(({ reason }) => reason).filter((reason) => reason !== "VipHeld")).toEqual([]);
  });

  test("whose link vanishes moves to a node that has one, and can come back to where the link is there again; no process ends", async () => {
    await using cluster = await Cluster.bare(2);
    const { lab, api } = cluster;
    for (const { name } of lab.nodes) {
      await shell(lab, name, MACVLAN);
      await cluster.startVip(name, { env: { vip_interface: "v0" } });
    }
    await api.client.createService(loadBalancer({ name: "web", ip: VIP }));
    const first = await cluster.heldBy(VIP, 12_000);
    const second = first === "n1" ? "n2" : "n1";
    const gone = lab.now();
    await shell(lab, first, "ip link del v0");
    await cluster.heldBy(VIP, 2000, second);
    console.log(JSON.stringify({ figure: "link deleted, another holds", ms: Math.round(lab.now() - gone) }));
    await shell(lab, first, MACVLAN);
    await shell(lab, second, "ip link del v0");
    await cluster.heldBy(VIP, 2000, first);
    expect(await waitForAnswer(lab, VIP, { node: first })).toBe(first);
    for (const { name } of lab.nodes) expect(cluster.vip(name).ended).toBeUndefined();
  });

  test("whose only link vanishes is back when the link is", async () => {
    await using cluster = await Cluster.bare(1);
    const { lab, api } = cluster;
    await shell(lab, "n1", MACVLAN);
    const daemon = await cluster.startVip("n1", { env: { vip_interface: "v0" } });
    await api.client.createService(loadBalancer({ name: "web", ip: VIP }));
    await cluster.heldBy(VIP, 12_000, "n1");
    await shell(lab, "n1", "ip link del v0");
    await daemon.waitFor(/vip removed|"holder":""/);
    await shell(lab, "n1", MACVLAN);
    await cluster.heldBy(VIP, 2000, "n1");
    expect(await waitForAnswer(lab, VIP, { node: "n1" })).toBe("n1");
  });
});

describe("vip_servicesinterface", () => {
  test("auto: each address goes to the link whose subnet holds it; one that no subnet holds is not served, and said", async () => {
    await using cluster = await Cluster.up(1, { env: { vip_servicesinterface: "auto", vip_loglevel: "-4" } });
    const { lab, api } = cluster;
    const where = [["10.77.0.200", "eth0"], ["10.78.0.200", "api0"], ["fd77::1:1", "eth0"], ["fd78::1:1", "api0"]] as const;
    for (const [i, [ip]] of where.entries()) await api.client.createService(loadBalancer({ name: `web-${i}`, ip }));
    await api.client.createService(loadBalancer({ name: "nowhere", ip: "192.0.2.77" }));
    for (const [address, link] of where) {
      await cluster.heldBy(address, 2000);
      expect((await lab.addresses("n1")).filter(({ local }) => local === address).map(({ iface }) => iface)).toEqual([link]);
    }
    await cluster.vip("n1").waitFor(/no link of this node has a subnet that holds 192\.0\.2\.77/);
    expect(await lab.holders("192.0.2.77")).toEqual([]);
  });

  test("a name: the VIPs of Services go there, that of the control plane stays on vip_interface", async () => {
    const env = { vip_servicesinterface: "api0", cp_enable: "true", address: "10.77.0.210", control_plane_health_check_address: "off" };
    await using cluster = await Cluster.up(1, { env });
    const { lab, api } = cluster;
    await api.client.createService(loadBalancer({ name: "web", ip: "10.78.0.200" }));
    await cluster.heldBy("10.78.0.200", 2000);
    await cluster.heldBy("10.77.0.210", 2000);
    const links = (await lab.addresses("n1")).filter(({ local }) => ["10.78.0.200", "10.77.0.210"].includes(local)).map(({ local, iface }) => `${local} ${iface}`);
    expect(links.toSorted()).toEqual(["10.77.0.210 eth0", "10.78.0.200 api0"]);
  });
});
