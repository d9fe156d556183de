import { serviceKey, type ServiceKey } from "../../src/core/model.js";
import type { LeaseRecord } from "../../src/lib/lease-record.js";
import type { EventDraft, Events, Lease, LeaseId, Leases, Service, Services } from "../../src/ports/kube.js";

function refused(code: "conflict" | "alreadyExists" | "network"): Error {
  return Object.assign(new Error(code), { code, status: code === "network" ? 0 : 409 });
}

/** An API server in memory, as the ports see it. Watches deliver in a microtask. */
export class FakeKube {
  readonly #leases = new Map<string, Lease>();
  readonly #leaseWatches = new Set<{ readonly name: string; readonly seen: (lease: Lease | undefined) => void }>();
  readonly services = new Map<ServiceKey, Service>();
  readonly #serviceWatches = new Set<(services: ReadonlyMap<ServiceKey, Service>) => void>();
  readonly events: EventDraft[] = [];
  #version = 10;
  /** Nobody reaches it while true. */
  down = false;
  requests = 0;

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
        this.put({ ...now, annotations, ingress: patch.ingress.map((raw) => ({ ip: String(raw["ip"]), hostname: undefined, raw })) });
      }),
  };

  readonly eventPort: Events = {
    write: async (event) => this.#answer(() => void this.events.push(event)),
  };

  /** Creates or changes a Service, as a user would. */
  put(service: Service): void {
    this.#version += 1;
    this.services.set(serviceKey(service), { ...service, resourceVersion: String(this.#version) });
    this.#tell();
  }

  remove(key: string): void {
    this.services.delete(key as ServiceKey);
    this.#tell();
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
