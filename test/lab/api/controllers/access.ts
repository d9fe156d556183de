import { asList, asObject, asText, at } from "../object.js";
import type { Json, KubeObject } from "../object.js";
import type { Registry, Target } from "../registry.js";
import { resourceId, resourceOf } from "../resources.js";
import { keyOf } from "../store.js";

/** The key of an object in its shelf of the store. */
export function objectKey(object: KubeObject): string {
  return keyOf(object.metadata.namespace, object.metadata.name);
}

/** What a request for this object is about. */
export function targetOf(plural: string, object: KubeObject): Target {
  return { resource: resourceOf(plural), namespace: object.metadata.namespace ?? "", name: object.metadata.name };
}

/** The object of a key now. */
export function find(registry: Registry, plural: string, key: string): KubeObject | undefined {
  return registry.store.get(resourceId(resourceOf(plural)), key)?.object;
}

/** The objects of a namespace, or of all. */
export function all(registry: Registry, plural: string, namespace?: string): readonly KubeObject[] {
  const objects = registry.store.list(resourceId(resourceOf(plural))).map(({ object }) => object);
  return namespace === undefined ? objects : objects.filter(({ metadata }) => metadata.namespace === namespace);
}

/** Whether every pair of the selector is among the labels; an empty selector selects nothing here. */
export function selects(selector: Json | undefined, object: KubeObject): boolean {
  const pairs = Object.entries(asObject(selector));
  const labels = asObject(object.metadata["labels"]);
  return pairs.length > 0 && pairs.every(([key, value]) => labels[key] === value);
}

/** The owner that controls an object. */
export function controllerOf(object: KubeObject): { readonly kind: string; readonly name: string; readonly uid: string } | undefined {
  const owner = asList(object.metadata["ownerReferences"]).find((one) => at(one, "controller") === true);
  return owner === undefined ? undefined : { kind: asText(at(owner, "kind")), name: asText(at(owner, "name")), uid: asText(at(owner, "uid")) };
}

/** metadata.ownerReferences of what an object controls. */
export function ownedBy(owner: KubeObject): Json {
  return [{ apiVersion: owner.apiVersion, kind: owner.kind, name: owner.metadata.name, uid: owner.metadata.uid, controller: true, blockOwnerDeletion: true }];
}

/** Whether a condition of the status is True. */
export function isTrue(object: KubeObject, type: string): boolean {
  return asList(at(object, "status", "conditions")).some((one) => at(one, "type") === type && at(one, "status") === "True");
}

/** Whether the object is marked for deletion. */
export function isDeleting(object: KubeObject): boolean {
  return asText(object.metadata["deletionTimestamp"]) !== "";
}
