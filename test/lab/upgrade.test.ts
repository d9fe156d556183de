import { expect, test } from "vitest";
import { Cluster, VIP } from "./cluster.js";
import { run } from "./command.js";
import { loadBalancer } from "./kube-client.js";

/** The one bound that is a safety rule: two nodes never answer for longer. */
const OVERLAP_MS = 100;

test("three nodes upgraded to another build, one after the other, under a probe: the VIP is handed on each time, and one node has it in the end", async () => {
  const cluster = await Cluster.up(3);
  await cluster.api.client.createService(loadBalancer({ name: "web", ip: VIP }));
  const owner = await cluster.heldBy(VIP, 2000);
  await using _ = cluster;
  const { lab } = cluster;
  await run([process.execPath, "build.mjs", "--another", "9.9.9"]);
  const another = lab.built("vip-another");
  const left = new Set(lab.nodes.map(({ name }) => name));
  const probe = await lab.probe(VIP);
  const answerers = await lab.answerers([VIP], { intervalMs: 5 });
  let last = owner;
  // The owner first, as long as it is one that is still to be restarted: so the VIP moves twice at least.
  for (let name: string | undefined = owner; name !== undefined; name = left.has(last) ? last : [...left][0]) {
    left.delete(name);
    expect(await cluster.vip(name).stop("SIGTERM")).toEqual({ code: 0, signal: null });
    last = await cluster.heldBy(VIP, 1000);
    expect(last).not.toBe(name);
    const again = await cluster.startVip(name, { binary: another });
    await again.waitFor(new RegExp(`"holder":"${last}"`));
  }
  expect(left.size).toBe(0);
  for (const { name } of lab.nodes) expect(cluster.vip(name).logs().at(-1)).toMatchObject({ version: "9.9.9" });
  await cluster.heldBy(VIP, 1000, last);
  const { udp, tcp } = await probe.stop();
  const { worstOverlapMs, perVip } = await answerers.stop();
  console.log(JSON.stringify({ figure: "rolling restart", moves: udp.nodes.length - 1, udpGapMs: Math.round(udp.gapMs), tcpGapMs: Math.round(tcp.gapMs), overlapMs: Math.round(worstOverlapMs), longestSilenceMs: Math.round(perVip[0]?.longestGapMs ?? NaN) }));
  expect(udp.nodes.length).toBeGreaterThanOrEqual(3);
  expect(udp.nodes.at(-1)?.node).toBe(last);
  expect(worstOverlapMs).toBeLessThanOrEqual(OVERLAP_MS);
});
