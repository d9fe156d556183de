import type { BgpPeerDraft, MpNextHop } from "../config/bgp-peer-draft.js";
import type { Settings } from "../config/settings.js";
import type { BgpPeer, BgpRoutePolicy } from "../lib/bgp-peer.js";
import { familyOf, type Family, type IpAddress } from "../lib/ip.js";
import { annotationPeers } from "./bgp-annotations.js";
import { draftProblem, settingsPeers } from "./bgp-drafts.js";
import { fitsNode } from "./node-selector.js";
import type { Subnet } from "./world.js";

/** The settings that peers are made of. */
export type BgpPeerSettings = Pick<
  Settings,
  | "bgpAs"
  | "bgpRouterId"
  | "bgpRouterInterface"
  | "bgpPeers"
  | "bgpPeerAddress"
  | "bgpPeerAs"
  | "bgpPeerPassword"
  | "bgpMultihop"
  | "bgpSourceInterface"
  | "bgpSourceIp"
  | "bgpHoldSeconds"
  | "bgpKeepaliveSeconds"
  | "bgpNextHopMode"
  | "bgpNextHop4"
  | "bgpNextHop6"
  | "bgpAnnotations"
  | "bgpPassive"
  | "bgpTtlSecurity"
  | "bgpGracefulRestartSeconds"
  | "bgpBfd"
  | "bgpCommunities"
  | "bgpLocalPref"
  | "bgpMed"
  | "bgpPrepend"
>;

/** What is known beside the settings; each part may change at any time. */
export interface BgpPeerFacts {
  /** Of the Node object of this node; undefined until it was read. */
  readonly node: { readonly labels: Readonly<Record<string, string>>; readonly annotations: Readonly<Record<string, string>> } | undefined;
  /** Addresses that are not ours, by link name. */
  readonly subnets: ReadonlyMap<string, readonly Subnet[]>;
  /** Peers of a file and of a ConfigMap. */
  readonly drafts: readonly BgpPeerDraft[];
  /** Data of the Secret: passwords by the name of a peer, `password` for all others. */
  readonly passwords: Readonly<Record<string, string>>;
  /** Of `bgp_peerpass_file`. */
  readonly password: string | undefined;
}

export interface BgpPeers {
  /** With names that are unique, those of the settings first. */
  readonly peers: readonly BgpPeer[];
  /** A line for each peer that is left out, or is not wholly as it was asked for. Without passwords. */
  readonly problems: readonly string[];
}

/**
 * The BGP neighbours of this node, from settings, annotations of the Node, a file and a ConfigMap. One that cannot be used is left out with a line that says
 * why, and harms no other.
 */
export function bgpPeers(settings: BgpPeerSettings, facts: BgpPeerFacts): BgpPeers {
  const annotated = settings.bgpAnnotations === undefined ? { drafts: [], problems: [] } : annotationPeers(settings.bgpAnnotations, facts.node?.annotations);
  const drafts = [...settingsPeers(settings), ...annotated.drafts, ...facts.drafts];
  const peers: BgpPeer[] = [];
  const problems: string[] = [...annotated.problems];
  const from = new Map<string, string>();
  for (const draft of drafts) {
    const fits = fitsNode(draft.nodeSelectors, facts.node?.labels);
    if (fits === "unknown") problems.push(`${draft.from}: waits for the labels of this node, which its node-selectors need`);
    if (fits !== true) continue;
    const made = peerOf(draft, settings, facts);
    const problem = draftProblem(draft, made.peer) ?? doubles(made.peer, from);
    problems.push(...[...(problem === undefined ? made.problems : [problem])].map((line) => `${draft.from}: ${line}`));
    if (problem !== undefined) continue;
    from.set(targetOf(made.peer), draft.from);
    from.set(`name ${made.peer.name}`, draft.from);
    peers.push(made.peer);
  }
  return { peers, problems };
}

/** Two sessions with one router are one too many: the second is refused as a collision (RFC 4271 6.8). */
function doubles(peer: BgpPeer, from: ReadonlyMap<string, string>): string | undefined {
  const other = from.get(targetOf(peer));
  if (other !== undefined) return `left out, for ${other} is the same peer`;
  const named = from.get(`name ${peer.name}`);
  return named === undefined ? undefined : `left out, for ${named} has the name ${peer.name}, too`;
}

function targetOf({ address, iface, port }: BgpPeer): string {
  const link = address === undefined || address.startsWith("fe80:") ? `%${iface ?? ""}` : "";
  return `${address ?? ""}${link} ${port}`;
}

const BGP_PORT = 179;

interface Made {
  readonly peer: BgpPeer;
  readonly problems: readonly string[];
}

function peerOf(draft: BgpPeerDraft, settings: BgpPeerSettings, facts: BgpPeerFacts): Made {
  const { port = BGP_PORT, address } = draft;
  const iface = draft.iface ?? settings.bgpSourceInterface;
  const name = draft.name ?? nameOf(draft, port);
  const sourceAddress = draft.sourceAddress ?? (address !== undefined && settings.bgpSourceIp !== undefined && familyOf(address) === familyOf(settings.bgpSourceIp) ? settings.bgpSourceIp : undefined);
  const mp = mpOf(draft.mp ?? settingsMp(settings), { iface, sourceAddress }, facts.subnets);
  const router = routerIdOf(draft, settings, facts.subnets);
  const multihopTtl = draft.multihopTtl === false ? undefined : draft.multihopTtl;
  const peer: BgpPeer = {
    name,
    address,
    iface,
    port,
    localAs: draft.localAs ?? settings.bgpAs,
    peerAs: draft.peerAs,
    routerId: router.id,
    families: draft.families ?? mp.families ?? (address === undefined ? [4, 6] : [familyOf(address)]),
    holdSeconds: draft.holdSeconds ?? settings.bgpHoldSeconds,
    keepaliveSeconds: draft.keepaliveSeconds ?? (draft.holdSeconds === undefined ? settings.bgpKeepaliveSeconds : undefined),
    password: draft.password ?? passwordOf(name, facts),
    multihopTtl,
    ttlSecurityHops: draft.ttlSecurityHops ?? (multihopTtl === undefined ? settings.bgpTtlSecurity : undefined),
    sourceAddress,
    passive: draft.passive ?? settings.bgpPassive,
    gracefulRestartSeconds: orNone(draft.gracefulRestartSeconds ?? settings.bgpGracefulRestartSeconds),
    bfd: draft.bfd === false ? undefined : (draft.bfd ?? settings.bgpBfd),
    policy: { ...settingsPolicy(settings), ...draft.policy },
    nextHop: { ...mp.nextHop, ...draft.nextHop },
  };
  return { peer, problems: [...mp.problems, ...router.problems] };
}

/** Keys of a Secret are letters, digits, `-`, `_` and `.`. */
function passwordOf(name: string, { passwords, password }: BgpPeerFacts): string | undefined {
  const key = name.replaceAll(/[^\w.-]/g, "-");
  return (Object.hasOwn(passwords, key) ? passwords[key] : undefined) ?? passwords["password"] ?? password;
}

/** `192.0.2.1`, `fe80::1%eth0`, `eth0`, with the port where it is another one. */
function nameOf({ address, iface }: BgpPeerDraft, port: number): string {
  const link = address?.startsWith("fe80:") === true && iface !== undefined ? `%${iface}` : "";
  const bare = address === undefined ? (iface ?? "") : `${address}${link}`;
  if (port === BGP_PORT) return bare;
  return bare.includes(":") ? `[${bare}]:${port}` : `${bare}:${port}`;
}

function orNone(seconds: number): number | undefined {
  return seconds === 0 ? undefined : seconds;
}

/** As kube-vip: the ID itself comes before the link that has it. */
function routerIdOf(draft: BgpPeerDraft, { bgpRouterId, bgpRouterInterface }: BgpPeerSettings, subnets: BgpPeerFacts["subnets"]): { readonly id: IpAddress | undefined; readonly problems: readonly string[] } {
  const given = draft.routerId ?? bgpRouterId;
  if (given !== undefined || bgpRouterInterface === undefined) return { id: given, problems: [] };
  const id = addressOn(bgpRouterInterface, 4, subnets);
  return { id, problems: id === undefined ? [`bgp_routerinterface="${bgpRouterInterface}": expected a link with an IPv4 address; the router ID is the node's first one`] : [] };
}

function settingsPolicy({ bgpCommunities, bgpLocalPref, bgpMed, bgpPrepend }: BgpPeerSettings): BgpRoutePolicy {
  const { communities, largeCommunities } = bgpCommunities;
  return {
    ...(communities.length === 0 ? {} : { communities }),
    ...(largeCommunities.length === 0 ? {} : { largeCommunities }),
    ...(bgpLocalPref === undefined ? {} : { localPref: bgpLocalPref }),
    ...(bgpMed === undefined ? {} : { med: bgpMed }),
    ...(bgpPrepend === 0 ? {} : { prepend: bgpPrepend }),
  };
}

function settingsMp({ bgpNextHopMode, bgpNextHop4, bgpNextHop6 }: BgpPeerSettings): MpNextHop | undefined {
  return bgpNextHopMode === undefined ? undefined : { mode: bgpNextHopMode, 4: bgpNextHop4, 6: bgpNextHop6 };
}

interface Mp {
  readonly families: readonly Family[] | undefined;
  readonly nextHop: BgpPeer["nextHop"];
  readonly problems: readonly string[];
}

/** Both families on one session, and whose next hops they have. */
function mpOf(mp: MpNextHop | undefined, { iface, sourceAddress }: Pick<BgpPeer, "iface" | "sourceAddress">, subnets: BgpPeerFacts["subnets"]): Mp {
  if (mp === undefined) return { families: undefined, nextHop: {}, problems: [] };
  const families = [4, 6] as const;
  const link = mp.mode === "auto_sourceif" ? iface : linkOf(sourceAddress, subnets);
  const found = { 4: mp[4], 6: mp[6] };
  if (mp.mode !== "fixed" && link !== undefined) for (const family of families) found[family] ??= addressOn(link, family, subnets);
  const nextHop = { ...(found[4] === undefined ? {} : { 4: found[4] }), ...(found[6] === undefined ? {} : { 6: found[6] }) };
  return { families, nextHop, problems: mpProblems(mp, link, nextHop) };
}

function mpProblems({ mode }: MpNextHop, link: string | undefined, nextHop: BgpPeer["nextHop"]): readonly string[] {
  const rest = "; next hops are the node's own addresses";
  if (mode === "fixed") return Object.keys(nextHop).length > 0 ? [] : [`mpbgp_nexthop="fixed": expected mpbgp_ipv4 or mpbgp_ipv6${rest}`];
  if (link === undefined) return [`mpbgp_nexthop="${mode}": expected ${mode === "auto_sourceif" ? "a source interface (bgp_sourceif)" : "a source address (bgp_sourceip) that a link of this node has"}${rest}`];
  return ([4, 6] as const).filter((family) => nextHop[family] === undefined).map((family) => `mpbgp_nexthop="${mode}": ${link} has no IPv${family} address that could be a next hop`);
}

function linkOf(address: IpAddress | undefined, subnets: BgpPeerFacts["subnets"]): string | undefined {
  return [...subnets].find(([, all]) => all.some((one) => one.address === address))?.[0];
}

/** The first one of a link that others can reach. */
function addressOn(link: string, family: Family, subnets: BgpPeerFacts["subnets"]): IpAddress | undefined {
  return subnets.get(link)?.find(({ address }) => familyOf(address) === family && !address.startsWith("fe80:") && !address.startsWith("127.") && address !== "::1")?.address;
}
