import { messageOf } from "../lib/errors.js";
import { familyOf, hostPrefix, type IpAddress } from "../lib/ip.js";
import type { Wish } from "../machine/claim-state.js";
import type { Stance } from "../machine/election-state.js";
import type { Service } from "../ports/kube.js";
import { bgpPolicyOf, type ServiceBgpPolicy } from "./bgp-policy.js";
import { KUBE_PROXY_HEALTH_PORT } from "./dataplane.js";
import type { DhcpAsked } from "./dhcp.js";
import { fitness, readinessPort, type Fitness } from "./eligible.js";
import { NO_ENDPOINTS, type ServiceEndpoints } from "./endpoints.js";
import { electsItself } from "./groups.js";
import type { Placed, PlacedAddress } from "./layout.js";
import { AddressInUse } from "./mode.js";
import { isShared, romanaKey, routeKey, serviceKey, vipKey, type Dnat, type LeaseKey, type LeaseWant, type LinkKey, type LinkWant, type Mapping, type Route, type ServiceKey, type Vip, type VipKey } from "./model.js";
import { isOwnerless, mayNotServe, mayServe, NOWHERE_LINK, refusedHere, routeOf, saidOfMany, type BgpPlanConfig } from "./plan-bgp.js";
import { dhcpOf, leaseOf, leaseWants, macvlanLink, noteLease } from "./plan-dhcp.js";
import type { PlanConfig } from "./plan-model.js";
import type { Outcome } from "./plan-outcome.js";
import { mainLink, poolLink, serviceLink, type LinkAsked, type LinkChoice } from "./plan-links.js";
import { holds, noAddressYet, notOwner, owns } from "./plan-owners.js";
import { inUse, isAnothersAddress, tells, unfitHolder } from "./plan-reasons.js";
import { reservedFor } from "./plan-reserved.js";
import { dnatOf, externalIPsOf, romanaStance, trafficOf, type RomanaTraffic } from "./plan-romana.js";
import { foreignStatus, foughtFor, saidOf, writesStatus } from "./plan-said.js";
import { GRANTED, TELLING, type SkipReason } from "./plan-service.js";
import { mappingsOf, publish } from "./plan-upnp.js";
import { vipOf, type AskedVip } from "./plan-vip.js";
import type { StatusDecision } from "./status.js";
import { wishOf } from "./plan-wishes.js";
import { Writes } from "./plan-writes.js";
import type { World } from "./world.js";

/** What follows for one Service. */
export function serviceOutcome(placed: Placed, world: World, config: PlanConfig): Outcome {
  const draft = new Draft(world, config);
  draft.service(placed);
  return draft.outcome(placed.service);
}

/** One outcome in the making. */
class Draft {
  readonly #vips: Vip[] = [];
  readonly #links = new Map<LinkKey, LinkWant>();
  readonly #leases: LeaseWant[] = [];
  #asks: LeaseKey | undefined;
  readonly #dnat: Dnat[] = [];
  readonly #routes: Route[] = [];
  readonly #mappings: Mapping[] = [];
  #skipped: SkipReason | undefined;
  readonly #names: string[] = [];
  readonly #checks: number[] = [];
  readonly #writes = new Writes();
  #stance: Stance | undefined;
  #wish: Wish | undefined;

  constructor(
    private readonly world: World,
    private readonly config: PlanConfig,
  ) {}

  service(placed: Placed): void {
    const { service, facts } = placed;
    if (facts.asked.type === "skip") {
      this.#skip(service, facts.asked.reason);
      if (owns(this.world, "services")) this.#writes.clear(service);
      return;
    }
    this.#prepare(placed);
    const fit = fitness(placed, this.world);
    const up: IpAddress[] = [];
    const lost: IpAddress[] = [];
    let reason = this.#lease(placed, fit) ?? placed.reason;
    for (const entry of placed.addresses) {
      const outcome = this.#address(placed, entry, fit);
      if (typeof outcome === "object") {
        reason ??= outcome;
        if (isAnothersAddress(outcome)) lost.push(entry.address);
      } else if (outcome === "up") up.push(entry.address);
    }
    if (placed.romana) this.#externalIPs(placed, { up, lost });
    if (this.#isAnothers(placed, fit)) reason = notOwner(this.world, placed.owner);
    // Whoever owns it looks its names up.
    if (isShared(placed.owner) && placed.names.length > 0) this.#wish ??= wishOf(placed, { fit, usable: true, sick: false, endpoints: this.#endpoints(placed) });
    if (placed.romana && placed.addresses.length === 0) reason ??= noAddressYet(this.world);
    if (reason !== undefined) this.#skip(service, reason, tells(reason, placed));
    const external = this.#publish(placed, this.#vips.length > up.length);
    // Until its new holder has asked, the address is that of the one before.
    if (placed.reason?.code !== "dhcpPending") this.#say(placed, { up, external });
  }

  outcome(service: Service): Outcome {
    const key = serviceKey(service);
    const { statuses, changes, events } = this.#writes;
    return {
      vips: this.#vips,
      links: [...this.#links.values()],
      leases: this.#leases,
      asks: this.#asks,
      dnat: this.#dnat,
      routes: this.#routes,
      mappings: this.#mappings,
      skipped: this.#skipped,
      status: statuses.get(key),
      change: changes.get(key),
      events: [...events],
      names: this.#names,
      checks: this.#checks,
      stance: this.#stance,
      wish: this.#wish,
      problems: [],
    };
  }

  /** What another node has to decide is not said here; a Romana VIP tells what is wrong with itself on every node, and so does an owner's key of its own. */
  #isAnothers({ romana, owner, addresses }: Placed, fit: Fitness): boolean {
    if (romana || isOwnerless(this.config, owner) || holds(this.world, owner) || !addresses.every(({ ownership }) => ownership === owner)) return false;
    return !isShared(owner) || fit.type !== "unfit";
  }

  /** What has to be known or said before it can be decided who serves it. */
  #prepare(placed: Placed): void {
    const { service, addresses, romana, owner } = placed;
    const { asked } = placed.facts;
    if (owns(this.world, owner)) this.#names.push(...placed.names);
    if (owns(this.world, "services")) {
      // Its owner may be another node.
      const granted = asked.type === "any" && (romana || electsItself(service, this.config)) ? addresses.map(({ address }) => address).join(",") : "";
      if (granted !== "") this.#writes.annotate(service, { [GRANTED]: granted });
      if (!romana) this.#writes.clearRomana(service);
      if (asked.type === "entries" && asked.from !== GRANTED && asked.from !== "status") this.#writes.forgetGrant(service);
    }
    if (!this.config.dataplaneCheck) return;
    const port = readinessPort(placed);
    this.#checks.push(KUBE_PROXY_HEALTH_PORT);
    if (port !== undefined && this.world.endpoints?.get(placed.facts.key)?.local === "ready") this.#checks.push(port);
  }

  /** Wants one address of a Service; says whether it is up, on its way, or why it is not served here. */
  #address(placed: Placed, { address, ownership, refused, mixedWith }: PlacedAddress, fit: Fitness): "up" | "pending" | SkipReason {
    const { service, facts } = placed;
    const link = ownership === "control-plane" ? mainLink(this.world, this.config) : this.#link(placed, address);
    const reserved = refused ?? reservedFor({ address, ownership, service, facts }, this.world);
    if (isShared(ownership)) this.#campaign(placed, { fit, usable: reserved === undefined && link.type !== "none" });
    if (reserved !== undefined) return reserved;
    if (electsItself(service, this.config) && facts.asked.type === "any" && ownership === "services") return { code: "waiting", message: `${address} is given to it; it is owned once that is written down` };
    if (!mayServe(this.world, this.config, ownership)) return isShared(ownership) && fit.type === "unfit" ? fit.reason : mayNotServe(this.world, this.config, ownership);
    if (mixedWith !== undefined && holds(this.world, ownership)) this.#tellMixed(service, address, mixedWith);
    const unserved = isOwnerless(this.config, ownership) ? refusedHere(placed, fit, this.world, this.config) : unfitHolder(placed, fit, ownership);
    if (unserved !== undefined) return unserved;
    if (link.type === "none") return { code: link.code, message: link.message };
    if (link.type === "pending") return this.#pendingLink(link.made, facts.key);
    for (const made of link.made ?? []) this.#wantLink(made, facts.key);
    const until = leaseOf(facts, address, this.world)?.expiresAt;
    // One by DHCP has been probed.
    const fresh = until === undefined && facts.recorded?.includes(address) !== true;
    const asked: AskedVip = { address, iface: link.name, ownership, owner: facts.key, ports: service.ports, fresh, until };
    if (this.config.bgp !== undefined) return this.#announceRoute(placed, asked, this.config.bgp);
    // Who handed it over before it could say so in the Service would be taken for a stranger.
    if (fresh && isShared(ownership) && this.world.ownership.get(ownership)?.heir === true) return "pending";
    const key = this.#want(asked);
    const traffic = placed.romana ? this.#lead(placed, key, address) : undefined;
    const seen = this.#observed({ placed, key, address, iface: link.name, traffic });
    if (seen === "up") this.#mappings.push(...mappingsOf(placed, { iface: link.name, address, ownership }, this.world, this.config));
    return seen;
  }

  #observed(of: { readonly placed: Placed; readonly key: VipKey; readonly address: IpAddress; readonly iface: string; readonly traffic: RomanaTraffic | undefined }): "up" | "pending" | SkipReason {
    const { placed, key, address, iface, traffic } = of;
    const observed = this.world.observed.get(key);
    if (observed?.state === "failed" && observed.error instanceof AddressInUse) return inUse(observed.error);
    if (observed?.state !== "up") return "pending";
    const how = `${familyOf(address) === 4 ? "ARP" : "NDP"} on ${iface}`;
    this.#tell(placed.service, "Normal", "VipHeld", `${address} is held by node ${this.world.node} (${how})${traffic === undefined ? "" : `; ${traffic.says}`}`);
    const rival = this.world.conflicts.get(key);
    if (rival !== undefined) this.#tell(placed.service, "Warning", "AddressConflict", `${address} on ${iface} is announced by ${rival} too: kept and defended, every ten seconds at the most`);
    return "up";
  }

  /** BGP mode: the route to an address of a Service, which this node has to have only where traffic is not led by kube-proxy alone. */
  #announceRoute(placed: Placed, asked: AskedVip, { attachServices }: BgpPlanConfig): "up" | "pending" {
    const { address, iface } = asked;
    if (placed.romana) this.#lead(placed, vipKey(iface, address), address);
    const said = bgpPolicyOf(placed.service.annotations);
    if (owns(this.world, placed.owner)) for (const problem of said.problems) this.#tell(placed.service, "Warning", "InvalidBgpAnnotation", problem);
    this.#route(asked, attachServices || asked.ownership === "control-plane", said);
    return this.world.observedRoutes.get(routeKey(address, hostPrefix(address)))?.state === "up" ? "up" : "pending";
  }

  /** `attached`: announced once this node has the address, so that what comes is taken. */
  #route(asked: AskedVip, attached: boolean, said?: ServiceBgpPolicy): void {
    if (attached && this.world.observed.get(this.#want(asked))?.state !== "up") return;
    this.#routes.push(routeOf(asked, this.config, said));
  }

  #endpoints({ facts }: Placed): ServiceEndpoints {
    return this.world.endpoints?.get(facts.key) ?? NO_ENDPOINTS;
  }

  #link(placed: Placed, address: IpAddress): LinkChoice {
    const { service, facts } = placed;
    if (this.config.bgp?.attachServices === false) return { type: "link", name: this.config.iface ?? NOWHERE_LINK };
    const lease = leaseOf(facts, address, this.world);
    if (lease !== undefined) return this.#macvlan(placed, lease.asked);
    return serviceLink(this.world, this.config, { address, service, pool: poolLink(this.world, service.namespace, address) });
  }

  /** On a link that is chosen before there is an address. */
  #macvlan({ service }: Placed, asked: DhcpAsked): LinkChoice {
    return macvlanLink(this.world, serviceLink(this.world, this.config, { service }), asked);
  }

  /** What an address by DHCP needs before there is one, and for as long as there is; why there can be none. */
  #lease(placed: Placed, fit: Fitness): SkipReason | undefined {
    const asked = dhcpOf(placed.facts);
    if (asked === undefined) return undefined;
    if (this.config.bgp !== undefined) return { code: "dhcpNotSupported", message: "it asks for an address by DHCP: served in ARP mode only, expected an address" };
    const { facts, owner } = placed;
    const link = this.#macvlan(placed, asked);
    this.#asks = asked.key;
    if (isShared(owner) && placed.addresses.length === 0) this.#campaign(placed, { fit, usable: link.type !== "none" });
    if (!holds(this.world, owner)) return undefined;
    if (owns(this.world, owner)) noteLease(placed, asked, { world: this.world, writes: this.#writes });
    if (link.type === "none") return { code: link.code, message: link.message };
    if (link.type === "pending") return this.#pendingLink(link.made, facts.key);
    for (const made of link.made ?? []) this.#wantLink(made, facts.key);
    this.#leases.push(...leaseWants(facts, asked, this.world));
    return undefined;
  }

  #campaign(placed: Placed, { fit, usable }: { readonly fit: Fitness; readonly usable: boolean }): void {
    const proxied = !placed.romana || trafficOf(placed, this.world, this.config).type !== "nft";
    const sick = proxied && this.world.dataplane.get(KUBE_PROXY_HEALTH_PORT) === "notReady";
    const wish = wishOf(placed, { fit, usable, sick, endpoints: this.#endpoints(placed) });
    if (this.#wish?.fit !== "drop") this.#wish = wish;
    if (!placed.romana) return;
    const stance = romanaStance({ fit, usable, sick });
    // With several addresses, the one that cannot be served decides.
    if (this.#stance !== "drop") this.#stance = stance;
  }

  /** Leads the traffic of a Romana VIP that is held here to its pods. */
  #lead(placed: Placed, key: VipKey, address: IpAddress): RomanaTraffic {
    const traffic = trafficOf(placed, this.world, this.config);
    if (traffic.type !== "nft") return traffic;
    this.#dnat.push(dnatOf(placed, { key, address, endpoints: this.world.endpoints?.get(placed.facts.key) }));
    const observed = this.world.observedDnat.get(key);
    if (observed?.state === "failed") this.#tell(placed.service, "Warning", "DatapathFailed", `no traffic to ${address} reaches the pods: ${messageOf(observed.error)}`);
    return traffic;
  }

  #externalIPs(placed: Placed, of: { readonly up: readonly IpAddress[]; readonly lost: readonly IpAddress[] }): void {
    const { service, facts } = placed;
    const mine = holds(this.world, romanaKey(facts.key));
    if (!mine && !holds(this.world, "services")) return;
    const refused = this.world.externalIPsRefused.get(service.uid);
    if (mine && refused !== undefined) this.#writes.rememberRefusal(service, refused);
    const byProxy = !mine || trafficOf(placed, this.world, this.config).type === "externalIPs";
    this.#writes.externalIPs(service, byProxy ? externalIPsOf(placed, { ...of, mine }) : []);
  }

  #pendingLink(links: readonly LinkAsked[], owner: ServiceKey): SkipReason {
    for (const link of links) this.#wantLink(link, owner);
    const last = links.at(-1);
    const observed = last === undefined ? undefined : this.world.observedLinks.get(last.key);
    if (observed?.state === "failed") {
      return { code: "invalidInterface", message: `${last?.key} cannot be made on ${last?.parent}: ${messageOf(observed.error)}` };
    }
    return { code: "linkPending", message: `${last?.key} is being made on ${last?.parent}` };
  }

  #wantLink(link: LinkAsked, owner: ServiceKey): void {
    this.#links.set(link.key, { ...link, owners: [owner] });
  }

  #want(asked: AskedVip): VipKey {
    const vip = vipOf(asked, this.world, this.config);
    this.#vips.push(vip);
    return vip.key;
  }

  #publish(placed: Placed, pending: boolean): readonly IpAddress[] {
    if (!writesStatus(placed, this.world, this.config)) return [];
    return publish(placed.service, { mappings: this.#mappings, pending, world: this.world, config: this.config }, this.#writes);
  }

  /** What the status of a Service should say, where this node is the one to say it. */
  #say(placed: Placed, of: { readonly up: readonly IpAddress[]; readonly external: readonly IpAddress[] }): void {
    const { service } = placed;
    if (!writesStatus(placed, this.world, this.config)) return;
    if (this.world.rivals.has(service.uid)) {
      this.#skip(service, foughtFor(service.statusManager));
      return;
    }
    const said = isOwnerless(this.config, placed.owner) ? this.#saidOfMany(placed) : saidOf(placed, of, this.world);
    const foreign = said === undefined ? [] : this.#writes.status(service, said);
    if (foreign.length > 0) this.#skip(service, foreignStatus(foreign, service.statusManager));
  }

  #saidOfMany(placed: Placed): StatusDecision | undefined {
    const said = saidOfMany(placed, fitness(placed, this.world), this.world, this.config);
    if (said?.text !== undefined) this.#tell(placed.service, "Normal", "VipAnnounced", said.text);
    return said?.decision;
  }

  #tellMixed(service: Service, address: IpAddress, other: ServiceKey): void {
    const message = `${address} is shared with ${other}, whose externalTrafficPolicy is another: the address is where either can be served, and each Service goes by its own policy there`;
    this.#tell(service, "Normal", "MixedTrafficPolicies", message);
  }

  #skip(service: Service, reason: SkipReason, telling = TELLING.has(reason.code)): void {
    this.#skipped = reason;
    // What stands in the way of a Romana VIP, its holder may be the only one to know.
    if (!telling || !(holds(this.world, "services") || holds(this.world, romanaKey(serviceKey(service))))) return;
    const name = `${reason.code.charAt(0).toUpperCase()}${reason.code.slice(1)}`;
    this.#tell(service, "Warning", name, reason.message);
  }

  #tell(service: Service, type: "Normal" | "Warning", reason: string, message: string): void {
    this.#writes.event(service, type, { reason, message });
  }
}
