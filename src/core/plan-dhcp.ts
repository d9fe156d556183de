import type { IpAddress } from "../lib/ip.js";
import { DHCP_NAME } from "./dhcp-pending.js";
import { HWADDR, REQUESTED_IP, type DhcpAsked } from "./dhcp.js";
import type { Placed } from "./layout.js";
import type { LeaseWant, ServiceKey } from "./model.js";
import type { LinkAsked, LinkChoice } from "./plan-links.js";
import type { ServiceFacts } from "./plan-service.js";
import type { Writes } from "./plan-writes.js";
import type { World } from "./world.js";

/** The leases that a Service asks for: none, one, or one of each family. */
export function dhcpOf({ asked }: Pick<ServiceFacts, "asked">): readonly DhcpAsked[] {
  return asked.type === "entries" ? asked.entries.flatMap((entry) => ("dhcp" in entry ? [entry.dhcp] : [])) : [];
}

/** The lease by which this Service has the address; undefined where it has it otherwise. */
export function leaseOf(facts: ServiceFacts, address: IpAddress, { leases }: Pick<World, "leases">): { readonly asked: DhcpAsked; readonly expiresAt: number } | undefined {
  for (const asked of dhcpOf(facts)) {
    const lease = leases.get(asked.key)?.lease;
    if (lease?.address === address) return { asked, expiresAt: lease.expiresAt };
  }
  return undefined;
}

/** The macvlan on the link that a Service would have without DHCP. */
export function macvlanLink(world: World, parent: LinkChoice, asked: DhcpAsked): LinkChoice {
  if (parent.type !== "link") return parent;
  const macvlan: LinkAsked = { key: asked.link, parent: parent.name, mac: asked.mac, rpFilter: asked.rpFilter };
  const made = [...(parent.made ?? []), macvlan];
  const link = world.links.get(asked.link);
  const below = world.links.get(parent.name);
  const there = link?.kind === "macvlan" && link.up && link.parentIndex === below?.index && (asked.shared || link.mac === asked.mac);
  if (!there || world.badLinks.has(asked.link)) return { type: "pending", made };
  return { type: "link", name: asked.link, made };
}

/** What is asked of DHCP mode, on a link that is there. */
export function leaseWants(asked: DhcpAsked, who: Pick<LeaseWant, "owners" | "known">, world: World): readonly LeaseWant[] {
  const link = world.links.get(asked.link);
  if (link?.mac === undefined) return [];
  const { key, family, uuid, hostname, requestedAddress, broadcast } = asked;
  return [{ key, family, ...who, iface: link.name, linkIndex: link.index, mac: link.mac, uuid, hostname, requestedAddress, broadcast }];
}

/** Writes down what the next holder needs to get the same addresses, and tells of the leases or of why there is none. */
export function noteLeases({ service, reason }: Placed, asked: readonly DhcpAsked[], { world, writes }: { readonly world: World; readonly writes: Writes }): void {
  if (reason?.code === "dhcpFailed") writes.event(service, "Warning", { reason: "DhcpFailed", message: reason.message });
  const mac = asked.flatMap(({ key }) => (world.leases.get(key)?.lease === undefined ? [] : (world.leases.get(key)?.mac ?? [])))[0];
  if (mac === undefined) return;
  // IPv4 first; an address that was given before is asked for again, also while the other family has its own.
  const known = [4, 6].flatMap((family) => asked.filter((one) => one.family === family)).flatMap((one) => world.leases.get(one.key)?.lease?.address ?? one.requestedAddress ?? []);
  const notes = { [REQUESTED_IP]: known.join(","), [HWADDR]: mac };
  if (Object.entries(notes).some(([name, value]) => service.annotations[name] !== value)) writes.annotate(service, notes);
  for (const { key, family, link, hostname } of asked) {
    const lease = world.leases.get(key)?.lease;
    if (lease === undefined) continue;
    const named = hostname === undefined ? "" : ` as ${hostname}`;
    // Without times, so that a renewal is no news.
    writes.event(service, "Normal", { reason: "DhcpLease", message: `${lease.address} is leased from ${DHCP_NAME[family]} server ${lease.server}${named} (MAC ${mac} on ${link})` });
  }
}

/** The link below answers for the address, too, and nobody said that this is ours to change. */
export function noteAnswering({ service }: Placed, parent: string | undefined, { world, writes }: { readonly world: World; readonly writes: Writes }): void {
  const conf = parent === undefined ? undefined : world.answering.get(parent);
  if (conf === undefined) return;
  const [ignore, announce] = ["arp_ignore", "arp_announce"].map((name) => `net.ipv4.conf.${parent}.${name}`);
  const message = `${parent} answers ARP for the address, too, with its own MAC (${ignore} is ${conf.arpIgnore}, ${announce} is ${conf.arpAnnounce}): set them to 1 and 2, or dhcp_manage_parent to true`;
  writes.event(service, "Warning", { reason: "ParentAnswers", message });
}

/** Of what several Services want of one lease, the oldest one's word counts. */
export function leaseTogether(first: LeaseWant | undefined, next: LeaseWant): LeaseWant {
  if (first === undefined) return next;
  const owners: readonly ServiceKey[] = [...first.owners, ...next.owners];
  return { ...first, owners, known: [...(first.known ?? []), ...(next.known ?? [])] };
}
