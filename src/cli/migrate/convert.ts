import { ConfigError, type Loaded } from "../../config/load.js";
import { SETTING_ROWS, type SettingName, type Settings } from "../../config/settings.js";
import { examineAll } from "../config-file.js";
import { givenVariables } from "../manifest/given.js";
import { placeVariables } from "../manifest/manifest.js";
import type { Json } from "../manifest/objects.js";
import { daemonSetOf, podOf, type Place } from "../manifest/pod.js";
import { rbacOf } from "../manifest/rbac.js";
import { fieldsOf, itemsOf, saidBy, textOf, type EnvEntry, type Found } from "./read.js";

/** What became of one kube-vip. */
export interface Converted {
  readonly objects: readonly Json[];
  /** One line for each thing that is not as it was. */
  readonly remarks: readonly string[];
}

export interface ConvertOptions {
  /** Of our container, with a tag. */
  readonly image: string;
  readonly version: string;
}

const ADMIN_CONF = "/etc/kubernetes/admin.conf";
/** Fields of a pod's spec that say where it runs. */
const KEPT = ["nodeSelector", "affinity", "tolerations", "imagePullSecrets"] as const;
const ADDED = ["NET_ADMIN", "NET_RAW"];

/** Ours in place of a kube-vip. Throws ConfigError where it would not start, or would leave out what must not be left out. */
export function convert(found: Found, options: ConvertOptions): Converted {
  const remarks: string[] = [];
  const inCluster = found.kind === "daemonset" && textOf(found.spec["serviceAccountName"]) !== undefined;
  const said = saidBy(found.container);
  const stand = standIns(said.referred);
  const env = adapted(said.env, { found, inCluster, remarks });
  const examined = examineAll({ env: { ...env, ...stand.env, ...plain(said.others) }, flags: said.flags });
  const problems = [...said.problems, ...stand.problems, ...examined.problems.map(withAdvice)];
  if (problems.length > 0) throw new ConfigError(problems);
  remarks.push(...examined.warnings);
  const loaded = { settings: examined.settings as Settings, sources: examined.sources };
  const place: Place = { kind: found.kind, inCluster, taint: false, ...options };
  const own = placeVariables(loaded, inCluster);
  for (const { name, value } of own) remarks.push(`${name}=${value} is added: the kubeconfig of the node may lead to the VIP itself; hostAliases are not needed for it`);
  const spec = Object.fromEntries(KEPT.flatMap((key) => (found.spec[key] === undefined ? [] : [[key, found.spec[key]]])));
  const parts = { settings: loaded.settings, variables: [...givenVariables(loaded).filter(({ name }) => stand.env[name] === undefined), ...own], extra: [...stand.kept, ...said.others], spec };
  const object = found.kind === "pod" ? podOf(parts, place) : daemonSetOf(parts, place);
  remarks.push(...differences(found, options), ...timings(loaded));
  return { objects: [...(inCluster ? rbacOf(loaded.settings, { romana: false }) : []), object], remarks };
}

interface Context {
  readonly found: Found;
  readonly inCluster: boolean;
  readonly remarks: string[];
}

/** What means something else here, or has another place. */
function adapted(env: Readonly<Record<string, string>>, { found, inCluster, remarks }: Context): Readonly<Record<string, string>> {
  const changed: Record<string, string> = { ...env };
  const change = (name: string, value: string, why: string): void => {
    if (changed[name] === value) return;
    remarks.push(`${name}=${value} instead of ${changed[name] ?? "nothing"}: ${why}`);
    changed[name] = value;
  };
  if (Number(env["vip_arpRate"] ?? 3000) < 500) change("vip_arpRate", "3000", "kube-vip takes less than 500 for 3000, too");
  if (inCluster && (found.namespace ?? "kube-system") !== (env["cp_namespace"] ?? "kube-system")) {
    change("cp_namespace", found.namespace ?? "kube-system", "in the cluster kube-vip has its Leases in the namespace of its ServiceAccount, and they must stay the same");
  }
  const host = inCluster ? undefined : hostPathAt(found, env["k8s_config_file"] ?? ADMIN_CONF);
  if (host !== undefined && host !== (env["k8s_config_file"] ?? ADMIN_CONF)) change("k8s_config_file", host, "the file of the node has the same name in the container");
  return changed;
}

/** The file or folder of the node that the container sees at `path`. */
function hostPathAt({ spec, container }: Found, path: string): string | undefined {
  const mount = itemsOf(container["volumeMounts"]).find(({ mountPath }) => mountPath === path);
  const volume = itemsOf(spec["volumes"]).find(({ name }) => name === mount?.["name"]);
  return textOf(fieldsOf(volume?.["hostPath"])["path"]);
}

interface StandIns {
  readonly env: Readonly<Record<string, string>>;
  /** By the main names of the settings. */
  readonly kept: readonly EnvEntry[];
  readonly problems: readonly string[];
}

const FROM_ELSEWHERE = "from elsewhere";

/** Values that come from elsewhere are not known here: a text stands in for them, where any text would do. */
function standIns(referred: readonly EnvEntry[]): StandIns {
  const settings = referred.map((entry) => ({ entry, setting: SETTING_ROWS.find(([, { env }]) => env.includes(entry.name))?.[1] }));
  const unknown = settings.filter(({ setting }) => setting !== undefined && "expected" in setting.type.parse(FROM_ELSEWHERE));
  return {
    env: Object.fromEntries(settings.map(({ entry, setting }) => [setting?.env[0] ?? entry.name, FROM_ELSEWHERE])),
    kept: settings.flatMap(({ entry, setting }) => (setting === undefined ? [] : [{ ...entry, name: setting.env[0] ?? entry.name }])),
    problems: unknown.map(({ entry }) => `${entry.name}: expected its value in the manifest; it comes from elsewhere, so that it cannot be checked`),
  };
}

function plain(others: readonly EnvEntry[]): Readonly<Record<string, string>> {
  return Object.fromEntries(others.flatMap((entry) => (typeof entry["value"] === "string" ? [[entry.name, entry["value"]]] : [])));
}

function withAdvice(problem: string): string {
  return problem.includes(" is refused") ? `${problem}. Take it out of the manifest where you can do without it` : problem;
}

function differences({ container, spec, kind, name }: Found, { image }: ConvertOptions): readonly string[] {
  const context = fieldsOf(container["securityContext"]);
  const capabilities = fieldsOf(context["capabilities"])["add"];
  const more = Array.isArray(capabilities) ? capabilities.flatMap((one) => textOf(one) ?? []).filter((one) => !ADDED.includes(one)) : [];
  const others = ["initContainers", "containers"].flatMap((list) => itemsOf(spec[list])).filter((one) => one["name"] !== container["name"]);
  const mounts = itemsOf(spec["volumes"]).map(({ name: volume, hostPath }) => `${textOf(volume)} (${textOf(fieldsOf(hostPath)["path"]) ?? "not of the node"})`);
  const what = kind === "pod" ? `the file of ${name} in the folder of static pods` : `the DaemonSet ${name}`;
  return [
    `image ${image} instead of ${textOf(container["image"]) ?? "none"}`,
    ...(more.length === 0 ? [] : [`capabilities ${more.join(", ")} are not needed`]),
    ...(context["privileged"] === true ? [`not privileged: ${ADDED.join(" and ")} are enough`] : []),
    ...others.map((one) => `container ${textOf(one["name"]) ?? "without a name"} is left out: only kube-vip's own is replaced`),
    ...(mounts.length === 0 ? [] : [`volumes ${mounts.join(", ")} are replaced: folders instead of files, read-only, and /run/vip`]),
    "read-only root, no privilege escalation, seccomp RuntimeDefault, priority system-node-critical, requests and limits are added",
    `it is called vip: remove ${what} on the same node; nodes may change one after the other, for the Leases are the same`,
  ];
}

function timings({ settings, sources }: Pick<Loaded, "settings" | "sources">): readonly string[] {
  const keys: readonly SettingName[] = ["leaseSeconds", "renewDeadlineSeconds", "retrySeconds"];
  if (keys.some((key) => sources[key].kind !== "default")) return [];
  return [`Lease timings are ${settings.leaseSeconds}/${settings.renewDeadlineSeconds}/${settings.retrySeconds} s by default, kube-vip's are 15/10/2 s`];
}

/** Objects of the API that belong to kube-vip's rights: ours take their place. */
export function isRights(object: Json): boolean {
  const name = textOf(fieldsOf(object["metadata"])["name"]) ?? "";
  return ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"].includes(textOf(object["kind"]) ?? "") && name.includes("kube-vip") && !name.includes("cloud");
}

