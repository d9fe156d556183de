import type { BgpPeer } from "../lib/bgp-peer.js";
import { familyOf, ipToBytes, unusableAsVip, type Family, type IpAddress } from "../lib/ip.js";
import type { NodeAddress } from "./bgp-report.js";

/** What the next hop of one family depends on. */
export interface NextHopInput {
  readonly peer: Pick<BgpPeer, "address" | "iface" | "nextHop">;
  /** This end of the session. */
  readonly local: IpAddress | undefined;
  /** The peer takes IPv6 next hops for IPv4 routes (RFC 8950). */
  readonly extendedNextHop: boolean;
  readonly addresses: readonly NodeAddress[];
  isVip(address: IpAddress): boolean;
}

/** Where the peer is to send packets for our routes; `linkLocal` beside a configured global address, for a peer on the same link (RFC 2545 3). */
export interface NextHop {
  readonly nextHop: IpAddress;
  readonly linkLocal?: IpAddress;
}

/**
 * An address of this node that the peer can use: the one that is configured, else this end of the session, else one of this node of the same family, on the
 * link of the session where there is one. Never a loopback address, never a VIP. Undefined where there is none.
 */
export function chooseNextHop(family: Family, input: NextHopInput): NextHop | undefined {
  const configured = input.peer.nextHop[family];
  if (configured !== undefined) return withLinkLocal(configured, input);
  return ofSession(family, input) ?? ofNode(family, input);
}

function ofSession(family: Family, input: NextHopInput): NextHop | undefined {
  const { local, extendedNextHop } = input;
  if (local === undefined || isLoopback(local) || input.isVip(local)) return undefined;
  const ours = familyOf(local);
  if (ours !== family && !(family === 4 && ours === 6 && extendedNextHop)) return undefined;
  // RFC 2545 3 wants a global address in front of a link-local one. But whether the peer has an address in the subnet of ours nobody knows, and BIRD drops a route
  // whose global next hop is in none of its own, while all take a link-local one alone.
  return { nextHop: local };
}

/** An address of this node that is on the link of the session goes with the link-local one beside it, where that is the end of the session. */
function withLinkLocal(nextHop: IpAddress, { local, peer, addresses }: NextHopInput): NextHop {
  const beside = local !== undefined && isLinkLocal(local) && addresses.some(({ address, iface }) => address === nextHop && familyOf(address) === 6 && iface === peer.iface);
  return beside ? { nextHop, linkLocal: local } : { nextHop };
}

function ofNode(family: Family, input: NextHopInput): NextHop | undefined {
  const usable = input.addresses.filter(({ address }) => familyOf(address) === family && unusableAsVip(address) === undefined && !input.isVip(address));
  const { address: peer, iface } = input.peer;
  const link = iface ?? [input.local, peer].map((end) => (end === undefined ? undefined : linkOf(end, input))).find((name) => name !== undefined);
  const chosen =
    usable.find((one) => peer !== undefined && onLink(one, peer)) ?? usable.find((one) => link !== undefined && one.iface === link) ?? usable[0];
  return chosen === undefined ? undefined : { nextHop: chosen.address };
}

/** The link that has this address, or its subnet. */
function linkOf(address: IpAddress, { addresses }: NextHopInput): string | undefined {
  return (addresses.find((one) => one.address === address) ?? addresses.find((one) => onLink(one, address)))?.iface;
}

/** True where `other` is in the subnet of this address. */
export function onLink({ address, prefix }: NodeAddress, other: IpAddress): boolean {
  if (familyOf(address) !== familyOf(other)) return false;
  const a = ipToBytes(address);
  const b = ipToBytes(other);
  return a.every((octet, at) => {
    const bits = Math.max(0, Math.min(8, prefix - at * 8));
    const mask = (0xff00 >> bits) & 0xff;
    return (octet & mask) === ((b[at] ?? 0) & mask);
  });
}

/** 127.0.0.0/8 and ::1. */
export function isLoopback(address: IpAddress): boolean {
  return unusableAsVip(address) === "a loopback address";
}

/** fe80::/10. */
export function isLinkLocal(address: IpAddress): boolean {
  return unusableAsVip(address) === "a link-local address";
}
