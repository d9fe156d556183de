import type { Service } from "../ports/kube.js";
import { serviceKey, type ServiceKey } from "./model.js";
import { askedAddresses, type Asked, type ServicePlanConfig } from "./plan-service.js";
import { recordedAddresses } from "./status.js";

/** What follows from a Service alone. */
export interface ServiceFacts {
  readonly key: ServiceKey;
  readonly asked: Asked;
  /** Addresses that we wrote into its status. */
  readonly recorded: readonly string[] | undefined;
}

/** Remembers between passes what has not changed: a Service changes only by being replaced. For one configuration. */
export class PlanMemo {
  #facts = new WeakMap<Service, ServiceFacts>();
  #sortedOf: ReadonlyMap<ServiceKey, Service> | undefined;
  #sorted: readonly Service[] = [];

  facts(service: Service, config: ServicePlanConfig): ServiceFacts {
    const known = this.#facts.get(service);
    if (known !== undefined) return known;
    const facts: ServiceFacts = { key: serviceKey(service), asked: askedAddresses(service, config), recorded: recordedAddresses(service) };
    this.#facts.set(service, facts);
    return facts;
  }

  /** Oldest first; of the same age by name. */
  sorted(services: ReadonlyMap<ServiceKey, Service> | undefined): readonly Service[] {
    if (services === undefined) return [];
    if (services !== this.#sortedOf) {
      this.#sortedOf = services;
      this.#sorted = [...services.values()].sort((a, b) => a.createdAt - b.createdAt || (serviceKey(a) < serviceKey(b) ? -1 : 1));
    }
    return this.#sorted;
  }
}
