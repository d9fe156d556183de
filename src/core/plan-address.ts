import { messageOf } from "../lib/errors.js";
import { familyOf, hostPrefix, type IpAddress } from "../lib/ip.js";
import type { Service } from "../ports/kube.js";
import { bgpPolicyOf, type ServiceBgpPolicy } from "./bgp-policy.js";
import type { DhcpAsked } from "./dhcp.js";
import type { Fitness } from "./eligible.js";
import { electsItself } from "./groups.js";
import type { Placed, PlacedAddress } from "./layout.js";
import { AddressInUse } from "./mode.js";
import { isShared, routeKey, serviceKey, vipKey, type VipKey } from "./model.js";
import { isOwnerless, mayNotServe, mayServe, NOWHERE_LINK, refusedHere, routeOf, type BgpPlanConfig } from "./plan-bgp.js";
import { dhcpOf, leaseOf, leaseWants, macvlanLink, noteAnswering, noteLeases } from "./plan-dhcp.js";
import type { Draft } from "./plan-draft.js";
import { mainLink, namesLink, poolLink, serviceLink, type LinkAsked, type LinkChoice } from "./plan-links.js";
import { holds, owns } from "./plan-owners.js";
import { inUse, isGivenAnew, unfitHolder } from "./plan-reasons.js";
import { reservedFor } from "./plan-reserved.js";
import { dnatOf, trafficOf, type RomanaTraffic } from "./plan-romana.js";
import { GRANTED, type SkipReason } from "./plan-service.js";
import { mappingsOf } from "./plan-upnp.js";
import type { AskedVip } from "./plan-vip.js";
import { ifaceOf } from "./pools.js";

/** Whether an address is up, on its way, or why it is not served here. */
export type AddressOutcome = "up" | "pending" | SkipReason;

/** Wants one address of a Service. */
export function wantAddress(draft: Draft, placed: Placed, entry: PlacedAddress, fit: Fitness): AddressOutcome {
  const { world, config } = draft;
  const { service, facts } = placed;
  const { address, ownership, refused } = entry;
  const link = ownership === "control-plane" ? mainLink(world, config) : linkOf(draft, placed, entry);
  const reserved = refused ?? reservedFor({ address, ownership, service, facts }, world);
  if (isShared(ownership)) draft.campaign(placed, { fit, usable: reserved === undefined && link.type !== "none" });
  if (reserved !== undefined) return reserved;
  if (electsItself(service, config) && facts.asked.type === "any" && ownership === "services") return { code: "waiting", message: `${address} is given to it; it is owned once that is written down` };
  if (!mayServe(world, config, ownership)) return isShared(ownership) && fit.type === "unfit" ? fit.reason : mayNotServe(world, config, ownership);
  if (holds(world, ownership)) remark(draft, placed, entry, link);
  const unserved = isOwnerless(config, ownership) ? refusedHere(placed, fit, world, config) : unfitHolder(placed, fit, ownership);
  if (unserved !== undefined) return unserved;
  if (link.type === "none") return { code: link.code, message: link.message };
  draft.wantLinks(link.made ?? [], facts.key);
  if (link.type === "pending") return linkPending(draft, link.made);
  const until = leaseOf(facts, address, world)?.expiresAt;
  // One by DHCP has been probed.
  const fresh = until === undefined && facts.recorded?.includes(address) !== true;
  const asked: AskedVip = { address, iface: link.name, ownership, owner: facts.key, ports: service.ports, fresh, until };
  if (config.bgp !== undefined) return announceRoute(draft, placed, asked, config.bgp);
  // Who handed it over before it could say so in the Service would be taken for a stranger.
  if (fresh && isShared(ownership) && world.ownership.get(ownership)?.heir === true) return "pending";
  const traffic = placed.romana ? lead(draft, placed, { key: vipKey(link.name, address), address }) : undefined;
  if (traffic?.leads === false) return "pending";
  const key = draft.wantVip(asked);
  const seen = observedOf(draft, placed, { key, address, iface: link.name, traffic });
  if (seen === "up") draft.mappings.push(...mappingsOf(placed, { iface: link.name, address, ownership }, world, config));
  return seen;
}

/** What addresses by DHCP need before there is one, and for as long as there is; why there can be none. */
export function wantLeases(draft: Draft, placed: Placed, fit: Fitness): SkipReason | undefined {
  const { world, config } = draft;
  const asked = dhcpOf(placed.facts);
  const [first] = asked;
  if (first === undefined) return undefined;
  if (config.bgp !== undefined) return { code: "dhcpNotSupported", message: "it asks for an address by DHCP: served in ARP mode only, expected an address" };
  const { facts, owner } = placed;
  const link = macvlanOf(draft, placed, first);
  draft.asks.push(...asked.map(({ key }) => key));
  if (isShared(owner) && placed.addresses.length === 0) draft.campaign(placed, { fit, usable: link.type !== "none" });
  if (!holds(world, owner)) return undefined;
  if (owns(world, owner)) noteLeases(placed, asked, { world, writes: draft.writes });
  if (link.type === "none") return { code: link.code, message: link.message };
  draft.wantLinks(link.made ?? [], facts.key);
  if (link.type === "pending") return linkPending(draft, link.made);
  if (owns(world, owner)) noteAnswering(placed, link.made?.at(-1)?.parent, { world, writes: draft.writes });
  draft.leases.push(...asked.flatMap((one) => leaseWants(one, { owners: [facts.key], known: facts.recorded ?? [] }, world)));
  return undefined;
}

/** On one link, whoever shares the address: that of the Service which had it first, as long as there is one for it. */
function linkOf(draft: Draft, placed: Placed, { address, after }: PlacedAddress): LinkChoice {
  const { world, config } = draft;
  const { service, facts } = placed;
  if (config.bgp?.attachServices === false) return { type: "link", name: config.iface ?? NOWHERE_LINK };
  const lease = leaseOf(facts, address, world);
  if (lease !== undefined) return macvlanOf(draft, placed, lease.asked);
  const first = after === undefined ? undefined : linkAskedBy(draft, after, address);
  return first === undefined || first.type === "none" ? linkAskedBy(draft, service, address) : first;
}

function linkAskedBy({ world, config }: Draft, service: Service, address: IpAddress): LinkChoice {
  return serviceLink(world, config, { address, service, pool: poolLink(world, service.namespace, address) });
}

/** On a link that is chosen before there is an address. */
function macvlanOf({ world, config }: Draft, { service, facts }: Placed, asked: DhcpAsked): LinkChoice {
  const byPool = facts.asked.type === "entries" && facts.asked.from === GRANTED && world.pools !== undefined;
  const pool = byPool ? ifaceOf(world.pools, service.namespace) : undefined;
  return macvlanLink(world, serviceLink(world, config, { service, pool }), asked);
}

function linkPending({ world }: Draft, links: readonly LinkAsked[]): SkipReason {
  const last = links.at(-1);
  const observed = last === undefined ? undefined : world.observedLinks.get(last.key);
  if (observed?.state === "failed") {
    return { code: "invalidInterface", message: `${last?.key} cannot be made on ${last?.parent}: ${messageOf(observed.error)}` };
  }
  return { code: "linkPending", message: `${last?.key} is being made on ${last?.parent}` };
}

function observedOf(draft: Draft, placed: Placed, of: { readonly key: VipKey; readonly address: IpAddress; readonly iface: string; readonly traffic: RomanaTraffic | undefined }): AddressOutcome {
  const { world } = draft;
  const { service } = placed;
  const { key, address, iface, traffic } = of;
  const observed = world.observed.get(key);
  if (observed?.state === "failed" && observed.error instanceof AddressInUse) return inUse(observed.error, isGivenAnew(placed));
  if (observed?.state !== "up") return "pending";
  const how = `${familyOf(address) === 4 ? "ARP" : "NDP"} on ${iface}`;
  draft.tell(service, "Normal", "VipHeld", `${address} is held by node ${world.node} (${how})${traffic === undefined ? "" : `; ${traffic.says}`}`);
  const rival = world.conflicts.get(key);
  if (rival !== undefined) draft.tell(service, "Warning", "AddressConflict", `${address} on ${iface} is announced by ${rival} too: kept and defended, every ten seconds at the most`);
  return "up";
}

/** BGP mode: the route to an address of a Service, which this node has to have only where traffic is not led by kube-proxy alone. */
function announceRoute(draft: Draft, placed: Placed, asked: AskedVip, { attachServices }: BgpPlanConfig): "up" | "pending" {
  const { world } = draft;
  const { address, iface } = asked;
  if (placed.romana && !lead(draft, placed, { key: vipKey(iface, address), address }).leads) return "pending";
  const said = bgpPolicyOf(placed.service.annotations);
  if (owns(world, placed.owner)) for (const problem of said.problems) draft.tell(placed.service, "Warning", "InvalidBgpAnnotation", problem);
  wantRoute(draft, asked, attachServices || asked.ownership === "control-plane", said);
  return world.observedRoutes.get(routeKey(address, hostPrefix(address)))?.state === "up" ? "up" : "pending";
}

/** `attached`: announced once this node has the address, so that what comes is taken. */
function wantRoute(draft: Draft, asked: AskedVip, attached: boolean, said: ServiceBgpPolicy): void {
  if (attached && draft.world.observed.get(draft.wantVip(asked))?.state !== "up") return;
  draft.routes.push(routeOf(asked, draft.config, said));
}

/**
 * Leads the traffic of a Romana VIP that is held here to its pods. False in `leads`: not yet, and the VIP waits for it. A flow that came between an address and
 * its rules would stay refused for as long as its client goes on: the kernel remembers that it is not translated.
 */
function lead(draft: Draft, placed: Placed, { key, address }: { readonly key: VipKey; readonly address: IpAddress }): RomanaTraffic & { readonly leads: boolean } {
  const { world, config } = draft;
  const traffic = trafficOf(placed, world, config);
  if (traffic.type !== "nft") return { ...traffic, leads: true };
  draft.dnat.push(dnatOf(placed, { key, address, endpoints: world.endpoints?.get(placed.facts.key) }));
  const observed = world.observedDnat.get(key);
  if (observed?.state === "failed") draft.tell(placed.service, "Warning", "DatapathFailed", `no traffic to ${address} reaches the pods: ${messageOf(observed.error)}`);
  const isServed = world.observed.has(key) || world.observedRoutes.has(routeKey(address, hostPrefix(address)));
  return { ...traffic, leads: isServed || (observed !== undefined && observed.state !== "pending") };
}

/** What works and is most likely not meant so. */
function remark(draft: Draft, { service }: Placed, { address, ownership, mixedWith, after }: PlacedAddress, link: LinkChoice): void {
  if (mixedWith !== undefined) {
    const message = `${address} is shared with ${mixedWith}, whose externalTrafficPolicy is another: the address is where either can be served, and each Service goes by its own policy there`;
    draft.tell(service, "Normal", "MixedTrafficPolicies", message);
  }
  const family = familyOf(address) === 4 ? "IPv4" : "IPv6";
  if (service.ipFamilies.length > 0 && !service.ipFamilies.includes(family)) {
    const message = `${address} is ${family}, and spec.ipFamilies of the Service has ${service.ipFamilies.join(", ")} only: kube-proxy forwards nothing to it; expected another address, or spec.ipFamilyPolicy PreferDualStack`;
    draft.tell(service, "Warning", "OtherIpFamily", message);
  }
  const hasLinks = ownership !== "control-plane" && draft.config.bgp?.attachServices !== false;
  if (after === undefined || link.type !== "link" || !hasLinks || !namesLink(service)) return;
  const own = linkAskedBy(draft, service, address);
  if (own.type !== "link" || own.name === link.name) return;
  draft.tell(service, "Warning", "OtherInterface", `${address} is shared with ${serviceKey(after)}, which had it first: it stands on ${link.name}, as for that one, and not on ${own.name}`);
}
