import { asObject, asText, at } from "../object.js";
import type { KubeObject } from "../object.js";
import type { Registry } from "../registry.js";
import { resourceOf } from "../resources.js";
import { keyOf } from "../store.js";
import type { Change } from "../store.js";
import { all, controllerOf, find, selects, targetOf } from "./access.js";
import { MANAGED_BY, endpointGroups, sliceLabels, sliceOf } from "./endpoints.js";
import { planSlices } from "./slice-plan.js";
import { WorkQueue } from "./work-queue.js";

const SLICES = "endpointslices";

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

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** Follows Services, pods and slices from now on. */
  start(): void {
    const { store } = this.#registry;
    store.subscribe("services", ({ entry }) => this.#queue.add(entry.key));
    store.subscribe("pods", (change) => this.#podChanged(change));
    store.subscribe("endpointslices.discovery.k8s.io", (change) => this.#sliceChanged(change));
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
    // Somebody else may have changed or deleted it.
    this.#queue.add(key);
  }

  #sync(key: string): void {
    const service = find(this.#registry, "services", key);
    const mine = [...(this.#slices.get(key) ?? [])].flatMap((slice) => find(this.#registry, SLICES, slice) ?? []);
    const have = mine.filter((slice) => controllerOf(slice)?.uid === service?.metadata.uid);
    for (const slice of mine) if (!have.includes(slice)) this.#registry.remove(targetOf(SLICES, slice));
    if (service === undefined || Object.keys(asObject(at(service, "spec", "selector"))).length === 0 || at(service, "spec", "type") === "ExternalName") return;
    const groups = endpointGroups(service, all(this.#registry, "pods", service.metadata.namespace));
    const plan = planSlices(groups, have, this.#max);
    for (const slice of plan.remove) this.#registry.remove(targetOf(SLICES, slice));
    for (const [slice, { ports, endpoints }] of plan.update) {
      const labels = sliceLabels(service);
      this.#registry.patch(targetOf(SLICES, slice), (old) => ({ ...old, metadata: { ...old.metadata, labels }, endpoints, ports: ports.length === 0 ? null : ports }));
    }
    for (const group of plan.create) this.#registry.create({ resource: resourceOf(SLICES), namespace: service.metadata.namespace ?? "", name: "" }, sliceOf(service, group));
  }
}
