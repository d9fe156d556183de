import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { KUBE_VIP_FLAGS } from "../config/kube-vip-names.js";
import { Cluster, VIP } from "./cluster.js";
import type { CommandOptions, Finished } from "./command.js";
import { loadBalancer } from "./kube-client.js";
import { Lab } from "./lab.js";
import { externalIpsOf, makeApp } from "./romana.js";

const ROMANA = "10.77.0.240";

async function vip(lab: Lab, args: readonly string[], options: CommandOptions = {}): Promise<Finished> {
  return await lab.exec("n1", [lab.built("vip"), ...args], { mayFail: true, ...options });
}

describe("vip cleanup", () => {
  test("removes what a killed daemon left, in kernel and API, and touches nothing while one lives", async () => {
    // Lifetimes that do not end before what was left is looked at.
    await using cluster = await Cluster.up(1, { env: { vip_leaseduration: "10", vip_renewdeadline: "6", vip_retryperiod: "1" } });
    const { lab, api } = cluster;
    await api.client.createService(loadBalancer({ name: "web", ip: VIP }));
    await cluster.heldBy(VIP, 2000);
    await cluster.service("web", 2000, "has the address", ({ status }) => status?.loadBalancer?.ingress?.[0]?.ip === VIP);
    await makeApp(cluster, { name: "romana", ip: ROMANA }, ["n1"]);
    await cluster.heldBy(ROMANA, 3000);
    const here = ["--directory", join(lab.dir, "n1", "run-vip")];
    const inApi = ["--api", "--kubeconfig", api.adminConf];

    const refused = await vip(lab, ["cleanup", "--yes", ...here]);
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toContain("vip.sock: stop it first, it would put back what is removed");
    const held = await vip(lab, ["cleanup", "--yes", ...inApi]);
    expect(held).toMatchObject({ code: 1, stdout: "", stderr: "vip: n1 holds and renews the Lease kube-system/plndr-svcs-lock: stop every vip and kube-vip that serves Services first, or it would write all of it again\n" });

    await cluster.vip("n1").stop("SIGKILL");
    await lab.exec("n1", ["ip", "addr", "add", "10.77.0.250/32", "dev", "eth0"]);
    const left = [`${VIP}/32 on eth0`, `${ROMANA}/32 on eth0`, join(lab.dir, "n1", "run-vip", "vip.sock")];
    const shown = await vip(lab, ["cleanup", ...here]);
    expect(shown).toMatchObject({ code: 0, stdout: [...left.map((what) => `would remove ${what}`), "nothing was removed: `vip cleanup --yes` removes it", ""].join("\n") });
    expect(await lab.holders(VIP)).toEqual(["n1"]);
    expect(await vip(lab, ["cleanup", "--yes", ...here])).toMatchObject({ code: 0, stdout: [...left.map((what) => `removed ${what}`), "3 found", ""].join("\n") });
    expect([await lab.holders(VIP), await lab.holders(ROMANA), await lab.holders("10.77.0.250")]).toEqual([[], [], ["n1"]]);
    expect(await vip(lab, ["cleanup", ...here])).toMatchObject({ code: 0, stdout: "nothing is left\n" });

    const cleared = await vip(lab, ["cleanup", "--yes", ...inApi]);
    expect(cleared).toMatchObject({ code: 0, stderr: "" });
    expect(cleared.stdout).toContain("removed Service default/web: vip.internal/announced");
    expect(cleared.stdout).toMatch(/^removed Lease kube-system\/vip-/m);
    expect((await api.client.leases()).map(({ metadata }) => metadata.name)).toEqual(["plndr-svcs-lock"]);
    expect(externalIpsOf(await api.client.service("romana"))).toEqual([]);
    const web = await cluster.service("web", 1000, "is as it was", ({ status }) => (status?.loadBalancer?.ingress ?? []).length === 0);
    expect(Object.keys(web.metadata.annotations ?? {}).filter((name) => name.startsWith("vip.internal/") || name === "kube-vip.io/vipHost")).toEqual([]);
  });
});

describe("the built program", () => {
  test("prints manifests on stdout alone, and ends with 1 and an empty stdout where there is an error", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const env = { vip_arp: "true", svc_enable: "true" };
    const printed = await vip(lab, ["manifest", "pod", "--interface", "eth0"], { env });
    expect(printed).toMatchObject({ code: 0, stderr: "" });
    expect(printed.stdout).toMatch(/^apiVersion: v1\nkind: Pod\n/);
    const refused = await vip(lab, ["manifest", "pod", "--inCluster"], { env });
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toMatch(/^vip: --inCluster: expected a DaemonSet, .*\n$/);
    const theirs = printed.stdout.replaceAll(/localhost\/vip:\S+/g, "ghcr.io/kube-vip/kube-vip:v1.0.4").replace("name: vip_interface", "name: lb_enable\n          value: 'true'\n        - name: vip_interface");
    const migrated = await vip(lab, ["migrate"], { input: theirs });
    expect(migrated).toMatchObject({ code: 0 });
    expect(migrated.stderr).toContain('vip: lb_enable="true" has no effect');
    expect(migrated.stdout).toContain('# lb_enable="true" has no effect');
  });

  test("takes every flag of kube-vip", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const { stdout, stderr } = await vip(lab, ["check", ...KUBE_VIP_FLAGS.map((flag) => `--${flag}=1`), "-o", "json"]);
    expect(stderr).toBe("");
    const { warnings, problems } = JSON.parse(stdout) as { readonly warnings: readonly string[]; readonly problems: readonly string[] };
    expect(problems).toContainEqual(expect.stringContaining('--config-file="1": expected a file that can be read'));
    expect(warnings).toEqual([]);
  });

  test("checks a node", async () => {
    await using lab = await Lab.create({ nodes: 1 });
    const { code, stdout } = await vip(lab, ["check", "--arp", "--services", "-o", "json"]);
    const { problems, kernel } = JSON.parse(stdout) as { readonly problems: readonly string[]; readonly kernel: readonly { readonly what: string; readonly state: string }[] };
    expect({ code, problems }).toEqual({ code: 0, problems: [] });
    expect(kernel.filter(({ state }) => state === "ok").map(({ what }) => what)).toEqual(expect.arrayContaining(["CAP_NET_ADMIN", "CAP_NET_RAW", "raw sockets", "nf_tables"]));
  });

  test("tells of variables that it does not know, and starts", async () => {
    await using cluster = await Cluster.bare(1);
    const daemon = await cluster.startVip("n1", { env: { svc_elections: "true", VIP_SERVICE_HOST: "10.96.0.1", VIP_PORT: "tcp://10.96.0.1:80" } });
    await daemon.waitFor(/"message":"started"/);
    expect(daemon.logs().filter(({ message }) => message === "setting").map(({ warning }) => warning)).toEqual(["svc_elections is not known and has no effect; did you mean svc_election?"]);
  });
});
