import { startBird } from "../../lab/bird.js";
import { Cluster } from "../../lab/cluster.js";
import type { VipOptions } from "../../lab/daemons.js";
import { startFlows } from "../../lab/flows.js";
import { loadBalancer } from "../../lab/kube-client.js";
import { ROUTER_NS } from "../../lab/topology.js";
import { spread } from "./figures.js";

const VIP = "10.99.0.200";
const FLOWS = 20;
const PATIENCE_MS = 40_000;
const ENV = { vip_arp: "false", bgp_enable: "true", bgp_as: "64500", bgp_peers: "10.77.0.1:64501", bgp_graceful_restart: "60" };
const ROUTER = `router id 10.77.0.1;
protocol device {}
protocol kernel { ipv4 { export where source = RTS_BGP; }; }
protocol bgp node { local 10.77.0.1 as 64501; neighbor 10.77.0.11 as 64500; passive; error wait time 1,2; graceful restart on; ipv4 { import all; export none; }; }`;

/** Connections through a router while the only node's process is killed and started again, with graceful restart: their longest silence, and how many ended. */
export async function measureRestart(runs: number, vip: VipOptions): Promise<void> {
  await using cluster = await Cluster.bare(1);
  const { lab } = cluster;
  // The client is to come by this router, although it is on the same network as the node.
  await lab.exec(ROUTER_NS, ["sh", "-ec", "for d in all eth0; do echo 0 >/proc/sys/net/ipv4/conf/$d/send_redirects; done"]);
  const bird = await startBird(lab, { ns: ROUTER_NS, config: ROUTER });
  const established = async (): Promise<boolean> => (await bird.ctl("show protocols node")).includes("Established");
  await cluster.startVip("n1", { ...vip, env: ENV });
  await cluster.api.client.createService(loadBalancer({ name: "pods", ip: VIP }));
  await lab.waitFor(async () => (await lab.exec(ROUTER_NS, ["ip", "route", "show", VIP])).stdout.includes("via 10.77.0.11"), PATIENCE_MS, `a route to ${VIP}`);
  const gaps: number[] = [];
  let ended = 0;
  for (let run = 0; run < runs; run += 1) {
    await using flows = await startFlows(lab, VIP, { count: FLOWS });
    await cluster.vip("n1").stop("SIGKILL");
    await lab.waitFor(async () => !(await established()), PATIENCE_MS, "the end of the session");
    await cluster.startVip("n1", { ...vip, env: ENV });
    await lab.waitFor(established, PATIENCE_MS, "the session to be back");
    const all = await flows.stop();
    ended += all.filter(({ end }) => end !== undefined).length + FLOWS - all.length;
    gaps.push(Math.max(...all.map(({ longestGapMs }) => longestGapMs)));
  }
  spread("bgp.restart", gaps, "ms", { what: "longest silence of a connection", flows: FLOWS * runs, ended, intervalMs: 20 });
}
