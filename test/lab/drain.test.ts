import { describe, expect, test } from "vitest";
import { Cluster } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";
import { ALL, mergeNode, ONE, one, placed, ready, shared, stays } from "./spread.js";

/** Two nodes never answer for longer in a planned move. */
const OVERLAP_MS = 100;

describe("one holder of all Services", () => {
  test("a cordoned node hands over make before break; where all are cordoned, everything stays where it is", async () => {
    const { cluster, holder, other } = await one();
    await using _ = cluster;
    const answerers = await cluster.lab.answerers([ONE], { intervalMs: 10 });
    await mergeNode(cluster, holder, { spec: { unschedulable: true } });
    await cluster.heldBy(ONE, 3000, other);
    await mergeNode(cluster, other, { spec: { unschedulable: true } });
    await stays(async () => (await cluster.lab.holders(ONE)).join() === other, 3000, `${ONE} on ${other}`);
    const { perVip, worstOverlapMs } = await answerers.stop();
    console.log(JSON.stringify({ figure: "hand-over of a cordoned node", longestGapMs: perVip[0]?.longestGapMs, worstOverlapMs }));
    expect(worstOverlapMs).toBeLessThanOrEqual(OVERLAP_MS);
  });

  test("a node whose kubelet is silent hands over, and its VIP is kept where no other node is better", async () => {
    const { cluster, holder, other } = await one();
    await using _ = cluster;
    await ready(cluster, holder, "False");
    await cluster.heldBy(ONE, 3000, other);
    await ready(cluster, other, "False");
    await stays(async () => (await cluster.lab.holders(ONE)).join() === other, 3000, `${ONE} on ${other}`);
  });

  test("better nodes on which no vip runs take nothing away: the VIP stays, without a break", async () => {
    const cluster = await Cluster.bare(3);
    await using _ = cluster;
    for (const node of ["n1", "n2"]) await cluster.startVip(node);
    await cluster.owner();
    await cluster.api.client.createService(loadBalancer({ name: "web", ip: ONE }));
    const holder = await cluster.heldBy(ONE, 4000);
    const probe = await cluster.lab.probe(ONE);
    for (const node of ["n1", "n2"]) await mergeNode(cluster, node, { spec: { unschedulable: true } });
    await stays(async () => (await cluster.lab.holders(ONE)).length > 0, 4000, `${ONE} on a node`);
    const { udp } = await probe.stop();
    console.log(JSON.stringify({ figure: "offer that nobody takes", holder, udpGapMs: udp.gapMs }));
    expect(udp.gapMs).toBeLessThan(500);
  });
});

describe("leader election per Service", () => {
  test("a node that is excluded from load balancers gives up what it has, make before break", async () => {
    await using cluster = await shared();
    const before = await placed(cluster, 1000);
    const leaving = before.get(ALL[0] ?? "") ?? "";
    const answerers = await cluster.lab.answerers(ALL, { intervalMs: 20 });
    await mergeNode(cluster, leaving, { metadata: { labels: { "node.kubernetes.io/exclude-from-external-load-balancers": "" } } });
    const after = await placed(cluster, 4000, leaving);
    for (const ip of ALL) if (before.get(ip) !== leaving) expect(after.get(ip)).toBe(before.get(ip));
    const { worstOverlapMs } = await answerers.stop();
    console.log(JSON.stringify({ figure: "hand-over of an excluded node", worstOverlapMs }));
    expect(worstOverlapMs).toBeLessThanOrEqual(OVERLAP_MS);
  });

  test("all nodes are drained one after the other: the last one keeps everything", async () => {
    await using cluster = await shared(2);
    await mergeNode(cluster, "n1", { metadata: { annotations: { "vip.internal/drain": "true" } } });
    await placed(cluster, 4000, "n1");
    await mergeNode(cluster, "n2", { metadata: { annotations: { "vip.internal/drain": "true" } } });
    await stays(async () => [...(await placed(cluster, 500)).values()].every((node) => node === "n2"), 2000, "everything on n2");
    await cluster.api.client.createService(loadBalancer({ name: "late", ip: "10.77.0.179" }));
    await cluster.heldBy("10.77.0.179", 3000);
  });
});
