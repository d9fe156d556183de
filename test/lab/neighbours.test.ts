import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { AddressLog } from "./address-log.js";
import { Cluster, ingressOf, VIP } from "./cluster.js";
import { loadBalancer, type KubeEvent } from "./kube-client.js";
import type { LabProcess } from "./process.js";
import { Stranger } from "./stranger.js";

const VIP6 = "fd77::1:1";
const FREE = "10.77.0.201";
/** A held address is looked at again so often; one defence in so long. */
const TEN_SECONDS = 10_000;
/** Announcements of one take-over or defence. */
const BURST = 5;

async function eventOf(cluster: Cluster, reason: string, service: string, ms = 2000): Promise<KubeEvent> {
  const found = async () => (await cluster.api.client.events()).filter((e) => e.reason === reason && e.involvedObject?.name === service);
  const [event] = await cluster.lab.waitFor(found, ms, `an Event ${reason} of ${service}`);
  if (event === undefined) throw new Error(`no Event ${reason} of ${service}`);
  return event;
}

/** When the owner put the address back, each time, by the wall clock. */
function defences(vip: LabProcess): readonly number[] {
  return vip.logs().filter(({ message }) => message === "another host announces this address").map(({ time }) => Date.parse(String(time)));
}

describe("an address that a host of the LAN has already", () => {
  test("is not taken, by ARP nor Neighbor Discovery, and an Event names the host; others are; once it is free it is taken at the next look", async () => {
    await using cluster = await Cluster.up(2);
    const { lab, api } = cluster;
    const stranger = await Stranger.of(lab);
    const taken = [["web4", VIP], ["web6", VIP6]] as const;
    for (const [, address] of taken) await stranger.take(address);
    for (const [name, ip] of [...taken, ["free", FREE] as const]) await api.client.createService(loadBalancer({ name, ip }));
    const owner = await cluster.heldBy(FREE, 2000);
    for (const [name, address] of taken) {
      const { message, type } = await eventOf(cluster, "AddressInUse", name);
      expect(message).toBe(`${address} is in use on eth0 by ${stranger.mac}, not taken; looked at again every ten seconds`);
      expect(type).toBe("Warning");
      expect(await lab.holders(address)).toEqual([]);
      expect(ingressOf(await api.client.service(name))).toEqual([]);
    }
    for (const [, address] of taken) await stranger.drop(address);
    const dropped = lab.now();
    await Promise.all(taken.map(async ([, address]) => await cluster.heldBy(address, TEN_SECONDS + 1000, owner)));
    console.log(JSON.stringify({ figure: "taken after the foreign host let go", ms: Math.round(lab.now() - dropped) }));
    for (const [name, address] of taken) await cluster.service(name, 1000, "a status", (s) => ingressOf(s)[0] === address);
  });

  test("is taken all the same with duplicate_check: off, in both families", async () => {
    await using cluster = await Cluster.up(1, { env: { duplicate_check: "off" } });
    const { lab, api } = cluster;
    const stranger = await Stranger.of(lab);
    for (const address of [VIP, VIP6]) await stranger.take(address);
    await api.client.createService(loadBalancer({ name: "web", ip: `${VIP},${VIP6}` }));
    for (const address of [VIP, VIP6]) await cluster.heldBy(address, 2000, "n1");
    await cluster.service("web", 1000, "a status", (s) => ingressOf(s).length === 2);
    expect((await api.client.events()).map(({ reason }) => reason)).not.toContain("AddressInUse");
  });

  test("by a host that answers for everything: the Event says proxy ARP and what to do; when that is off the address is taken", async () => {
    await using cluster = await Cluster.up(1);
    const { lab, api } = cluster;
    const stranger = await Stranger.of(lab);
    const proxy = await stranger.start({ answerAll: true });
    await api.client.createService(loadBalancer({ name: "web", ip: VIP }));
    // The answer for the impossible address is waited for 15 ms: on a busy machine the next look, or the one after, sees it.
    const said = async () => (await api.client.events()).find(({ message = "" }) => message.includes("proxy ARP"));
    const event = await lab.waitFor(said, 2 * TEN_SECONDS + 2000, "an Event that says proxy ARP");
    expect(event).toMatchObject({ reason: "AddressInUse", type: "Warning" });
    expect(event.message).toContain(`${VIP} is in use on eth0 by ${stranger.mac}`);
    expect(event.message).toContain("duplicate_check to off");
    expect(await lab.holders(VIP)).toEqual([]);
    await proxy.stop("SIGKILL");
    await cluster.heldBy(VIP, TEN_SECONDS + 1000, "n1");
  });
});

describe("a host of the LAN that takes a VIP later and goes on announcing it", () => {
  test.each([
    ["gratuitous ARP", VIP],
    ["Neighbor Advertisement", VIP6],
  ])("by %s: an Event names it, the VIP is back on its owner at once, and it is defended once in ten seconds", async (_name, address) => {
    await using cluster = await Cluster.up(2, { env: { vip_arpRate: "3600000" } });
    const { lab, api } = cluster;
    await api.client.createService(loadBalancer({ name: "web", ip: address }));
    const owner = await cluster.heldBy(address, 2000);
    const stranger = await Stranger.of(lab);
    await sleep(2500); // the announcements of the take-over end after 2 s; from now on there are none but in defence
    await using log = await AddressLog.start(lab);
    const answerers = await lab.answerers([address], { intervalMs: 20 });
    await stranger.take(address);
    const claiming = await stranger.start({ claims: [address], everyMs: 700 });
    const { message } = await eventOf(cluster, "AddressConflict", "web");
    expect(message).toContain(`${address} on eth0 is announced by ${stranger.mac} too`);
    await cluster.heldBy(address, 1000, owner);
    const backMs = address === VIP ? Math.round((log.of(owner, VIP, "added")[0]?.at ?? NaN) - (log.of(owner, VIP, "removed")[0]?.at ?? NaN)) : undefined;
    const daemon = cluster.vip(owner);
    await lab.waitFor(() => defences(daemon).length >= 2, TEN_SECONDS + 3000, "a second defence");
    await claiming.stop("SIGKILL");
    await cluster.heldBy(address, 1000, owner);
    expect(await cluster.leaseHolder()).toBe(owner);
    const first = (JSON.parse(claiming.lines().find((line) => line.startsWith("{")) ?? "{}") as { at: number }).at;
    const mac = await lab.mac(owner);
    const gratuitous = (await answerers.stop()).perVip[0]?.gratuitous ?? [];
    const early = gratuitous.filter((one) => one.mac === mac && one.at < first + TEN_SECONDS);
    const [one = NaN, two = NaN] = defences(daemon);
    console.log(JSON.stringify({ figure: "address defended", family: address === VIP ? 4 : 6, backMs, announcements: early.length, nextDefenceMs: two - one }));
    expect(early.length).toBeGreaterThan(0);
    expect(early.length).toBeLessThanOrEqual(BURST);
    expect(two - one).toBeGreaterThanOrEqual(TEN_SECONDS - 5); // two clocks of whole milliseconds
  });

  test("while the API says nothing: it goes off, and is back as soon as the API has confirmed the owner", async () => {
    await using cluster = await Cluster.up(2);
    const { lab, api } = cluster;
    await api.client.createService(loadBalancer({ name: "web", ip: VIP }));
    const owner = await cluster.heldBy(VIP, 2000);
    const stranger = await Stranger.of(lab);
    await cluster.admin.pause();
    await using claiming = await stranger.start({ claims: [VIP], everyMs: 60_000 });
    await cluster.free(VIP, 1000);
    const daemon = cluster.vip(owner);
    expect(defences(daemon)).toEqual([]);
    await cluster.admin.resume();
    const resumed = lab.now();
    await cluster.heldBy(VIP, 2000, owner);
    console.log(JSON.stringify({ figure: "address in doubt, back after the API", ms: Math.round(lab.now() - resumed) }));
    expect(defences(daemon)).toHaveLength(1);
    expect(claiming.ended).toBeUndefined();
  });
});
