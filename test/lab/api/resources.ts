/** One resource which the server keeps. */
export type Resource = {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly short: readonly string[];
  readonly namespaced: boolean;
  /** There is a status subresource; main updates keep the status. */
  readonly status: boolean;
  /** There is a scale subresource. */
  readonly scale: boolean;
  /** metadata.generation counts changes of the spec. */
  readonly generation: boolean;
  /** PUT without a resourceVersion is taken. */
  readonly unconditional: boolean;
  /** PUT of an absent object makes it. */
  readonly createOnUpdate: boolean;
  /** Strategic merge patch is known (false for custom resources). */
  readonly strategic: boolean;
};

type Row = Partial<Resource> & Pick<Resource, "plural" | "kind">;

const row = (group: string, version: string, fields: Row): Resource => ({
  group,
  version,
  singular: fields.kind.toLowerCase(),
  short: [],
  namespaced: true,
  status: false,
  scale: false,
  generation: false,
  unconditional: true,
  createOnUpdate: false,
  strategic: true,
  ...fields,
});

const core = (fields: Row): Resource => row("", "v1", fields);
const apps = (fields: Row): Resource => row("apps", "v1", { status: true, generation: true, ...fields });
const rbac = (fields: Row): Resource => row("rbac.authorization.k8s.io", "v1", fields);

/** Every built-in resource, in the order of discovery. */
export const RESOURCES: readonly Resource[] = [
  core({ plural: "services", kind: "Service", short: ["svc"], status: true, createOnUpdate: true }),
  core({ plural: "nodes", kind: "Node", short: ["no"], namespaced: false, status: true }),
  core({ plural: "events", kind: "Event", short: ["ev"], createOnUpdate: true }),
  core({ plural: "pods", kind: "Pod", short: ["po"], status: true }),
  core({ plural: "configmaps", kind: "ConfigMap", short: ["cm"] }),
  core({ plural: "secrets", kind: "Secret" }),
  core({ plural: "serviceaccounts", kind: "ServiceAccount", short: ["sa"] }),
  core({ plural: "namespaces", kind: "Namespace", short: ["ns"], namespaced: false, status: true }),
  core({ plural: "endpoints", kind: "Endpoints", singular: "endpoints", short: ["ep"], createOnUpdate: true }),
  row("discovery.k8s.io", "v1", { plural: "endpointslices", kind: "EndpointSlice", generation: true }),
  row("coordination.k8s.io", "v1", { plural: "leases", kind: "Lease", unconditional: false, createOnUpdate: true }),
  apps({ plural: "deployments", kind: "Deployment", short: ["deploy"], scale: true }),
  apps({ plural: "daemonsets", kind: "DaemonSet", short: ["ds"] }),
  apps({ plural: "statefulsets", kind: "StatefulSet", short: ["sts"], scale: true }),
  apps({ plural: "replicasets", kind: "ReplicaSet", short: ["rs"] }),
  rbac({ plural: "clusterroles", kind: "ClusterRole", namespaced: false }),
  rbac({ plural: "clusterrolebindings", kind: "ClusterRoleBinding", namespaced: false }),
  rbac({ plural: "roles", kind: "Role" }),
  rbac({ plural: "rolebindings", kind: "RoleBinding" }),
  row("apiextensions.k8s.io", "v1", { plural: "customresourcedefinitions", kind: "CustomResourceDefinition", short: ["crd", "crds"], namespaced: false, status: true, generation: true, unconditional: false }),
];

/** "v1" or "group/v1". */
export function apiVersionOf(resource: Resource): string {
  return resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
}

/** A unique name of the resource: "services" or "leases.coordination.k8s.io". */
export function resourceId(resource: Resource): string {
  return resource.group === "" ? resource.plural : `${resource.plural}.${resource.group}`;
}

/** The built-in resource of a plural; throws when there is none. */
export function resourceOf(plural: string): Resource {
  const resource = RESOURCES.find((one) => one.plural === plural);
  if (resource === undefined) throw new Error(`find resource ${plural}: not in the table`);
  return resource;
}
