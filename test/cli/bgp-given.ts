import type { BgpPeerReport } from "../../src/modes/bgp-report.js";
import { bgpPeer } from "../core/bgp-given.js";
import { ip } from "../core/explain-input.js";

const { password: _none, ...SHOWN } = bgpPeer({ name: "tor1", localAs: 64_500, peerAs: "external", holdSeconds: 90 });
const PEER: BgpPeerReport["peer"] = { ...SHOWN, hasPassword: true };

/** A session that is up, after one that the peer reset. */
export const UP: BgpPeerReport = {
  peer: PEER,
  state: "Established",
  since: 1000,
  lastEnd: { at: 500, wasEstablished: true, by: "peer", notification: undefined, reason: "Cease/Administrative Reset" },
  negotiated: {
    peerAs: 64_501,
    internal: false,
    peerRouterId: ip("192.0.2.1"),
    holdMs: 9000,
    keepaliveMs: 3000,
    asSize: 4,
    families: [4],
    mostOctets: 4096,
    enhancedRefresh: true,
    extendedNextHop: false,
    gracefulRestart: undefined,
    notificationRestart: false,
    peerCapabilities: [{ kind: "multiprotocol", afi: 1, safi: 1 }, { kind: "routeRefresh" }, { kind: "fourOctetAs", as: 64_501 }],
  },
  local: { address: ip("192.0.2.11"), port: 40_001 },
  remote: { address: ip("192.0.2.1"), port: 179 },
  sent: { 4: 1, 6: 0 },
  received: 2,
  counters: { updatesSent: 3, updatesReceived: 4, established: 2, flaps: 1 },
  bfd: { state: "Up", since: 900, diagnostic: "", detectMs: 900, counters: { sent: 40, received: 39, discarded: 2, notSent: 1, ups: 3, downs: 2 } },
  discovery: undefined,
  rival: undefined,
  problem: undefined,
};

/** Another peer, at which nobody listens. */
export const DOWN: BgpPeerReport = {
  ...UP,
  peer: { ...PEER, name: "tor2", address: ip("2001:db8::2") },
  state: "Active",
  lastEnd: { at: 900, wasEstablished: false, by: "transport", notification: undefined, reason: "connect to 2001:db8::2 port 179: ECONNREFUSED" },
  negotiated: undefined,
  local: undefined,
  remote: undefined,
  sent: { 4: 0, 6: 0 },
  bfd: undefined,
  rival: undefined,
  problem: "no router ID: this node has no IPv4 address",
};

/** An unnumbered peer whose router says nothing. */
export const UNHEARD: BgpPeerReport = {
  ...DOWN,
  peer: { ...PEER, name: "eth1", address: undefined, iface: "eth1" },
  state: "Idle",
  lastEnd: undefined,
  discovery: { since: 0, address: undefined, heardAt: undefined, problem: "no Router Advertisement heard on eth1" },
  problem: "its address on eth1 is not known yet; no Router Advertisement heard on eth1",
};
