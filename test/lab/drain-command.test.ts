import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Cluster } from "./cluster.js";
import type { Finished } from "./command.js";
import { loadBalancer } from "./kube-client.js";
import { ONE, one, placed, shared } from "./spread.js";

async function vip(cluster: Cluster, node: string, args: readonly string[]): Promise<Finished> {
  const at = args[1] === undefined || args[1].startsWith("-") ? ["--directory", join(cluster.lab.dir, node, "run-vip")] : ["--kubeconfig", cluster.api.adminConf];
  return await cluster.lab.exec(node, [cluster.lab.built("vip"), ...args, ...at], { mayFail: true });
}

describe("vip drain", () => {
  test("of this node: says what went where; the control plane's VIP goes, too; called off, it takes part again", async () => {
    const address = "10.77.0.181";
    await using cluster = await Cluster.up(2, { env: { cp_enable: "true", address, control_plane_health_check_address: "off" } });
    await cluster.api.client.createService(loadBalancer({ name: "web", ip: ONE }));
    const holder = await cluster.heldBy(ONE, 4000);
    await cluster.heldBy(address, 3000);
    const drained = await vip(cluster, holder, ["drain", "-o", "json"]);
    expect(drained.code).toBe(0);
    const other = holder === "n1" ? "n2" : "n1";
    expect((JSON.parse(drained.stdout) as { moved: unknown }).moved).toContainEqual({ key: "services", from: holder, to: other });
    await cluster.heldBy(ONE, 1000, other);
    await cluster.heldBy(address, 1000, other);
    expect((await vip(cluster, holder, ["drain", "--undo"])).stdout).toContain("takes part again");
    // Both are drained otherwise, and the first would have nobody to hand over to.
    const back = await vip(cluster, other, ["drain"]);
    expect([back.code, back.stdout]).toEqual([0, expect.stringContaining(`services       ${other}    ${holder}`)]);
    await cluster.heldBy(ONE, 1000, holder);
  });

  test("of another node, and a node that nobody knows", async () => {
    const { cluster, holder, other } = await one();
    await using _ = cluster;
    await cluster.service("web", 3000, "who holds it", ({ metadata }) => metadata.annotations?.["kube-vip.io/vipHost"] === holder);
    const drained = await vip(cluster, other, ["drain", holder]);
    expect([drained.code, drained.stdout]).toEqual([0, expect.stringContaining(`default/web  ${holder}    ${other}`)]);
    await cluster.heldBy(ONE, 1000, other);
    expect((await vip(cluster, other, ["drain", holder, "--undo"])).code).toBe(0);
    const wrong = await vip(cluster, other, ["drain", "n9"]);
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining("PATCH /api/v1/nodes/n9: 404")]);
  });

  test("with svc_election, then vip rebalance: the keys go, and come back evenly at once", async () => {
    await using cluster = await shared();
    const drained = await vip(cluster, "n1", ["drain"]);
    expect(drained.code).toBe(0);
    await placed(cluster, 1000, "n1");
    await vip(cluster, "n1", ["drain", "--undo"]);
    const balanced = await vip(cluster, "n2", ["rebalance", "-o", "json"]);
    expect(balanced.code).toBe(0);
    const { moved } = JSON.parse(balanced.stdout) as { readonly moved: readonly { readonly to: string }[] };
    expect(moved.length).toBe(3);
    expect(moved.every(({ to }) => to === "n1")).toBe(true);
    const holders = [...(await placed(cluster, 2000)).values()].toSorted();
    expect(holders).toEqual(["n1", "n1", "n1", "n2", "n2", "n2", "n3", "n3", "n3"]);
  });
});
