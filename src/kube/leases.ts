import type { Lease, LeaseId, LeaseRecord, Leases, LeaseWrite } from "../ports/kube.js";
import type { Client, Query } from "./client.js";
import { KubeError } from "./errors.js";
import { listAll } from "./event-list.js";
import { countOf, fieldsOf, textOf, versionOf } from "./raw.js";
import { reflect } from "./reflector.js";
import type { ReflectDeps } from "./reflector.js";

/** A lease decides who holds an address: its watch comes back soon after an outage. */
const MAX_RETRY_MS = 2000;
/** Annotations of ours; those of others are none of our business. */
const OWN_PREFIX = "vip.internal/";

type RawObject = Readonly<Record<string, unknown>>;

/** Leases of coordination.k8s.io/v1. */
export function createLeases(deps: ReflectDeps): Leases {
  const store = new LeaseStore(deps.client);
  return {
    get: async (id, timeoutMs, signal) => store.get(id, timeoutMs, signal),
    create: async (id, record, timeoutMs, signal) => store.create(id, record, { timeoutMs, signal }),
    replace: async (lease, record, timeoutMs, signal) => store.replace(lease, record, { timeoutMs, signal }),
    remove: async (lease, timeoutMs, signal) => store.remove(lease, { timeoutMs, signal }),
    watch: async (id, seen, signal) => {
      const query = { fieldSelector: `metadata.name=${id.name}` };
      await follow({ path: collectionOf(id), query, name: `${id.namespace}/${id.name}`, changed: (leases) => seen(leases.get(`${id.namespace}/${id.name}`)) }, { store, ...deps }, signal);
    },
    list: async (namespace, signal) => {
      const items = await listAll(deps.client, { resource: "leases", path: everyOf(namespace), query: {} }, signal);
      return items.flatMap((raw) => elective(decodeLease(raw)) ?? []);
    },
    watchAll: async (namespace, changed, signal) => {
      const decode = (raw: unknown): Lease | undefined => (elective(decodeLease(raw)) === undefined ? undefined : store.decode(raw));
      await follow({ path: everyOf(namespace), query: {}, name: `${namespace ?? "*"}/*`, decode, changed }, { store, ...deps }, signal);
    },
    watchLabelled: async ({ namespace, label }, changed, signal) => {
      const byName = (leases: ReadonlyMap<string, Lease>): void => changed(new Map([...leases.values()].map((lease) => [lease.id.name, lease])));
      await follow({ path: collectionOf({ namespace }), query: { labelSelector: label }, name: `${namespace}/${label}`, changed: byName }, { store, ...deps }, signal);
    },
  };
}

/** What is somebody's to hold: the heartbeats of nodes are many, and nobody's. */
function elective(lease: Lease | undefined): Lease | undefined {
  return lease?.id.namespace === "kube-node-lease" ? undefined : lease;
}

function everyOf(namespace: string | undefined): string {
  return namespace === undefined ? "/apis/coordination.k8s.io/v1/leases" : collectionOf({ namespace });
}

interface Following {
  readonly path: string;
  readonly query: Query;
  /** For the log. */
  readonly name: string;
  readonly decode?: (raw: unknown) => Lease | undefined;
  readonly changed: (leases: ReadonlyMap<string, Lease>) => void;
}

async function follow({ path, query, name, changed, decode }: Following, deps: ReflectDeps & { readonly store: LeaseStore }, signal: AbortSignal): Promise<void> {
  const options = {
    resource: "leases",
    path,
    query,
    decode: decode ?? ((raw: unknown) => deps.store.decode(raw)),
    changed,
    needed: true,
    pace: "chunk" as const,
    maxRetryMs: MAX_RETRY_MS,
  };
  await reflect(options, { ...deps, log: deps.log.with({ lease: name }) }, signal);
}

interface Limits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

class LeaseStore {
  readonly #client: Client;
  /** The object behind each Lease that was handed out: what we do not know goes back unchanged. */
  readonly #raw = new WeakMap<Lease, RawObject>();

  constructor(client: Client) {
    this.#client = client;
  }

  async get(id: LeaseId, timeoutMs: number, signal: AbortSignal): Promise<Lease | undefined> {
    try {
      return this.#answer("GET", pathOf(id), await this.#client.request({ verb: "get", resource: "leases", path: pathOf(id), timeoutMs }, signal));
    } catch (error) {
      if (error instanceof KubeError && error.code === "notFound") return undefined;
      throw error;
    }
  }

  async create(id: LeaseId, record: LeaseWrite, limits: Limits): Promise<Lease> {
    const metadata = { namespace: id.namespace, name: id.name, ...marksOf({}, record) };
    const body = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata, spec: specOf(record) };
    const call = { verb: "create", resource: "leases", path: collectionOf(id), body, timeoutMs: limits.timeoutMs } as const;
    return this.#answer("POST", call.path, await this.#client.request(call, limits.signal));
  }

  async replace(lease: Lease, record: LeaseWrite, limits: Limits): Promise<Lease> {
    const raw = this.#raw.get(lease);
    // Without the object its labels and annotations would be lost.
    if (raw === undefined) throw new TypeError(`replace lease ${lease.id.namespace}/${lease.id.name}: not an object that these Leases handed out`);
    const metadata = fieldsOf(raw["metadata"]);
    const body = {
      ...raw,
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { ...metadata, ...marksOf(metadata, record), resourceVersion: lease.resourceVersion },
      spec: { ...fieldsOf(raw["spec"]), ...specOf(record) },
    };
    const call = { verb: "update", resource: "leases", path: pathOf(lease.id), body, timeoutMs: limits.timeoutMs } as const;
    return this.#answer("PUT", call.path, await this.#client.request(call, limits.signal));
  }

  async remove(lease: Lease, limits: Limits): Promise<void> {
    const { id, uid, resourceVersion } = lease;
    const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid, resourceVersion } };
    const call = { verb: "delete", resource: "leases", path: pathOf(id), body, timeoutMs: limits.timeoutMs } as const;
    try {
      await this.#client.request(call, limits.signal);
    } catch (error) {
      if (!(error instanceof KubeError) || error.code !== "notFound") throw error;
    }
  }

  decode(raw: unknown): Lease | undefined {
    const lease = decodeLease(raw);
    if (lease === undefined) return undefined;
    const object = fieldsOf(raw);
    // managedFields are many times larger than the rest, and a PUT without them leaves them alone.
    const { managedFields: _managedFields, ...kept } = fieldsOf(object["metadata"]);
    this.#raw.set(lease, { ...object, metadata: kept });
    return lease;
  }

  #answer(method: string, path: string, raw: unknown): Lease {
    const lease = this.decode(raw);
    if (lease === undefined) throw new KubeError("protocol", `${method} ${path}: the answer is no Lease`);
    return lease;
  }
}

/** Undefined where the object has no name, namespace, uid or version. */
export function decodeLease(raw: unknown): Lease | undefined {
  const object = fieldsOf(raw);
  const metadata = fieldsOf(object["metadata"]);
  const namespace = textOf(metadata["namespace"]);
  const name = textOf(metadata["name"]);
  const uid = textOf(metadata["uid"]);
  const resourceVersion = versionOf(raw);
  if (namespace === undefined || name === undefined || uid === undefined || resourceVersion === undefined) return undefined;
  return { id: { namespace, name }, uid, resourceVersion, record: recordOf(fieldsOf(object["spec"])), annotations: ownOf(metadata["annotations"]) };
}

/** Path of all Leases of a namespace. */
export function collectionOf(id: { readonly namespace: string }): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(id.namespace)}/leases`;
}

function pathOf(id: LeaseId): string {
  return `${collectionOf(id)}/${encodeURIComponent(id.name)}`;
}

/** Labels and annotations as they are with those of `write` in their place; what there is none of is left out. */
function marksOf(metadata: RawObject, { labels, annotations }: LeaseWrite): RawObject {
  return {
    ...(labels === undefined ? {} : { labels: { ...fieldsOf(metadata["labels"]), ...labels } }),
    ...(annotations === undefined ? {} : { annotations: { ...fieldsOf(metadata["annotations"]), ...annotations } }),
  };
}

function ownOf(annotations: unknown): Readonly<Record<string, string>> {
  const own = Object.entries(fieldsOf(annotations)).filter((entry): entry is [string, string] => entry[0].startsWith(OWN_PREFIX) && typeof entry[1] === "string");
  return Object.fromEntries(own);
}

/** client-go writes all five fields, also an empty holder. A missing time is sent as null, so that it replaces what was there. */
function specOf(record: LeaseRecord): RawObject {
  return {
    holderIdentity: record.holderIdentity,
    leaseDurationSeconds: record.leaseDurationSeconds,
    acquireTime: record.acquireTime ?? null,
    renewTime: record.renewTime ?? null,
    leaseTransitions: record.leaseTransitions,
  };
}

function recordOf(spec: RawObject): LeaseRecord {
  return {
    holderIdentity: textOf(spec["holderIdentity"]) ?? "",
    leaseDurationSeconds: countOf(spec["leaseDurationSeconds"]) ?? 0,
    acquireTime: textOf(spec["acquireTime"]),
    renewTime: textOf(spec["renewTime"]),
    leaseTransitions: countOf(spec["leaseTransitions"]) ?? 0,
  };
}
