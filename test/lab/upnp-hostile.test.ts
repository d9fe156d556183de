import { expect, test } from "vitest";
import { Cluster, VIP } from "./cluster.js";
import { LabGateway, TOLD } from "./gateway.js";
import { loadBalancer } from "./kube-client.js";
import { metric } from "./metrics.js";
import { figure, rssAnonKiB } from "./storm-cluster.js";
import { forwarded, reachedAt, toldOf, UPNP } from "./upnp.js";

const OTHER = "10.77.0.201";
/** Announcements each 10 ms, in each of two names. */
const PER_TICK = 20;
/** Of its own, where it has 40 when idle; what is read of one description is a quarter of a megabyte. */
const MOST_MEMORY_KIB = 120 * 1024;
const REASONS = ["datagram", "flood", "foreignLocation", "malformed", "noService", "redirect", "size", "status", "timeout"];

test("a device that floods the link with gateways of its own, and in the router's name: others are served meanwhile, metrics say why, the router is found, and what is open stays so", async () => {
  await using cluster = await Cluster.up(2, UPNP);
  const { lab, api } = cluster;
  const gateway = await LabGateway.create(lab);
  await lab.exec("client", ["sysctl", "-qw", "net.ipv4.ip_nonlocal_bind=1"]);
  const hostile = await lab.spawnProgram("client", "upnp-hostile", [JSON.stringify({ address: "10.77.0.100", router: "10.77.0.1", perTick: PER_TICK })]);
  await hostile.waitFor(/^ready$/);
  await lab.serve({ ports: [32380] });
  await api.client.createService(forwarded("web"));
  const holder = await cluster.heldBy(VIP, 10_000);
  await toldOf(cluster, "web", "NoGateway", 20_000);

  await api.client.createService(loadBalancer({ name: "other", ip: OTHER }));
  await cluster.heldBy(OTHER, 5000);

  await gateway.start();
  await reachedAt(cluster, "web", `${TOLD}:32380/TCP`, 20_000);
  expect(await gateway.answering(32380)).toBe(holder);
  const counted = async (): Promise<{ readonly ok: boolean; readonly left: readonly string[] }> => {
    const series = await metric(lab, holder, "vip_upnp_refused_total");
    const left = REASONS.filter((reason) => !series.has(`reason="${reason}"`));
    return { ok: left.length === 0, left };
  };
  await lab.waitFor(counted, 8000, "every reason in the metrics");
  const kib = rssAnonKiB(cluster.vip(holder));
  const floods = (await metric(lab, holder, "vip_upnp_refused_total")).get('reason="flood"') ?? 0;
  figure("a flood of SSDP: datagrams passed over, memory", { floods, megabytes: Math.round(kib / 1024) });
  expect(floods).toBeGreaterThan(1000);
  expect(kib).toBeLessThan(MOST_MEMORY_KIB);
  expect(await gateway.answering(32380)).toBe(holder);

  await hostile.stop("SIGKILL");
  await api.client.deleteService("web");
  await lab.waitFor(async () => (await gateway.listed()).length === 0, 10_000, "no mapping");
  expect(cluster.vip(holder).ended).toBeUndefined();
  await cluster.heldBy(OTHER, 1000, holder);
});
