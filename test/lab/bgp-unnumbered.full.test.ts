import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Frr } from "./bgp-fixture.js";
import { cableTors, killFrr, startFrr, startTorBird, TorLab } from "./bgp-unnumbered-net.js";
import { Cluster } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";

const VIP4 = "10.99.0.200";
const VIP6 = "fd99::200";
/** On our end of the cable to FRR; nobody has another one of its subnet. */
const GLOBAL = "fd95:1::11";
const ENV = { vip_arp: "false", bgp_enable: "true", bgp_as: "64500", bgp_hold_time: "9" };

let cluster: Cluster;
let tors: TorLab;
let frr: Frr;

beforeAll(async () => {
  cluster = await Cluster.bare(1);
  await cableTors();
  tors = new TorLab(cluster);
  for (const [name, ip] of [["four", VIP4], ["six", VIP6]] as const) await cluster.api.client.createService(loadBalancer({ name, ip }));
  await cluster.lab.exec("n1", ["ip", "-batch", "-"], { input: `addr add ${GLOBAL}/64 dev up1 nodad\naddr add fd95:2::11/64 dev up2 nodad` });
  frr = await startFrr(cluster);
  await startTorBird(cluster);
}, 60_000);
afterAll(async () => await cluster[Symbol.asyncDispose]());

/** A `vip` with these settings for as long as the test runs. */
async function withVip(env: Readonly<Record<string, string>>, work: () => Promise<void>): Promise<void> {
  await cluster.startVip("n1", { env: { ...ENV, ...env } });
  try {
    await work();
  } finally {
    await cluster.vip("n1").stop("SIGTERM");
  }
}

interface Row {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** What FRR has of its neighbour beside both families. */
  readonly neighbor: readonly string[];
  readonly internal?: boolean;
  /** What FRR is told beside our link-local address. */
  readonly hop6?: string;
}

const ROWS: readonly Row[] = [
  { name: "any external AS on both sides", env: { bgp_peers: "unnumbered:up1" }, neighbor: ["remote-as external"] },
  { name: "given AS numbers on both sides", env: { bgp_peers: "unnumbered:up1:64501" }, neighbor: ["remote-as 64500"] },
  { name: "the same AS", env: { bgp_as: "64501", bgp_peers: "unnumbered:up1:internal" }, neighbor: ["remote-as internal"], internal: true },
  { name: "a password", env: { bgp_peers: "unnumbered:up1::s3cret" }, neighbor: ["remote-as external", "password s3cret"] },
  { name: "GTSM on both sides", env: { bgp_peers: "unnumbered:up1", bgp_ttl_security: "1" }, neighbor: ["remote-as external", "ttl-security hops 1"] },
  { name: "a router that waits to be dialled", env: { bgp_peers: "unnumbered:up1" }, neighbor: ["remote-as external", "passive"] },
  { name: "a router that dials, with a password", env: { bgp_peers: "unnumbered:up1::s3cret", bgp_passive: "true" }, neighbor: ["remote-as external", "password s3cret", "timers connect 1"] },
  { name: "a global next hop beside the link-local one", env: { bgp_peers: "unnumbered:up1", mpbgp_nexthop: "fixed", mpbgp_ipv6: GLOBAL }, neighbor: ["remote-as external"], hop6: GLOBAL },
];

describe("an unnumbered session with FRR", () => {
  test.each(ROWS)("with $name: both families are in its kernel", async ({ env, neighbor, internal = false, hop6 }) => {
    const [first = "", ...rest] = neighbor;
    const begin = ["configure terminal", "no router bgp", "router bgp 64501", "bgp router-id 10.9.1.1", "no bgp ebgp-requires-policy"];
    await frr.vtysh(...begin, `neighbor eth0 interface ${first}`, ...rest.map((line) => `neighbor eth0 ${line}`), "address-family ipv6 unicast", "neighbor eth0 activate");
    await withVip(env, async () => {
      const seen = await tors.until("up1", "a session", ({ state, problem }) => state === "Established" && problem === null);
      expect(seen.session?.internal).toBe(internal);
      await tors.routed("frr", VIP4, VIP6);
      expect(await frr.vtysh(`show bgp ipv6 unicast ${VIP6}/128`)).toContain(`    ${hop6 ?? (await tors.linkLocal("lab-n1", "up1"))} from eth0`);
    });
    // A clean stop withdraws.
    await tors.notRouted("frr", VIP4);
  }, 200_000);
});

test("FRR that is killed and started again is found again, and finds this node", async () => {
  await withVip({ bgp_peers: "unnumbered:up1" }, async () => {
    await killFrr(cluster);
    await startFrr(cluster);
    await tors.routed("frr", VIP4, VIP6);
    await killFrr(cluster);
    await tors.until("up1", "the loss", ({ state, lastEnd }) => state !== "Established" && lastEnd !== null);
    await startFrr(cluster);
    await tors.until("up1", "a session", ({ state, problem }) => state === "Established" && problem === null);
    await tors.routed("frr", VIP4, VIP6);
  });
}, 200_000);

describe("an unnumbered session with BIRD", () => {
  test("with a global address on our end that is in no subnet of BIRD's goes by the link-local one", async () => {
    await withVip({ bgp_peers: "unnumbered:up2" }, async () => tors.routed("bird", VIP4, VIP6));
  }, 200_000);

  test("that gets another link-local address, and tells no MAC address, is found again after its first session", async () => {
    await withVip({ bgp_peers: "unnumbered:up2" }, async () => {
      await tors.routed("bird", VIP4);
      await tors.move("bird", "fe80::1234");
      await tors.until("up2", "a session at the new address", ({ address, state, problem }) => address === "fe80::1234" && state === "Established" && problem === null);
      await tors.routed("bird", VIP4, VIP6);
    });
  }, 200_000);
});
