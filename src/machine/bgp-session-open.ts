import { ipToBytes, type Family, type IpAddress } from "../lib/ip.js";
import { encodeCapability, type Capability, type GracefulRestart } from "../wire/bgp/capability.js";
import { ERROR_OPEN, OPEN_CAPABILITY, OPEN_HOLD_TIME, OPEN_IDENTIFIER, OPEN_PEER_AS } from "../wire/bgp/codes.js";
import { notificationOf, type Notification } from "../wire/bgp/error.js";
import { AFI_IPV6, afiSafi, unicastFamily } from "../wire/bgp/family.js";
import { MAX_EXTENDED_MESSAGE, MAX_MESSAGE } from "../wire/bgp/message.js";
import { asOf, AS_TRANS, MAX_AS_2, type Open } from "../wire/bgp/open.js";
import type { BgpSessionConfig, Negotiated } from "./bgp-session-config.js";

const UNSPECIFIED = "0.0.0.0" as IpAddress;
const IPV4_OVER_IPV6 = { ...afiSafi(4), nextHopAfi: AFI_IPV6 };

/** An OPEN that cannot be accepted, with what the peer is told. */
export interface OpenRefused {
  readonly refused: Notification;
  readonly reason: string;
}

/** The OPEN that we send. */
export function ourOpen(config: BgpSessionConfig, restarting: boolean): Open {
  return {
    as: config.localAs > MAX_AS_2 ? AS_TRANS : config.localAs,
    holdSeconds: config.holdSeconds,
    routerId: config.routerId,
    capabilities: ourCapabilities(config, restarting),
  };
}

/** Checks the peer's OPEN (RFC 4271 6.2) and says what both agree on. */
export function negotiate(open: Open, config: BgpSessionConfig): Negotiated | OpenRefused {
  const refusal = badAs(open, config) ?? badIdentifier(open, config) ?? badHoldTime(open) ?? missingCapability(open, config);
  if (refusal !== undefined) return refusal;
  const peerAs = asOf(open);
  const holdSeconds = Math.min(open.holdSeconds, config.holdSeconds);
  const has = (kind: Capability["kind"]): boolean => open.capabilities.some((capability) => capability.kind === kind);
  const gracefulRestart = config.gracefulRestartSeconds === undefined ? undefined : open.capabilities.find((capability) => capability.kind === "gracefulRestart");
  return {
    peerAs,
    internal: peerAs === config.localAs,
    peerRouterId: open.routerId,
    holdMs: holdSeconds * 1000,
    keepaliveMs: keepaliveMs(holdSeconds, config.keepaliveSeconds),
    asSize: has("fourOctetAs") ? 4 : 2,
    families: commonFamilies(open, config),
    mostOctets: config.extendedMessages && has("extendedMessage") ? MAX_EXTENDED_MESSAGE : MAX_MESSAGE,
    enhancedRefresh: has("enhancedRefresh"),
    extendedNextHop: config.extendedNextHop && open.capabilities.some((capability) => hasIpv4OverIpv6(capability)),
    gracefulRestart,
    notificationRestart: gracefulRestart?.notification === true,
    peerCapabilities: open.capabilities,
  };
}

/** Which of two connections stays (RFC 4271 6.8): true for the one that the peer dialled. Equal identifiers: the AS numbers decide (RFC 6286 2.3). */
export function keepsIncoming(config: BgpSessionConfig, peer: Pick<Negotiated, "peerRouterId" | "peerAs">): boolean {
  const [ours, theirs] = [numberOf(config.routerId), numberOf(peer.peerRouterId)];
  return ours === theirs ? config.localAs < peer.peerAs : ours < theirs;
}

function ourCapabilities(config: BgpSessionConfig, restarting: boolean): readonly Capability[] {
  const families = config.families.map((family) => afiSafi(family));
  return [
    ...families.map((family): Capability => ({ kind: "multiprotocol", ...family })),
    { kind: "routeRefresh" },
    ...(config.extendedNextHop && config.families.includes(4) ? [{ kind: "extendedNextHop", entries: [IPV4_OVER_IPV6] } as const] : []),
    ...(config.extendedMessages ? [{ kind: "extendedMessage" } as const] : []),
    ...(config.gracefulRestartSeconds === undefined ? [] : [ourGracefulRestart(config.gracefulRestartSeconds, config.families, restarting)]),
    { kind: "fourOctetAs", as: config.localAs },
    { kind: "enhancedRefresh" },
  ];
}

/** The kernel goes on forwarding without us, so each family's forwarding state is kept. */
function ourGracefulRestart(seconds: number, families: readonly Family[], restarting: boolean): GracefulRestart {
  return { kind: "gracefulRestart", restarting, notification: true, seconds, families: families.map((family) => ({ ...afiSafi(family), forwarding: true })) };
}

function badAs(open: Open, { localAs, peerAs }: BgpSessionConfig): OpenRefused | undefined {
  const as = asOf(open);
  const wanted = peerAs === "internal" ? as === localAs : peerAs === "external" ? as !== localAs : as === peerAs;
  // RFC 7607: 0 is nobody's. RFC 6793 4.1: the short field holds the same number, or AS_TRANS.
  if (wanted && as !== 0 && (open.as === as || open.as === AS_TRANS)) return undefined;
  const found = open.as === as ? `AS ${as}` : `AS ${as} (${open.as} in the header)`;
  return refuse(OPEN_PEER_AS, `${found} instead of ${typeof peerAs === "number" ? peerAs : `an ${peerAs} one`}`);
}

/** RFC 6286 2.2: never 0, and within one AS never ours. */
function badIdentifier({ routerId, ...open }: Open, config: BgpSessionConfig): OpenRefused | undefined {
  if (routerId === UNSPECIFIED) return refuse(OPEN_IDENTIFIER, "router ID 0.0.0.0");
  if (routerId !== config.routerId || asOf({ routerId, ...open }) !== config.localAs) return undefined;
  return refuse(OPEN_IDENTIFIER, `router ID ${routerId} is ours`);
}

function badHoldTime({ holdSeconds }: Open): OpenRefused | undefined {
  return holdSeconds === 1 || holdSeconds === 2 ? refuse(OPEN_HOLD_TIME, `hold time of ${holdSeconds} s`) : undefined;
}

/** RFC 5492 5: the data is what is missed. */
function missingCapability(open: Open, config: BgpSessionConfig): OpenRefused | undefined {
  if (config.requireFourOctetAs && !open.capabilities.some(({ kind }) => kind === "fourOctetAs")) {
    return refuse(OPEN_CAPABILITY, "no four-octet AS numbers", encodeCapability({ kind: "fourOctetAs", as: config.localAs }));
  }
  if (commonFamilies(open, config).length > 0) return undefined;
  const wanted = config.families.flatMap((family) => [...encodeCapability({ kind: "multiprotocol", ...afiSafi(family) })]);
  return refuse(OPEN_CAPABILITY, `none of our address families (IPv${config.families.join(", IPv")})`, Uint8Array.from(wanted));
}

/** Without the capability a peer has IPv4 unicast and nothing else (RFC 4760 8). */
function commonFamilies({ capabilities }: Open, config: BgpSessionConfig): readonly Family[] {
  const offered = capabilities.filter((capability) => capability.kind === "multiprotocol");
  if (offered.length === 0) return config.families.filter((family) => family === 4);
  const theirs = new Set(offered.map((capability) => unicastFamily(capability)));
  return config.families.filter((family) => theirs.has(family));
}

/** A third of the hold time, or less where so configured; at least a second (RFC 4271 4.4). */
function keepaliveMs(holdSeconds: number, configured: number | undefined): number {
  if (holdSeconds === 0) return 0;
  return Math.max(1000, Math.min(holdSeconds / 3, configured ?? Infinity) * 1000);
}

function hasIpv4OverIpv6(capability: Capability): boolean {
  if (capability.kind !== "extendedNextHop") return false;
  return capability.entries.some((entry) => unicastFamily(entry) === 4 && entry.nextHopAfi === AFI_IPV6);
}

function numberOf(routerId: IpAddress): number {
  return ipToBytes(routerId).reduce((sum, octet) => sum * 256 + octet, 0);
}

function refuse(subcode: number, reason: string, data?: Uint8Array): OpenRefused {
  return { refused: notificationOf(ERROR_OPEN, subcode, data), reason };
}
