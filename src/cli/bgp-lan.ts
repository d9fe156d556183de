import type { Settings } from "../config/settings.js";
import { overlap, parseCidr, parseIpRange, type IpRange } from "../lib/ip-range.js";
import { hostPrefix } from "../lib/ip.js";
import type { Link, LinkAddress } from "../ports/kernel.js";
import type { KernelFact } from "./kernel-facts.js";

type Bgp = Pick<Settings, "bgp" | "controlPlane" | "address" | "services" | "addresses" | "bgpAttach" | "iface" | "servicesIface">;

/**
 * BGP mode: VIPs on `lo` that lie inside a subnet of this node's links. Hosts of that LAN ask for them by ARP instead of the routers, and every node that has one
 * answers, since Linux answers on each link for the addresses of all.
 */
export function vipsInLan(settings: Bgp, links: readonly Link[], addresses: readonly LinkAddress[]): readonly KernelFact[] {
  const vips = onLoopback(settings).flatMap((text) => {
    const range = parseCidr(text) ?? parseIpRange(text);
    return range === undefined ? [] : [{ text, range }];
  });
  return vips.flatMap(({ text, range }) => {
    const lan = addresses.find((address) => isLan(address, links) && overlap(range, subnetOf(address)));
    if (lan === undefined) return [];
    const link = links.find(({ index }) => index === lan.linkIndex)?.name ?? "";
    const detail = `in the subnet of ${lan.address}/${lan.prefix} on ${link}: hosts of that LAN ask for it by ARP, and whichever node answers first gets their traffic, past the routers; expected addresses of no LAN`;
    return [{ what: `BGP ${text}`, state: "unknown", detail }];
  });
}

function onLoopback({ bgp, controlPlane, address, services, addresses = "", bgpAttach, iface = "lo", servicesIface = iface }: Bgp): readonly string[] {
  if (!bgp) return [];
  return [
    ...(controlPlane && iface === "lo" ? address : []),
    ...(services && bgpAttach && servicesIface === "lo" ? addresses.split(",").map((part) => part.trim()) : []),
  ];
}

function isLan({ linkIndex, address, prefix, mark }: LinkAddress, links: readonly Link[]): boolean {
  const link = links.find(({ index }) => index === linkIndex);
  return link?.loopback === false && mark === 0 && prefix < hostPrefix(address);
}

function subnetOf({ address, prefix }: LinkAddress): IpRange {
  const subnet = parseCidr(`${address}/${prefix}`);
  if (subnet === undefined) throw new Error(`subnet of ${address}/${prefix}: expected an address and a prefix length`);
  return subnet;
}
