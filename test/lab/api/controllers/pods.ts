import { asList, asObject, asText, at } from "../object.js";
import type { KubeObject } from "../object.js";
import type { Registry } from "../registry.js";
import { timestamp } from "../registry.js";
import { all, find, isDeleting, objectKey, selects, targetOf } from "./access.js";
import { runningStatus } from "./pod-status.js";
import type { PodAddresses } from "./pod-status.js";
import { WorkQueue } from "./work-queue.js";

/** The scheduler and all kubelets: pods get a node, in turn, then addresses, and run at once. */
export class Pods {
  /** Whether pods that start from now on are ready. */
  newReady = true;
  readonly #registry: Registry;
  readonly #addresses = new Map<string, PodAddresses>();
  readonly #queue = new WorkQueue((key) => this.#sync(key));
  #turn = 0;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** Follows pods and nodes from now on. */
  start(): void {
    const { store } = this.#registry;
    store.subscribe("pods", ({ type, entry }) => {
      if (type !== "DELETED") this.#queue.add(entry.key);
    });
    store.subscribe("nodes", () => this.#all());
  }

  /** Sets which addresses the pods of some nodes get. */
  setAddresses(pools: readonly PodAddresses[]): void {
    for (const pool of pools) this.#addresses.set(pool.node, pool);
    this.#all();
  }

  #all(): void {
    for (const pod of all(this.#registry, "pods")) if (asText(at(pod, "status", "podIP")) === "") this.#queue.add(objectKey(pod));
  }

  #sync(key: string): void {
    const pod = find(this.#registry, "pods", key);
    if (pod === undefined || isDeleting(pod)) return;
    if (asText(at(pod, "spec", "nodeName")) === "") this.#schedule(pod);
    else if (asText(at(pod, "status", "podIP")) === "") this.#run(pod);
  }

  #schedule(pod: KubeObject): void {
    const wanted = at(pod, "spec", "nodeSelector");
    const fits = (node: KubeObject): boolean => at(node, "spec", "unschedulable") !== true && (wanted === undefined || selects(wanted, node));
    const nodes = all(this.#registry, "nodes").filter(fits);
    const node = nodes[this.#turn % nodes.length];
    if (node === undefined) return;
    this.#turn += 1;
    this.#registry.patch(targetOf("pods", pod), (old) => ({ ...old, spec: { ...asObject(old["spec"]), nodeName: node.metadata.name } }));
  }

  #run(pod: KubeObject): void {
    const node = asText(at(pod, "spec", "nodeName"));
    const hostIPs = asList(at(find(this.#registry, "nodes", node), "status", "addresses")).filter((one) => at(one, "type") === "InternalIP").map((one) => asText(at(one, "address")));
    const podIPs = at(pod, "spec", "hostNetwork") === true ? hostIPs : this.#choose(node);
    if (podIPs.length === 0) return;
    const status = runningStatus(pod, { hostIPs, podIPs, ready: this.newReady, now: timestamp() });
    this.#registry.patch(targetOf("pods", pod), (old) => ({ ...old, status }), { status: true });
  }

  /** An address of each family that fewest pods of the node have. */
  #choose(node: string): readonly string[] {
    const pool = this.#addresses.get(node);
    if (pool === undefined) return [];
    const taken = new Map<string, number>();
    for (const pod of all(this.#registry, "pods")) {
      if (at(pod, "spec", "nodeName") !== node) continue;
      for (const one of asList(at(pod, "status", "podIPs"))) taken.set(asText(at(one, "ip")), (taken.get(asText(at(one, "ip"))) ?? 0) + 1);
    }
    const least = (addresses: readonly string[]): readonly string[] => addresses.toSorted((a, b) => (taken.get(a) ?? 0) - (taken.get(b) ?? 0)).slice(0, 1);
    return [...least(pool.ipv4), ...least(pool.ipv6)];
  }
}
