import { run } from "./command.js";
import { ROUTER_NS } from "./topology.js";

/** The daemons of the matrix, and the number of each in addresses. */
export const DAEMONS = { BIRD: 1, FRR: 2, GoBGP: 3, OpenBGPD: 4, ExaBGP: 5 } as const;
export type DaemonName = keyof typeof DAEMONS;

export const CARRIES = ["IPv4", "IPv6", "both"] as const;
export const KINDS = ["eBGP", "iBGP", "multihop"] as const;
export const KEYS = ["none", "MD5"] as const;

/** One way to have a session. */
export interface Way {
  readonly carries: (typeof CARRIES)[number];
  readonly kind: (typeof KINDS)[number];
  readonly key: (typeof KEYS)[number];
}

/** All of them: 18. */
export const WAYS: readonly Way[] = KINDS.flatMap((kind) => KEYS.flatMap((key) => CARRIES.map((carries) => ({ carries, kind, key }))));

/** A session between the node n1 and a daemon, with an address of its own at either end. Both families travel over IPv4. */
export interface Session extends Way {
  readonly daemon: DaemonName;
  /** Good as a name of a BIRD protocol, too. */
  readonly name: string;
  readonly ours: string;
  readonly theirs: string;
  /** What the routes of each family that it carries have as next hop. */
  readonly hop4: string | undefined;
  readonly hop6: string | undefined;
}

export const NODE_AS = 64_500;
export const DAEMON_AS = 64_501;
export const PASSWORD = "s3:cret";

/** The namespace of a daemon. */
export function daemonNs(daemon: DaemonName): string {
  return `lab-bgp-${daemon.toLowerCase()}`;
}

export function asOfNode({ kind }: Way): number {
  return kind === "iBGP" ? DAEMON_AS : NODE_AS;
}

/** The sessions of one daemon. One hop: 10.95.N.0/24 and fd95:N::/64; multihop: from 10.97.N.x and fd97:N::x, through the router, to 10.99.N.x and fd99:N::x. */
export function sessionsOf(daemon: DaemonName, ways: readonly Way[] = WAYS): readonly Session[] {
  const n = DAEMONS[daemon];
  return ways.map((way, at) => {
    const [near, far] = way.kind === "multihop" ? ["97", "99"] : ["95", "95"];
    const own = { 4: `10.${near}.${n}.${101 + at}`, 6: `fd${near}:${n}::${101 + at}` };
    const family = way.carries === "IPv6" ? 6 : 4;
    return {
      ...way,
      daemon,
      name: [way.kind, way.carries, way.key].join("_").toLowerCase(),
      ours: own[family],
      theirs: family === 4 ? `10.${far}.${n}.${11 + at}` : `fd${far}:${n}::${11 + at}`,
      hop4: way.carries === "IPv6" ? undefined : own[4],
      hop6: way.carries === "IPv4" ? undefined : own[6],
    };
  });
}

/** A peer as bgp_config_file has it. */
export function peerFields({ name, daemon, ours, theirs, kind, key, carries, hop6 }: Session): Readonly<Record<string, unknown>> {
  return {
    name: `${daemon}_${name}`,
    "my-asn": asOfNode({ kind, key, carries }),
    "peer-asn": DAEMON_AS,
    "peer-address": theirs,
    "source-address": ours,
    ...(key === "MD5" ? { password: PASSWORD } : {}),
    ...(kind === "multihop" ? { "ebgp-multihop": 2 } : {}),
    ...(carries === "both" ? { families: ["ipv4", "ipv6"], "next-hop": hop6 } : {}),
  };
}

type PrefixLengths = Readonly<Record<4 | 6, number>>;

function addressLines(link: string, addresses: readonly string[], prefix: PrefixLengths): readonly string[] {
  return addresses.map((address) => (address.includes(":") ? `addr add ${address}/${prefix[6]} dev ${link} nodad` : `addr add ${address}/${prefix[4]} dev ${link}`));
}

const ON_LINK = { 4: 24, 6: 64 } as const;
const ALONE = { 4: 32, 6: 128 } as const;

/** A cable from the node, and one from the router, to a daemon in a namespace of its own, with the addresses of these sessions. */
async function connectDaemon(daemon: DaemonName, node: string, sessions: readonly Session[]): Promise<void> {
  const n = DAEMONS[daemon];
  const ns = daemonNs(daemon);
  const [one, many] = [sessions.filter(({ kind }) => kind !== "multihop"), sessions.filter(({ kind }) => kind === "multihop")];
  // The hops of the family that does not carry the session, too.
  const own = (of: readonly Session[]): readonly string[] => [...new Set(of.flatMap(({ ours, hop6 = ours }) => [ours, hop6]))];
  const batch = async (where: string, lines: readonly string[]): Promise<unknown> => run(["ip", "-n", where, "-batch", "-"], { input: lines.join("\n") });
  await run(["ip", "netns", "add", ns]);
  await batch(ns, [`link add near type veth peer name v${n} netns ${node}`, `link add far type veth peer name far${n} netns ${ROUTER_NS}`]);
  await batch(node, [
    `link set v${n} up`,
    ...addressLines(`v${n}`, own(one), ON_LINK),
    ...addressLines("lo", own(many), ALONE),
  ]);
  await batch(ROUTER_NS, [`link set far${n} up`, ...addressLines(`far${n}`, [`10.99.${n}.1`, `fd99:${n}::1`], ON_LINK)]);
  await batch(ns, [
    "link set lo up",
    "link set near up",
    "link set far up",
    ...addressLines("near", [`10.95.${n}.2`, `fd95:${n}::2`, ...one.map(({ theirs }) => theirs)], ON_LINK),
    ...addressLines("far", [`10.99.${n}.2`, `fd99:${n}::2`, ...many.map(({ theirs }) => theirs)], ON_LINK),
    `route add 10.97.${n}.0/24 via 10.99.${n}.1`,
    `route add fd97:${n}::/64 via fd99:${n}::1`,
  ]);
  await batch(ROUTER_NS, [`route add 10.97.${n}.0/24 via 10.77.0.11`, `route add fd97:${n}::/64 via fd77::11`]);
}

/** Puts the daemons beside a lab whose node n1 is the speaker. They end with the lab. */
export async function connectDaemons(sessions: readonly Session[]): Promise<void> {
  for (const daemon of Object.keys(DAEMONS) as DaemonName[]) {
    const its = sessions.filter((session) => session.daemon === daemon);
    if (its.length > 0) await connectDaemon(daemon, "lab-n1", its);
  }
}
