import { inRanges, ipToNumber } from "../lib/ip-range.js";
import { familyOf, hostPrefix, ipToBytes, type IpAddress } from "../lib/ip.js";
import type { Service } from "../ports/kube.js";
import type { LinkKey, MacvlanWant, Vip, VlanWant } from "./model.js";
import { ifaceOf, poolOf } from "./pools.js";
import type { Subnet, World } from "./world.js";

export const SERVICE_INTERFACE = "kube-vip.io/serviceInterface";
export const SERVICE_VLAN = "kube-vip.io/serviceVLAN";

export interface LinkPlanConfig {
  /** Link for the VIPs; undefined: the link of the default route. */
  readonly iface: string | undefined;
  /** Link for the VIPs of Services, or `auto`: the link whose subnet holds the address; undefined: as `iface`. */
  readonly servicesIface: string | undefined;
}

export type LinkChoice =
  /** `made`: what has to be made for it, and kept, lowest first. */
  | { readonly type: "link"; readonly name: string; readonly made?: readonly LinkAsked[] | undefined }
  /** The last of them is made first. */
  | { readonly type: "pending"; readonly made: readonly LinkAsked[] }
  | { readonly type: "none"; readonly code: "noInterface" | "invalidInterface" | "linkDown"; readonly message: string };

export type LinkAsked = Omit<VlanWant, "owners"> | Omit<MacvlanWant, "owners">;

/** Link of the control-plane VIP, and of Services where nothing else is said. */
export function mainLink(world: World, config: LinkPlanConfig): LinkChoice {
  return usable(world, config.iface ?? world.defaultLink, "no link is named and there is no default route");
}

/** Link for an address of a Service (undefined: not known yet): its VLAN, its interface, the pool's, the setting. */
export function serviceLink(world: World, config: LinkPlanConfig, asked: { readonly address?: IpAddress | undefined; readonly service: Service; readonly pool?: string | undefined }): LinkChoice {
  const vlan = asked.service.annotations[SERVICE_VLAN];
  if (vlan !== undefined && vlan !== "") return vlanLink(world, vlan);
  const own = asked.service.annotations[SERVICE_INTERFACE];
  const name = own === undefined || own === "" ? (asked.pool ?? config.servicesIface) : own;
  if (name === undefined) return mainLink(world, config);
  if (name === own && name !== "auto" && !world.links.has(name)) {
    return { type: "none", code: "invalidInterface", message: `${SERVICE_INTERFACE} is "${name}", which node ${world.node} has not: expected a link of this node, or auto` };
  }
  if (name !== "auto") return usable(world, name, "");
  if (asked.address === undefined) return mainLink(world, config);
  return usable(world, linkOfSubnet(world, asked.address), `no link of this node has a subnet that holds ${asked.address}`);
}

/** The Service itself says where its addresses are to stand. */
export function namesLink({ annotations }: Service): boolean {
  return [SERVICE_INTERFACE, SERVICE_VLAN].some((name) => (annotations[name] ?? "") !== "");
}

/** Link for an address of a pool, where the pools name one. */
export function poolLink({ pools }: World, namespace: string, address: IpAddress): string | undefined {
  const iface = pools === undefined ? undefined : ifaceOf(pools, namespace);
  const pool = pools === undefined || iface === undefined ? undefined : poolOf(pools, namespace);
  // Of a pool a part of which cannot be read, nobody can tell what is in it.
  return pool !== undefined && (pool.damaged || inRanges(pool.ranges[familyOf(address)], ipToNumber(address))) ? iface : undefined;
}

/** True where a node has some link on which it could serve Services. */
export function canServe(world: World, config: LinkPlanConfig): boolean {
  if (config.servicesIface === undefined) return mainLink(world, config).type === "link";
  if (config.servicesIface !== "auto") return usable(world, config.servicesIface, "").type === "link";
  return [...world.links.values()].some((link) => !link.loopback && !world.badLinks.has(link.name));
}

/** Where this node has exactly this address, configured by somebody else; our own VIPs do not count. */
export function configured(world: World, address: IpAddress): (Subnet & { readonly link: string }) | undefined {
  for (const [link, subnets] of world.subnets) {
    const found = subnets.find((subnet) => subnet.address === address);
    if (found !== undefined) return { ...found, link };
  }
  return undefined;
}

/** Prefix length of the subnet of this link that holds the address. */
function subnetPrefix(world: World, link: string, address: IpAddress): number | undefined {
  const holding = (world.subnets.get(link) ?? []).filter((subnet) => holds(subnet.address, subnet.prefix, address));
  return holding.length === 0 ? undefined : Math.max(...holding.map(({ prefix }) => prefix));
}

/** How a VIP stands on its link. */
export type OnLink = Pick<Vip, "prefix" | "scope">;

/**
 * The prefix that is asked for, or with `auto` that of the subnet. IPv4 takes a subnet only where the node has an address of it: there the VIP is a
 * secondary address, of the same scope. As the first address of a subnet it would make the node's own, when that comes, a secondary one,
 * which Linux removes with the VIP.
 */
export function subnetOf(world: World, { iface, address, asked }: { readonly iface: string; readonly address: IpAddress; readonly asked: number | "auto" }): OnLink {
  const host = hostPrefix(address);
  const prefix = asked === "auto" ? (subnetPrefix(world, iface, address) ?? host) : asked;
  if (prefix === host || familyOf(address) === 6) return { prefix };
  const beside = (world.subnets.get(iface) ?? []).some((subnet) => subnet.prefix === prefix && holds(subnet.address, prefix, address));
  return beside ? { prefix, scope: "global" } : { prefix: host };
}

/** `eth0.200`: parent and tag, as kube-vip reads it. */
function vlanLink(world: World, text: string): LinkChoice {
  const [, parent, tag] = /^([^.\s/]+)\.(\d{1,4})$/.exec(text) ?? [];
  const vlan = Number(tag);
  if (parent === undefined || vlan < 1 || vlan > 4094 || text.length > 15) {
    const message = `${SERVICE_VLAN} is "${text}": expected a link and a tag from 1 to 4094, such as eth0.200, of 15 characters at the most`;
    return { type: "none", code: "invalidInterface", message };
  }
  const below = usable(world, parent, "");
  if (below.type === "none") return below;
  const made: readonly LinkAsked[] = [{ key: text as LinkKey, parent, vlan }];
  return world.links.has(text) && !world.badLinks.has(text) ? { type: "link", name: text, made } : { type: "pending", made };
}

function usable(world: World, name: string | undefined, missing: string): LinkChoice {
  if (name === undefined) return { type: "none", code: "noInterface", message: missing };
  if (!world.links.has(name)) return { type: "none", code: "noInterface", message: `${name} is not there` };
  if (world.badLinks.has(name)) return { type: "none", code: "linkDown", message: `${name} is down or has no carrier` };
  return { type: "link", name };
}

/** The link with the longest prefix that holds the address; our own VIPs do not count. */
function linkOfSubnet(world: World, address: IpAddress): string | undefined {
  let best: { readonly name: string; readonly prefix: number } | undefined;
  for (const name of world.subnets.keys()) {
    const prefix = subnetPrefix(world, name, address);
    if (prefix !== undefined && prefix > (best?.prefix ?? 0)) best = { name, prefix };
  }
  return best?.name;
}

function holds(subnet: IpAddress, prefix: number, address: IpAddress): boolean {
  if (familyOf(subnet) !== familyOf(address)) return false;
  const [a, b] = [ipToBytes(subnet), ipToBytes(address)];
  return a.every((byte, i) => {
    const bits = Math.min(8, Math.max(0, prefix - i * 8));
    const mask = (0xff00 >> bits) & 0xff;
    return (byte & mask) === ((b[i] ?? 0) & mask);
  });
}
