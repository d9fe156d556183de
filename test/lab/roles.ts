import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadAll } from "js-yaml";
import type { PolicyRule } from "./api/rights.js";
import type { Cluster } from "./cluster.js";
import type { Lab } from "./lab.js";

const CORE = "";
const DISCOVERY = "discovery.k8s.io";
const COORDINATION = "coordination.k8s.io";

const rule = (group: string, resources: readonly string[], verbs: readonly string[]): PolicyRule => ({ apiGroups: [group], resources, verbs });

/** ClusterRole system:kube-vip-role, as `kube-vip manifest rbac` prints it. */
export const KUBE_VIP_ROLE: readonly PolicyRule[] = [
  rule(CORE, ["services/status"], ["update"]),
  rule(CORE, ["services", "endpoints"], ["list", "get", "watch", "update"]),
  rule(CORE, ["nodes"], ["list", "get", "watch", "update", "patch"]),
  rule(COORDINATION, ["leases"], ["list", "get", "watch", "update", "create"]),
  rule(DISCOVERY, ["endpointslices"], ["list", "get", "watch", "update"]),
  rule(CORE, ["pods"], ["list"]),
];

/** An object of `vip manifest rbac`. */
interface Printed {
  readonly kind: string;
  readonly metadata: { readonly namespace?: string };
  readonly rules?: readonly PolicyRule[];
}

/** What the roles that `vip manifest rbac` prints allow, taken together; `args` are settings as flags, and `--romana`. */
export async function printedRole(lab: Lab, args: readonly string[] = []): Promise<readonly PolicyRule[]> {
  const { stdout } = await lab.exec("n1", [lab.built("vip"), "manifest", "rbac", "--arp", "--services", ...args]);
  return (loadAll(stdout) as readonly Printed[]).flatMap(({ metadata, rules = [] }) => rules.map((one) => ({ ...one, ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }) })));
}

/** Every right of a role, as `verb resource`. */
export function rightsIn(role: readonly PolicyRule[]): readonly string[] {
  return role.flatMap(({ resources, verbs }) => resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}`)));
}

/** The role without one verb of one resource. */
export function without(role: readonly PolicyRule[], verb: string, resource: string): readonly PolicyRule[] {
  if (!role.some(({ resources, verbs }) => resources.includes(resource) && verbs.includes(verb))) throw new Error(`the role has no ${verb} of ${resource}`);
  return role.map((one) => (one.resources.includes(resource) ? { ...one, verbs: one.verbs.filter((other) => other !== verb) } : one));
}

/** Gives a user these rights; the path of a kubeconfig that is this user. */
export async function userWith(cluster: Cluster, user: string, role: readonly PolicyRule[]): Promise<string> {
  const { admin, lab } = cluster;
  await admin.rights(user, role);
  const path = join(lab.dir, `${user}.conf`);
  writeFileSync(path, await admin.kubeconfig(user));
  return path;
}
