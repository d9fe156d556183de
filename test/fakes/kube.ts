import { serviceKey, type ServiceKey } from "../../src/core/model.js";
import type { ConfigMaps, EndpointSlice, EndpointSlices, EventDraft, Events, Lease, LeaseId, Leases, LeaseWrite, Node, NodeMarks, Nodes, NodeTexts, Secrets, Service, Services } from "../../src/ports/kube.js";
import { FakeCollection } from "./collection.js";
import { refused } from "./refused.js";
import { patched } from "./service-patch.js";

/** An API server in memory, as the ports see it. Watches deliver in a microtask. */
export class FakeKube {
  readonly #leases = new Map<string, Lease>();
  readonly #leaseLabels = new Map<string, ReadonlySet<string>>();
  readonly #labelWatches = new Set<{ readonly label: string; readonly changed: (leases: ReadonlyMap<string, Lease>) => void }>();
  readonly #allWatches = new Set<() => void>();
  readonly #leaseWatches = new Set<{ readonly name: string; readonly seen: (lease: Lease | undefined) => void }>();
  readonly services = new Map<ServiceKey, Service>();
  readonly #serviceWatches = new Set<(services: ReadonlyMap<ServiceKey, Service>) => void>();
  readonly #slices = new FakeCollection<EndpointSlice>();
  readonly #nodes = new FakeCollection<Node>();
  readonly #nodeTexts = new FakeCollection<NodeTexts>();
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
    remove: async ({ id: { name }, resourceVersion }) =>
      this.#answer(() => {
        const known = this.#leases.get(name);
        if (known === undefined) return;
        if (known.resourceVersion !== resourceVersion) throw refused("conflict");
        this.removeLease(name);
      }),
    watch: async ({ name }, seen, signal) => this.#until(signal, this.#leaseWatches, { name, seen }, () => seen(this.#leases.get(name))),
    list: async () => this.#answer(() => [...this.#leases.values()]),
    watchAll: async (_namespace, changed, signal) => {
      const all = (): void => changed(new Map([...this.#leases.values()].map((lease) => [`${lease.id.namespace}/${lease.id.name}`, lease])));
      return this.#until(signal, this.#allWatches, all, all);
    },
    watchLabelled: async ({ label }, changed, signal) => this.#until(signal, this.#labelWatches, { label, changed }, () => changed(this.#labelled(label))),
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

  /** Every patch of a Node, in order. */
  readonly nodePatches: ({ readonly name: string } & NodeMarks)[] = [];

  readonly nodes: Nodes = {
    watch: async (changed, signal) => this.#nodes.watch(changed, signal),
    watchOne: async (name, seen, signal) => this.#nodeTexts.watch((objects) => seen(objects.get(name)), signal),
    patch: async (name, marks) =>
      this.#answer(() => {
        this.nodePatches.push({ name, ...marks });
      }),
  };

  readonly configMaps: ConfigMaps = {
    watch: async ({ namespace, name }, seen, signal) => this.#configMaps.watch((objects) => seen(objects.get(`${namespace}/${name}`)), signal),
  };

  readonly #secrets = new FakeCollection<Readonly<Record<string, string>>>();

  readonly secrets: Secrets = {
    watch: async ({ namespace, name }, seen, signal) => this.#secrets.watch((objects) => seen(objects.get(`${namespace}/${name}`)), signal),
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

  /** Undefined removes it. */
  putSecret(id: { readonly namespace: string; readonly name: string }, data: Readonly<Record<string, string>> | undefined): void {
    const key = `${id.namespace}/${id.name}`;
    if (data === undefined) this.#secrets.remove(key);
    else this.#secrets.put(key, data);
  }

  /** Undefined removes it. */
  putNodeTexts(name: string, texts: NodeTexts | undefined): void {
    if (texts === undefined) this.#nodeTexts.remove(name);
    else this.#nodeTexts.put(name, texts);
  }

  lease(name: string): Lease | undefined {
    return this.#leases.get(name);
  }

  #tell(): void {
    for (const changed of this.#serviceWatches) queueMicrotask(() => changed(new Map(this.services)));
  }

  /** As somebody with `kubectl delete` would. */
  removeLease(name: string): void {
    this.#version += 1;
    const labels = this.#leaseLabels.get(name);
    this.#leases.delete(name);
    this.#leaseLabels.delete(name);
    this.#tellLease(name, labels);
  }

  /** All Leases whose names begin so, by name. */
  leasesOf(prefix: string): readonly Lease[] {
    return [...this.#leases.values()].filter(({ id }) => id.name.startsWith(prefix)).toSorted((a, b) => (a.id.name < b.id.name ? -1 : 1));
  }

  #store(id: LeaseId, { annotations, labels, ...record }: LeaseWrite): Lease {
    this.#version += 1;
    const before = this.#leases.get(id.name);
    const lease: Lease = { id, uid: `uid-${id.name}`, resourceVersion: String(this.#version), record, annotations: { ...before?.annotations, ...annotations } };
    this.#leases.set(id.name, lease);
    this.#leaseLabels.set(id.name, new Set([...(this.#leaseLabels.get(id.name) ?? []), ...Object.keys(labels ?? {})]));
    this.#tellLease(id.name, this.#leaseLabels.get(id.name));
    return lease;
  }

  #tellLease(name: string, labels: ReadonlySet<string> | undefined): void {
    const lease = this.#leases.get(name);
    for (const watch of this.#allWatches) queueMicrotask(watch);
    for (const watch of this.#leaseWatches) if (watch.name === name) queueMicrotask(() => watch.seen(lease));
    for (const watch of this.#labelWatches) if (labels?.has(watch.label) === true) this.#tellLabelled(watch);
  }

  #tellLabelled(watch: { readonly label: string; readonly changed: (leases: ReadonlyMap<string, Lease>) => void }): void {
    const leases = this.#labelled(watch.label);
    queueMicrotask(() => {
      if (this.#labelWatches.has(watch)) watch.changed(leases);
    });
  }

  #labelled(label: string): ReadonlyMap<string, Lease> {
    return new Map([...this.#leases].filter(([name]) => this.#leaseLabels.get(name)?.has(label) === true));
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
