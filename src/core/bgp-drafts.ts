import { MULTIHOP_TTL, type BgpPeerDraft } from "../config/bgp-peer-draft.js";
import type { Settings } from "../config/settings.js";
import type { BgpPeer } from "../lib/bgp-peer.js";
import { familyOf, unusableAsVip, type IpAddress } from "../lib/ip.js";

/** TCP_MD5SIG_MAXKEYLEN of the kernel. */
const LONGEST_PASSWORD = 80;
/** Twelve bits of the capability (RFC 4724 3). */
const LONGEST_RESTART = 4095;

/** The peers of `bgp_peers`, then the one of `bgp_peeraddress`. */
export function settingsPeers(settings: Pick<Settings, "bgpPeers" | "bgpPeerAddress" | "bgpPeerAs" | "bgpPeerPassword" | "bgpMultihop">): readonly BgpPeerDraft[] {
  const { bgpPeers, bgpPeerAddress: address, bgpPeerAs: peerAs, bgpPeerPassword: password, bgpMultihop } = settings;
  const multihopTtl = bgpMultihop ? MULTIHOP_TTL : undefined;
  const one: readonly BgpPeerDraft[] = address === undefined ? [] : [{ from: `bgp_peeraddress (${address})`, address, peerAs, password, multihopTtl }];
  return [...bgpPeers.peers, ...one];
}

/** Why a peer cannot be used, or undefined where it can. */
export function draftProblem(draft: BgpPeerDraft, peer: BgpPeer): string | undefined {
  return (
    targetProblem(peer) ??
    sourceProblem(draft, peer) ??
    passwordProblem(peer.password) ??
    timerProblem(peer) ??
    (peer.multihopTtl !== undefined && peer.ttlSecurityHops !== undefined ? `multihop and ttl-security ${peer.ttlSecurityHops}: expected one of them, which is ttl-security with the number of hops` : undefined)
  );
}

function targetProblem(peer: BgpPeer): string | undefined {
  const { address, iface } = peer;
  if (address === undefined) return unnumberedProblem(peer);
  if (address.startsWith("fe80:")) return iface === undefined ? `peer address ${address}: expected the link of a link-local address, as in [${address}%eth0], or interface` : undefined;
  const why = isLoopback(address) ? undefined : unusableAsVip(address);
  return why === undefined ? undefined : `peer address ${address}: expected that of a router, this is ${why}`;
}

/** The router is on the link, and so is everything that is said to it. */
function unnumberedProblem({ iface, multihopTtl, ttlSecurityHops, sourceAddress }: BgpPeer): string | undefined {
  if (iface === undefined || iface === "") return "expected a peer address, or the link of an unnumbered peer";
  if (multihopTtl !== undefined) return `multihop: an unnumbered peer is on the link ${iface}`;
  if (ttlSecurityHops !== undefined && ttlSecurityHops > 1) return `ttl-security ${ttlSecurityHops}: expected 1, an unnumbered peer is on the link ${iface}`;
  return sourceAddress === undefined || sourceAddress.startsWith("fe80:") ? undefined : `source address ${sourceAddress}: expected none, or a link-local one, for an unnumbered peer`;
}

function sourceProblem({ routerId }: BgpPeerDraft, { address, sourceAddress }: BgpPeer): string | undefined {
  if (routerId !== undefined && (familyOf(routerId) === 6 || routerId === "0.0.0.0")) return `router ID ${routerId}: expected an IPv4 address other than 0.0.0.0`;
  if (sourceAddress === undefined || address === undefined || familyOf(sourceAddress) === familyOf(address)) return undefined;
  return `source address ${sourceAddress}: expected an IPv${familyOf(address)} address, as the peer's`;
}

function passwordProblem(password: string | undefined): string | undefined {
  if (password === undefined) return undefined;
  // UTF-8: one octet for each unit below 0x80, three at the most above it.
  const octets = encodeURIComponent(password.toWellFormed()).replaceAll(/%[\dA-F]{2}/g, "x").length;
  if (password === "") return "password: expected a text that is not empty";
  return octets > LONGEST_PASSWORD ? `password: expected at most ${LONGEST_PASSWORD} octets, it has ${octets}` : undefined;
}

function timerProblem({ holdSeconds, keepaliveSeconds, gracefulRestartSeconds = 0 }: BgpPeer): string | undefined {
  if (!Number.isInteger(holdSeconds) || holdSeconds < 0 || holdSeconds > 65_535 || holdSeconds === 1 || holdSeconds === 2) return `hold time ${holdSeconds} s: expected 0, or 3 to 65535 s (RFC 4271 4.2)`;
  if (keepaliveSeconds !== undefined && holdSeconds !== 0 && keepaliveSeconds >= holdSeconds) return `keepalive time ${keepaliveSeconds} s: expected less than the hold time of ${holdSeconds} s, best a third`;
  return gracefulRestartSeconds > LONGEST_RESTART ? `graceful restart ${gracefulRestartSeconds} s: expected at most ${LONGEST_RESTART} s` : undefined;
}

/** The peer is a process of this node. */
export function isLoopback(address: IpAddress): boolean {
  return address.startsWith("127.") || address === "::1";
}
