import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { defaults, initialStatus, keepStatus, kindCauses, statusOnly } from "./kinds.js";
import { deniedExternalIps } from "./external-ips.js";
import { managedFields } from "./managed-fields.js";
import { asList, asObject, asText, at, compact, isObject, without } from "./object.js";
import type { Writer } from "./managed-fields.js";
import type { Json, JsonObject, KubeObject, Meta } from "./object.js";
import { apiVersionOf, resourceId } from "./resources.js";
import type { Resource } from "./resources.js";
import { allocate, carryOver, defaultService, dropTypeFields, release, servicePools, takenCauses } from "./service-defaults.js";
import { settleFamilies } from "./service-families.js";
import { serviceCauses } from "./service-validate.js";
import { alreadyExists, badRequest, conflict, forbidden, invalid, notFound, required } from "./status.js";
import type { Cause } from "./status.js";
import { Entry, keyOf } from "./store.js";
import type { Store } from "./store.js";
import { metaCauses, undecodable } from "./validate-meta.js";

/** The object a request is about. */
export type Target = { readonly resource: Resource; readonly namespace: string; readonly name: string };

/** How to write. */
export type WriteOptions = { readonly dryRun?: boolean; readonly status?: boolean; readonly writer?: Writer };

/** What must hold for a delete. */
export type Preconditions = { readonly uid?: string; readonly resourceVersion?: string };

type Write = { readonly object: KubeObject; readonly old: KubeObject | undefined; readonly options: WriteOptions };

const SERVER_FIELDS = ["uid", "creationTimestamp", "resourceVersion", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink"];

/** The time as metav1.Time has it: now, or some seconds from now. */
export function timestamp(fromNowSeconds = 0): string {
  return `${new Date(Date.now() + fromNowSeconds * 1000).toISOString().slice(0, 19)}Z`;
}

/** What the API does to objects: defaults, validation, versions. Knows nothing of HTTP. */
export class Registry {
  readonly store: Store;
  /** The admission plugin DenyServiceExternalIPs is on. */
  denyExternalIps = false;
  readonly #pools = servicePools();

  constructor(store: Store) {
    this.store = store;
  }

  /** The stored entry; throws 404. */
  get(target: Target): Entry {
    const entry = this.store.get(resourceId(target.resource), keyOf(target.namespace, target.name));
    if (entry === undefined) throw notFound(target.resource, target.name);
    return entry;
  }

  /** POST. */
  create(target: Target, body: Json, options: WriteOptions = {}): Entry {
    const { resource, namespace } = target;
    const given = this.#decode(target, body);
    const prefix = asText(given.metadata["generateName"]);
    const name = given.metadata.name === "" && prefix !== "" ? `${prefix}${suffix()}` : given.metadata.name;
    const key = keyOf(namespace, name);
    this.#namespaceMustExist(target);
    if (name !== "" && this.store.get(resourceId(resource), key) !== undefined) throw alreadyExists(resource, name);
    const metadata = compact({ ...without(given.metadata, ...SERVER_FIELDS), name, namespace: namespace === "" ? undefined : namespace, uid: randomUUID(), creationTimestamp: timestamp(), generation: resource.generation ? 1 : undefined });
    const bare = initialStatus(resource, { ...given, metadata: metadata as Meta });
    const ready = this.#prepare(resource, { object: bare, old: undefined, options });
    return this.#put(resource, key, this.#owned(ready, undefined, options), options.dryRun === true);
  }

  /** PUT. */
  update(target: Target, body: Json, options: WriteOptions = {}): { readonly entry: Entry; readonly created: boolean } {
    const { resource, name } = target;
    const given = this.#decode(target, body);
    if (given.metadata.name !== name) throw badRequest(`the name of the object (${given.metadata.name}) does not match the name on the URL (${name})`);
    const old = this.store.get(resourceId(resource), keyOf(target.namespace, name));
    if (old === undefined) {
      if (!resource.createOnUpdate || options.status === true) throw notFound(resource, name);
      return { entry: this.create(target, body, options), created: true };
    }
    const version = asText(given.metadata.resourceVersion);
    if (version === "" && !resource.unconditional) throw invalid(resource, name, [{ reason: "FieldValueInvalid", message: "Invalid value: 0: must be specified for an update", field: "metadata.resourceVersion" }]);
    return { entry: this.replace(target, old, given, options), created: false };
  }

  /** PATCH: what the function makes of the object is written over it. */
  patch(target: Target, apply: (object: KubeObject) => Json, options: WriteOptions = {}): Entry {
    const old = this.get(target);
    return this.replace(target, old, this.#decode(target, apply(old.object)), options);
  }

  /** Writes a new version over an old entry, as PUT and PATCH do. */
  replace(target: Target, old: Entry, next: KubeObject, options: WriteOptions): Entry {
    const { resource, name } = target;
    const before = old.object;
    const bad = undecodable(next);
    if (bad !== undefined) throw badRequest(bad);
    const version = asText(next.metadata.resourceVersion);
    if (version !== "" && version !== before.metadata.resourceVersion) throw conflict(resource, name);
    const uid = asText(next.metadata.uid);
    if (uid !== "" && uid !== before.metadata.uid) throw conflict(resource, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${before.metadata.uid ?? ""}`);
    const metadata = this.#mergeMeta(next, before);
    const main = { ...next, apiVersion: before.apiVersion, kind: before.kind, metadata };
    const parted = options.status === true ? statusOnly(main, before) : resource.status ? keepStatus(main, before) : main;
    const ready = this.#prepare(resource, { object: parted, old: before, options });
    const counted = this.#count(resource, ready, before);
    // What has a grace period (a pod that terminates) lasts until it is finished.
    const ends = asText(counted.metadata["deletionTimestamp"]) !== "" && counted.metadata["deletionGracePeriodSeconds"] === 0;
    if (ends && asList(counted.metadata["finalizers"]).length === 0 && options.dryRun !== true) return this.#drop(target, counted);
    if (isDeepStrictEqual(counted, before)) return old;
    return this.#put(resource, old.key, this.#owned(counted, before, options), options.dryRun === true);
  }

  /** DELETE of one object: at once, or marked while it has finalizers. */
  remove(target: Target, preconditions: Preconditions = {}, dryRun = false): Entry {
    const { resource, name } = target;
    const entry = this.get(target);
    const { metadata } = entry.object;
    if (preconditions.uid !== undefined && preconditions.uid !== metadata.uid) throw conflict(resource, name, `Precondition failed: UID in precondition: ${preconditions.uid}, UID in object meta: ${metadata.uid ?? ""}`);
    if (preconditions.resourceVersion !== undefined && preconditions.resourceVersion !== metadata.resourceVersion) throw conflict(resource, name, `Precondition failed: ResourceVersion in precondition: ${preconditions.resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion ?? ""}`);
    if (dryRun) return entry;
    if (asList(metadata["finalizers"]).length > 0) {
      if (asText(metadata["deletionTimestamp"]) !== "") return entry;
      return this.#put(resource, entry.key, { ...entry.object, metadata: { ...metadata, deletionTimestamp: timestamp(), deletionGracePeriodSeconds: 0 } }, false);
    }
    return this.#drop(target, entry.object);
  }

  /** Marks an object as a delete with a grace period does; it stays until removeNow. */
  markDeleted(target: Target, graceSeconds: number): Entry {
    const entry = this.get(target);
    const { metadata } = entry.object;
    if (asText(metadata["deletionTimestamp"]) !== "") return entry;
    return this.#put(target.resource, entry.key, { ...entry.object, metadata: { ...metadata, deletionTimestamp: timestamp(graceSeconds), deletionGracePeriodSeconds: graceSeconds } }, false);
  }

  /** Removes an object whatever holds it. */
  removeNow(target: Target): Entry {
    return this.#drop(target, this.get(target).object);
  }

  /** Only what clients write has an owner: nobody asks who wrote what the controllers of this server make, and there is a lot of it. */
  #owned(next: KubeObject, old: KubeObject | undefined, { writer }: WriteOptions): KubeObject {
    if (writer === undefined) return next;
    return { ...next, metadata: { ...next.metadata, managedFields: managedFields(next, old, { writer, now: timestamp() }) } };
  }

  #drop(target: Target, last: KubeObject): Entry {
    const id = resourceId(target.resource);
    const removed = this.store.remove(id, keyOf(target.namespace, target.name));
    if (removed === undefined) throw notFound(target.resource, target.name);
    if (target.resource.kind === "Service") release(removed.object, undefined, this.#pools);
    return new Entry(removed.key, removed.revision, { ...last, metadata: { ...last.metadata, resourceVersion: String(removed.revision) } });
  }

  #decode({ resource, namespace }: Target, body: Json): KubeObject {
    if (!isObject(body)) throw badRequest("the request body is not a JSON object");
    const apiVersion = asText(body["apiVersion"]) || apiVersionOf(resource);
    const kind = asText(body["kind"]) || resource.kind;
    if (kind !== resource.kind || apiVersion !== apiVersionOf(resource)) throw badRequest(`${kind} in version "${apiVersion}" cannot be handled as a ${resource.kind}: no kind "${kind}" is registered for version "${apiVersion}"`);
    const metadata = asObject(body["metadata"]);
    const own = asText(metadata["namespace"]);
    if (own !== "" && resource.namespaced && own !== namespace) throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`);
    const object: KubeObject = { ...body, apiVersion, kind, metadata: { ...metadata, name: asText(metadata["name"]), ...(resource.namespaced ? { namespace } : {}) } };
    const bad = undecodable(object);
    if (bad !== undefined) throw badRequest(`${kind} in version "${resource.version}" cannot be handled as a ${kind}: ${bad}`);
    return object;
  }

  #namespaceMustExist({ resource, namespace }: Target): void {
    if (!resource.namespaced) return;
    const entry = this.store.get("namespaces", namespace);
    if (entry === undefined) throw notFound({ group: "", plural: "namespaces", kind: "Namespace" }, namespace);
    if (asText(entry.object.metadata["deletionTimestamp"]) !== "") throw forbidden(`unable to create new content in namespace ${namespace} because it is being terminated`);
  }

  #mergeMeta(next: KubeObject, before: KubeObject): Meta {
    const server = Object.fromEntries([...SERVER_FIELDS, "name", "namespace", "generateName"].map((field) => [field, before.metadata[field]]));
    // name is among the fields kept from before.
    return compact({ ...next.metadata, ...server }) as Meta;
  }

  #count(resource: Resource, next: KubeObject, before: KubeObject): KubeObject {
    const body = (object: KubeObject): JsonObject => without(object, "metadata", "status");
    if (!resource.generation || isDeepStrictEqual(body(next), body(before))) return next;
    return { ...next, metadata: { ...next.metadata, generation: Number(before.metadata["generation"] ?? 0) + 1 } };
  }

  #prepare(resource: Resource, write: Write): KubeObject {
    const { object, old } = write;
    const meta = metaCauses(resource, object, old);
    if (resource.kind === "Service" && resource.group === "") return this.#prepareService(resource, write, meta);
    const ready = defaults(object);
    const causes = [...meta, ...kindCauses(ready, old)];
    if (resource.strategic && SPEC_OWNERS.includes(resource.kind) && !isObject(ready["spec"])) causes.push(required("spec"));
    if (causes.length > 0) throw invalid(resource, object.metadata.name, causes);
    return ready;
  }

  #prepareService(resource: Resource, { object, old, options }: Write, meta: readonly Cause[]): KubeObject {
    const status = options.status === true;
    const denied = this.denyExternalIps ? deniedExternalIps(object, old) : undefined;
    if (denied !== undefined) throw denied;
    const moved = old === undefined || status ? object : clearBalancer(settleFamilies(carryOver(dropTypeFields(object, old), old), old));
    const filled = defaultService(moved);
    const causes = [...meta, ...serviceCauses(filled, old), ...(status ? [] : takenCauses(filled, old, this.#pools))];
    if (causes.length > 0) throw invalid(resource, object.metadata.name, causes);
    // A dry run takes nothing from the pools, so it shows no new addresses or ports.
    if (status || options.dryRun === true) return filled;
    const ready = allocate(filled, this.#pools);
    if (old !== undefined) release(old, ready, this.#pools);
    return ready;
  }

  #put(resource: Resource, key: string, object: KubeObject, dryRun: boolean): Entry {
    return dryRun ? new Entry(key, this.store.revision, object) : this.store.put(resourceId(resource), key, object);
  }
}

const SPEC_OWNERS = ["Deployment", "DaemonSet", "StatefulSet", "CustomResourceDefinition"];

/** A Service which is not of type LoadBalancer any more has no addresses. */
function clearBalancer(object: KubeObject): KubeObject {
  if (at(object, "spec", "type") === "LoadBalancer") return object;
  return { ...object, status: { ...asObject(object["status"]), loadBalancer: {} } };
}

/** Five letters and digits for the end of a generated name. */
export function suffix(): string {
  // The alphabet of the real server, without vowels.
  const alphabet = "bcdfghjklmnpqrstvwxz2456789";
  return Array.from(randomUUID().replaceAll("-", "").slice(0, 10).matchAll(/../gu), ([pair]) => alphabet[Number.parseInt(pair, 16) % alphabet.length]).join("");
}
