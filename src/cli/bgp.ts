import type { BfdSessionReport, DiscoveryReport, PeerReport, SentRouteReport } from "./bgp-report.js";
import { askDaemons, bodyOf, saidError, type ControlPlace } from "./control-client.js";
import type { BgpPeersReport, BgpRoutesReport } from "./control-reports.js";
import { EXIT, type CommandIo, type OutputFormat } from "./io.js";
import { age, table, wrap } from "./table.js";

export interface BgpOptions extends ControlPlace {
  readonly output: OutputFormat;
}

const NO_BGP = "no daemon of this node announces by BGP (bgp_enable)";

/** `vip bgp peers`. JSON: `{ "processes": [BgpPeersReport] }`. Exit code: 0 all sessions are up, 1 error, or nobody speaks BGP, 2 some session is not up. */
export async function runBgpPeers(options: BgpOptions, io: CommandIo): Promise<number> {
  try {
    const reports = await ask<BgpPeersReport>("/v1/bgp/peers", options);
    io.out(options.output === "json" ? JSON.stringify({ processes: reports }, undefined, 2) : reports.map(peersText).join("\n\n"));
    return reports.every(({ peers }) => peers.every(({ state }) => state === "Established")) ? EXIT.ok : EXIT.notServed;
  } catch (error) {
    return saidError(error, options.output, io);
  }
}

/** `vip bgp routes [peer]`. JSON: `{ "processes": [BgpRoutesReport] }`. Exit code: 0, 1 error, 3 no such peer. */
export async function runBgpRoutes(peer: string | undefined, options: BgpOptions, io: CommandIo): Promise<number> {
  try {
    const reports = await ask<BgpRoutesReport>(`/v1/bgp/routes${peer === undefined ? "" : `/${encodeURIComponent(peer)}`}`, options);
    if (peer !== undefined && reports.every(({ peers }) => peers.length === 0)) {
      io.err(`vip: there is no BGP peer ${peer}; \`vip bgp peers\` lists them`);
      return EXIT.unknown;
    }
    io.out(options.output === "json" ? JSON.stringify({ processes: reports }, undefined, 2) : reports.map(routesText).join("\n\n"));
    return EXIT.ok;
  } catch (error) {
    return saidError(error, options.output, io);
  }
}

/** The answers of those daemons that speak BGP. */
async function ask<T>(path: string, place: ControlPlace): Promise<readonly T[]> {
  const reports = (await askDaemons(path, place)).map((answer) => bodyOf(answer) as T | null).filter((report) => report !== null);
  if (reports.length === 0) throw new Error(NO_BGP);
  return reports;
}

/** What `vip bgp peers` prints of one process: a line for each peer, and more below where something is to be said. */
export function peersText({ node, peers }: BgpPeersReport): string {
  if (peers.length === 0) return `node ${node}: no BGP peer is configured`;
  return [`node ${node}`, ...peerLines(peers), "", ...peers.flatMap(detailLines)].join("\n");
}

/** A table of peers, with what is wrong with them. */
export function peerLines(peers: readonly PeerReport[]): readonly string[] {
  const rows = peers.map((peer) => [peer.name, asText(peer), peer.state, age(peer.since.seconds), String(peer.sent.ipv4 + peer.sent.ipv6), peer.bfd?.state ?? "off", peer.state === "Established" ? "" : (peer.lastEnd?.reason ?? "")]);
  return [...table(["BGP PEER", "AS", "STATE", "FOR", "SENT", "BFD", "LAST ERROR"], rows), ...peers.flatMap(({ name, problem }) => (problem === null ? [] : wrap(`! ${name}: ${problem}`, 2)))];
}

function asText({ session, peerAs }: PeerReport): string {
  return String(session?.peerAs ?? peerAs);
}

function detailLines({ name, address, discovery, port, link, localAs, session, sent, received, counters, lastEnd, bfd }: PeerReport): readonly string[] {
  const where = `${address ?? "address not known yet"} port ${port}${link === null ? "" : ` on ${link}`}, own AS ${localAs}`;
  const about = [
    `${name}: ${where}`,
    ...(discovery === null ? [] : [discoveryText(discovery)]),
    ...(session === null ? [] : [`session ${session.local ?? "?"} to ${session.remote ?? "?"}, router ID ${session.peerRouterId}, hold ${session.holdSeconds} s, keepalive ${session.keepaliveSeconds} s, ${session.families.join(" and ")}`]),
    ...(session === null ? [] : [`the peer offers: ${session.capabilities.join(", ")}`]),
    `routes sent: ${sent.ipv4} IPv4, ${sent.ipv6} IPv6; received and left alone: ${received}; UPDATEs sent ${counters.updatesSent}, received ${counters.updatesReceived}; sessions ${counters.established}, lost ${counters.flaps}`,
    ...(bfd === null ? [] : [bfdText(bfd)]),
    ...(lastEnd === null ? [] : [`last end ${age(lastEnd.at.seconds)} ago, by ${BY[lastEnd.by]}: ${lastEnd.reason}`]),
  ];
  return about.flatMap((text, i) => wrap(text, i === 0 ? 2 : 4, i === 0 ? "" : "  "));
}

function discoveryText({ since, heard }: DiscoveryReport): string {
  return heard === null ? `unnumbered: no Router Advertisement heard since ${since.at} (${age(since.seconds)})` : `unnumbered: found by its Router Advertisements, the last one ${age(heard.seconds)} ago`;
}

function bfdText({ state, since, diagnostic, detectMs, counters: { ups, downs, sent, received, discarded, notSent } }: BfdSessionReport): string {
  const why = diagnostic === "" ? "" : `: ${diagnostic}`;
  const after = detectMs === null ? "" : `, down after ${detectMs} ms of silence`;
  return `BFD ${state} for ${age(since.seconds)}${why}${after}; sessions ${ups}, lost ${downs}; packets sent ${sent}, received ${received}, discarded ${discarded}, not sent ${notSent}`;
}

const BY = { local: "this side", peer: "the peer", transport: "TCP" } as const;

/** What `vip bgp routes` prints of one process. */
export function routesText({ node, peers }: BgpRoutesReport): string {
  if (peers.length === 0) return `node ${node}: no BGP peer is configured`;
  const blocks = peers.map(({ name, state, routes }) => {
    const head = `node ${node}, peer ${name} (${state}): ${routes.length} ${routes.length === 1 ? "route" : "routes"}`;
    return routes.length === 0 ? head : [head, ...table(["PREFIX", "NEXT HOP", "AS PATH", "PREF", "MED", "COMMUNITIES"], routes.map(routeRow))].join("\n");
  });
  return blocks.join("\n\n");
}

function routeRow({ prefix, nextHop, asPath, localPref, med, communities, largeCommunities }: SentRouteReport): readonly string[] {
  return [prefix, nextHop, asPath.join(" ") || "(empty)", localPref === null ? "-" : String(localPref), med === null ? "-" : String(med), [...communities, ...largeCommunities].join(" ")];
}
