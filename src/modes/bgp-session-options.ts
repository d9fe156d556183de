import type { BgpPeer } from "../lib/bgp-peer.js";
import { familyOf, type IpAddress } from "../lib/ip.js";
import type { BgpSessionConfig } from "../machine/bgp-session-config.js";
import type { TcpCaller, TcpOptions, TcpTarget } from "../ports/net.js";
import { isLinkLocal } from "./bgp-next-hop.js";

/** A dial that is not answered for so long has failed, ms. */
const CONNECT_TIMEOUT_MS = 5000;
/** The first and the longest pause before the next dial, ms. */
const RETRY_FIRST_MS = 500;
const RETRY_MOST_MS = 15_000;
const FARTHEST = 255;
/** TCP MD5 takes so many octets of a password. */
const MAX_PASSWORD = 80;

/** The same AS on both sides, as far as the configuration says. */
export function isInternal({ localAs, peerAs }: Pick<BgpPeer, "localAs" | "peerAs">): boolean {
  return peerAs === "internal" || peerAs === localAs;
}

/** What the session machine is told of a peer. */
export function sessionConfig(peer: BgpPeer, routerId: IpAddress): BgpSessionConfig {
  const overIpv6 = peer.address === undefined || familyOf(peer.address) === 6;
  return {
    localAs: peer.localAs,
    routerId,
    peerAs: peer.peerAs,
    families: peer.families,
    holdSeconds: peer.holdSeconds,
    keepaliveSeconds: peer.keepaliveSeconds,
    passive: peer.passive,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    retryFirstMs: RETRY_FIRST_MS,
    retryMostMs: RETRY_MOST_MS,
    requireFourOctetAs: false,
    extendedMessages: true,
    extendedNextHop: overIpv6 && peer.nextHop[4] === undefined,
    gracefulRestartSeconds: peer.gracefulRestartSeconds,
  };
}

/** How packets to and from a peer travel: an external peer is one hop away unless the configuration says otherwise. */
export function tcpOptions(peer: BgpPeer): TcpOptions {
  const { ttlSecurityHops, multihopTtl, password, holdSeconds } = peer;
  const ttl = ttlSecurityHops !== undefined ? FARTHEST : (multihopTtl ?? (isInternal(peer) ? FARTHEST : 1));
  return {
    ttl,
    // RFC 5082 3: each hop takes one off.
    leastTtl: ttlSecurityHops === undefined ? undefined : FARTHEST + 1 - ttlSecurityHops,
    password,
    userTimeoutMs: holdSeconds * 1000,
  };
}

export function dialTarget(peer: BgpPeer, address: IpAddress): TcpTarget {
  return { ...tcpOptions(peer), address, port: peer.port, source: peer.sourceAddress, iface: peer.iface };
}

/** Undefined for a peer whose address is not known. */
export function callerOf(peer: BgpPeer, address: IpAddress | undefined): TcpCaller | undefined {
  return address === undefined ? undefined : { ...tcpOptions(peer), address, iface: isLinkLocal(address) ? peer.iface : undefined };
}

/** What is wrong with a peer whatever the network does; undefined: nothing. */
export function peerProblem(peer: BgpPeer): string | undefined {
  if (peer.address === undefined) return peer.iface === undefined ? "expected the address of the peer, or the link of an unnumbered one" : `its address on ${peer.iface} is not known yet`;
  const octets = new TextEncoder().encode(peer.password ?? "").length;
  if (octets > MAX_PASSWORD) return `the password has ${octets} octets, expected at most ${MAX_PASSWORD} (TCP MD5)`;
  if (isLinkLocal(peer.address) && peer.iface === undefined) return `${peer.address} is a link-local address, expected a link with it`;
  const { sourceAddress: source, address } = peer;
  if (source !== undefined && familyOf(source) !== familyOf(address)) return `the source address ${source} is not of the family of ${address}`;
  return undefined;
}

/** True where both ask for the same session; what is said of routes, and BFD, may differ. */
export function sameSession(a: BgpPeer, b: BgpPeer): boolean {
  return sessionKey(a) === sessionKey(b);
}

function sessionKey(peer: BgpPeer): string {
  const { name, address, iface, port, localAs, peerAs, routerId, families, holdSeconds, keepaliveSeconds, password } = peer;
  const { multihopTtl, ttlSecurityHops, sourceAddress, passive, gracefulRestartSeconds, nextHop } = peer;
  return JSON.stringify([
    [name, address, iface, port, localAs, peerAs, routerId, families, holdSeconds, keepaliveSeconds, password],
    [multihopTtl, ttlSecurityHops, sourceAddress, passive, gracefulRestartSeconds, nextHop[4] === undefined],
  ]);
}
