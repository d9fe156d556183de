import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { routeKey, type Route } from "../../src/core/model.js";
import type { BgpPeer } from "../../src/lib/bgp-peer.js";
import { hostPrefix, parseIp, type IpAddress } from "../../src/lib/ip.js";
import { createClock } from "../../src/linux/clock.js";
import { createNative } from "../../src/linux/native.js";
import { createRandom } from "../../src/linux/random.js";
import { createRouterLinks } from "../../src/linux/router-socket.js";
import { createNet } from "../../src/linux/tcp.js";
import { createBgpMode, type BgpMode } from "../../src/modes/bgp.js";
import type { BgpPeerReport, NodeAddress } from "../../src/modes/bgp-report.js";
import type { Net } from "../../src/ports/net.js";
import { bgpPeer } from "../core/bgp-given.js";
import { FakeFence } from "../fakes/fence.js";
import { FakeLog } from "../fakes/log.js";
import { inNamespace, run } from "./command.js";
import { LabProcess } from "./process.js";
import { waitFor } from "./wait.js";

if (process.env["VIP_LAB"] !== "1") throw new Error("these tests change the network: run `npm test`, which gives them a network namespace of their own");

/**
 * The node is the namespace of the tests themselves. Each peer has a link to it (`v<peer>`, number n: 10.95.n.1 and fd95:n::1 here, and .11 to .16 for sessions
 * of their own; .2 and ::2 there). BIRD has a second way, through a router: 10.98.0.1 and fd98::1 here, 10.99.1.2 and fd99:1::2 there.
 */
export const PEERS = { bird: 1, frr: 2, gobgp: 3 } as const;
export type PeerName = keyof typeof PEERS;
const OWN = [1, 11, 12, 13, 14, 15, 16] as const;

const SETUP = `
for d in all default; do echo 0 >/proc/sys/net/ipv6/conf/$d/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/$d/dad_transmits; done
ip link set lo up
for peer in ${Object.entries(PEERS).map(([name, n]) => `${name}:${n}`).join(" ")}; do
  name=\${peer%:*}; n=\${peer#*:}; ns=bgp-$name
  ip netns add $ns; ip -n $ns link set lo up
  ip netns exec $ns sh -c 'for d in all default; do echo 0 >/proc/sys/net/ipv6/conf/$d/accept_dad; done'
  ip link add v$name type veth peer name eth0 netns $ns
  for o in ${OWN.join(" ")}; do ip addr add 10.95.$n.$o/24 dev v$name; ip addr add fd95:$n::$o/64 dev v$name nodad; done
  ip link set v$name up
  ip -n $ns addr add 10.95.$n.2/24 dev eth0; ip -n $ns addr add fd95:$n::2/64 dev eth0 nodad; ip -n $ns link set eth0 up
done
ip netns add bgp-rt; ip -n bgp-rt link set lo up
ip netns exec bgp-rt sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
ip link add vrt type veth peer name node netns bgp-rt
ip addr add 10.98.0.1/24 dev vrt; ip addr add fd98::1/64 dev vrt nodad; ip link set vrt up
ip -n bgp-rt addr add 10.98.0.2/24 dev node; ip -n bgp-rt addr add fd98::2/64 dev node nodad; ip -n bgp-rt link set node up
ip -n bgp-rt link add far type veth peer name eth1 netns bgp-bird
ip -n bgp-rt addr add 10.99.1.1/24 dev far; ip -n bgp-rt addr add fd99:1::1/64 dev far nodad; ip -n bgp-rt link set far up
ip -n bgp-bird addr add 10.99.1.2/24 dev eth1; ip -n bgp-bird addr add fd99:1::2/64 dev eth1 nodad; ip -n bgp-bird link set eth1 up
ip route add 10.99.1.0/24 via 10.98.0.2; ip route add fd99:1::/64 via fd98::2
ip -n bgp-bird route add 10.98.0.0/24 via 10.99.1.1; ip -n bgp-bird route add fd98::/64 via fd99:1::1
`;

const TEARDOWN = `
for ns in ${Object.keys(PEERS).map((name) => `bgp-${name}`).join(" ")} bgp-rt; do ip netns del $ns; done
for link in ${Object.keys(PEERS).map((name) => `v${name}`).join(" ")} vrt; do ip link del $link 2>/dev/null || true; done
for d in all default; do echo 1 >/proc/sys/net/ipv6/conf/$d/accept_dad; echo 1 >/proc/sys/net/ipv6/conf/$d/dad_transmits; done
`;

/** The network, a folder for what the daemons write, and one BGP mode on real sockets. */
export class BgpLab implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), "vip-lab-bgp-"));
  readonly clock = createClock();
  readonly log = new FakeLog();
  readonly net: Net = createNet({ clock: this.clock, log: this.log });
  readonly #running: LabProcess[] = [];

  static async build(): Promise<BgpLab> {
    await run(["sh", "-ec", SETUP]);
    return new BgpLab();
  }

  /** A speaker on this node. `addresses`: of the node, where they are to be others than those of its links. */
  speaker(addresses: readonly NodeAddress[] = nodeAddresses()): BgpMode {
    const { clock, log, net } = this;
    const deps = { clock, log, net, random: createRandom(), routerLinks: createRouterLinks({ native: createNative(), log }), link: () => undefined, bfd: undefined, tcpTable: undefined, fence: new FakeFence(clock), nodeAddresses: () => addresses, changed: () => {} };
    return createBgpMode({ listenPort: 179, listen: false, gracefulShutdownMs: 300 }, deps);
  }

  async spawn(name: string, argv: readonly string[]): Promise<LabProcess> {
    const started = await LabProcess.start(name, join(this.dir, `${name}.log`), argv);
    this.#running.push(started);
    return started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.net[Symbol.asyncDispose]();
    await Promise.all(this.#running.map(async (one) => one[Symbol.asyncDispose]()));
    await run(["sh", "-ec", TEARDOWN]);
    if (process.env["VIP_LAB_KEEP"] !== "1") rmSync(this.dir, { recursive: true });
  }
}

function nodeAddresses(): readonly NodeAddress[] {
  return Object.entries(PEERS).flatMap(([name, n]) => [
    { address: ip(`10.95.${n}.1`), prefix: 24, iface: `v${name}` },
    { address: ip(`fd95:${n}::1`), prefix: 64, iface: `v${name}` },
  ]);
}

export function ip(text: string): IpAddress {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(`${text} is no address`);
  return parsed;
}

/** An external peer over IPv4, AS 64500 here and 64501 there, with routes of both families. */
export function peerOf(name: PeerName, given: Partial<BgpPeer> = {}): BgpPeer {
  return bgpPeer({ name, address: ip(`10.95.${PEERS[name]}.2`), localAs: 64_500, peerAs: 64_501, families: [4, 6], holdSeconds: 9, ...given });
}

export function route(address: string, given: Partial<Route> = {}): Route {
  const parsed = ip(address);
  const length = hostPrefix(parsed);
  return { key: routeKey(parsed, length), owners: [], address: parsed, length, policy: {}, ...given };
}

/** Waits until this peer's report is as it should be. */
export async function reported(mode: BgpMode, name: string, right: (report: BgpPeerReport) => boolean, what: string): Promise<BgpPeerReport> {
  const find = (): BgpPeerReport => {
    const report = mode.reports().find(({ peer }) => peer.name === name);
    if (report === undefined) throw new Error(`no peer ${name}`);
    return report;
  };
  await waitFor(() => ({ ok: right(find()), report: find() }), 15_000, what);
  return find();
}

/** Where the daemons of a test write, and what starts them and ends them with the test. */
export type DaemonHost = Pick<BgpLab, "dir" | "spawn">;

/** A route as a peer has it; lists are sorted. */
export interface Seen {
  readonly prefix: string;
  readonly nextHop: string;
  readonly asPath: string;
  readonly med: number | undefined;
  readonly localPref: number | undefined;
  readonly communities: readonly string[];
}

/** BIRD 2 with these protocols, in the namespace of the peer `bird`, or on the node itself. */
export class Bird {
  #process: LabProcess | undefined;

  constructor(
    private readonly lab: DaemonHost,
    private readonly where: "bird" | "node" = "bird",
    private readonly ns = "bgp-bird",
  ) {}

  async start(protocols: string): Promise<void> {
    this.#write(protocols);
    const { dir } = this.lab;
    const file = `${dir}/${this.where}`;
    this.#process = await this.lab.spawn(this.where, this.#inside(["bird", "-f", "-c", `${file}.conf`, "-s", `${file}.ctl`, "-P", `${file}.pid`]));
    await waitFor(async () => (await this.ctl("show status")).includes("up and running"), 5000, "BIRD");
  }

  kill(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  async configure(protocols: string): Promise<void> {
    this.#write(protocols);
    await this.ctl("configure");
  }

  async ctl(command: string): Promise<string> {
    return (await run(this.#inside(["birdc", "-s", `${this.lab.dir}/${this.where}.ctl`, command]))).stdout;
  }

  /** What came by one protocol. */
  async routes(protocol: string): Promise<readonly Seen[]> {
    return (await this.ctl(`show route all protocol ${protocol}`))
      .split(/\n(?=[0-9a-f])/)
      .filter((text) => text.includes("BGP.origin"))
      .map((text) => {
        const field = (name: string): string | undefined => new RegExp(`BGP\\.${name}: ?(.*)`).exec(text)?.[1];
        const number = (name: string): number | undefined => (field(name) === undefined ? undefined : Number(field(name)));
        const communities = `${field("community") ?? ""} ${field("large_community") ?? ""}`.match(/\([^)]*\)/g) ?? [];
        return {
          prefix: text.split(/\s/)[0] ?? "",
          nextHop: field("next_hop")?.trim() ?? "",
          asPath: field("as_path")?.trim() ?? "",
          med: number("med"),
          localPref: number("local_pref"),
          communities: communities.map((one) => one.slice(1, -1).replaceAll(",", ":").replaceAll(" ", "")).toSorted(),
        };
      });
  }

  #write(protocols: string): void {
    const routerId = this.where === "bird" ? "10.95.1.2" : "10.95.1.99";
    writeFileSync(`${this.lab.dir}/${this.where}.conf`, `router id ${routerId};\nprotocol device {}\nprotocol direct { ipv4; ipv6; }\n${protocols}\n`);
  }

  #inside(argv: readonly string[]): readonly string[] {
    return this.where === "node" ? argv : inNamespace(this.ns, argv);
  }
}

/** FRR's zebra and bgpd. */
export class Frr {
  constructor(
    private readonly lab: DaemonHost,
    private readonly ns = "bgp-frr",
    private readonly daemons: readonly ("zebra" | "bgpd" | "bfdd")[] = ["zebra", "bgpd"],
  ) {}

  async start(config: string): Promise<void> {
    const dir = this.#dir();
    await run(["sh", "-ec", `chmod 755 ${this.lab.dir}; install -d -o frr -g frr -m 775 ${dir}; touch ${dir}/vtysh.conf`]);
    writeFileSync(`${dir}/frr.conf`, config);
    const pathspace = ["-z", `${dir}/zserv.api`, "--vty_socket", dir, "-P", "0", "-f", "/dev/null", "--log", "stdout"];
    for (const name of this.daemons) {
      const more = name === "bfdd" ? ["--bfdctl", `${dir}/bfdd.sock`] : [];
      await this.lab.spawn(`frr-${name}`, inNamespace(this.ns, [`/usr/lib/frr/${name}`, ...pathspace, "-i", `${dir}/${name}.pid`, ...more]));
      const socket = name === "zebra" ? "zserv.api" : `${name}.vty`;
      await waitFor(async () => (await run(["test", "-S", `${dir}/${socket}`], { mayFail: true })).code === 0, 10_000, name);
    }
    await this.#vty(["-b"]);
  }

  async vtysh(...commands: readonly string[]): Promise<string> {
    return this.#vty(commands.flatMap((command) => ["-c", command]));
  }

  /** What came from one neighbour. */
  async routes(neighbor: string, family: 4 | 6): Promise<readonly Seen[]> {
    const text = await this.vtysh(`show bgp ipv${family} unicast neighbors ${neighbor} routes json`);
    interface Path { readonly path: string; readonly metric?: number; readonly locPrf?: number; readonly nexthops: readonly { readonly ip: string; readonly scope?: string }[] }
    const { routes = {} } = JSON.parse(text) as { readonly routes?: Readonly<Record<string, readonly Path[]>> };
    return Promise.all(
      Object.entries(routes).flatMap(([prefix, paths]) =>
        paths.map(async ({ path, metric, locPrf, nexthops }) => {
          const detail = await this.vtysh(`show bgp ipv${family} unicast ${prefix}`);
          const communities = [/Community: (.*)/.exec(detail)?.[1], /Large Community: (.*)/.exec(detail)?.[1]].flatMap((list) => list?.split(" ") ?? []);
          const nextHop = nexthops.find(({ scope }) => scope !== "link-local")?.ip ?? "";
          return { prefix, nextHop, asPath: path, med: metric, localPref: locPrf, communities: [...new Set(communities)].filter((one) => one !== "").toSorted() };
        }),
      ),
    );
  }

  #dir(): string {
    return join(this.lab.dir, "frr");
  }

  async #vty(args: readonly string[]): Promise<string> {
    return (await run(inNamespace(this.ns, ["vtysh", "--vty_socket", this.#dir(), "--config_dir", this.#dir(), ...args]))).stdout;
  }
}

/** GoBGP with this configuration. */
export class Gobgp {
  constructor(
    private readonly lab: DaemonHost,
    private readonly ns = "bgp-gobgp",
  ) {}

  async start(config: string): Promise<void> {
    writeFileSync(`${this.lab.dir}/gobgp.toml`, config);
    await this.lab.spawn("gobgpd", inNamespace(this.ns, ["gobgpd", "-f", `${this.lab.dir}/gobgp.toml`, "--pprof-disable"]));
    await waitFor(async () => (await run(inNamespace(this.ns, ["gobgp", "neighbor"]), { mayFail: true })).code === 0, 10_000, "gobgpd");
  }

  /** What came from one neighbour. */
  async routes(neighbor: string, family: 4 | 6): Promise<readonly Seen[]> {
    const { stdout } = await run(inNamespace(this.ns, ["gobgp", "-j", "neighbor", neighbor, "adj-in", "-a", `ipv${family}`]));
    interface Attribute { readonly type: number; readonly value?: unknown; readonly as_paths?: readonly { readonly asns: readonly number[] }[]; readonly nexthop?: string; readonly metric?: number; readonly communities?: readonly number[] }
    interface Large { readonly ASN: number; readonly LocalData1: number; readonly LocalData2: number }
    const found = JSON.parse(stdout) as Readonly<Record<string, readonly { readonly attrs: readonly Attribute[] }[]>> | readonly never[];
    return Object.entries(found).flatMap(([prefix, paths]: readonly [string, readonly { readonly attrs: readonly Attribute[] }[]]) =>
      paths.map(({ attrs }) => {
        const of = (type: number): Attribute | undefined => attrs.find((one) => one.type === type);
        return {
          prefix,
          nextHop: of(3)?.nexthop ?? of(14)?.nexthop ?? "",
          asPath: (of(2)?.as_paths ?? []).flatMap(({ asns }) => asns).join(" "),
          med: of(4)?.metric,
          localPref: of(5)?.value as number | undefined,
          communities: [
            ...(of(8)?.communities ?? []).map((one) => `${one >>> 16}:${one & 0xffff}`),
            ...((of(32)?.value ?? []) as readonly Large[]).map(({ ASN, LocalData1, LocalData2 }) => `${ASN}:${LocalData1}:${LocalData2}`),
          ].toSorted(),
        };
      }),
    );
  }
}

/** One line for each route. */
function rowOf({ prefix, nextHop, asPath, med, localPref, communities }: Seen): string {
  return `${prefix} via ${nextHop} path ${asPath} med ${med ?? "none"} local ${localPref ?? "none"} communities ${communities.join(" ")}`;
}

/** Waits until a peer has these routes and nothing else. */
export async function has(look: () => Promise<readonly Seen[]>, wanted: readonly Seen[]): Promise<void> {
  const right = async (): Promise<unknown> => {
    const [seen, rows] = [await look(), wanted].map((routes) => routes.map(rowOf).toSorted());
    return { ok: seen?.join("\n") === rows?.join("\n"), seen, wanted: rows };
  };
  await waitFor(right, 15_000, `exactly ${wanted.length} routes`);
}
