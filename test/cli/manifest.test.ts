import fc from "fast-check";
import { load, loadAll, YAML11_SCHEMA } from "js-yaml";
import { describe, expect, test } from "vitest";
import { manifestOf, runManifest, type ManifestKind, type ManifestOptions } from "../../src/cli/manifest/manifest.js";
import { loadSettings, type SettingsInput } from "../../src/config/load.js";
import type { Settings } from "../../src/config/settings.js";
import { runsOf } from "../runs.js";
import { FakeIo } from "./fake-io.js";
import { environments } from "./manifest-values.js";

const BASE = { vip_arp: "true", svc_enable: "true" };
const CONTROL_PLANE = { vip_arp: "true", cp_enable: "true", address: "192.0.2.10" };

type Fields = { readonly [key: string]: Fields } & readonly Fields[];

interface Printed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(kind: ManifestKind, input: SettingsInput, more: Partial<ManifestOptions> = {}): Printed {
  const io = new FakeIo();
  const code = runManifest(kind, { input, version: "1.2.3", ...more }, io);
  return { code, stdout: io.stdout, stderr: io.stderr };
}

function object(kind: ManifestKind, env: Readonly<Record<string, string>>, more: Partial<ManifestOptions> = {}): Fields {
  const { stdout, stderr } = run(kind, { env }, more);
  expect(stderr).toBe("");
  return load(stdout) as Fields;
}

const podSpec = (kind: ManifestKind, env: Readonly<Record<string, string>>, more: Partial<ManifestOptions> = {}): Fields => {
  const { spec } = object(kind, env, more);
  return (kind === "daemonset" ? spec?.["template"]?.["spec"] : spec) as Fields;
};

/** What kubelet makes of a value (third_party/forked/golang/expansion): no variable is defined before ours. */
function expanded(value: string): string {
  return value.replaceAll(/\$\$|\$\([^)]*\)/g, (found) => (found === "$$" ? "$" : `expanded ${found}`));
}

/** The environment that kubelet gives to the container, with the node's name where it is asked for. */
function environmentOf(text: string, schema = {}): Record<string, string> {
  const [document] = loadAll(text, schema) as readonly Fields[];
  const spec = (document?.["spec"]?.["template"]?.["spec"] ?? document?.["spec"]) as Fields;
  const entries = spec["containers"]?.[0]?.["env"] as unknown as readonly { readonly name: string; readonly value?: unknown }[];
  return Object.fromEntries(entries.map(({ name, value }) => [name, value === undefined ? "node-1" : typeof value === "string" ? expanded(value) : `no text: ${JSON.stringify(value)}`]));
}

/** systemd.syntax(7) and the specifier `%%`. */
function environmentOfUnit(text: string): Record<string, string> {
  const quoted = text.split("\n").flatMap((line) => /^Environment="(.*)"$/.exec(line)?.[1] ?? []);
  const pairs = quoted.map((value) => value.replaceAll(/\\(.)/g, "$1").replaceAll("%%", "%"));
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]));
}

/** What the daemon would make of it. */
function settingsOf(env: Readonly<Record<string, string>>): Settings {
  return loadSettings({ env }).settings;
}

describe("a manifest, read back, gives the settings that were given", () => {
  test.each<ManifestKind>(["pod", "daemonset"])("%s", (kind) => {
    fc.assert(
      fc.property(environments, (env) => {
        const { vip_nodename: name, ...others } = env;
        const given = kind === "daemonset" || name === undefined ? others : env;
        const text = manifestOf(kind, loadSettings({ env: given }), { input: { env: given }, version: "1" });
        const own = settingsOf({ kubernetes_addr: text.includes("kubernetes_addr") ? `127.0.0.1:${given["port"] ?? "6443"}` : "", vip_nodename: "node-1", ...given });
        expect(settingsOf(environmentOf(text))).toEqual(own);
        // What kubectl reads: YAML 1.1, where `off` and `12:30:45` are no texts.
        expect(environmentOf(text, { schema: YAML11_SCHEMA })).toEqual(environmentOf(text));
      }),
      { numRuns: runsOf(120) },
    );
  });

  test("systemd", () => {
    fc.assert(
      fc.property(environments, (env) => {
        const text = manifestOf("systemd", loadSettings({ env }), { input: { env }, version: "1" });
        expect(settingsOf(environmentOfUnit(text))).toEqual(settingsOf({ kubernetes_addr: text.includes("kubernetes_addr") ? `127.0.0.1:${env["port"] ?? "6443"}` : "", ...env }));
      }),
      { numRuns: runsOf(120) },
    );
  });

  test("whether they came as flags, by an old name or from a file; the file itself is not named", () => {
    const input: SettingsInput = { env: { vip_address: "192.0.2.1", config_file: "/f" }, flags: { arp: "true", services: "true", prometheusHTTPServer: "" }, file: { path: "/f", text: "vip_arpRate: 700" } };
    const { stdout } = run("pod", input);
    expect(environmentOf(stdout)).toEqual({ vip_arp: "true", svc_enable: "true", address: "192.0.2.1", vip_arpRate: "700", prometheus_server: "off", vip_nodename: "node-1" });
  });
});

describe("a pod", () => {
  test("has the rights that it needs and no others", () => {
    const spec = podSpec("pod", BASE);
    expect(spec["containers"]?.[0]?.["securityContext"]).toEqual({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsUser: 0, capabilities: { add: ["NET_ADMIN", "NET_RAW"], drop: ["ALL"] } });
    expect(spec["securityContext"]).toEqual({ seccompProfile: { type: "RuntimeDefault" } });
    expect(spec).toMatchObject({ hostNetwork: true, priorityClassName: "system-node-critical", automountServiceAccountToken: false });
  });

  test.each([
    [":80", true],
    ["127.0.0.1:1023", true],
    [":1024", false],
    ["off", false],
  ])("with metrics at %s may bind low ports: %s", (server, may) => {
    const capabilities = podSpec("pod", { ...BASE, prometheus_server: server })["containers"]?.[0]?.["securityContext"]?.["capabilities"]?.["add"] as unknown as readonly string[];
    expect(capabilities.includes("NET_BIND_SERVICE")).toBe(may);
  });

  test("in BGP mode lets the thread of BFD go before others, as the unit does", () => {
    const bgp = { vip_arp: "false", svc_enable: "true", bgp_enable: "true", bgp_as: "64500", bgp_peers: "192.0.2.1:64501", bgp_routerid: "192.0.2.2" };
    const capabilities = podSpec("pod", bgp)["containers"]?.[0]?.["securityContext"]?.["capabilities"]?.["add"] as unknown as readonly string[];
    expect(capabilities).toContain("SYS_NICE");
    const units = [bgp, BASE].map((env) => run("systemd", { env }).stdout);
    expect(units.map((text) => /^AmbientCapabilities=.*CAP_SYS_NICE/m.test(text))).toEqual([true, false]);
    expect(units.map((text) => text.includes("RestrictRealtime=yes"))).toEqual([false, true]);
  });

  test("mounts folders of the host, no files, and writes to /run/vip only", () => {
    const spec = podSpec("pod", { ...BASE, cp_enable: "true", address: "192.0.2.1", k8s_config_file: "/etc/vip/kubeconfig", control_plane_health_check_ca_path: "/etc/kubernetes/pki/ca.crt" });
    expect(spec["volumes"]).toEqual([
      { name: "run", hostPath: { path: "/run/vip", type: "DirectoryOrCreate" } },
      { name: "kubernetes", hostPath: { path: "/etc/vip", type: "Directory" } },
      { name: "kubernetes-1", hostPath: { path: "/etc/kubernetes", type: "Directory" } },
    ]);
    expect(spec["containers"]?.[0]?.["volumeMounts"]).toEqual([
      { name: "run", mountPath: "/run/vip" },
      { name: "kubernetes", mountPath: "/etc/vip", readOnly: true },
      { name: "kubernetes-1", mountPath: "/etc/kubernetes", readOnly: true },
    ]);
  });

  test("is probed where health_check_port is set", () => {
    expect(podSpec("pod", { ...BASE, health_check_port: "2113" })["containers"]?.[0]).toMatchObject({ livenessProbe: { httpGet: { path: "/livez", port: 2113 } }, readinessProbe: { httpGet: { path: "/readyz", port: 2113 } } });
    expect(podSpec("pod", BASE)["containers"]?.[0]).not.toHaveProperty("livenessProbe");
  });

  test("for the control plane asks the node's own API server, unless another one is named", () => {
    const { stdout } = run("pod", { env: { ...CONTROL_PLANE, port: "7443" } });
    expect(environmentOf(stdout)["kubernetes_addr"]).toBe("127.0.0.1:7443");
    expect(environmentOf(run("pod", { env: { ...CONTROL_PLANE, kubernetes_addr: "10.0.0.1" } }).stdout)["kubernetes_addr"]).toBe("10.0.0.1");
    expect(environmentOf(run("daemonset", { env: CONTROL_PLANE }, { inCluster: true }).stdout)).not.toHaveProperty("kubernetes_addr");
  });

  test.each([
    [undefined, "localhost/vip:1.2.3"],
    ["registry:5000/vip", "registry:5000/vip:1.2.3"],
    ["registry:5000/vip:latest", "registry:5000/vip:latest"],
    ["vip@sha256:00", "vip@sha256:00"],
  ])("of image %s is of %s", (image, full) => {
    expect(podSpec("pod", BASE, { image })["containers"]?.[0]?.["image"]).toBe(full);
  });
});

describe("a DaemonSet", () => {
  test("in the cluster has a ServiceAccount and no file of the host", () => {
    const spec = podSpec("daemonset", BASE, { inCluster: true });
    expect(spec["serviceAccountName"]).toBe("vip");
    expect(spec["volumes"]).toEqual([{ name: "run", hostPath: { path: "/run/vip", type: "DirectoryOrCreate" } }]);
  });

  test("with --taint runs on control-plane nodes, whatever their taints", () => {
    const spec = podSpec("daemonset", BASE, { taint: true });
    expect(spec["tolerations"]).toEqual([{ effect: "NoSchedule", operator: "Exists" }, { effect: "NoExecute", operator: "Exists" }]);
    expect(JSON.stringify(spec["affinity"])).toContain("node-role.kubernetes.io/control-plane");
    expect(podSpec("daemonset", BASE)).not.toHaveProperty("affinity");
  });

  test("selects the pods that it makes", () => {
    const { spec } = object("daemonset", BASE);
    expect(spec?.["template"]?.["metadata"]?.["labels"]).toMatchObject(spec?.["selector"]?.["matchLabels"] as object);
  });
});

describe("an error goes to stderr, and nothing to stdout", () => {
  test.each<readonly [string, ManifestKind, Readonly<Record<string, string>>, Partial<ManifestOptions>, string]>([
    ["a pod in the cluster", "pod", BASE, { inCluster: true }, "vip: --inCluster: expected a DaemonSet, for kubelet gives a static pod no ServiceAccount, Secret or ConfigMap; it reads a kubeconfig of the node instead (--k8sConfigPath)\n"],
    ["a unit in the cluster", "systemd", BASE, { inCluster: true }, "vip: --inCluster: expected a DaemonSet, a unit of systemd is not in the cluster\n"],
    ["one name for every node", "daemonset", { ...BASE, vip_nodename: "n1" }, {}, 'vip: vip_nodename="n1": expected none, every node of a DaemonSet needs a name of its own\n'],
    ["a value that does not parse", "pod", { ...BASE, port: "x" }, {}, 'vip: port="x": expected a whole number from 1 to 65535\n'],
    ["a mode that is not there", "rbac", { ...BASE, vip_routingtable: "true" }, {}, 'vip: vip_routingtable="true" is refused in this version; planned: the routing table mode; this version serves by ARP or BGP (vip_arp, bgp_enable)\n'],
    ["a kubeconfig in the root directory", "pod", { ...BASE, k8s_config_file: "/admin.conf" }, {}, 'vip: k8s_config_file: expected an absolute path, not in the root directory and without colons, for its folder is mounted into the container: "/"\n'],
    ["a Role for all namespaces", "rbac", BASE, { role: true }, "vip: --role: expected svc_namespace to be set, for a Role reaches one namespace only\n"],
    ["a value of two lines in a unit", "systemd", { ...BASE, lb_class_name: "a\nb" }, {}, "vip: lb_class_name: expected one line, a unit has no other values\n"],
  ])("%s", (_name, kind, env, more, stderr) => {
    expect(run(kind, { env }, more)).toEqual({ code: 1, stdout: "", stderr });
  });

  test("an empty flag that no variable can say", () => {
    expect(run("pod", { env: BASE, flags: { leaseName: "" } })).toEqual({ code: 1, stdout: "", stderr: 'vip: --leaseName="": expected a text, for an empty variable in a manifest counts as unset\n' });
  });

  test("a warning goes to stderr, too, and the manifest to stdout", () => {
    const { code, stdout, stderr } = run("pod", { env: { ...BASE, lb_enable: "true" } });
    expect(code).toBe(0);
    expect(stderr).toContain('vip: lb_enable="true" has no effect');
    expect(load(stdout)).toMatchObject({ kind: "Pod" });
  });
});
