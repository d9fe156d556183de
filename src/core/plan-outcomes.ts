import { exact } from "../lib/exact.js";
import type { Placed } from "./layout.js";
import { isShared, type LinkKey, type RouteKey, type VipKey } from "./model.js";
import { dhcpOf } from "./plan-dhcp.js";
import type { Outcome } from "./plan-outcome.js";
import type { World } from "./world.js";

interface Known {
  readonly basis: object;
  readonly endpoints: unknown;
  /** Of the key that owns it. */
  readonly state: string;
  /** What is known of those that it asks for. */
  readonly leases: readonly unknown[];
  readonly links: readonly (readonly [LinkKey, unknown])[];
  /** What was observed of each of its VIPs. */
  readonly observed: readonly (readonly [VipKey, unknown])[];
  readonly routes: readonly (readonly [RouteKey, unknown])[];
  readonly outcome: Outcome;
}

/**
 * Outcomes of Services that need not be worked out again: nothing has changed that they depend on. In most passes one Service of thousands is new, or one
 * observation.
 */
export class Outcomes {
  readonly #known = new WeakMap<Placed, Known>();
  #world: World | undefined;
  #basisOf: readonly unknown[] = [];
  #basis: object = {};

  /** For this pass. */
  at(world: World): this {
    this.#world = world;
    const basis = basisOf(world);
    if (basis.some((part, i) => part !== this.#basisOf[i])) {
      this.#basisOf = basis;
      this.#basis = {};
    }
    return this;
  }

  of(placed: Placed, make: () => Outcome): Outcome {
    const world = this.#world;
    // A Romana VIP depends on more: on a Lease of its own and on rules of ours.
    if (world === undefined || placed.romana) return make();
    const endpoints = world.endpoints?.get(placed.facts.key);
    const state = isShared(placed.owner) ? JSON.stringify(world.ownership.get(placed.owner)) : "";
    const known = this.#known.get(placed);
    const leases = dhcpOf(placed.facts).map(({ key }) => world.leases.get(key));
    const same = known !== undefined && leases.every((lease, i) => known.leases[i] === lease) && known.links.every(([key, seen]) => world.observedLinks.get(key) === seen) && known.basis === this.#basis && known.endpoints === endpoints && known.state === state && known.observed.every(([key, seen]) => world.observed.get(key) === seen) && known.routes.every(([key, seen]) => world.observedRoutes.get(key) === seen);
    if (same) return known.outcome;
    const outcome = trimmed(make());
    const links = outcome.links.map(({ key }): [LinkKey, unknown] => [key, world.observedLinks.get(key)]);
    const observed = outcome.vips.map(({ key }): [VipKey, unknown] => [key, world.observed.get(key)]);
    const routes = outcome.routes.map(({ key }): [RouteKey, unknown] => [key, world.observedRoutes.get(key)]);
    this.#known.set(placed, { basis: this.#basis, endpoints, state, leases: exact(leases), links: exact(links), observed: exact(observed), routes: exact(routes), outcome });
    return outcome;
  }
}

/** There is one for each Service, and most of its lists are empty. */
function trimmed(outcome: Outcome): Outcome {
  const { vips, links, leases, asks, dnat, routes, mappings, events, names, checks, problems } = outcome;
  return {
    ...outcome,
    vips: exact(vips),
    links: exact(links),
    leases: exact(leases),
    asks: exact(asks),
    dnat: exact(dnat),
    routes: exact(routes),
    mappings: exact(mappings),
    events: exact(events),
    names: exact(names),
    checks: exact(checks),
    problems: exact(problems),
  };
}

/** All of the world that an outcome may depend on, but for what is compared for each Service. A new part of the world is in it unless it is named here. */
function basisOf({ services: _services, endpoints, observed: _observed, observedLinks: _links, observedDnat: _dnat, observedRoutes: _routes, grants: _grants, names: _names, leases: _leases, inUse: _inUse, ownership, ...rest }: World): readonly unknown[] {
  // The states are new objects after every renew.
  const states = JSON.stringify([ownership.get("services"), ownership.get("control-plane")]);
  return [...Object.values(rest), states, endpoints === undefined];
}
