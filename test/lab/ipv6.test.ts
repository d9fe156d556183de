import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, test } from "vitest";

import { parseIp } from "../../src/lib/ip.js";
import { parseMac } from "../../src/lib/mac.js";
import { encodeNa, unsolicitedNa } from "../../src/wire/ndp.js";
import { Lab } from "./lab.js";
import { lastJson } from "./probe.js";
import { waitForAnswer } from "./service-plane.js";

const VIP = "fd77::1:1";
const OTHER = "fd77::1:2";
const NOBODY = "fd77::1:3";
const VIP4 = "10.77.0.200";

/** Tells all nodes that `node` has this address now; says when. */
async function advertise(lab: Lab, node: string, address: string): Promise<{ readonly mac: string; readonly at: number }> {
  const mac = parseMac(await lab.mac(node));
  const target = parseIp(address);
  if (mac === undefined || target === undefined) throw new Error(`no MAC of ${node}, or ${address} is no address`);
  const [link] = JSON.parse((await lab.exec(node, ["ip", "-j", "link", "show", "dev", "eth0"])).stdout) as readonly { readonly ifindex: number }[];
  const frame = encodeNa(unsolicitedNa(mac, target, { router: true }));
  const sender = await lab.spawnProgram(node, "send", [String(link?.ifindex), Buffer.from(frame).toString("hex")]);
  await sender.exited;
  return { mac, ...(lastJson(sender) as { at: number }) };
}

describe("the answerers, by Neighbor Solicitation", () => {
  test("show one MAC for one holder, two for two, in a list with IPv4 too, and do not touch the client's neighbour entries", async () => {
    await using lab = await Lab.create({ nodes: 2 });
    await lab.exec("n1", ["sh", "-c", `for a in ${VIP}/128 ${OTHER}/128; do ip addr add $a dev eth0 nodad; done; ip addr add ${VIP4}/32 dev eth0`]);
    await lab.exec("client", ["ip", "neigh", "add", OTHER, "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "stale"]);
    const answerers = await lab.answerers([VIP, VIP4, OTHER, NOBODY], { intervalMs: 10 });
    await sleep(200);
    await lab.exec("n2", ["sh", "-c", `ip addr add ${VIP}/128 dev eth0 nodad; sleep 0.2; ip addr del ${VIP}/128 dev eth0`]);
    await sleep(200);
    const { perVip, worstOverlapMs } = await answerers.stop();
    const [two, four, one, none] = perVip;
    const [n1, n2] = [await lab.mac("n1"), await lab.mac("n2")];
    expect(Object.keys(two?.macs ?? {}).sort()).toEqual([n1, n2].sort());
    expect([Object.keys(one?.macs ?? {}), Object.keys(four?.macs ?? {})]).toEqual([[n1], [n1]]);
    expect([one?.overlapMs, four?.overlapMs, none?.overlapMs, none?.answeredRounds]).toEqual([0, 0, 0, 0]);
    expect(worstOverlapMs).toBe(two?.overlapMs);
    expect(worstOverlapMs).toBeGreaterThan(180);
    expect(worstOverlapMs).toBeLessThan(280);
    expect(two?.holders.map(({ macs }) => macs)).toEqual([n1, [n1, n2].sort().join("+"), n1]);
    for (const seen of [one, four]) expect((seen?.answeredRounds ?? 0) / (seen?.rounds ?? 1)).toBeGreaterThan(0.95);
    expect(perVip.flatMap(({ gratuitous }) => gratuitous)).toEqual([]);
    expect((await lab.exec("client", ["ip", "neigh", "show", OTHER])).stdout).toContain("02:00:00:00:00:99 STALE");
  });

  test("record unsolicited advertisements", async () => {
    await using lab = await Lab.create({ nodes: 2 });
    const answerers = await lab.answerers([VIP], { intervalMs: 20 });
    const { mac, at } = await advertise(lab, "n2", VIP);
    await sleep(50);
    const { perVip } = await answerers.stop();
    expect(perVip[0]?.gratuitous).toEqual([{ mac, op: "advertisement", at: expect.any(Number) as number }]);
    expect(perVip[0]?.gratuitous[0]?.at).toBeGreaterThanOrEqual(at);
    expect(perVip[0]?.answeredRounds).toBe(0);
  });

  test("ask for 1,000 addresses every 50 ms", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const vips = Array.from({ length: 1_000 }, (_, at) => `fd77::1:${(at + 1).toString(16)}`);
    await lab.exec("n1", ["ip", "-batch", "-"], { input: vips.map((vip) => `addr add ${vip}/128 dev eth0 nodad`).join("\n") });
    const answerers = await lab.answerers(vips, { intervalMs: 50 });
    await sleep(1_000);
    const { perVip, worstOverlapMs, refused, started, ended } = await answerers.stop();
    const rounds = perVip.reduce((sum, one) => sum + one.rounds, 0);
    const answered = perVip.reduce((sum, one) => sum + one.answeredRounds, 0);
    console.log(JSON.stringify({ figure: "answerers-rate-ipv6", perSecond: Math.round(rounds / ((ended - started) / 1_000)), answered: answered / rounds, refused }));
    expect(worstOverlapMs).toBe(0);
    expect(answered / rounds).toBeGreaterThan(0.99);
  });
});

describe("the probe and the stand-in for kube-proxy", () => {
  test("measure a known outage of 300 ms of an IPv6 VIP in all three protocols", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    await lab.serve({ heldOnly: true });
    await lab.exec("n1", ["ip", "addr", "add", `${VIP}/128`, "dev", "eth0", "nodad"]);
    expect(await waitForAnswer(lab, VIP, { node: "n1" })).toBe("n1");
    const probe = await lab.probe(VIP);
    await sleep(400);
    const down = lab.now();
    await lab.exec("n1", ["sh", "-c", `ip addr del ${VIP}/128 dev eth0; sleep 0.3; ip addr add ${VIP}/128 dev eth0 nodad`]);
    const outage = lab.now() - down;
    await sleep(400);
    const result = await probe.stop();
    for (const protocol of ["udp", "icmp", "tcp"] as const) {
      const { gapMs, silentAtEndMs } = result[protocol];
      expect(gapMs).toBeGreaterThan(290);
      expect(gapMs).toBeLessThan(outage + 60);
      expect(silentAtEndMs).toBeLessThan(80);
    }
    expect(result.udp.nodes.map(({ node }) => node)).toEqual(["n1"]);
    expect(result.tcp.nodes.map(({ node }) => node)).toEqual(["n1"]);
  });

  test("see a move as soon as an unsolicited advertisement tells of it, and not before", async () => {
    await using lab = await Lab.create({ nodes: 2 });
    await lab.serve();
    await lab.exec("n1", ["ip", "addr", "add", `${VIP}/128`, "dev", "eth0", "nodad"]);
    const probe = await lab.probe(VIP);
    await sleep(200);
    await lab.exec("n1", ["ip", "addr", "del", `${VIP}/128`, "dev", "eth0"]);
    await lab.exec("n2", ["ip", "addr", "add", `${VIP}/128`, "dev", "eth0", "nodad"]);
    await sleep(100);
    const told = (await advertise(lab, "n2", VIP)).at;
    await sleep(200);
    const { udp, tcp } = await probe.stop();
    for (const { nodes } of [udp, tcp]) {
      expect(nodes.map(({ node }) => node)).toEqual(["n1", "n2"]);
      expect(nodes[1]?.at).toBeGreaterThan(told);
    }
    console.log(JSON.stringify({ figure: "na-move", afterMs: Math.round((udp.nodes[1]?.at ?? NaN) - told) }));
  });
});
