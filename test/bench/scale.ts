// scale: 10,000 Services by BGP into BIRD: until they are announced, until their statuses and Events are written, what that costs the API, and memory when
// all is quiet. `--services N` for another number.
import { setTimeout as sleep } from "node:timers/promises";
import { startBird } from "../lab/bird.js";
import { Cluster } from "../lab/cluster.js";
import { ROUTER_NS } from "../lab/topology.js";
import { waitFor } from "../lab/wait.js";
import { figure, progress } from "./lib/figures.js";
import { benchOptions } from "./lib/options.js";
import { byNodes, makeServices } from "./lib/services.js";
import { rssAnonMb, usageOver } from "./lib/usage.js";

const PATIENCE_MS = 80_000;
const ROUTER = `router id 10.77.0.1;
protocol device {}
protocol bgp node { local 10.77.0.1 as 64501; neighbor 10.77.0.11 as 64500; passive; ipv4 { import all; export none; }; }`;

const { vip } = benchOptions();
const asked = process.argv.indexOf("--services");
const services = asked === -1 ? 10_000 : Number(process.argv[asked + 1]);
await using cluster = await Cluster.bare(1);
const { lab, admin } = cluster;
const bird = await startBird(lab, { ns: ROUTER_NS, config: ROUTER });
const speaker = await cluster.startVip("n1", { ...vip, env: { vip_arp: "false", bgp_enable: "true", bgp_as: "64500", bgp_peers: "10.77.0.1:64501" } });
await cluster.owner();
let peak = 0;
const look = setInterval(() => {
  if (speaker.ended === undefined) peak = Math.max(peak, rssAnonMb(speaker.pid));
}, 100);

/** Writes of this kind that the API has taken. */
async function written(resource: string): Promise<number> {
  const found = byNodes(cluster, await admin.counters()).filter((one) => one.resource === resource && (one.verb === "patch" || one.verb === "create"));
  return found.reduce((sum, { count }) => sum + count, 0);
}

progress(`${services} Services`);
await admin.resetCounters();
const start = performance.now();
const since = (): number => performance.now() - start;
await makeServices(cluster, 0, services);
const createdMs = Math.round(since());
await waitFor(async () => (await bird.ctl("show route count")).includes(`${services} of ${services} routes`), PATIENCE_MS, "all routes");
figure("scale.announced", since(), "ms", { services, createdMs, from: "start of creation" });
const ends = await Promise.all(
  (["services", "events"] as const).map(async (resource) => {
    await waitFor(async () => {
      await sleep(200);
      return (await written(resource)) >= services;
    }, PATIENCE_MS, `${services} writes of ${resource}`);
    return [resource, since()] as const;
  }),
);
for (const [resource, ms] of ends) figure("scale.written", ms, "ms", { services, resource, writes: await written(resource), from: "start of creation" });
await sleep(10_000);
clearInterval(look);
const [used] = await usageOver(5000, [speaker.pid]);
figure("scale.memory", used?.rssAnonMb ?? Number.NaN, "MB", { services, peakMb: Math.round(peak), state: "quiet" });
await cluster.vip("n1").stop("SIGTERM", 60_000);
