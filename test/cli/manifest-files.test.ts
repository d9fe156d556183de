import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { loadAll } from "js-yaml";
import { describe, expect, test } from "vitest";
import { manifestOf, type ManifestKind, type ManifestOptions } from "../../src/cli/manifest/manifest.js";
import { loadSettings } from "../../src/config/load.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { readonly version: string };

interface Copy {
  readonly file: string;
  readonly kind: ManifestKind;
  readonly flags: Readonly<Record<string, string>>;
  readonly more?: Partial<ManifestOptions>;
}

const PROBED = { healthCheckPort: "2113" };
const CONTROL_PLANE = { arp: "true", controlplane: "true", address: "192.0.2.10", interface: "eth0", ...PROBED };
const SERVICES = { arp: "true", services: "true", ...PROBED };

/** What lies in manifests/, each as `vip manifest` prints it with these flags. */
const COPIES: readonly Copy[] = [
  { file: "control-plane-pod.yaml", kind: "pod", flags: CONTROL_PLANE },
  { file: "control-plane-first-node-pod.yaml", kind: "pod", flags: { ...CONTROL_PLANE, bootstrap: "true" } },
  { file: "services-daemonset.yaml", kind: "daemonset", flags: SERVICES, more: { inCluster: true } },
  { file: "rbac.yaml", kind: "rbac", flags: SERVICES },
  { file: "vip.service", kind: "systemd", flags: { ...SERVICES, k8sConfigPath: "/etc/vip/kubeconfig" } },
];

function printed({ kind, flags, more = {} }: Copy): string {
  const input = { env: {}, flags };
  return `${manifestOf(kind, loadSettings(input), { input, version, ...more })}\n`;
}

test.each(COPIES)("manifests/$file is what the program prints", (copy) => {
  const file = new URL(`../../manifests/${copy.file}`, import.meta.url);
  if (process.env["WRITE_MANIFESTS"] === "1") writeFileSync(file, printed(copy));
  expect(readFileSync(file, "utf8"), "WRITE_MANIFESTS=1 npx vitest run --project unit test/cli/manifest-files.test.ts").toBe(printed(copy));
});

/** Fields of the API (core/v1, apps/v1, rbac/v1) by path; an object under a path may have these and no others. `*` stands for every item of a list. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  Pod: ["apiVersion", "kind", "metadata", "spec"],
  DaemonSet: ["apiVersion", "kind", "metadata", "spec"],
  "DaemonSet.spec": ["selector", "updateStrategy", "template"],
  "DaemonSet.spec.template": ["metadata", "spec"],
  PodSpec: ["serviceAccountName", "automountServiceAccountToken", "hostNetwork", "dnsPolicy", "priorityClassName", "terminationGracePeriodSeconds", "securityContext", "affinity", "tolerations", "containers", "volumes"],
  "PodSpec.containers.*": ["name", "image", "imagePullPolicy", "args", "env", "livenessProbe", "readinessProbe", "resources", "securityContext", "volumeMounts"],
  "PodSpec.containers.*.securityContext": ["allowPrivilegeEscalation", "readOnlyRootFilesystem", "runAsUser", "capabilities"],
  "PodSpec.containers.*.livenessProbe": ["httpGet", "periodSeconds", "timeoutSeconds", "failureThreshold"],
  "PodSpec.containers.*.env.*": ["name", "value", "valueFrom"],
  "PodSpec.volumes.*": ["name", "hostPath"],
  "PodSpec.containers.*.volumeMounts.*": ["name", "mountPath", "readOnly"],
  ClusterRole: ["apiVersion", "kind", "metadata", "rules"],
  "ClusterRole.rules.*": ["apiGroups", "resources", "resourceNames", "verbs"],
  ClusterRoleBinding: ["apiVersion", "kind", "metadata", "roleRef", "subjects"],
  "ClusterRoleBinding.subjects.*": ["kind", "name", "namespace"],
};

/** Every object below `value` with its path. */
function walk(value: unknown, path: string): readonly (readonly [string, object])[] {
  if (typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((item: unknown) => walk(item, `${path}.*`));
  const at = /^(Pod|DaemonSet\.spec\.template)\.spec$/.test(path) ? "PodSpec" : path;
  return [[at, value], ...Object.entries(value).flatMap(([key, below]) => walk(below, `${at}.${key}`))];
}

describe("what is printed", () => {
  const objects = COPIES.filter(({ kind }) => kind !== "systemd").flatMap((copy) => loadAll(printed(copy)) as readonly { readonly kind: string; readonly metadata: object }[]);

  test("has only fields that the API has, and values of the right kinds", () => {
    const seen = objects.flatMap((object) => walk(object, object.kind));
    for (const [path, object] of seen) {
      const known = FIELDS[path];
      if (known !== undefined) expect(Object.keys(object).filter((key) => !known.includes(key)), path).toEqual([]);
    }
    expect(Object.keys(FIELDS).filter((path) => !seen.some(([at]) => at === path))).toEqual([]);
  });

  test("names only what it has: mounts have volumes, bindings have roles", () => {
    for (const [, spec] of objects.flatMap((object) => walk(object, object.kind)).filter(([path]) => path === "PodSpec")) {
      const { volumes, containers } = spec as { readonly volumes: readonly { readonly name: string }[]; readonly containers: readonly { readonly volumeMounts: readonly { readonly name: string }[] }[] };
      expect(containers.flatMap(({ volumeMounts }) => volumeMounts.map(({ name }) => name))).toEqual(volumes.map(({ name }) => name));
    }
    expect(objects.map(({ kind }) => kind)).toEqual(["Pod", "Pod", "DaemonSet", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Role", "RoleBinding"]);
  });

  // A real API server has the last word, where one is given.
  const kubeconfig = process.env["VIP_TEST_KUBECONFIG"] ?? "";
  test.skipIf(kubeconfig === "").each(COPIES.filter(({ kind }) => kind !== "systemd"))("passes a dry run of the API server: $file", (copy) => {
    const said = execFileSync("kubectl", ["--kubeconfig", kubeconfig, "apply", "--dry-run=server", "-f", "-"], { input: printed(copy), encoding: "utf8" });
    expect(said).toContain("(server dry run)");
  });
});
