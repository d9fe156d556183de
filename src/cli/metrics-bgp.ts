import type { BgpBfdReport, BgpPeerReport, BgpPeerState } from "../modes/bgp-report.js";
import type { BfdCounters } from "../ports/bfd.js";
import { byFamilyAndState, type GaugeRow, type GaugeSources, type Sample } from "./metrics-row.js";

const PEER = ["peer"];

/** What is read off of BGP sessions; no series at all in ARP mode. A peer is called by its name, but in MetalLB's and kube-vip's metrics as they call it. */
export const BGP_ROWS: readonly GaugeRow[] = [
  { name: "vip_routes", help: "Routes that this node should announce by BGP, by how far they are.", labels: ["mode", "family", "state"], samples: routes },
  { name: "vip_bgp_session_up", help: "1 where the session with a BGP peer is established.", labels: PEER, samples: each(isUp) },
  { name: "vip_bgp_session_state", help: "1 for the state in which the session with a BGP peer is (RFC 4271 8.2.2).", labels: ["peer", "state"], samples: states },
  { name: "vip_bgp_routes_sent", help: "Routes that a BGP peer has of this node.", labels: ["peer", "family"], samples: sent },
  { name: "vip_bgp_routes_received", help: "Routes that a BGP peer announced; they are never used.", labels: PEER, samples: each(({ received }) => received) },
  { name: "vip_bgp_updates_sent_total", help: "UPDATE messages sent to a BGP peer.", labels: PEER, counter: true, samples: each(({ counters }) => counters.updatesSent) },
  { name: "vip_bgp_updates_received_total", help: "UPDATE messages of a BGP peer.", labels: PEER, counter: true, samples: each(({ counters }) => counters.updatesReceived) },
  { name: "vip_bgp_sessions_established_total", help: "Sessions with a BGP peer that came up.", labels: PEER, counter: true, samples: each(({ counters }) => counters.established) },
  { name: "vip_bgp_sessions_lost_total", help: "Sessions with a BGP peer that were up and ended.", labels: PEER, counter: true, samples: each(({ counters }) => counters.flaps) },
  { name: "vip_bfd_session_up", help: "1 where BFD says that a BGP peer is up; only peers that are watched.", labels: PEER, samples: bfd(isBfdUp) },
  { name: "vip_bfd_sessions_established_total", help: "How often BFD with a BGP peer came up.", labels: PEER, counter: true, samples: bfd(counter("ups")) },
  { name: "vip_bfd_sessions_lost_total", help: "How often BFD with a BGP peer was up and went down.", labels: PEER, counter: true, samples: bfd(counter("downs")) },
  { name: "vip_bfd_packets_sent_total", help: "BFD packets sent to a BGP peer.", labels: PEER, counter: true, samples: bfd(counter("sent")) },
  { name: "vip_bfd_packets_received_total", help: "BFD packets of a BGP peer.", labels: PEER, counter: true, samples: bfd(counter("received")) },
  { name: "vip_bfd_packets_discarded_total", help: "BFD packets of a BGP peer that broke a rule.", labels: PEER, counter: true, samples: bfd(counter("discarded")) },
  // MetalLB's names, where they say the same.
  { name: "metallb_bgp_session_up", help: "As in MetalLB.", labels: PEER, samples: each(isUp, metallbName) },
  { name: "metallb_bgp_updates_total", help: "As in MetalLB: UPDATE messages sent.", labels: PEER, counter: true, samples: each(({ counters }) => counters.updatesSent, metallbName) },
  { name: "metallb_bgp_announced_prefixes_total", help: "As in MetalLB: prefixes that the peer has now.", labels: PEER, samples: each(prefixes, metallbName) },
  { name: "metallb_bgp_pending_prefixes_total", help: "As in MetalLB: prefixes that should be announced.", labels: PEER, samples: pending },
  { name: "metallb_bfd_session_up", help: "As in MetalLB.", labels: PEER, samples: bfd(isBfdUp, addressOf) },
  { name: "metallb_bfd_control_packet_input", help: "As in MetalLB: BFD packets received.", labels: PEER, counter: true, samples: bfd(counter("received"), addressOf) },
  { name: "metallb_bfd_control_packet_output", help: "As in MetalLB: BFD packets sent.", labels: PEER, counter: true, samples: bfd(counter("sent"), addressOf) },
  { name: "metallb_bfd_session_up_events", help: "As in MetalLB: how often BFD came up.", labels: PEER, counter: true, samples: bfd(counter("ups"), addressOf) },
  { name: "metallb_bfd_session_down_events", help: "As in MetalLB: how often BFD went down.", labels: PEER, counter: true, samples: bfd(counter("downs"), addressOf) },
  // kube-vip's.
  { name: "kube_vip_manager_bgp_session_info", help: "As in kube-vip: 1 for the state of each session.", labels: ["state", "peer"], samples: kubeVipStates },
];

type Naming = (report: BgpPeerReport) => string;

const STATES: readonly BgpPeerState[] = ["Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established"];

function reports(sources: GaugeSources): readonly BgpPeerReport[] {
  return sources.bgpPeers?.() ?? [];
}

function nameOf({ peer }: BgpPeerReport): string {
  return peer.name;
}

/** What MetalLB calls a peer of BFD: `192.0.2.1`, */
function addressOf({ peer, remote }: BgpPeerReport): string {
  return peer.address ?? remote?.address ?? peer.name;
}

/** and one of BGP: `192.0.2.1:179`. */
function metallbName(report: BgpPeerReport): string {
  const address = addressOf(report);
  return address.includes(":") ? `[${address}]:${report.peer.port}` : `${address}:${report.peer.port}`;
}

function each(value: (report: BgpPeerReport) => number, naming: Naming = nameOf): GaugeRow["samples"] {
  return (sources) => reports(sources).map((report): Sample => [{ peer: naming(report) }, value(report)]);
}

function isUp({ state }: BgpPeerReport): number {
  return state === "Established" ? 1 : 0;
}

function prefixes({ sent: of }: BgpPeerReport): number {
  return of[4] + of[6];
}

function routes(sources: GaugeSources): readonly Sample[] {
  const newest = sources.newest();
  if (newest === undefined || sources.bgpPeers === undefined) return [];
  return byFamilyAndState("bgp", [...newest.plan.wants.bgp.values()].map(({ key, address }) => ({ address, state: newest.world.observedRoutes.get(key)?.state ?? "pending" })));
}

function pending(sources: GaugeSources): readonly Sample[] {
  const wanted = [...(sources.newest()?.plan.wants.bgp.values() ?? [])];
  return reports(sources).map((report) => [{ peer: metallbName(report) }, wanted.filter(({ peers }) => peers === undefined || peers.includes(report.peer.name)).length]);
}

function states(sources: GaugeSources): readonly Sample[] {
  return reports(sources).flatMap((report) => STATES.map((state): Sample => [{ peer: nameOf(report), state }, report.state === state ? 1 : 0]));
}

function sent(sources: GaugeSources): readonly Sample[] {
  return reports(sources).flatMap((report) => ([4, 6] as const).map((family): Sample => [{ peer: nameOf(report), family: `ipv${family}` }, report.sent[family]]));
}

/** Of the peers that BFD watches. */
function bfd(value: (report: BgpBfdReport) => number, naming: Naming = nameOf): GaugeRow["samples"] {
  return (sources) => reports(sources).flatMap((report) => (report.bfd === undefined ? [] : [[{ peer: naming(report) }, value(report.bfd)]]));
}

function isBfdUp({ state }: BgpBfdReport): number {
  return state === "Up" ? 1 : 0;
}

function counter(of: keyof BfdCounters): (report: BgpBfdReport) => number {
  return ({ counters }) => counters[of];
}

/** GoBGP's names of states. */
function kubeVipStates(sources: GaugeSources): readonly Sample[] {
  return reports(sources).flatMap((report) => STATES.map((state): Sample => [{ state: `SESSION_STATE_${state.toUpperCase()}`, peer: report.peer.address ?? report.peer.name }, report.state === state ? 1 : 0]));
}
