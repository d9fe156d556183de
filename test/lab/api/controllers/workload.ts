import { asText, at } from "../object.js";
import type { JsonObject, KubeObject } from "../object.js";
import type { Registry } from "../registry.js";
import { resourceId, resourceOf } from "../resources.js";
import { keyOf } from "../store.js";
import { all, controllerOf, find, isDeleting, targetOf } from "./access.js";
import { WorkQueue } from "./work-queue.js";

/** A kind that makes pods. */
export type WorkloadKind = {
  readonly plural: string;
  readonly kind: string;
  /** What there should be, by the pods that there are (those that end left out). */
  readonly plan: (owner: KubeObject, pods: readonly KubeObject[]) => { readonly create: readonly KubeObject[]; readonly remove: readonly KubeObject[] };
  /** Fields of the status, by the pods that there are now. */
  readonly status: (owner: KubeObject, pods: readonly KubeObject[]) => JsonObject;
};

/** Keeps the pods of all objects of a kind. */
export function startWorkload(registry: Registry, kind: WorkloadKind): void {
  const queue = new WorkQueue((key) => syncWorkload(registry, kind, key));
  registry.store.subscribe(resourceId(resourceOf(kind.plural)), ({ entry }) => queue.add(entry.key));
  registry.store.subscribe("pods", ({ entry }) => {
    const owner = controllerOf(entry.object);
    if (owner?.kind === kind.kind) queue.add(keyOf(entry.object.metadata.namespace, owner.name));
  });
}

function syncWorkload(registry: Registry, kind: WorkloadKind, key: string): void {
  const owner = find(registry, kind.plural, key);
  const [namespace = "", name] = key.split("/");
  const called = all(registry, "pods", namespace).filter((pod) => {
    const controller = controllerOf(pod);
    return controller?.kind === kind.kind && controller.name === name;
  });
  const uid = owner?.metadata.uid;
  // The garbage collector: pods go with the object that made them.
  for (const pod of called) if (controllerOf(pod)?.uid !== uid) registry.remove(targetOf("pods", pod));
  if (owner === undefined || isDeleting(owner)) return;
  const mine = (): readonly KubeObject[] => all(registry, "pods", namespace).filter((pod) => controllerOf(pod)?.uid === uid && !isDeleting(pod));
  const { create, remove } = kind.plan(owner, mine());
  for (const pod of remove) registry.remove(targetOf("pods", pod));
  for (const pod of create) registry.create({ resource: resourceOf("pods"), namespace, name: "" }, pod);
  const status = { ...kind.status(owner, mine()), observedGeneration: at(owner, "metadata", "generation") };
  if (asText(owner.metadata.uid) !== "") registry.patch(targetOf(kind.plural, owner), (old) => ({ ...old, status }), { status: true });
}

/** spec.replicas; 1 unless given. */
export function replicasOf(owner: KubeObject): number {
  const given = at(owner, "spec", "replicas");
  return typeof given === "number" ? given : 1;
}
