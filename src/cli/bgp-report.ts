import { since, type PeerView, type SinceReport } from "../core/explain-input.js";
import type { Moment } from "../core/history.js";
import type { RouteKey } from "../core/model.js";
import { assertNever } from "../lib/errors.js";
import type { BgpBfdReport, BgpPeerCounters, BgpPeerReport, BgpSentRoute } from "../modes/bgp-report.js";
import type { TcpEnd } from "../ports/net.js";
import type { Capability } from "../wire/bgp/capability.js";
import { communityText } from "../wire/bgp/community.js";

/** A BGP peer as `vip bgp peers -o json` shows it. */
export interface PeerReport {
  readonly name: string;
  /** Null for an unnumbered peer whose address is not known yet. */
  readonly address: string | null;
  /** How the address was found; null where it is configured. */
  readonly discovery: DiscoveryReport | null;
  readonly link: string | null;
  readonly port: number;
  readonly localAs: number;
  /** What it is to be; `internal` and `external` where it may be any. */
  readonly peerAs: number | "internal" | "external";
  readonly state: BgpPeerReport["state"];
  readonly since: SinceReport;
  /** Why no session works, or not all routes are announced; null where nothing is wrong. */
  readonly problem: string | null;
  /** How the last session, or the last attempt at one, ended. */
  readonly lastEnd: { readonly reason: string; readonly by: "local" | "peer" | "transport"; readonly wasEstablished: boolean; readonly at: SinceReport } | null;
  /** What both sides agreed on; null where no session is up. */
  readonly session: SessionReport | null;
  /** Routes that the peer has of this node, by family. */
  readonly sent: { readonly ipv4: number; readonly ipv6: number };
  /** Routes that it announced; counted, never used. */
  readonly received: number;
  readonly counters: BgpPeerCounters;
  readonly password: boolean;
  readonly bfd: BfdSessionReport | null;
}

/** The router that an unnumbered peer stands for. */
export interface DiscoveryReport {
  /** Since when the link is up and listened on, or is not. */
  readonly since: SinceReport;
  /** Its link-local address; null where none was heard. */
  readonly router: string | null;
  /** Its last Router Advertisement; null where none was heard. */
  readonly heard: SinceReport | null;
}

/** `detectMs`: after so much silence the peer is down; null where nothing was heard yet. `counters`: packets. */
export interface BfdSessionReport extends Pick<BgpBfdReport, "state" | "diagnostic" | "counters"> {
  readonly since: SinceReport;
  readonly detectMs: number | null;
}

export interface SessionReport {
  readonly peerAs: number;
  readonly internal: boolean;
  readonly peerRouterId: string;
  /** 0: none. */
  readonly holdSeconds: number;
  readonly keepaliveSeconds: number;
  readonly families: readonly ("IPv4" | "IPv6")[];
  /** `192.0.2.11:40001`, `[2001:db8::11]:179`. */
  readonly local: string | null;
  readonly remote: string | null;
  /** What the peer offered. */
  readonly capabilities: readonly string[];
}

/** One route as one peer has it. */
export interface SentRouteReport {
  readonly prefix: string;
  readonly nextHop: string;
  readonly asPath: readonly number[];
  readonly localPref: number | null;
  readonly med: number | null;
  /** `65000:100`, or a well-known name. */
  readonly communities: readonly string[];
  readonly largeCommunities: readonly string[];
}

/** How things stand with one peer, for people and programs. */
export function peerReport(report: BgpPeerReport, at: Moment): PeerReport {
  const { peer, state, lastEnd, negotiated, bfd, discovery } = report;
  const moment = (now: number): SinceReport => since({ now, wallMs: at.wallMs - (at.now - now) }, at);
  return {
    name: peer.name,
    address: peer.address ?? report.remote?.address ?? null,
    discovery: discovery === undefined ? null : { since: moment(discovery.since), router: discovery.address ?? null, heard: discovery.heardAt === undefined ? null : moment(discovery.heardAt) },
    link: peer.iface ?? null,
    port: peer.port,
    localAs: peer.localAs,
    peerAs: peer.peerAs,
    state,
    since: moment(report.since),
    problem: report.problem ?? null,
    lastEnd: lastEnd === undefined ? null : { reason: lastEnd.reason, by: lastEnd.by, wasEstablished: lastEnd.wasEstablished, at: moment(lastEnd.at) },
    session: negotiated === undefined ? null : sessionReport(report, negotiated),
    sent: { ipv4: report.sent[4], ipv6: report.sent[6] },
    received: report.received,
    counters: report.counters,
    password: peer.hasPassword,
    bfd: bfd === undefined ? null : { state: bfd.state, since: moment(bfd.since), diagnostic: bfd.diagnostic, detectMs: bfd.detectMs ?? null, counters: bfd.counters },
  };
}

function sessionReport({ local, remote }: BgpPeerReport, negotiated: NonNullable<BgpPeerReport["negotiated"]>): SessionReport {
  return {
    peerAs: negotiated.peerAs,
    internal: negotiated.internal,
    peerRouterId: negotiated.peerRouterId,
    holdSeconds: negotiated.holdMs / 1000,
    keepaliveSeconds: negotiated.keepaliveMs / 1000,
    families: negotiated.families.map((family) => `IPv${family}` as const),
    local: endText(local),
    remote: endText(remote),
    capabilities: [...new Set(negotiated.peerCapabilities.map(capabilityText))],
  };
}

function endText(end: TcpEnd | undefined): string | null {
  if (end === undefined) return null;
  return end.address.includes(":") ? `[${end.address}]:${end.port}` : `${end.address}:${end.port}`;
}

/** One route that a peer has of this node. */
export function sentRouteReport({ key, attributes }: BgpSentRoute): SentRouteReport {
  return {
    prefix: key,
    nextHop: attributes.nextHop,
    asPath: (attributes.asPath ?? []).flatMap(({ as }) => as),
    localPref: attributes.localPref ?? null,
    med: attributes.med ?? null,
    communities: (attributes.communities ?? []).map(communityText),
    largeCommunities: (attributes.largeCommunities ?? []).map(({ global, local1, local2 }) => `${global}:${local1}:${local2}`),
  };
}

/** What reports about Services look at. `routes`: what a peer has of this node. */
export function peerView(report: BgpPeerReport, routes: (peer: string) => readonly BgpSentRoute[]): PeerView {
  let keys: ReadonlySet<RouteKey> | undefined;
  return {
    name: report.peer.name,
    state: report.state,
    problem: report.problem ?? (report.state === "Established" ? "" : (report.lastEnd?.reason ?? "")),
    has: (key) => {
      keys ??= new Set(routes(report.peer.name).map((route) => route.key));
      return keys.has(key);
    },
  };
}

/** As the registry of capabilities calls them, in short. */
function capabilityText(capability: Capability): string {
  switch (capability.kind) {
    case "multiprotocol":
      return `multiprotocol ${capability.afi}/${capability.safi}`;
    case "routeRefresh":
      return "route refresh";
    case "enhancedRefresh":
      return "enhanced route refresh";
    case "extendedMessage":
      return "extended messages";
    case "fourOctetAs":
      return `4-octet AS ${capability.as}`;
    case "extendedNextHop":
      return "extended next hop";
    case "gracefulRestart":
      return `graceful restart ${capability.seconds} s`;
    case "addPath":
      return "ADD-PATH";
    case "unknown":
      return `capability ${capability.code}`;
    default:
      return assertNever(capability);
  }
}
