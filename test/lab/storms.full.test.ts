import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { AddressLog } from "./address-log.js";
import { Cluster, ingressOf, VIP } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";
import { waitForAnswer } from "./service-plane.js";

const RENEW_DEADLINE_MS = 3000;
const FREEZE_MS = 30_000;

test("an API that stands still for 30 s: the VIP goes at the renew deadline, is back soon after, and never on two nodes", async () => {
  await using cluster = await Cluster.up(2);
  const { admin, lab, api } = cluster;
  await api.client.createService(loadBalancer({ name: "good", ip: VIP }));
  const before = await cluster.heldBy(VIP, 2000);
  const answerers = await lab.answerers([VIP], { intervalMs: 10 });
  await using log = await AddressLog.start(lab);
  const frozen = lab.now();
  await admin.pause();
  await cluster.free(VIP, RENEW_DEADLINE_MS + 1000);
  const droppedMs = Math.round(lab.now() - frozen);
  await sleep(Math.max(0, frozen + FREEZE_MS - lab.now()));
  expect(await lab.holders(VIP)).toEqual([]);
  for (const { name } of lab.nodes) expect(log.of(name, VIP, "added").filter(({ at }) => at > frozen)).toEqual([]);
  const resumed = lab.now();
  await admin.resume();
  const owner = await cluster.heldBy(VIP, 5000);
  expect(await waitForAnswer(lab, VIP)).toBe(owner);
  const backMs = Math.round(lab.now() - resumed);
  await api.client.createService(loadBalancer({ name: "next", ip: "10.77.0.201" }));
  await cluster.service("next", 12_000, "a status", (one) => ingressOf(one).join() === "10.77.0.201");
  const nextMs = Math.round(lab.now() - resumed);
  console.log(JSON.stringify({ figure: "API frozen for 30 s", before, owner, droppedMs, backMs, nextMs }));
  const { worstOverlapMs } = await answerers.stop();
  expect(worstOverlapMs).toBe(0);
  for (const { name } of lab.nodes) expect(cluster.vip(name).ended).toBeUndefined();
  for (const { name } of lab.nodes) expect(cluster.vip(name).logs().filter(({ level }) => level === "warn" || level === "error").length).toBeLessThan(60);
});
