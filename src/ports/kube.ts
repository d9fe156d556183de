import type { LeaseRecord } from "../lib/lease-record.js";

export type { LeaseRecord } from "../lib/lease-record.js";

/** One Lease by namespace and name. */
export interface LeaseId {
  readonly namespace: string;
  readonly name: string;
}

export interface Lease {
  readonly id: LeaseId;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly record: LeaseRecord;
  /** Only those whose key begins with `vip.internal/`. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** What is written into a Lease. Labels and annotations that are not named stay as they are. */
export interface LeaseWrite extends LeaseRecord {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Closed set of what a call of the API may end in. */
export type KubeErrorCode =
  | "notFound" // 404
  | "conflict" // 409 on update: the resourceVersion is stale
  | "alreadyExists" // 409 on create
  | "gone" // 410: the resourceVersion is too old
  | "unauthorized" // 401
  | "forbidden" // 403
  | "invalid" // 400, 422
  | "tooManyRequests" // 429
  | "server" // 5xx
  | "timeout" // no answer in time
  | "network" // refused, reset, unreachable, TLS, name not found
  | "config" // no usable kubeconfig or credentials yet
  | "protocol"; // an answer that is not what the API promises

/** Thrown by every method of these ports. Message: `GET /api/v1/services: 403 Forbidden: text of the server`. */
export interface KubeErrorShape extends Error {
  readonly code: KubeErrorCode;
  /** HTTP status, 0 where there was no answer. */
  readonly status: number;
}

export interface Leases {
  /** Undefined where there is none. */
  get(id: LeaseId, timeoutMs: number, signal: AbortSignal): Promise<Lease | undefined>;
  create(id: LeaseId, record: LeaseWrite, timeoutMs: number, signal: AbortSignal): Promise<Lease>;
  /** PUT with the resourceVersion of `lease`; other labels and annotations of the object that was read are sent back unchanged. */
  replace(lease: Lease, record: LeaseWrite, timeoutMs: number, signal: AbortSignal): Promise<Lease>;
  /** DELETE of that version (another one: `conflict`). That there is none is success. */
  remove(lease: Lease, timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Watches one Lease until the signal aborts (resolves then); never gives up. `seen(undefined)`: there is none. Called at least once after the first list. */
  watch(id: LeaseId, seen: (lease: Lease | undefined) => void, signal: AbortSignal): Promise<void>;
  /**
   * Watches all Leases that carry a label until the signal aborts (resolves then); never gives up. `changed` is called with a new map (key: name) after the
   * first list and with every chunk from the wire that changes something. A Lease that did not change keeps its identity.
   */
  watchLabelled(where: { readonly namespace: string; readonly label: string }, changed: (leases: ReadonlyMap<string, Lease>) => void, signal: AbortSignal): Promise<void>;
  /** All Leases of a namespace, or of all but that of the nodes' heartbeats (`kube-node-lease`). */
  list(namespace: string | undefined, signal: AbortSignal): Promise<readonly Lease[]>;
  /** Watches all of these until the signal aborts, as `watchLabelled`. Key: `namespace/name`. */
  watchAll(namespace: string | undefined, changed: (leases: ReadonlyMap<string, Lease>) => void, signal: AbortSignal): Promise<void>;
}

export interface ServicePort {
  readonly name: string;
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly port: number;
}

export interface IngressAddress {
  readonly ip: string | undefined;
  readonly hostname: string | undefined;
  /** The entry as it is in the object, with what else it has (`ipMode`, `ports`). */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** A Service, trimmed to what `plan` reads. */
export interface Service {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly deleting: boolean;
  readonly type: string;
  readonly loadBalancerClass: string | undefined;
  readonly loadBalancerIP: string | undefined;
  readonly externalTrafficPolicy: "Cluster" | "Local";
  readonly ports: readonly ServicePort[];
  /** `None` for a headless Service; undefined where it has none yet. */
  readonly clusterIP: string | undefined;
  readonly ipFamilies: readonly ("IPv4" | "IPv6")[];
  readonly ipFamilyPolicy: "SingleStack" | "PreferDualStack" | "RequireDualStack" | undefined;
  readonly externalIPs: readonly string[];
  /** Where kube-proxy tells whether this node has local endpoints (policy Local). */
  readonly healthCheckNodePort: number | undefined;
  /** Only annotations whose key contains `kube-vip.io/` or `vip.internal/`, or is `romanaip`, `romanavip` or `metallb.io/loadBalancerIPs`. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly ingress: readonly IngressAddress[];
  /** The field manager (other than our own, `vip`) that owns `status.loadBalancer` by metadata.managedFields; undefined where none is recorded. */
  readonly statusManager: string | undefined;
}

/** An operation of RFC 6902. */
export type JsonPatchOperation =
  | { readonly op: "add" | "replace" | "test"; readonly path: string; readonly value: unknown }
  | { readonly op: "remove"; readonly path: string };

export interface Services {
  /**
   * Watches Services (of one namespace, or all) until the signal aborts (resolves then); never gives up. `changed` is called with a new map after the first
   * complete list and after every change; calls are coalesced per chunk read from the wire. Key: `namespace/name`.
   */
  watch(namespace: string | undefined, changed: (services: ReadonlyMap<string, Service>) => void, signal: AbortSignal): Promise<void>;
  /**
   * One merge patch on services/status: sets `status.loadBalancer.ingress` (undefined: left as it is) and our annotations (null removes one).
   * Precondition: the resourceVersion of `service`, so that another writer's change is never overwritten unseen (409 = conflict).
   */
  patchStatus(
    service: Service,
    patch: { readonly ingress: readonly Readonly<Record<string, unknown>>[] | undefined; readonly annotations: Readonly<Record<string, string | null>> },
    signal: AbortSignal,
  ): Promise<void>;
  /** One JSON patch (RFC 6902) on the Service itself, refused (`invalid`) where a `test` fails. Resolves with the Service as it is then. */
  patchService(service: Service, operations: readonly JsonPatchOperation[], signal: AbortSignal): Promise<Service>;
}

export interface EndpointPort {
  /** Empty for an unnamed port. */
  readonly name: string;
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly port: number;
}

/** One endpoint of a slice; conditions with the defaults that the API documents for those that are not set. */
export interface Endpoint {
  readonly address: string;
  /** Undefined where the endpoint is on no node (made by hand). */
  readonly nodeName: string | undefined;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
}

/** A discovery.k8s.io/v1 EndpointSlice, trimmed. */
export interface EndpointSlice {
  readonly namespace: string;
  readonly name: string;
  /** Name of the Service, by the label `kubernetes.io/service-name`. */
  readonly service: string;
  readonly family: "IPv4" | "IPv6";
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

export interface EndpointSlices {
  /** As Services.watch. Slices without a Service, or of addressType FQDN, are left out. Key: `namespace/name`. A slice that did not change keeps its identity. */
  watch(namespace: string | undefined, changed: (slices: ReadonlyMap<string, EndpointSlice>) => void, signal: AbortSignal): Promise<void>;
}

/** A v1 Node, trimmed. */
export interface Node {
  readonly name: string;
  /** Of status.addresses, types InternalIP and ExternalIP. */
  readonly addresses: readonly string[];
  /** spec.unschedulable. */
  readonly cordoned: boolean;
  /** It has the label `node.kubernetes.io/exclude-from-external-load-balancers`, whatever its value. */
  readonly excluded: boolean;
  /** It has the label `node-role.kubernetes.io/control-plane` (or `master`, as it was called). */
  readonly controlPlane: boolean;
  /** Its condition Ready is not False and not Unknown. */
  readonly ready: boolean;
  /** Only those whose key begins with `vip.internal/`. */
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Nodes {
  /** As Services.watch. Key: name. Called only when something that is kept here has changed: a heartbeat of a node is no change. */
  watch(changed: (nodes: ReadonlyMap<string, Node>) => void, signal: AbortSignal): Promise<void>;
  /** One merge patch on the Node: labels and annotations that are named; null removes one. */
  patch(name: string, marks: NodeMarks, signal: AbortSignal): Promise<void>;
  /** Watches one Node by its name until the signal aborts; `seen` with all of its labels and annotations, undefined where there is none. */
  watchOne(name: string, seen: (node: NodeTexts | undefined) => void, signal: AbortSignal): Promise<void>;
}

/** Labels and annotations of a Node to set, or with null to remove. */
export interface NodeMarks {
  readonly labels?: Readonly<Record<string, string | null>>;
  readonly annotations?: Readonly<Record<string, string | null>>;
}

/** What somebody wrote on a Node. */
export interface NodeTexts {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface ConfigMaps {
  /** Watches one ConfigMap until the signal aborts; `seen` with its `data`, undefined where there is none. Called at least once, after the first list. */
  watch(id: { readonly namespace: string; readonly name: string }, seen: (data: Readonly<Record<string, string>> | undefined) => void, signal: AbortSignal): Promise<void>;
}

export interface Secrets {
  /** As ConfigMaps.watch; values as UTF-8 texts. */
  watch(id: { readonly namespace: string; readonly name: string }, seen: (data: Readonly<Record<string, string>> | undefined) => void, signal: AbortSignal): Promise<void>;
}

/** What an Event is about: a Service, or a Node (namespace `default`, since nodes are in none). */
export interface EventSubject {
  /** Default `Service`. */
  readonly kind?: "Node";
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion?: string;
}

export interface EventDraft {
  readonly service: EventSubject;
  readonly type: "Normal" | "Warning";
  /** UpperCamelCase, for example `VipHeld`. */
  readonly reason: string;
  readonly message: string;
}

export interface Events {
  /** Writes a v1 Event. The same (service uid, reason, message) again raises the count of the first. */
  write(event: EventDraft, signal: AbortSignal): Promise<void>;
}

export interface Kube extends AsyncDisposable {
  readonly leases: Leases;
  readonly services: Services;
  readonly endpointSlices: EndpointSlices;
  readonly nodes: Nodes;
  readonly configMaps: ConfigMaps;
  readonly secrets: Secrets;
  readonly events: Events;
  /** Host of the API server's URL as it is used now; undefined before the first connection. */
  server(): string | undefined;
}
