import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Cluster, ingressOf, VIP } from "./cluster.js";
import type { Finished } from "./command.js";
import { loadBalancer } from "./kube-client.js";
import type { Lab } from "./lab.js";

const BAD = "10.77.0.300";

/** Runs `vip ...` on a node, by the folder of that node's sockets. */
async function asked(lab: Lab, node: string, ...args: readonly string[]): Promise<Finished> {
  return await lab.exec(node, [lab.built("vip"), ...args, "--directory", join(lab.dir, node, "run-vip")], { mayFail: true });
}

interface Processes {
  readonly processes: readonly {
    readonly node: string;
    readonly ownership: readonly { readonly key: string; readonly holder: string; readonly mine: boolean }[];
    readonly vips: readonly { readonly address: string; readonly state: string; readonly inKernel: boolean; readonly secondsLeft: number }[];
  }[];
}

async function statusOf(lab: Lab, node: string): Promise<Processes["processes"]> {
  const { code, stdout, stderr } = await asked(lab, node, "status", "-o", "json");
  if (code !== 0) throw new Error(`vip status: ${code}: ${stderr}`);
  return (JSON.parse(stdout) as Processes).processes;
}

describe("a node asked about its Services", () => {
  test("says where each is, why it is not served, and what the kernel has; so does the API", async () => {
    await using cluster = await Cluster.up(2);
    const { lab, api } = cluster;
    await api.client.createService(loadBalancer({ name: "web", ip: VIP }));
    await api.client.createService(loadBalancer({ name: "bad", ip: BAD }));
    const holder = await cluster.heldBy(VIP, 2000);
    const other = holder === "n1" ? "n2" : "n1";
    await cluster.service("web", 2000, "a status", (service) => ingressOf(service).length > 0);
    await lab.waitFor(async () => (await asked(lab, other, "why", "default/web")).code === 0, 2000, "the other node to see the status");

    const here = await asked(lab, holder, "why", "default/web");
    expect([here.code, here.stdout]).toEqual([0, expect.stringMatching(new RegExp(`^default/web: served here \\(node ${holder}\\), since `))]);
    expect(here.stdout).toMatch(/ok {2}kernel +10\.77\.0\.200 on eth0: there, \d s left/);
    expect((await asked(lab, other, "why", "default/web")).stdout).toMatch(new RegExp(`^default/web: served by node ${holder}, since `));
    const bad = await asked(lab, holder, "why", "default/bad");
    expect([bad.code, bad.stdout]).toEqual([2, expect.stringContaining(`default/bad: not served: address: kube-vip.io/loadbalancerIPs has "${BAD}"`)]);
    const unknown = await asked(lab, holder, "why", "default/wep");
    expect([unknown.code, unknown.stdout]).toEqual([3, expect.stringMatching(/did you mean:\n {2}default\/web\n/)]);

    const [status] = await statusOf(lab, holder);
    expect(status).toMatchObject({ node: holder, ownership: [{ key: "services", holder, mine: true }], vips: [{ address: VIP, state: "up", inKernel: true }] });
    expect(status?.vips[0]?.secondsLeft).toBeLessThanOrEqual(5);
    expect(await statusOf(lab, other)).toMatchObject([{ node: other, ownership: [{ key: "services", holder, mine: false }], vips: [] }]);

    const fromApi = await lab.exec(other, [lab.built("vip"), "status", "--cluster", "--kubeconfig", api.adminConf]);
    expect(fromApi.stdout).toMatch(new RegExp(`plndr-svcs-lock +${holder} +\\d+s ago`));
    expect(fromApi.stdout).toMatch(new RegExp(`default/web +${VIP.replaceAll(".", "\\.")} +${holder}\n`));
    expect(fromApi.stdout).toContain("! default/bad: InvalidAddress");
  });

  test("does so again after its process was killed, and says that nobody answers in between", async () => {
    await using cluster = await Cluster.up(1);
    const { lab } = cluster;
    expect(await statusOf(lab, "n1")).toHaveLength(1);
    await cluster.vip("n1").stop("SIGKILL");
    const none = await asked(lab, "n1", "status");
    expect([none.code, none.stdout, none.stderr]).toEqual([1, "", expect.stringContaining("Is vip running on this node?")]);
    await cluster.startVip("n1");
    const again = await lab.waitFor(async () => statusOf(lab, "n1"), 3000, "an answer");
    expect(again).toMatchObject([{ node: "n1" }]);
  });

  test("by two processes, one for Services and one for the control plane, has both answers", async () => {
    await using cluster = await Cluster.up(1);
    const { lab, api } = cluster;
    await api.client.createService(loadBalancer({ name: "web", ip: VIP }));
    await cluster.heldBy(VIP, 2000);
    await lab.startVip("n1", { env: { svc_enable: "false", cp_enable: "true", address: "10.77.0.50", control_plane_health_check_address: "off" } });
    await cluster.heldBy("10.77.0.50", 8000);
    const keys = async () => (await statusOf(lab, "n1")).map(({ ownership }) => ownership.map(({ key }) => key));
    expect(await keys()).toEqual([["services"], ["control-plane"]]);
    const { code, stdout } = await asked(lab, "n1", "why", "default/web");
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^default\/web: served here/)]);
    expect(stdout).not.toContain("svc_enable");
  });
});
