import { familyOf, ipToBytes, type IpAddress } from "../lib/ip.js";
import type { World } from "./world.js";

export interface LinkPlanConfig {
  /** Link for the VIPs; undefined: the link of the default route. */
  readonly iface: string | undefined;
  /** Link for the VIPs of Services, or `auto`: the link whose subnet holds the address; undefined: as `iface`. */
  readonly servicesIface: string | undefined;
}

export type LinkChoice =
  | { readonly type: "link"; readonly name: string }
  | { readonly type: "none"; readonly code: "noInterface" | "linkDown"; readonly message: string };

/** Link of the control-plane VIP, and of Services where nothing else is said. */
export function mainLink(world: World, config: LinkPlanConfig): LinkChoice {
  return usable(world, config.iface ?? world.defaultLink, "no link is named and there is no default route");
}

/** Link for an address of a Service. */
export function serviceLink(world: World, config: LinkPlanConfig, address: IpAddress): LinkChoice {
  if (config.servicesIface === undefined) return mainLink(world, config);
  if (config.servicesIface !== "auto") return usable(world, config.servicesIface, "");
  return usable(world, linkOfSubnet(world, address), `no link of this node has a subnet that holds ${address}`);
}

/** True where a node has some link on which it could serve Services. */
export function canServe(world: World, config: LinkPlanConfig): boolean {
  if (config.servicesIface !== "auto") return serviceLink(world, config, "0.0.0.0" as IpAddress).type === "link";
  return [...world.links.values()].some((link) => !link.loopback && !world.badLinks.has(link.name));
}

/** Where this node has exactly this address, configured by somebody else; our own VIPs do not count. */
export function configured(world: World, address: IpAddress): { readonly link: string; readonly prefix: number } | undefined {
  for (const [link, subnets] of world.subnets) {
    const found = subnets.find((subnet) => subnet.address === address);
    if (found !== undefined) return { link, prefix: found.prefix };
  }
  return undefined;
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
  for (const [name, subnets] of world.subnets) {
    for (const subnet of subnets) {
      if (holds(subnet.address, subnet.prefix, address) && subnet.prefix > (best?.prefix ?? 0)) best = { name, prefix: subnet.prefix };
    }
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
