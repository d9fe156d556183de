import type { Settings } from "../../config/settings.js";
import { namedObject } from "../named-object.js";
import { leaseIds } from "../plan-config.js";
import { APP, LABEL, type Json } from "./objects.js";
import { namespaceOf } from "./pod.js";

export interface RbacOptions {
  /** Whether externalIPs of Services are written, which Romana VIPs are led by; without it they are led by nftables rules on the holder. */
  readonly romana: boolean;
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

const READ = ["get", "list", "watch"];
const COORDINATION = "coordination.k8s.io";
const RBAC = "rbac.authorization.k8s.io";

/** The ServiceAccount and exactly the rights that these settings need. */
export function rbacOf(settings: Settings, options: RbacOptions): readonly Json[] {
  const home = namespaceOf(settings);
  const account: Json = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: APP, namespace: home, labels: { [LABEL]: APP } } };
  return [account, ...serviceRights(settings, options), ...leaseRights(settings), ...poolRights(settings), ...bgpRights(settings), ...labelRights(settings)];
}

/** Services of one namespace need a Role there; nodes are in none. */
function serviceRights(settings: Settings, { romana }: RbacOptions): readonly Json[] {
  if (!settings.services) return [];
  const home = namespaceOf(settings);
  const rules: Rule[] = [
    { apiGroups: [""], resources: ["services"], verbs: romana && settings.romanaDatapath === "auto" ? [...READ, "patch"] : READ },
    { apiGroups: [""], resources: ["services/status"], verbs: ["patch"] },
    { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: READ },
    { apiGroups: [""], resources: ["events"], verbs: ["create", "get", "patch"] },
  ];
  // Of kube-vip's election per Service; which there are cannot be named.
  if (settings.election || settings.electionOnDemand) rules.push({ apiGroups: [COORDINATION], resources: ["leases"], verbs: [...READ, "create", "update"] });
  const nodes: Rule = { apiGroups: [""], resources: ["nodes"], verbs: READ };
  const only = settings.serviceNamespace;
  if (only === undefined) return bound({ name: `system:${APP}`, rules: [...rules, nodes] }, home);
  return [...bound({ name: `system:${APP}`, rules: [nodes] }, home), ...bound({ name: `${APP}-services`, namespace: only, rules }, home)];
}

/** In our own namespace Leases come and go with Romana VIPs; elsewhere only those that are named. What does not exist yet cannot be named for `create`. */
function leaseRights(settings: Settings): readonly Json[] {
  const home = namespaceOf(settings);
  const leases = { apiGroups: [COORDINATION], resources: ["leases"] };
  const foreign = [...leaseIds(settings).values()].filter(({ namespace }) => namespace !== home);
  return [
    ...bound({ name: `${APP}-leases`, namespace: home, rules: [{ ...leases, verbs: [...READ, "create", "update", ...(settings.services ? ["delete"] : [])] }] }, home),
    ...[...new Set(foreign.map(({ namespace }) => namespace))].flatMap((namespace) => {
      const resourceNames = foreign.filter((id) => id.namespace === namespace).map(({ name }) => name);
      return bound({ name: `${APP}-leases`, namespace, rules: [{ ...leases, resourceNames, verbs: [...READ, "update"] }, { ...leases, verbs: ["create"] }] }, home);
    }),
  ];
}

/** The ConfigMap of addresses and no other. */
function poolRights(settings: Settings): readonly Json[] {
  if (!settings.services) return [];
  const rule: Rule = { apiGroups: [""], resources: ["configmaps"], resourceNames: [settings.poolConfigMap ?? "kubevip"], verbs: READ };
  return bound({ name: `${APP}-addresses`, namespace: settings.poolNamespace ?? "kube-system", rules: [rule] }, namespaceOf(settings));
}

/** The ConfigMap of peers and the Secret of passwords and no other; the Node of this node, which a ClusterRole cannot tell from others. */
function bgpRights(settings: Settings): readonly Json[] {
  const { bgp, services, bgpAnnotations, bgpConfigFile, bgpConfigMap, bgpSecret } = settings;
  if (!bgp) return [];
  const home = namespaceOf(settings);
  const readsNode = !services && (bgpAnnotations ?? bgpConfigFile ?? bgpConfigMap) !== undefined;
  const node = readsNode ? bound({ name: `system:${APP}-bgp`, rules: [{ apiGroups: [""], resources: ["nodes"], verbs: READ }] }, home) : [];
  const named = [
    { text: bgpConfigMap, resource: "configmaps", name: `${APP}-bgp-peers` },
    { text: bgpSecret, resource: "secrets", name: `${APP}-bgp-passwords` },
  ];
  const objects = named.flatMap(({ text, resource, name }) => {
    if (text === undefined) return [];
    const object = namedObject(text, settings);
    return bound({ name, namespace: object.namespace, rules: [{ apiGroups: [""], resources: [resource], resourceNames: [object.name], verbs: READ }] }, home);
  });
  return [...node, ...objects];
}

/** Labels of this node's Node, which a ClusterRole cannot tell from others; whoever may patch Nodes may also cordon and taint them. */
function labelRights(settings: Settings): readonly Json[] {
  if (!settings.nodeLabels) return [];
  return bound({ name: `system:${APP}-labels`, rules: [{ apiGroups: [""], resources: ["nodes"], verbs: [...READ, "patch"] }] }, namespaceOf(settings));
}

interface RoleDraft {
  readonly name: string;
  /** Without one: a ClusterRole. */
  readonly namespace?: string;
  readonly rules: readonly Rule[];
}

/** A role and what binds our account, which is in namespace `home`, to it. */
function bound({ name, namespace, rules }: RoleDraft, home: string): readonly Json[] {
  const kind = namespace === undefined ? "ClusterRole" : "Role";
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }), labels: { [LABEL]: APP } };
  return [
    { apiVersion: `${RBAC}/v1`, kind, metadata, rules },
    {
      apiVersion: `${RBAC}/v1`,
      kind: `${kind}Binding`,
      metadata,
      roleRef: { apiGroup: RBAC, kind, name },
      subjects: [{ kind: "ServiceAccount", name: APP, namespace: home }],
    },
  ];
}
