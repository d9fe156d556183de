import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { AddressLog } from "./address-log.js";
import type { Fault } from "./api/faults.js";
import { Cluster, VIP } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";
import { waitForAnswer } from "./service-plane.js";

const LEASE = "plndr-svcs-lock";
const LEASE_MS = 5000;
const RENEW_DEADLINE_MS = 3000;
async function serving(nodes: number): Promise<{ readonly cluster: Cluster; readonly owner: string }> {
  const cluster = await Cluster.up(nodes);
  await cluster.api.client.createService(loadBalancer({ name: "web", ip: VIP }));
  return { cluster, owner: await cluster.heldBy(VIP, 2000) };
}

/** Puts a fault that hits one renew in force again and again; returns how many were hit. */
async function strikeRenews(cluster: Cluster, effect: Fault["effect"], times: number): Promise<number> {
  let hit = 0;
  for (let i = 0; i < times; i += 1) {
    const fault = await cluster.admin.fault({ effect, match: { name: LEASE, verb: "update" }, count: 1 });
    await sleep(2000); // two retry periods: one renew in two is hit
    hit += 1 - (await cluster.admin.clear(fault));
  }
  return hit;
}

describe("the whole API", () => {
  test("known limit: is away for longer than the renew deadline: every node drops its VIPs; afterwards one owner serves within a few seconds", async () => {
    const { cluster } = await serving(3);
    await using _ = cluster;
    const { lab } = cluster;
    const answerers = await lab.answerers([VIP], { intervalMs: 10 });
    const down = lab.now();
    await cluster.admin.down();
    await cluster.free(VIP, RENEW_DEADLINE_MS + 1000);
    const droppedMs = Math.round(lab.now() - down);
    await sleep(Math.max(0, down + 10_000 - lab.now()));
    expect(await lab.holders(VIP)).toEqual([]);
    const up = lab.now();
    await cluster.admin.up();
    const owner = await cluster.heldBy(VIP, 5000);
    expect(await waitForAnswer(lab, VIP)).toBe(owner);
    console.log(JSON.stringify({ figure: "API away for 10 s", droppedMs, servedAgainMs: Math.round(lab.now() - up) }));
    expect(await cluster.leaseHolder()).toBe(owner);
    for (const { name } of lab.nodes) expect(cluster.vip(name).ended).toBeUndefined();
    expect((await answerers.stop()).worstOverlapMs).toBe(0);
  });

  test.each<readonly [string, Fault["effect"]]>([
    ["carries out every other renew of the owner, and loses the reply", { kind: "lose" }],
    ["lets every other renew of the owner hang", { kind: "hang" }],
    ["resets every other renew of the owner", { kind: "reset" }],
  ])("%s: the VIP does not move and is never away", async (_name, effect) => {
    const { cluster, owner } = await serving(2);
    await using _ = cluster;
    await using log = await AddressLog.start(cluster.lab);
    expect(await strikeRenews(cluster, effect, 4)).toBeGreaterThanOrEqual(3);
    expect(log.of(owner, VIP, "removed")).toEqual([]);
    expect(await cluster.leaseHolder()).toBe(owner);
    expect(await cluster.lab.holders(VIP)).toEqual([owner]);
  });

  test("is out of reach for two of four nodes, the owner among them: one of the others takes over, and stays the only one after healing", async () => {
    const { cluster, owner } = await serving(4);
    await using _ = cluster;
    const { lab } = cluster;
    const other = lab.nodes.map(({ name }) => name).find((name) => name !== owner) ?? "";
    const answerers = await lab.answerers([VIP], { intervalMs: 10 });
    const cut = lab.now();
    for (const node of [owner, other]) await lab.cutApi(node);
    const next = await lab.waitFor(async () => (await lab.holders(VIP)).find((node) => node !== owner), LEASE_MS + 2000, "another holder");
    const takenMs = Math.round(lab.now() - cut);
    expect([owner, other]).not.toContain(next);
    expect(await waitForAnswer(lab, VIP, { node: next })).toBe(next);
    for (const node of [owner, other]) await lab.healApi(node);
    for (const node of [owner, other]) await lab.waitFor(() => cluster.vip(node).logs().findLast(({ holder }) => holder !== undefined)?.["holder"] === next, 15_000, `${node} to see the new owner`);
    const { worstOverlapMs } = await answerers.stop();
    console.log(JSON.stringify({ figure: "half of the nodes cut from the API", takenMs, overlapMs: worstOverlapMs }));
    expect(await lab.holders(VIP)).toEqual([next]);
    expect(await cluster.leaseHolder()).toBe(next);
    expect(worstOverlapMs).toBe(0);
  });
});
