import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Cluster, VIP } from "./cluster.js";
import { hostFolder, podSpecOf, startContainer, writeAccount, type PodSpec } from "./container.js";
import { loadBalancer } from "./kube-client.js";
import type { Lab } from "./lab.js";
import { printedRole } from "./roles.js";

async function printed(lab: Lab, kind: "pod" | "daemonset", args: readonly string[]): Promise<PodSpec> {
  const { stdout, stderr } = await lab.exec("n1", [lab.built("vip"), "manifest", kind, ...args]);
  expect(stderr).toBe("");
  return podSpecOf(stdout);
}

/** What the kernel says of a process: its capabilities and whether it may get more. */
async function standing(lab: Lab, pid: number): Promise<Readonly<Record<string, string>>> {
  const { stdout } = await lab.exec("n1", ["grep", "-E", "^(Cap(Prm|Eff|Bnd)|NoNewPrivs|Uid)", `/proc/${pid}/status`]);
  return Object.fromEntries(stdout.trim().split("\n").map((line) => [line.split(":")[0] ?? "", line.split("\t").at(-1) ?? ""]));
}

test("the static pod as its own manifest says: waits for the kubeconfig, serves, and takes the one that replaces it", async () => {
  await using cluster = await Cluster.bare(1);
  const { lab, admin, api } = cluster;
  const spec = await printed(lab, "pod", ["--arp", "--services", "--interface", "eth0", "--healthCheckPort", "2113"]);
  const folder = hostFolder(lab, "n1", "/etc/kubernetes");
  mkdirSync(folder, { recursive: true });
  await api.client.createService(loadBalancer({ name: "web", ip: VIP }));
  const pod = await startContainer(lab, { node: "n1", spec });
  await pod.waitFor(/find a kubeconfig: \/etc\/kubernetes\/admin\.conf \(ENOENT\).*api server is not there yet/);
  expect(await standing(lab, pod.pid)).toEqual({ Uid: "0", CapPrm: "0000000000003000", CapEff: "0000000000003000", CapBnd: "0000000000003000", NoNewPrivs: "1" });

  writeFileSync(join(folder, "admin.conf"), await admin.kubeconfig("first"));
  await cluster.heldBy(VIP, 8000, "n1");
  expect((await lab.exec("n1", ["curl", "-sf", "http://127.0.0.1:2113/readyz"])).stdout).not.toBe("");
  const inside = ["nsenter", `--target=${pod.pid}`, "--mount", "--root", "--wd=/", "/vip"];
  expect((await lab.exec("n1", [...inside, "why", "default/web"])).stdout).toContain("default/web: served here (node n1)");
  const readOnly = await lab.exec("n1", ["nsenter", `--target=${pod.pid}`, "--mount", "--root", "--wd=/", "touch", "/file"], { mayFail: true });
  expect(readOnly.stderr).toContain("Read-only file system");

  writeFileSync(join(folder, "admin.conf.new"), await admin.kubeconfig("second"));
  renameSync(join(folder, "admin.conf.new"), join(folder, "admin.conf"));
  await admin.resetCounters();
  await admin.resetConnections();
  await lab.waitFor(async () => (await admin.counters()).requests.some(({ user, verb, code }) => user === "second" && verb === "update" && code === 200), 5000, "a renew with the new kubeconfig");
  expect(await lab.holders(VIP)).toEqual(["n1"]);

  expect(await pod.stop()).toEqual({ code: 0, signal: null });
  expect(await lab.holders(VIP)).toEqual([]);
});

test("the DaemonSet as its own manifest says: with its ServiceAccount and the rights of `vip manifest rbac`; beside it a static pod of the same node, which has the port of metrics", async () => {
  await using cluster = await Cluster.bare(1);
  const { lab, admin, api } = cluster;
  const flags = ["--arp", "--services", "--svcAddresses", VIP, "--interface", "eth0"];
  await admin.rights("account", await printedRole(lab, ["--svcAddresses", VIP]));
  writeAccount(lab, "n1", await admin.kubeconfig("account"));
  await api.client.createService(loadBalancer({ name: "web" }));

  const folder = hostFolder(lab, "n1", "/etc/kubernetes");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "admin.conf"), await admin.kubeconfig("node"));
  const static_ = await printed(lab, "pod", ["--arp", "--controlplane", "--address", "10.77.0.190", "--interface", "eth0"]);
  const first = await startContainer(lab, { node: "n1", spec: { ...static_, containers: [{ ...static_.containers[0], env: [...static_.containers[0].env, { name: "kubernetes_addr", value: "10.78.0.1:6443" }, { name: "control_plane_health_check_address", value: "off" }] }] } });
  await cluster.heldBy("10.77.0.190", 8000, "n1");

  const spec = await printed(lab, "daemonset", [...flags, "--inCluster"]);
  const second = await startContainer(lab, { node: "n1", spec, service: { KUBERNETES_SERVICE_HOST: "10.78.0.1", KUBERNETES_SERVICE_PORT: "6443" } });
  await cluster.heldBy(VIP, 8000, "n1");
  await second.waitFor(/"port":2112,.*EADDRINUSE.*cannot listen, tried again/);
  expect(second.logs().filter(({ level }) => level === "error")).toEqual([]);
  const status = await lab.exec("n1", ["nsenter", `--target=${second.pid}`, "--mount", "--root", "--wd=/", "/vip", "status"]);
  expect(status.stdout).toContain(VIP);
  expect(status.stdout).toContain("10.77.0.190");

  await first.stop();
  await second.waitFor(/"port":2112.*"listening"/, 8000);
  expect(await lab.holders(VIP)).toEqual(["n1"]);
});
