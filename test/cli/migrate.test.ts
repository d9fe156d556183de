import { load, loadAll } from "js-yaml";
import { describe, expect, test } from "vitest";
import { runMigrate } from "../../src/cli/migrate/migrate.js";
import { FakeIo } from "./fake-io.js";
import { DAEMON_SET, HELM_CHART, OLD_DAEMON_SET, STATIC_POD } from "./migrate-manifests.js";

interface Entry {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: unknown;
}

interface PodSpec {
  readonly containers: readonly { readonly image: string; readonly args: readonly string[]; readonly env: readonly Entry[]; readonly securityContext: object; readonly volumeMounts: readonly object[] }[];
  readonly [key: string]: unknown;
}

interface Workload {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: PodSpec & { readonly template: { readonly spec: PodSpec } };
}

function migrate(text: string, image?: string): { readonly code: number; readonly stdout: string; readonly stderr: string } {
  const io = new FakeIo();
  const code = runMigrate(text, { version: "1.2.3", image }, io);
  return { code, stdout: io.stdout, stderr: io.stderr };
}

const envOf = (spec: PodSpec): Readonly<Record<string, unknown>> => Object.fromEntries(spec.containers[0]?.env.map(({ name, value, valueFrom }) => [name, value ?? valueFrom]) ?? []);

describe("a static pod of kube-vip", () => {
  const { code, stdout, stderr } = migrate(STATIC_POD);
  const { spec, metadata } = load(stdout) as Workload;

  test("becomes one of ours with the same settings", () => {
    expect(code).toBe(0);
    expect(metadata).toMatchObject({ name: "vip", namespace: "kube-system" });
    expect(envOf(spec)).toEqual({
      vip_arp: "true",
      svc_enable: "true",
      cp_enable: "true",
      address: "192.168.0.40",
      port: "6443",
      vip_interface: "eth0",
      k8s_config_file: "/etc/kubernetes/super-admin.conf",
      cp_namespace: "kube-system",
      vip_leasename: "plndr-cp-lock",
      svc_leasename: "plndr-svcs-lock",
      vip_leaderelection: "true",
      vip_leaseduration: "15",
      vip_renewdeadline: "10",
      vip_retryperiod: "2",
      vip_subnet: "32",
      dns_mode: "first",
      dhcp_mode: "ipv4",
      prometheus_server: ":2112",
      kubernetes_addr: "127.0.0.1:6443",
      vip_nodename: { fieldRef: { fieldPath: "spec.nodeName" } },
    });
  });

  test("gets our image, rights and mounts", () => {
    expect(spec.containers[0]).toMatchObject({ image: "localhost/vip:1.2.3", args: ["start"], securityContext: { readOnlyRootFilesystem: true }, volumeMounts: [{ mountPath: "/run/vip" }, { mountPath: "/etc/kubernetes", readOnly: true }] });
    expect(spec["hostAliases"]).toBeUndefined();
  });

  test("says each change, as a comment and on stderr", () => {
    const remarks = stderr.trimEnd().split("\n").map((line) => line.replace(/^vip: /, ""));
    expect(stdout.startsWith(`${remarks.map((remark) => `# ${remark}`).join("\n")}\napiVersion: v1\n`)).toBe(true);
    expect(remarks).toEqual([
      "k8s_config_file=/etc/kubernetes/super-admin.conf instead of nothing: the file of the node has the same name in the container",
      expect.stringContaining('lb_enable="true" has no effect'),
      expect.stringContaining('lb_port="6443" has no effect'),
      expect.stringContaining("kubernetes_addr=127.0.0.1:6443 is added"),
      "image localhost/vip:1.2.3 instead of ghcr.io/kube-vip/kube-vip:v1.0.4",
      "volumes kubeconfig (/etc/kubernetes/super-admin.conf) are replaced: folders instead of files, read-only, and /run/vip",
      expect.stringContaining("read-only root"),
      "it is called vip: remove the file of kube-vip in the folder of static pods on the same node; nodes may change one after the other, for the Leases are the same",
    ]);
  });

  test("is of another image where one is named", () => {
    expect(migrate(STATIC_POD, "registry/vip:9").stdout).toContain("image: registry/vip:9");
  });
});

describe("a DaemonSet of kube-vip with its rights", () => {
  const { code, stdout, stderr } = migrate(DAEMON_SET);
  const objects = loadAll(stdout) as readonly Workload[];

  test("becomes ours with our rights; what is not kube-vip's stays", () => {
    expect(code).toBe(0);
    expect(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([
      "ConfigMap kubevip",
      "ServiceAccount vip",
      "ClusterRole system:vip",
      "ClusterRoleBinding system:vip",
      "Role vip-leases",
      "RoleBinding vip-leases",
      "Role vip-addresses",
      "RoleBinding vip-addresses",
      "DaemonSet vip",
    ]);
    expect(objects[1]?.metadata.namespace).toBe("lb");
  });

  test("keeps where it runs, what its arguments say and what is no setting", () => {
    const spec = objects.at(-1)?.spec.template.spec;
    if (spec === undefined) throw new Error("no DaemonSet");
    expect(spec).toMatchObject({ nodeSelector: { edge: "yes" }, tolerations: [{ operator: "Exists" }], serviceAccountName: "vip" });
    expect(envOf(spec)).toEqual({
      vip_arp: "true",
      svc_enable: "true",
      vip_servicesinterface: "eth1",
      cp_namespace: "lb",
      vip_arpRate: "3000",
      vip_subnet: "auto",
      lb_class_name: "a$$b",
      svc_election: "true",
      vip_foo: "1",
      TZ: "UTC",
      bgp_peerpass: { secretKeyRef: { name: "bgp", key: "pass" } },
      vip_nodename: { fieldRef: { fieldPath: "spec.nodeName" } },
    });
  });

  test.each([
    "vip_arpRate=3000 instead of 100: kube-vip takes less than 500 for 3000, too",
    "cp_namespace=lb instead of nothing: in the cluster kube-vip has its Leases in the namespace of its ServiceAccount, and they must stay the same",
    "vip_foo is not known and has no effect",
    "capabilities SYS_TIME are not needed",
    "not privileged: NET_ADMIN and NET_RAW are enough",
    "Lease timings are 5/3/1 s by default, kube-vip's are 15/10/2 s",
    "it is called vip: remove the DaemonSet kube-vip-ds on the same node",
    "ClusterRole system:kube-vip-role is left out: ours has its own account and rights",
    "ConfigMap kubevip is left as it is",
  ])("says: %s", (remark) => {
    expect(stderr).toContain(`vip: ${remark}`);
    expect(stdout).toContain(`# ${remark}`);
  });
});

describe("a DaemonSet of kube-vip in the cluster", () => {
  const NODE_NAME = { fieldRef: { fieldPath: "spec.nodeName" } };

  test.each<readonly [string, string, Readonly<Record<string, unknown>>, readonly string[]]>([
    [
      "by the Helm chart",
      HELM_CHART,
      { vip_arp: "true", svc_enable: "true", cp_enable: "false", svc_election: "false", vip_leaderelection: "false", vip_subnet: "32", vip_nodename: NODE_NAME },
      [
        `lb_enable="true" has no effect: the VIP leads to the API server of the node that holds it; IPVS of our own would be in the way of kube-proxy's`,
        `lb_port="6443" has no effect: the VIP leads to the API server of the node that holds it; IPVS of our own would be in the way of kube-proxy's`,
        "image localhost/vip:1.2.3 instead of ghcr.io/kube-vip/kube-vip:v1.0.4",
        "read-only root, no privilege escalation, seccomp RuntimeDefault, priority system-node-critical, requests and limits are added",
        "it is called vip: remove the DaemonSet kube-vip on the same node; nodes may change one after the other, for the Leases are the same",
        "Lease timings are 5/3/1 s by default, kube-vip's are 15/10/2 s",
      ],
    ],
    [
      "by the documentation of 0.4",
      OLD_DAEMON_SET,
      { vip_arp: "true", svc_enable: "true", cp_enable: "true", address: "192.168.0.1", port: "6443", vip_interface: "eth0", vip_subnet: "32", cp_namespace: "kube-system", vip_leaderelection: "true", vip_leaseduration: "5", vip_renewdeadline: "3", vip_retryperiod: "1", vip_ddns: "false", vip_nodename: NODE_NAME },
      [
        `lb_enable="true" has no effect: the VIP leads to the API server of the node that holds it; IPVS of our own would be in the way of kube-proxy's`,
        `lb_port="6443" has no effect: the VIP leads to the API server of the node that holds it; IPVS of our own would be in the way of kube-proxy's`,
        `lb_fwdmethod="local" has no effect: the VIP leads to the API server of the node that holds it; IPVS of our own would be in the way of kube-proxy's`,
        "image localhost/vip:1.2.3 instead of ghcr.io/kube-vip/kube-vip:v0.4.1",
        "read-only root, no privilege escalation, seccomp RuntimeDefault, priority system-node-critical, requests and limits are added",
        "it is called vip: remove the DaemonSet kube-vip-ds on the same node; nodes may change one after the other, for the Leases are the same",
      ],
    ],
  ])("%s", (_name, text, env, remarks) => {
    const { code, stdout, stderr } = migrate(text);
    expect(code).toBe(0);
    const ours = (loadAll(stdout) as readonly Workload[]).at(-1);
    expect(envOf(ours?.spec.template.spec ?? { containers: [] })).toEqual(env);
    expect(ours?.spec.template.spec["serviceAccountName"]).toBe("vip");
    expect(stderr.trimEnd().split("\n").map((line) => line.replace(/^vip: /, ""))).toEqual(remarks);
  });

  test("with another container says that this is left out", () => {
    const { stderr, stdout } = migrate(HELM_CHART.replace("      containers:\n", "      initContainers: [{ name: wait, image: busybox }]\n      containers:\n        - { name: side, image: other }\n"));
    expect(stderr).toContain("vip: container wait is left out: only kube-vip's own is replaced\nvip: container side is left out");
    expect(stdout).not.toContain("busybox\n");
  });
});

describe("what cannot be migrated is an error, and nothing on stdout", () => {
  const withEnv = (lines: string): string => STATIC_POD.replace("    - name: lb_enable\n      value: \"true\"\n", lines);
  test.each<readonly [string, string, string]>([
    ["egress", withEnv('    - { name: egress_podcidr, value: 10.0.0.0/8 }\n'), 'vip: egress_podcidr="10.0.0.0/8" is refused in this version; planned: egress: without its rules the traffic of pods would leave with the address of a node. Take it out of the manifest where you can do without it\n'],
    ["routing tables", STATIC_POD.replace("vip_arp", "vip_routingtable"), 'vip: vip_routingtable="true" is refused in this version'],
    ["an election by etcd", STATIC_POD.replace("    - manager", "    - manager\n    - --leaderElectionType=etcd"), 'vip: --leaderElectionType="etcd" is refused'],
    ["a flag that nobody knows", STATIC_POD.replace("    - manager", "    - manager\n    - --foo"), "vip: --foo: expected a flag of kube-vip\n"],
    ["an address from elsewhere", STATIC_POD.replace("value: 192.168.0.40", "valueFrom: { configMapKeyRef: { name: a, key: b } }"), "vip: address: expected its value in the manifest; it comes from elsewhere, so that it cannot be checked\n"],
    ["settings of a ConfigMap", HELM_CHART.replace("        - args: [manager]\n", "        - args: [manager]\n          envFrom: [{ configMapRef: { name: settings } }]\n"), "vip: envFrom: expected the settings of ConfigMap settings as entries of env, for what is in it cannot be seen here\n"],
    ["settings of a Secret", HELM_CHART.replace("        - args: [manager]\n", "        - args: [manager]\n          envFrom: [{ secretRef: { name: settings } }]\n"), "vip: envFrom: expected the settings of Secret settings as entries of env, for what is in it cannot be seen here\n"],
    ["no kube-vip", "kind: ConfigMap\nmetadata: { name: a }", "vip: standard input: expected a Pod or DaemonSet that runs kube-vip\n"],
    ["nothing", "", "vip: standard input: expected "],
    ["no YAML", "a: [", "vip: standard input: expected manifests in YAML: "],
  ])("%s", (_name, text, stderr) => {
    const result = migrate(text);
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toContain(stderr);
  });
});
