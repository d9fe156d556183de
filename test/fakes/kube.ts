import { serviceKey, type ServiceKey } from "../../src/core/model.js";
import type { LeaseRecord } from "../../src/lib/lease-record.js";
import type { ConfigMaps, EndpointSlice, EndpointSlices, EventDraft, Events, Lease, LeaseId, Leases, Node, Nodes, Service, Services } from "../../src/ports/kube.js";
import { FakeCollection } from "./collection.js";
import { refused } from "./refused.js";
import { patched } from "./service-patch.js";

/** An API server in memory, as the ports see it. Watches deliver in a microtask. */
export class FakeKube {
  readonly #leases = new Map<string, Lease>();
  readonly #leaseWatches = new Set<{ readonly name: string; readonly seen: (lease: Lease | undefined) => void }>();
  readonly services = new Map<ServiceKey, Service>();
  readonly #serviceWatches = new Set<(services: ReadonlyMap<ServiceKey, Service>) => void>();
  readonly #slices = new FakeCollection<EndpointSlice>();
  readonly #nodes = new FakeCollection<Node>();
  readonly #configMaps = new FakeCollection<Readonly<Record<string, string>>>();
  readonly events: EventDraft[] = [];
  #version = 10;
  /** Nobody reaches it while true. */
  down = false;
  requests = 0;
  /** Text of an admission plugin that lets nobody add an external IP (DenyServiceExternalIPs); undefined: there is none. */
  refuseExternalIPs: string | undefined;

  readonly leases: Leases = {
    get: async ({ name }) => this.#answer(() => this.#leases.get(name)),
    create: async (id, record) =>
      this.#answer(() => {
        if (this.#leases.has(id.name)) throw refused("alreadyExists");
        return this.#store(id, record);
      }),
    replace: async (lease, record) =>
      this.#answer(() => {
        if (this.#leases.get(lease.id.name)?.resourceVersion !== lease.resourceVersion) throw refused("conflict");
        return this.#store(lease.id, record);
      }),
    watch: async ({ name }, seen, signal) => this.#until(signal, this.#leaseWatches, { name, seen }, () => seen(this.#leases.get(name))),
  };

  readonly servicePort: Services = {
    watch: async (_namespace, changed, signal) => this.#until(signal, this.#serviceWatches, changed, () => changed(new Map(this.services))),
    patchStatus: async (service, patch) =>
      this.#answer(() => {
        const now = this.services.get(serviceKey(service));
        if (now?.resourceVersion !== service.resourceVersion) throw refused("conflict");
        const annotations = Object.fromEntries(
          Object.entries({ ...now.annotations, ...patch.annotations }).filter((entry): entry is [string, string] => entry[1] !== null),
        );
        const ingress = patch.ingress?.map((raw) => ({ ip: String(raw["ip"]), hostname: undefined, raw }));
        this.put({ ...now, annotations, ingress: ingress ?? now.ingress });
      }),
    patchService: async (service, operations) =>
      this.#answer(() => {
        const now = this.services.get(serviceKey(service));
        if (now === undefined) throw refused("notFound");
        const next = patched(now, operations);
        const added = next.externalIPs.some((ip) => !now.externalIPs.includes(ip));
        if (added && this.refuseExternalIPs !== undefined) throw refused("forbidden", this.refuseExternalIPs);
        return this.put(next);
      }),
  };

  readonly endpointSlices: EndpointSlices = {
    watch: async (_namespace, changed, signal) => this.#slices.watch(changed, signal),
  };

  readonly nodes: Nodes = {
    watch: async (changed, signal) => this.#nodes.watch(changed, signal),
  };

  readonly configMaps: ConfigMaps = {
    watch: async ({ namespace, name }, seen, signal) => this.#configMaps.watch((objects) => seen(objects.get(`${namespace}/${name}`)), signal),
  };

  readonly eventPort: Events = {
    write: async (event) => this.#answer(() => void this.events.push(event)),
  };

  /** Creates or changes a Service, as a user would. */
  put(service: Service): Service {
    this.#version += 1;
    const stored = { ...service, resourceVersion: String(this.#version) };
    this.services.set(serviceKey(service), stored);
    this.#tell();
    return stored;
  }

  remove(key: string): void {
    this.services.delete(key as ServiceKey);
    this.#tell();
  }

  putSlice(slice: EndpointSlice): void {
    this.#slices.put(`${slice.namespace}/${slice.name}`, slice);
  }

  /** `namespace/name` */
  removeSlice(key: string): void {
    this.#slices.remove(key);
  }

  putNode(node: Node): void {
    this.#nodes.put(node.name, node);
  }

  removeNode(name: string): void {
    this.#nodes.remove(name);
  }

  /** Undefined removes it. */
  putConfigMap(id: { readonly namespace: string; readonly name: string }, data: Readonly<Record<string, string>> | undefined): void {
    const key = `${id.namespace}/${id.name}`;
    if (data === undefined) this.#configMaps.remove(key);
    else this.#configMaps.put(key, data);
  }

  lease(name: string): Lease | undefined {
    return this.#leases.get(name);
  }

  #tell(): void {
    for (const changed of this.#serviceWatches) queueMicrotask(() => changed(new Map(this.services)));
  }

  #store(id: LeaseId, record: LeaseRecord): Lease {
    this.#version += 1;
    const lease: Lease = { id, uid: `uid-${id.name}`, resourceVersion: String(this.#version), record };
    this.#leases.set(id.name, lease);
    for (const { name, seen } of this.#leaseWatches) if (name === id.name) queueMicrotask(() => seen(lease));
    return lease;
  }

  async #answer<T>(work: () => T): Promise<T> {
    await Promise.resolve();
    this.requests += 1;
    if (this.down) throw refused("network");
    return work();
  }

  async #until<T>(signal: AbortSignal, set: Set<T>, entry: T, first: () => void): Promise<void> {
    set.add(entry);
    queueMicrotask(first);
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    set.delete(entry);
  }
}
