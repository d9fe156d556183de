import { routeKey, type Route, type RouteKey } from "../core/model.js";
import type { BgpRoutePolicy } from "../lib/bgp-peer.js";
import { familyOf, hostPrefix, type Family, type IpAddress } from "../lib/ip.js";
import { exportAttributes, type ExportPolicy } from "../machine/bgp-session-export.js";
import type { RouteMap } from "../machine/bgp-session-config.js";
import { WELL_KNOWN_COMMUNITIES } from "../wire/bgp/community.js";
import type { RouteAttributes, Route as SentRoute } from "../wire/bgp/pack.js";
import type { NextHop } from "./bgp-next-hop.js";

/** Which routes are about to be withdrawn: those that a Lease stands behind, or all. */
export type Leaving = "none" | "owned" | "all";

/** What the attributes of a route depend on beside the route. */
export interface ExportContext {
  readonly peer: string;
  readonly localAs: number;
  readonly internal: boolean;
  /** Of all routes to this peer. */
  readonly policy: BgpRoutePolicy;
  readonly family: Family;
  readonly hop: NextHop;
  /** These have GRACEFUL_SHUTDOWN (RFC 8326). */
  readonly leaving: Leaving;
}

const NONE: RouteMap = new Map();

/** The routes to announce at one moment. Peers to which the same is said share one map, so that 100 of them cost as much as one. */
export class Rib {
  readonly #routes: ReadonlyMap<RouteKey, Route>;
  readonly #selective: boolean;
  readonly #counts: Readonly<Record<Family, number>>;
  readonly #maps = new Map<string, RouteMap>();

  constructor(routes: readonly Route[]) {
    this.#routes = new Map(routes.map((route) => [route.key, route]));
    this.#selective = routes.some(({ peers }) => peers !== undefined);
    const ofIpv4 = routes.filter(({ address }) => familyOf(address) === 4).length;
    this.#counts = { 4: ofIpv4, 6: routes.length - ofIpv4 };
  }

  /** Routes of a family, whoever gets them. */
  count(family: Family): number {
    return this.#counts[family];
  }

  isVip(address: IpAddress): boolean {
    return this.#routes.has(routeKey(address, hostPrefix(address)));
  }

  /** What one peer is to have of one family. */
  announced(context: ExportContext): RouteMap {
    if (this.#counts[context.family] === 0) return NONE;
    const key = JSON.stringify(this.#selective ? context : { ...context, peer: "" });
    const known = this.#maps.get(key);
    if (known !== undefined) return known;
    const made = this.#make(context);
    this.#maps.set(key, made);
    return made;
  }

  #make(context: ExportContext): RouteMap {
    const attributes = new Map<string, RouteAttributes>();
    const routes = new Map<string, SentRoute>();
    for (const { key, address, length, policy, peers, ownership } of this.#routes.values()) {
      if (familyOf(address) !== context.family || peers?.includes(context.peer) === false) continue;
      const goes = context.leaving === "all" || (context.leaving === "owned" && ownership !== undefined);
      const policyKey = JSON.stringify([policy, goes]);
      let said = attributes.get(policyKey);
      if (said === undefined) {
        said = exportAttributes(exportPolicy(policy, context, goes), context);
        attributes.set(policyKey, said);
      }
      routes.set(key, { prefix: { address, length }, attributes: said });
    }
    return routes;
  }
}

/** What a route says for itself goes before what its peer says for all. */
function exportPolicy(route: BgpRoutePolicy, { policy, hop }: ExportContext, goes: boolean): ExportPolicy {
  const said = { ...policy, ...route, ...hop };
  if (!goes) return said;
  const shutdown = WELL_KNOWN_COMMUNITIES["graceful-shutdown"];
  // RFC 8326 4.1: what an internal peer would otherwise have to do by itself.
  return { ...said, communities: [...(said.communities ?? []), ...(shutdown === undefined ? [] : [shutdown])], localPref: 0 };
}
