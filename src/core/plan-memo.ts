import { exact } from "../lib/exact.js";
import { parseIp, type IpAddress } from "../lib/ip.js";
import type { Service } from "../ports/kube.js";
import { layOut, type Layout, type LayoutConfig, type LayoutWorld, type Placed } from "./layout.js";
import { serviceKey, type ServiceKey } from "./model.js";
import { Outcomes } from "./plan-outcomes.js";
import { askedOf, type ServiceFacts, type ServicePlanConfig } from "./plan-service.js";
import { recordedAddresses } from "./status.js";
import type { World } from "./world.js";

/** Remembers between passes what has not changed: a Service changes only by being replaced. For one configuration. */
export class PlanMemo {
  readonly #placed = new WeakMap<Service, Placed>();
  readonly #outcomes = new Outcomes();
  #facts = new WeakMap<Service, ServiceFacts>();
  #sortedOf: ReadonlyMap<ServiceKey, Service> | undefined;
  #sorted: readonly (readonly [Service, ServiceFacts])[] = [];
  #reservedOf: readonly unknown[] = [];
  #reserved: ReadonlySet<IpAddress> = new Set();
  #layoutOf: readonly unknown[] = [];
  #layout: Layout = { placed: [], grants: new Map() };

  /** What follows for each Service, as far as nothing that it depends on has changed. */
  outcomes(world: World): Outcomes {
    return this.#outcomes.at(world);
  }

  /** Addresses that are never given out; made anew only when something that they come from has changed. */
  reserved(world: World, make: (world: World) => ReadonlySet<IpAddress>): ReadonlySet<IpAddress> {
    const from = [world.subnets, world.nodeAddresses, world.gateways, world.apiHost];
    if (from.some((part, i) => part !== this.#reservedOf[i])) {
      this.#reservedOf = from;
      this.#reserved = make(world);
    }
    return this.#reserved;
  }

  /** Which Service gets what; made anew only when something that it depends on has changed. */
  layout(services: ReadonlyMap<ServiceKey, Service> | undefined, world: LayoutWorld, config: LayoutConfig & ServicePlanConfig): Layout {
    const from = [services, world.names, world.leases, world.pools, world.grants, world.inUse, world.reserved, world.allocates];
    if (from.some((part, i) => part !== this.#layoutOf[i])) {
      this.#layoutOf = from;
      this.#layout = layOut(this.#sort(services, config), world, config, this.#placed);
    }
    return this.#layout;
  }

  /** Oldest first. */
  #sort(services: ReadonlyMap<ServiceKey, Service> | undefined, config: ServicePlanConfig): readonly (readonly [Service, ServiceFacts])[] {
    if (services === undefined) return [];
    if (services !== this.#sortedOf) {
      this.#sortedOf = services;
      const known = [...services.values()].map((service): [Service, ServiceFacts] => [service, this.#factsOf(service, config)]);
      this.#sorted = known.sort(byAge);
    }
    return this.#sorted;
  }

  #factsOf(service: Service, config: ServicePlanConfig): ServiceFacts {
    const known = this.#facts.get(service);
    if (known !== undefined) return known;
    const recorded = recordedAddresses(service)?.flatMap((text) => parseIp(text) ?? []);
    const facts: ServiceFacts = { key: serviceKey(service), asked: askedOf(service, config), recorded: recorded === undefined ? undefined : exact(recorded) };
    this.#facts.set(service, facts);
    return facts;
  }
}

/** The API knows whole seconds: of Services made in one second, the one that is announced already is the older, so that none is robbed; then by name. */
function byAge([a, one]: readonly [Service, ServiceFacts], [b, other]: readonly [Service, ServiceFacts]): number {
  const announced = ({ recorded }: ServiceFacts): number => (recorded === undefined ? 1 : 0);
  return a.createdAt - b.createdAt || announced(one) - announced(other) || (one.key < other.key ? -1 : 1);
}
