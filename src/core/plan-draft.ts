import type { Wish } from "../machine/claim-state.js";
import type { Stance } from "../machine/election-state.js";
import type { Service } from "../ports/kube.js";
import type { Fitness } from "./eligible.js";
import { KUBE_PROXY_HEALTH_PORT } from "./dataplane.js";
import { NO_ENDPOINTS, type ServiceEndpoints } from "./endpoints.js";
import type { Placed } from "./layout.js";
import { romanaKey, serviceKey, type Dnat, type LeaseKey, type LeaseWant, type LinkKey, type LinkWant, type Mapping, type Route, type ServiceKey, type Vip, type VipKey } from "./model.js";
import type { LinkAsked } from "./plan-links.js";
import type { PlanConfig } from "./plan-model.js";
import type { Outcome } from "./plan-outcome.js";
import { holds } from "./plan-owners.js";
import { romanaStance, trafficOf } from "./plan-romana.js";
import { TELLING, type SkipReason } from "./plan-service.js";
import { vipOf, type AskedVip } from "./plan-vip.js";
import { wishOf } from "./plan-wishes.js";
import { Writes } from "./plan-writes.js";
import type { World } from "./world.js";

/** The outcome of one Service in the making: what is wanted for it, written and told. */
export class Draft {
  readonly vips: Vip[] = [];
  readonly leases: LeaseWant[] = [];
  /** The leases that it asks for, whoever holds them. */
  readonly asks: LeaseKey[] = [];
  readonly dnat: Dnat[] = [];
  readonly routes: Route[] = [];
  readonly mappings: Mapping[] = [];
  readonly names: string[] = [];
  readonly checks: number[] = [];
  readonly writes = new Writes();
  readonly #links = new Map<LinkKey, LinkWant>();
  #skipped: SkipReason | undefined;
  #stance: Stance | undefined;
  #wish: Wish | undefined;

  constructor(
    readonly world: World,
    readonly config: PlanConfig,
  ) {}

  outcome(service: Service): Outcome {
    const key = serviceKey(service);
    const { statuses, changes, events } = this.writes;
    return {
      vips: this.vips,
      links: [...this.#links.values()],
      leases: this.leases,
      asks: this.asks,
      dnat: this.dnat,
      routes: this.routes,
      mappings: this.mappings,
      skipped: this.#skipped,
      status: statuses.get(key),
      change: changes.get(key),
      events: [...events],
      names: this.names,
      checks: this.checks,
      stance: this.#stance,
      wish: this.#wish,
      problems: [],
    };
  }

  wantLinks(links: readonly LinkAsked[], owner: ServiceKey): void {
    for (const link of links) this.#links.set(link.key, { ...link, owners: [owner] });
  }

  wantVip(asked: AskedVip): VipKey {
    const vip = vipOf(asked, this.world, this.config);
    this.vips.push(vip);
    return vip.key;
  }

  /** How this node stands towards the owner's key of its own that a Service has. */
  campaign(placed: Placed, { fit, usable }: { readonly fit: Fitness; readonly usable: boolean }): void {
    const proxied = !placed.romana || trafficOf(placed, this.world, this.config).type !== "nft";
    const sick = proxied && this.world.dataplane.get(KUBE_PROXY_HEALTH_PORT) === "notReady";
    const wish = wishOf(placed, { fit, usable, sick, endpoints: this.endpointsOf(placed) });
    if (this.#wish?.fit !== "drop") this.#wish = wish;
    if (!placed.romana) return;
    const stance = romanaStance({ fit, usable, sick });
    // With several addresses, the one that cannot be served decides.
    if (this.#stance !== "drop") this.#stance = stance;
  }

  /** Where none of its addresses is known yet: whoever owns it looks its names up. */
  campaignForNames(placed: Placed, fit: Fitness): void {
    this.#wish ??= wishOf(placed, { fit, usable: true, sick: false, endpoints: this.endpointsOf(placed) });
  }

  endpointsOf({ facts }: Pick<Placed, "facts">): ServiceEndpoints {
    return this.world.endpoints?.get(facts.key) ?? NO_ENDPOINTS;
  }

  skip(service: Service, reason: SkipReason, telling = TELLING.has(reason.code)): void {
    this.#skipped = reason;
    // What stands in the way of a Romana VIP, its holder may be the only one to know.
    if (!telling || !(holds(this.world, "services") || holds(this.world, romanaKey(serviceKey(service))))) return;
    const name = `${reason.code.charAt(0).toUpperCase()}${reason.code.slice(1)}`;
    this.tell(service, "Warning", name, reason.message);
  }

  tell(service: Service, type: "Normal" | "Warning", reason: string, message: string): void {
    this.writes.event(service, type, { reason, message });
  }
}
