import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { asObject, asText, at } from "../object.js";
import type { JsonObject, KubeObject } from "../object.js";
import type { Registry } from "../registry.js";
import { suffix, timestamp } from "../registry.js";
import { resourceId, resourceOf } from "../resources.js";
import { keyOf } from "../store.js";
import type { Change } from "../store.js";
import { all, controllerOf, find, objectKey, ownedBy, selects } from "./access.js";
import { MANAGED_BY, endpointGroups, sliceBody, sliceLabels } from "./endpoints.js";
import { planSlices } from "./slice-plan.js";
import { WorkQueue } from "./work-queue.js";

const SLICES = "endpointslices";
const SLICES_ID = resourceId(resourceOf(SLICES));

function serviceKeyOf(slice: KubeObject): string | undefined {
  const labels = asObject(slice.metadata["labels"]);
  if (labels["endpointslice.kubernetes.io/managed-by"] !== MANAGED_BY) return undefined;
  return keyOf(slice.metadata.namespace, asText(labels["kubernetes.io/service-name"]));
}

/** Keeps the EndpointSlices of all Services that have a selector. */
export class EndpointSlices {
  readonly #registry: Registry;
  readonly #queue = new WorkQueue((key) => this.#sync(key));
  /** Keys of our slices by Service: looking through all slices for each of 10,000 Services takes too long. */
  readonly #slices = new Map<string, Set<string>>();
  #max = 100;
  #writing = false;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** Follows Services, pods and slices from now on. */
  start(): void {
    const { store } = this.#registry;
    store.subscribe("services", ({ entry }) => this.#queue.add(entry.key));
    store.subscribe("pods", (change) => this.#podChanged(change));
    store.subscribe(SLICES_ID, (change) => this.#sliceChanged(change));
  }

  /** Most endpoints that a slice may have, default 100; slices are made anew where they have more. */
  setMax(max: number): void {
    this.#max = Math.max(1, max);
    for (const { metadata } of all(this.#registry, "services")) this.#queue.add(keyOf(metadata.namespace, metadata.name));
  }

  #podChanged({ entry, previous }: Change): void {
    const { namespace } = entry.object.metadata;
    for (const service of all(this.#registry, "services", namespace)) {
      const selector = at(service, "spec", "selector");
      if (selects(selector, entry.object) || (previous !== undefined && selects(selector, previous.object))) this.#queue.add(keyOf(namespace, service.metadata.name));
    }
  }

  #sliceChanged({ type, entry }: Change): void {
    const key = serviceKeyOf(entry.object);
    if (key === undefined) return;
    const known = this.#slices.get(key) ?? new Set();
    this.#slices.set(key, known);
    if (type === "DELETED") known.delete(entry.key);
    else known.add(entry.key);
    if (known.size === 0) this.#slices.delete(key);
    // Somebody else has changed or deleted it.
    if (!this.#writing) this.#queue.add(key);
  }

  #sync(key: string): void {
    const service = find(this.#registry, "services", key);
    const mine = [...(this.#slices.get(key) ?? [])].flatMap((slice) => find(this.#registry, SLICES, slice) ?? []);
    const have = mine.filter((slice) => controllerOf(slice)?.uid === service?.metadata.uid);
    for (const slice of mine) if (!have.includes(slice)) this.#write(() => this.#registry.store.remove(SLICES_ID, objectKey(slice)));
    if (service === undefined || Object.keys(asObject(at(service, "spec", "selector"))).length === 0 || at(service, "spec", "type") === "ExternalName") return;
    const groups = endpointGroups(service, all(this.#registry, "pods", service.metadata.namespace));
    const plan = planSlices(groups, have, this.#max);
    for (const slice of plan.remove) this.#write(() => this.#registry.store.remove(SLICES_ID, objectKey(slice)));
    const labels = sliceLabels(service);
    for (const [slice, group] of plan.update) this.#update(slice, labels, sliceBody(group));
    for (const group of plan.create) this.#create(service, labels, sliceBody(group));
  }

  // Slices are written to the store without the registry's checks: with 10,000 Services there are 20,000 of them.

  #create(service: KubeObject, labels: JsonObject, body: JsonObject): void {
    const { name: owner, namespace } = service.metadata;
    const name = `${owner}-${suffix()}`;
    const metadata = { name, generateName: `${owner}-`, namespace, uid: randomUUID(), creationTimestamp: timestamp(), generation: 1, labels, ownerReferences: ownedBy(service) };
    this.#write(() => this.#registry.store.put(SLICES_ID, keyOf(namespace, name), { apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", metadata, ...body }));
  }

  #update(slice: KubeObject, labels: JsonObject, body: JsonObject): void {
    const old = { labels: slice.metadata["labels"], endpoints: slice["endpoints"], ports: slice["ports"] };
    if (isDeepStrictEqual(old, { labels, endpoints: body["endpoints"], ports: body["ports"] })) return;
    const generation = Number(slice.metadata["generation"] ?? 0) + 1;
    this.#write(() => this.#registry.store.put(SLICES_ID, objectKey(slice), { ...slice, metadata: { ...slice.metadata, labels, generation }, ...body }));
  }

  /** What we write ourselves is no reason to look again. */
  #write(write: () => void): void {
    this.#writing = true;
    write();
    this.#writing = false;
  }
}
