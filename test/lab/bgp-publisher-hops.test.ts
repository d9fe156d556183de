import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Frr, Gobgp, type DaemonHost } from "./bgp-fixture.js";
import { startBird, type BirdDaemon } from "./bird.js";
import { Cluster } from "./cluster.js";
import { inNamespace } from "./command.js";
import { loadBalancer } from "./kube-client.js";
import type { LabProcess } from "./process.js";
import { ROUTER_NS } from "./topology.js";

const NODE_NS = "lab-n1";
const NODE = "10.77.0.11";
const VIP = "10.99.0.200";
const PATIENCE_MS = 20_000;
/** GoBGP waits for a while before it takes a peer again. */
const LONG_MS = 40_000;
const ENV = { vip_arp: "false", bgp_enable: "true", vip_interface: "eth0", bgp_hold_time: "9" };

const ROUTER = `
router id 10.77.0.1;
protocol device {}
protocol kernel { ipv4 { export where source = RTS_BGP; }; }
protocol bgp node { local 10.77.0.1 as 64512; neighbor ${NODE} as 1234; connect delay time 1; error wait time 1,2; ipv4 { import all; export none; }; }
`;

const GOBGP = `
[global.config]
  as = 1234
  router-id = "${NODE}"
[[neighbors]]
  [neighbors.config]
    neighbor-address = "127.0.0.1"
    peer-as = 2345
  [neighbors.transport.config]
    passive-mode = true
  [neighbors.timers.config]
    idle-hold-time-after-reset = 1
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv4-unicast"
[[neighbors]]
  [neighbors.config]
    neighbor-address = "10.77.0.1"
    peer-as = 64512
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv4-unicast"
`;

const FRR = `
router bgp 1234
 bgp router-id ${NODE}
 no bgp ebgp-requires-policy
 neighbor 127.0.0.1 remote-as 2345
 neighbor 127.0.0.1 passive
 neighbor 127.0.0.1 ebgp-multihop 2
 neighbor 10.77.0.1 remote-as 64512
`;

let cluster: Cluster;
let router: BirdDaemon;
let host: DaemonHost;
const daemons: LabProcess[] = [];

beforeAll(async () => {
  cluster = await Cluster.bare(1);
  const { lab, api } = cluster;
  host = {
    dir: lab.dir,
    spawn: async (name, argv) => {
      const daemon = await lab.spawn("n1", argv.slice(inNamespace(NODE_NS, []).length), { name });
      daemons.push(daemon);
      return daemon;
    },
  };
  router = await startBird(lab, { ns: ROUTER_NS, config: ROUTER });
  writePeers();
  await api.client.createService(loadBalancer({ name: "pods", ip: VIP }));
  await cluster.startVip("n1", { env: { ...ENV, bgp_config_file: peersFile() } });
}, 60_000);
afterAll(async () => await cluster[Symbol.asyncDispose]());
afterEach(async () => {
  for (const daemon of daemons.splice(0).toReversed()) await daemon.stop("SIGTERM");
});

function peersFile(): string {
  return join(cluster.lab.dir, "peers.yaml");
}

function writePeers(nextHop?: string): void {
  const peer = { "peer-asn": 1234, "my-asn": 2345, "peer-address": "127.0.0.1", "router-id": "127.0.0.1", ...(nextHop === undefined ? {} : { "next-hop": nextHop }) };
  writeFileSync(peersFile(), JSON.stringify({ peers: [peer] }));
}

/** What the router outside has for the VIP. */
async function outside(): Promise<string> {
  return /BGP\.next_hop: (\S+)/.exec(await router.ctl("show route all protocol node"))?.[1] ?? "";
}

describe("vip over 127.0.0.1, and what goes over the wire there", () => {
  test("GoBGP as publisher: the UPDATE has the node's address as next hop, in the words of tcpdump; GoBGP takes it and passes it on", async () => {
    const { lab } = cluster;
    const wire = await lab.spawn("n1", ["tcpdump", "-i", "lo", "-n", "-vv", "-l", "tcp port 179"], { name: "tcpdump" });
    await wire.waitFor(/listening on lo/, PATIENCE_MS);
    const hops = (): readonly (string | undefined)[] => wire.lines().flatMap((line) => (/^\s+Next Hop \(3\)/.test(line) ? [line.trim().split(" ").at(-1)] : []));
    const gobgp = new Gobgp(host, NODE_NS);
    await gobgp.start(GOBGP);
    await lab.waitFor(async () => (await outside()) === NODE, LONG_MS, "the VIP at the router");
    await lab.waitFor(() => hops().length > 0, PATIENCE_MS, "the packet as tcpdump reads it");
    expect(new Set(hops())).toEqual(new Set([NODE]));
    expect(await gobgp.routes("127.0.0.1", 4)).toEqual([{ prefix: `${VIP}/32`, nextHop: NODE, asPath: "2345", med: undefined, localPref: undefined, communities: [] }]);
    // What this is about: GoBGP sees to it that a next hop of 127.0.0.1 leads nobody astray.
    writePeers("127.0.0.1");
    await lab.waitFor(() => hops().includes("127.0.0.1"), LONG_MS, "the other next hop on the wire");
    await lab.waitFor(async () => (await outside()) === "", PATIENCE_MS, "the VIP to be gone at the router");
    expect((await lab.exec("n1", ["gobgp", "global", "rib"])).stdout).not.toContain(VIP);
  });

  test("FRR takes no session over 127.0.0.1, as the guide says", async () => {
    writePeers();
    const frr = new Frr(host, NODE_NS);
    await frr.start(FRR);
    const bgpd = daemons.find(({ name }) => name === "frr-bgpd");
    await bgpd?.waitFor(/127\.0\.0\.1: nexthop_set failed, resetting connection/, LONG_MS);
    expect(JSON.parse(await frr.vtysh("show bgp ipv4 unicast summary established json"))).not.toHaveProperty(["peers", "127.0.0.1"]);
  });
});
