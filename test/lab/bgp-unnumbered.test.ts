import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Frr } from "./bgp-fixture.js";
import { cableTors, startFrr, startTorBird, TorLab, TORS } from "./bgp-unnumbered-net.js";
import { Cluster } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";

const VIP4 = "10.99.0.200";
const VIP6 = "fd99::200";
const ENV = { vip_arp: "false", bgp_enable: "true", bgp_as: "64500", bgp_peers: "unnumbered:up1,unnumbered:up2:64501", bgp_hold_time: "9", bgp_bfd: "300x3" };

let cluster: Cluster;
let tors: TorLab;
let frr: Frr;

beforeAll(async () => {
  cluster = await Cluster.bare(1);
  await cableTors();
  tors = new TorLab(cluster);
  await cluster.startVip("n1", { env: ENV });
  for (const [name, ip] of [["four", VIP4], ["six", VIP6]] as const) await cluster.api.client.createService(loadBalancer({ name, ip }));
}, 60_000);
afterAll(async () => await cluster[Symbol.asyncDispose]());

describe("a node between two routers, with no address but link-local ones", () => {
  test("says that nobody is heard, as long as nobody is there", async () => {
    for (const link of ["up1", "up2"]) {
      const seen = await tors.until(link, "silence", ({ problem }) => problem?.includes("no Router Advertisement heard") === true);
      expect([seen.address, seen.state]).toEqual([null, "Idle"]);
    }
  });

  test("finds both, and both kernels have IPv4 and IPv6 routes by its link-local address; BFD is up with both", async () => {
    frr = await startFrr(cluster);
    await startTorBird(cluster);
    for (const tor of ["frr", "bird"] as const) {
      const { ns, link } = TORS[tor];
      const seen = await tors.until(link, "a session and BFD", ({ state, bfd, problem }) => state === "Established" && bfd?.state === "Up" && problem === null);
      const theirs = await tors.linkLocal(ns, "eth0");
      expect([seen.address, seen.discovery?.router]).toEqual([theirs, theirs]);
      await tors.routed(tor, VIP4, VIP6);
    }
    expect(await frr.vtysh("show bgp neighbors eth0")).toMatch(/remote AS 64500/);
  }, 120_000);

  test("a Service that goes is withdrawn from both", async () => {
    await cluster.api.client.deleteService("six");
    for (const tor of ["frr", "bird"] as const) await tors.notRouted(tor, VIP6);
    await Promise.all([tors.routed("frr", VIP4), tors.routed("bird", VIP4)]);
  });

  test("a router that gets another link-local address is followed", async () => {
    await tors.move("frr", "fe80::1234");
    await tors.until("up1", "a session at the new address", ({ address, state, problem }) => address === "fe80::1234" && state === "Established" && problem === null);
    await tors.routed("frr", VIP4);
  }, 120_000);

  test("a link that goes down and comes back has its session again", async () => {
    await cluster.lab.exec("n1", ["ip", "link", "set", "up1", "down"]);
    await tors.until("up1", "the link to be down", ({ problem }) => problem?.includes("up1 is down") === true);
    await tors.notRouted("frr", VIP4);
    await cluster.lab.exec("n1", ["ip", "link", "set", "up1", "up"]);
    await tors.until("up1", "the session", ({ state, problem }) => state === "Established" && problem === null);
    await tors.routed("frr", VIP4);
    await tors.routed("bird", VIP4);
  }, 120_000);

  test("a process that is killed is seen by both, and the next one finds them again", async () => {
    await cluster.vip("n1").stop("SIGKILL");
    await Promise.all([tors.notRouted("frr", VIP4), tors.notRouted("bird", VIP4)]);
    await cluster.startVip("n1", { env: ENV });
    await Promise.all([tors.routed("frr", VIP4), tors.routed("bird", VIP4)]);
  }, 120_000);
});
