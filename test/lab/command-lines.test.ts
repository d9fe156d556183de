import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HELM_CHART } from "../cli/migrate-manifests.js";
import { Cluster, VIP } from "./cluster.js";
import type { Finished } from "./command.js";
import { loadBalancer } from "./kube-client.js";

let cluster: Cluster;
/** A shell that finds `vip`, the daemon of the node and the API. */
let environment: Readonly<Record<string, string>> = {};
beforeAll(async () => {
  cluster = await Cluster.up(1);
  await cluster.api.client.createService(loadBalancer({ name: "web", ip: VIP }));
  await cluster.heldBy(VIP, 3000);
  const { lab, api } = cluster;
  environment = { PATH: `${join(lab.built("vip"), "..")}:${process.env["PATH"] ?? ""}`, KUBECONFIG: api.adminConf, vip_control_dir: join(lab.dir, "n1", "run-vip") };
});
afterAll(async () => await cluster[Symbol.asyncDispose]());

async function shell(line: string, env: Readonly<Record<string, string>> = {}, input = ""): Promise<Finished> {
  return await cluster.lab.exec("n1", ["sh", "-c", line], { env: { ...environment, ...env }, input, mayFail: true });
}

/** Commands in the README's code: up to a redirection or pipe, and the words that explain them. */
function readmeCommands(): readonly string[] {
  const text = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const blocks = [...text.matchAll(/```\n([\s\S]*?)```|`(vip manifest [^`]+)`/g)].flatMap(([, block = "", inline = ""]) => [...block.split("\n"), inline]);
  return blocks.filter((line) => /^vip (manifest \w+ -|check|status|why|explain)/.test(line)).map((line) => (line.split(/ {2,}| [|>] /)[0] ?? "").trim());
}

describe("what the README shows", () => {
  test.each([...new Set(readmeCommands())])("%s: ends with 0, and says nothing on stderr", async (line) => {
    // The settings of the daemon are there for `vip check` only, as on a node.
    const env = line === "vip check" ? { vip_arp: "true", svc_enable: "true", vip_interface: "eth0" } : {};
    const { code, stdout, stderr } = await shell(line, env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).not.toBe("");
  });

  test("are all of them", () => {
    expect(readmeCommands().length).toBeGreaterThanOrEqual(9);
  });

  test("kubectl prints what vip migrate reads", async () => {
    const applied = await shell("kubectl apply -f -", {}, HELM_CHART);
    expect(applied).toMatchObject({ code: 0 });
    const { code, stdout } = await shell("kubectl -n kube-system get daemonset kube-vip -o yaml | vip migrate");
    expect(code).toBe(0);
    expect(stdout).toContain("\nkind: DaemonSet\n");
  });

  test("kubectl takes what vip manifest prints", async () => {
    for (const kind of ["rbac", "daemonset --inCluster", "pod"]) expect(await shell(`vip manifest ${kind} --arp --services | kubectl apply -f -`), kind).toMatchObject({ code: 0, stderr: "" });
  });
});

const LIST = "vip: `--help` lists what there is\n";
const NOBODY = "no vip answers here: there is no vip*.sock in /nowhere\nIs vip running on this node? Where it runs as a pod, ask inside of it:\n  kubectl -n kube-system exec <pod of vip on the node> -- vip status\nor ask the API instead, from anywhere: vip status --cluster\n";
const NO_RIGHTS = "setpriv --bounding-set=-all --inh-caps=-all";

describe("an error is on stderr, and stdout is empty", () => {
  test.each<readonly [string, number, string]>([
    ["vip foo", 1, `vip: unknown command 'foo'\n${LIST}`],
    ["vip start --foo", 1, `vip: unknown option '--foo'\n${LIST}`],
    ["vip status -o xml", 1, `vip: option '-o, --output <format>' argument 'xml' is invalid. Allowed choices are text, json.\n${LIST}`],
    ["vip why", 1, `vip: missing required argument 'namespace/service'\n${LIST}`],
    ["vip why web", 1, 'vip: "web": expected <namespace>/<service>, such as default/web\n'],
    ["vip status --directory /nowhere", 1, NOBODY],
    ["vip why default/web --directory /nowhere", 1, NOBODY],
    ["vip status --cluster --kubeconfig /nowhere/config", 1, 'vip: --kubeconfig="/nowhere/config": expected a file that can be read: ENOENT\n'],
    ["KUBECONFIG=/nowhere/config vip status --cluster", 1, 'vip: KUBECONFIG="/nowhere/config": expected a file that can be read: ENOENT\n'],
    ["vip cleanup --api --yes --kubeconfig /nowhere/config", 1, 'vip: --kubeconfig="/nowhere/config": expected a file that can be read: ENOENT\n'],
    [`${NO_RIGHTS} vip cleanup --yes --directory /nowhere`, 1, "vip: expected the capability NET_ADMIN, run it as root: list the VIPs of table inet vip: EPERM\n"],
    [`${NO_RIGHTS} vip start --arp --services`, 1, "vip: CAP_NET_ADMIN CAP_NET_RAW: expected, for no VIP can be held without; run as root, or give capabilities: add: [NET_ADMIN, NET_RAW] in a pod, AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW in a unit\n"],
    ["vip start", 1, 'vip: vip_arp="false", bgp_enable="false": expected one of them to be true (--arp or --bgp), the mode\nvip: svc_enable="false", cp_enable="false": expected one of them to be true (--services, --controlplane), or there is nothing to do\n'],
    ["vip manager --arp --controlplane", 1, 'vip: address="": expected the address of the control-plane VIP (--address), for cp_enable is true\n'],
    ["vip start --arp --services --svcAddresses 10.0.0.0/99", 1, 'vip: svc_addresses has "10.0.0.0/99": expected unicast CIDRs such as 192.0.2.0/28 or ranges such as 192.0.2.10-192.0.2.20, comma separated, or 0.0.0.0/32 (DHCP) alone\n'],
    ["vip manifest pod --arp --services --svcAddresses x", 1, 'vip: svc_addresses has "x": expected unicast CIDRs such as 192.0.2.0/28 or ranges such as 192.0.2.10-192.0.2.20, comma separated, or 0.0.0.0/32 (DHCP) alone\n'],
    ["vip start --config-file /nowhere/vip.yaml", 1, 'vip: --config-file="/nowhere/vip.yaml": expected a file that can be read: ENOENT\n'],
    ["config_file=/ vip start", 1, 'vip: config_file="/": expected a file that can be read: EISDIR\n'],
    ["vip explain vip_arpp", 3, "vip: vip_arpp is no setting and no annotation; did you mean:\n  vip_arp\n"],
    ["vip explain entirely-something-else", 3, "vip: entirely-something-else is no setting and no annotation; `vip explain` lists them\n"],
    ["vip migrate < /dev/null", 1, "vip: standard input: expected a Pod or DaemonSet that runs kube-vip\n"],
  ])("%s", async (line, code, stderr) => {
    expect(await shell(line)).toEqual({ code, stdout: "", stderr });
  });

  test("a file that is no YAML is told with line and column", async () => {
    const path = join(cluster.lab.dir, "vip.yaml");
    writeFileSync(path, "vip_arp: true\n  vip_x: [1\n");
    expect(await shell(`vip start --config-file ${path}`)).toEqual({ code: 1, stdout: "", stderr: `vip: ${path}: expected YAML or JSON: bad indentation of a mapping entry (2:8)\n` });
  });

  test("and with -o json it is on stdout, as an object", async () => {
    const { code, stdout, stderr } = await shell("vip status -o json --directory /nowhere");
    expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
    expect(JSON.parse(stdout)).toEqual({ error: NOBODY.trimEnd() });
  });
});
