import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Cluster } from "./cluster.js";

const VIPS = 1000;
const SECONDS = 10;

test("1,000 idle VIPs: addresses are refreshed about every second renew, nothing is repaired, and nobody but the Lease asks the API", async () => {
  await using cluster = await Cluster.up(1);
  const { lab, admin } = cluster;
  await admin.bulkServices({ count: VIPS, prefix: "vip", ipBase: "10.99.1.1" });
  const held = async (): Promise<boolean> => (await lab.addresses("n1", "eth0")).filter((a) => a.local.startsWith("10.99.")).length === VIPS;
  await lab.waitFor(held, 10_000, `${VIPS} addresses`);
  const all = async (): Promise<boolean> => (await cluster.api.client.services()).filter((s) => s.metadata.annotations?.["kube-vip.io/vipHost"] === "n1").length === VIPS;
  await lab.waitFor(all, 20_000, "every status written");
  await lab.waitFor(async () => (await cluster.api.client.events()).filter((e) => e.reason === "VipHeld").length === VIPS, 20_000, "every Event written");

  const monitor = await lab.spawn("n1", ["ip", "-4", "-o", "monitor", "address"], { name: "monitor" });
  const vip = cluster.vip("n1");
  await admin.resetCounters();
  const [cpu, logged] = [vip.cpuMs(), vip.logs().length];
  await sleep(SECONDS * 1000);
  const requests = (await admin.counters()).requests;
  const refreshes = monitor.lines().filter((line) => line.includes("10.99.")).length / VIPS;
  console.log(JSON.stringify({ figure: "1,000 idle VIPs", cpuPercent: (vip.cpuMs() - cpu) / SECONDS / 10, netlinkEventsPerVipAndSecond: refreshes / SECONDS }));
  expect(monitor.lines().filter((line) => line.startsWith("Deleted"))).toEqual([]);
  // A lifetime of three seconds is set anew every second or third renew; a repair, or an `up` of its own, would show as more.
  expect(refreshes).toBeGreaterThan(SECONDS / 4);
  expect(refreshes).toBeLessThanOrEqual(SECONDS / 2 + 1);
  expect(vip.logs().slice(logged).map((line) => line["message"])).toEqual([]);
  const others = requests.filter((r) => r.resource !== "leases");
  expect(others).toEqual([]);
});
