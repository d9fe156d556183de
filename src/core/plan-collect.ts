import type { Wish } from "../machine/claim-state.js";
import type { Stance } from "../machine/election-state.js";
import type { EventDraft } from "../ports/kube.js";
import type { LeaseText } from "./kube-vip-leases.js";
import { romanaKey, type Dnat, type LeaseKey, type LeaseWant, type LinkKey, type LinkWant, type Mapping, type MappingKey, type OwnershipKey, type Route, type RouteKey, type ServiceKey, type Vip, type VipKey } from "./model.js";
import { routeTogether } from "./plan-bgp.js";
import { leaseTogether } from "./plan-dhcp.js";
import type { Outcome } from "./plan-outcome.js";
import { together as wishTogether } from "./plan-wishes.js";
import type { Plan } from "./plan-model.js";
import type { SkipReason } from "./plan-service.js";
import type { ServiceChange } from "./plan-writes.js";
import type { StatusPatch } from "./status.js";

/** Puts outcomes together to a plan: what several Services want of one address or link becomes one want. */
export class Collection {
  readonly #arp = new Map<VipKey, Vip>();
  readonly #links = new Map<LinkKey, LinkWant>();
  readonly #leases = new Map<LeaseKey, LeaseWant>();
  readonly #asks = new Set<LeaseKey>();
  readonly #dnat = new Map<VipKey, Dnat>();
  readonly #routes = new Map<RouteKey, Route>();
  readonly #upnp = new Map<MappingKey, Mapping>();
  readonly #statuses = new Map<ServiceKey, StatusPatch>();
  readonly #changes = new Map<ServiceKey, ServiceChange>();
  readonly #events = new Map<string, EventDraft>();
  readonly #skipped = new Map<ServiceKey, SkipReason>();
  readonly #problems: string[] = [];
  readonly #names = new Set<string>();
  readonly #checks = new Set<number>();
  /** How this node stands towards each Romana VIP. */
  readonly romana = new Map<OwnershipKey, Stance>();
  /** What this node wants of each key that is one of many. */
  readonly #wishes = new Map<OwnershipKey, Wish>();
  /** Keys of which somebody else holds a part. */
  readonly #barred = new Map<OwnershipKey, Wish>();
  readonly #kubeVip = new Map<LeaseText, OwnershipKey>();

  get wishes(): ReadonlyMap<OwnershipKey, Wish> {
    return this.#barred.size === 0 ? this.#wishes : new Map([...this.#wishes, ...this.#barred]);
  }

  /** `service`: whose outcome it is; undefined for the control plane. */
  add(outcome: Outcome, service: ServiceKey | undefined, owner: OwnershipKey = "services"): void {
    for (const vip of outcome.vips) this.#arp.set(vip.key, together(this.#arp.get(vip.key), vip));
    for (const link of outcome.links) {
      const first = this.#links.get(link.key);
      // Of a link that several name, the oldest one's word counts.
      this.#links.set(link.key, { ...(first ?? link), owners: [...(first?.owners ?? []), ...link.owners] });
    }
    for (const lease of outcome.leases) this.#leases.set(lease.key, leaseTogether(this.#leases.get(lease.key), lease));
    for (const key of outcome.asks) this.#asks.add(key);
    for (const dnat of outcome.dnat) this.#dnat.set(dnat.key, dnat);
    for (const route of outcome.routes) this.#routes.set(route.key, routeTogether(this.#routes.get(route.key), route));
    for (const mapping of outcome.mappings) this.#upnp.set(mapping.key, mapping);
    for (const [key, event] of outcome.events) this.#events.set(key, event);
    for (const name of outcome.names) this.#names.add(name);
    for (const port of outcome.checks) this.#checks.add(port);
    this.#problems.push(...outcome.problems);
    if (service === undefined) return;
    if (outcome.skipped !== undefined) this.#skipped.set(service, outcome.skipped);
    if (outcome.status !== undefined) this.#statuses.set(service, outcome.status);
    if (outcome.change !== undefined) this.#changes.set(service, outcome.change);
    if (outcome.wish !== undefined) this.#wishes.set(owner, wishTogether(this.#wishes.get(owner), outcome.wish));
    if (outcome.wish !== undefined && outcome.barred === true) this.#barred.set(owner, outcome.wish);
    if (outcome.kubeVipLease !== undefined) this.#kubeVip.set(...outcome.kubeVipLease);
    if (outcome.stance !== undefined) this.romana.set(romanaKey(service), outcome.stance);
  }

  finish(): Omit<Plan, "campaigns" | "wishes" | "terms" | "grants" | "settled"> {
    return {
      wants: { arp: this.#arp, link: this.#links, dhcp: this.#leases, dnat: this.#dnat, bgp: this.#routes, upnp: this.#upnp },
      asks: this.#asks,
      statuses: this.#statuses,
      changes: this.#changes,
      events: this.#events,
      skipped: this.#skipped,
      problems: this.#problems,
      names: this.#names,
      kubeVip: this.#kubeVip,
      checks: this.#checks,
    };
  }
}

function together(before: Vip | undefined, vip: Vip): Vip {
  if (before === undefined) return vip;
  return { ...before, owners: [...before.owners, ...vip.owners], ports: [...before.ports, ...vip.ports], fresh: before.fresh && vip.fresh };
}
