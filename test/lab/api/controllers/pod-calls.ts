import { asObject, without } from "../object.js";
import type { KubeObject } from "../object.js";
import type { Registry } from "../registry.js";
import { timestamp } from "../registry.js";
import { resourceOf } from "../resources.js";
import { targetOf } from "./access.js";
import { readyStatus } from "./pod-status.js";

/** What kubelets and nodes do to pods, on demand. A pod is "name" (in default) or "namespace/name"; an absent one is an error. */
export class PodCalls {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** The pod becomes ready, or unready. */
  setReady(pod: string, ready: boolean): void {
    const found = this.#find(pod);
    const status = readyStatus(found, ready, timestamp());
    this.#registry.patch(targetOf("pods", found), (old) => ({ ...old, status }), { status: true });
  }

  /** The pod goes away at once; its Deployment or StatefulSet makes another. */
  remove(pod: string): void {
    // As a delete by force: no grace period, and no finalizer holds it.
    this.#registry.removeNow(targetOf("pods", this.#find(pod)));
  }

  /** A pod of the same name, labels and owner starts on another node in its place. */
  move(pod: string, node: string): void {
    const found = this.#find(pod);
    this.remove(pod);
    const { name, namespace, labels, annotations, ownerReferences } = found.metadata;
    const body = { apiVersion: "v1", kind: "Pod", metadata: { name, namespace, labels, annotations, ownerReferences }, spec: { ...without(asObject(found["spec"]), "nodeName"), nodeName: node } };
    this.#registry.create({ resource: resourceOf("pods"), namespace: namespace ?? "", name: "" }, body);
  }

  /** The pod is told to end: it has a deletionTimestamp, and serves while it is ready. */
  terminate(pod: string, graceSeconds = 30): void {
    this.#registry.markDeleted(targetOf("pods", this.#find(pod)), graceSeconds);
  }

  #find(pod: string): KubeObject {
    const [namespace, name] = pod.includes("/") ? pod.split("/", 2) : ["default", pod];
    return this.#registry.get({ resource: resourceOf("pods"), namespace: namespace ?? "", name: name ?? "" }).object;
  }
}
