import { expect, test } from "vitest";
import { cableTors, startFrr, startTorBird, TorLab, TORS } from "./bgp-unnumbered-net.js";
import { Cluster } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";

const VIP4 = "10.99.0.200";
const VIP6 = "fd99::200";
const ENV = { vip_arp: "false", bgp_enable: "true", bgp_as: "64500", bgp_peers: "unnumbered:up1,unnumbered:up2:64501", bgp_hold_time: "9", bgp_graceful_restart: "60" };
const ROUTERS = ["frr", "bird"] as const;
const PATIENCE_MS = 20_000;

test("routers that are found by their Router Advertisements do nothing with their routes while the program is updated", async () => {
  await using cluster = await Cluster.bare(1);
  const { lab } = cluster;
  await cableTors();
  const tors = new TorLab(cluster);
  const [frr, bird] = [await startFrr(cluster), await startTorBird(cluster)];
  await cluster.startVip("n1", { env: ENV });
  for (const [name, ip] of [["four", VIP4], ["six", VIP6]] as const) await cluster.api.client.createService(loadBalancer({ name, ip }));
  for (const router of ROUTERS) await tors.routed(router, VIP4, VIP6);
  const monitors = await Promise.all(ROUTERS.map(async (router) => lab.spawn(TORS[router].ns, ["ip", "-o", "monitor", "route"], { name: `monitor-${router}` })));
  expect(await cluster.vip("n1").stop("SIGTERM")).toEqual({ code: 0, signal: null });
  const sessions = async (): Promise<readonly string[]> => [await bird.ctl("show protocols"), await frr.vtysh("show bgp summary established")];
  const alone = async (): Promise<boolean> => (await sessions()).every((text) => !/Established|^eth0/m.test(text));
  await lab.waitFor(alone, PATIENCE_MS, "both routers to lose the session");
  await cluster.startVip("n1", { env: ENV });
  for (const router of ROUTERS) await tors.until(TORS[router].link, "a session", ({ state }) => state === "Established");
  const fresh = async (): Promise<boolean> => !/stale/i.test(`${await bird.ctl("show route all")} ${await frr.vtysh("show bgp ipv4 unicast json", "show bgp ipv6 unicast json")}`);
  await lab.waitFor(fresh, PATIENCE_MS, "End-of-RIB");
  for (const router of ROUTERS) await tors.routed(router, VIP4, VIP6);
  for (const monitor of monitors) expect(monitor.lines().filter((line) => line.includes(VIP4) || line.includes(VIP6))).toEqual([]);
}, 120_000);
