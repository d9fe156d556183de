import type { Settings } from "../config/settings.js";
import type { BgpPeer } from "../lib/bgp-peer.js";
import { messageOf } from "../lib/errors.js";
import { rivalText } from "../modes/bgp-rival.js";
import { isLinkLocal } from "../modes/bgp-next-hop.js";
import type { Link, LinkAddress } from "../ports/kernel.js";
import type { TcpTable } from "../ports/tcp-table.js";
import { peersOfSettings } from "./bgp-check.js";
import type { KernelFact } from "./kernel-facts.js";

/** What the daemon's process is called. */
const OURS = /^vip \(/;

/** Peers with which a process of this node has a session already: a router takes one from each node. Nothing is said of the others. */
export async function peerFacts(settings: Settings, table: TcpTable): Promise<readonly KernelFact[]> {
  if (!settings.bgp) return [];
  const facts = await Promise.all(peersOfSettings(settings).peers.map(async (peer) => peerFact(peer, table)));
  return facts.flat();
}

async function peerFact({ name, address, port }: BgpPeer, table: TcpTable): Promise<readonly KernelFact[]> {
  if (address === undefined) return [];
  const what = `BGP peer ${name}`;
  try {
    const others = await table.others({ address, port }, new AbortController().signal);
    const [other] = others;
    if (other === undefined) return [];
    const ours = others.find(({ process }) => process !== undefined && OURS.test(process));
    if (ours !== undefined) return [{ what, state: "ok", detail: `${ours.process} has a session with it` }];
    return [{ what, state: "missing", detail: rivalText(other.process) }];
  } catch (error) {
    return [{ what, state: "unknown", detail: messageOf(error) }];
  }
}

/** Links of unnumbered peers that no session can use as they are. Whether a router is there only the daemon hears. */
export function unnumberedFacts(settings: Settings, links: readonly Link[], addresses: readonly LinkAddress[]): readonly KernelFact[] {
  if (!settings.bgp) return [];
  return peersOfSettings(settings).peers.flatMap(({ name, address, iface }) => {
    const detail = address === undefined && iface !== undefined ? linkProblem(iface, links, addresses) : undefined;
    return detail === undefined ? [] : [{ what: `BGP peer ${name}`, state: "missing", detail }];
  });
}

function linkProblem(iface: string, links: readonly Link[], addresses: readonly LinkAddress[]): string | undefined {
  const link = links.find(({ name }) => name === iface);
  if (link === undefined) return `there is no link ${iface} on this node, where the router is to be found`;
  if (!link.up) return `${iface} is down: ip link set ${iface} up`;
  const linkLocal = addresses.some(({ linkIndex, address }) => linkIndex === link.index && isLinkLocal(address));
  return linkLocal ? undefined : `${iface} has no link-local address, from which an unnumbered peer is spoken to: sysctl net.ipv6.conf.${iface}.disable_ipv6=0`;
}
