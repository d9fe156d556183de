import type { Settings } from "../config/settings.js";
import type { BgpPeer } from "../lib/bgp-peer.js";
import { messageOf } from "../lib/errors.js";
import { rivalText } from "../modes/bgp-rival.js";
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
