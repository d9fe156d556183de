import { portReports, type PortReport } from "./explain-ports.js";
import type { Seen, ServiceView } from "./explain-view.js";

/** What became of the ports of one Service that asks for them. */
export function gatewaySeen({ input, key, vips }: ServiceView): Seen {
  if (!input.config.upnp) return { outcome: "refused", text: "asked for, but enable_upnp is false here", next: "set enable_upnp to true" };
  const ports = portReports(input).filter(({ services }) => services.includes(key));
  if (ports.length === 0) return { outcome: "pending", text: vips.some(({ state }) => state === "up") ? "no port of TCP or UDP" : "only once an address is up" };
  const text = ports.map(({ address, port, external, gateway, why }) => `${port}${isIpv6(address) ? ` of ${address}` : ""} ${why === null ? `is open at ${external ?? "a gateway without an address"} (${gateway})` : `is not open: ${why}`}`).join(", ");
  // For IPv6 there may be nothing to open.
  const translated = ports.some(({ address }) => !isIpv6(address));
  const relevant = ports.filter(({ address, state }) => !(translated && isIpv6(address) && state === "noGateway"));
  const wrong = relevant.find(({ state }) => state !== "mapped" && state !== "asking");
  if (wrong !== undefined) return { outcome: "refused", text, next: nextOf(wrong) };
  return { outcome: relevant.every(({ state }) => state === "mapped") ? "passed" : "pending", text };
}

function isIpv6(address: string): boolean {
  return address.includes(":");
}

function nextOf({ state }: PortReport): string {
  if (state === "noGateway") return "switch UPnP, PCP or NAT-PMP on in the router; it is looked for again by itself";
  if (state === "refused") return "look at the list of port mappings in the router: it is asked again every five minutes";
  return "it is tried again by itself; the log of vip has every attempt";
}
