import type { BgpPeerFacts, BgpPeerSettings } from "../../src/core/bgp-peers.js";
import { loadSettings } from "../../src/config/load.js";
import type { BgpPeer } from "../../src/lib/bgp-peer.js";
import type { IpAddress } from "../../src/lib/ip.js";

/** Settings of a daemon with these variables. */
export function bgpSettings(env: Readonly<Record<string, string>> = {}): BgpPeerSettings {
  return loadSettings({ env: { vip_arp: "true", svc_enable: "true", ...env } }).settings;
}

export const NO_FACTS: BgpPeerFacts = { node: undefined, subnets: new Map(), drafts: [], passwords: {}, password: undefined };

/** The peer of `bgp_peers=192.0.2.1:65001` where no other setting says anything. */
export function bgpPeer(given: Partial<BgpPeer> = {}): BgpPeer {
  return {
    name: "192.0.2.1",
    address: "192.0.2.1" as IpAddress,
    iface: undefined,
    port: 179,
    localAs: 65_000,
    peerAs: 65_001,
    routerId: undefined,
    families: [4],
    holdSeconds: 30,
    keepaliveSeconds: undefined,
    password: undefined,
    multihopTtl: undefined,
    ttlSecurityHops: undefined,
    sourceAddress: undefined,
    passive: false,
    gracefulRestartSeconds: undefined,
    bfd: undefined,
    policy: {},
    nextHop: {},
    ...given,
  };
}
