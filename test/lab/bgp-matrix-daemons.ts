import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { Bird, Frr, Gobgp, type DaemonHost, type Seen } from "./bgp-fixture.js";
import { asOfNode, daemonNs, DAEMON_AS, PASSWORD, type DaemonName, type Session } from "./bgp-matrix-net.js";
import { inNamespace, run } from "./command.js";
import { waitFor } from "./wait.js";

/** A daemon that waits for the node to dial, and what it has from each session. */
export interface MatrixDaemon {
  start(sessions: readonly Session[]): Promise<void>;
  /** By name of the session. */
  routes(sessions: readonly Session[]): Promise<ReadonlyMap<string, readonly Seen[]>>;
}

const MULTIHOP_TTL = 2;

function familiesOf({ carries }: Session): readonly (4 | 6)[] {
  return carries === "both" ? [4, 6] : [carries === "IPv4" ? 4 : 6];
}

/** Some daemons show values where nothing came: 100 for the LOCAL_PREF of an external route, 0 for a MULTI_EXIT_DISC. */
function withoutDefaults(session: Session, seen: Seen): Seen {
  return { ...seen, med: seen.med === 0 ? undefined : seen.med, localPref: session.kind === "iBGP" ? seen.localPref : undefined };
}

class MatrixBird implements MatrixDaemon {
  readonly #bird: Bird;

  constructor(host: DaemonHost) {
    this.#bird = new Bird(host, "bird", daemonNs("BIRD"));
  }

  async start(sessions: readonly Session[]): Promise<void> {
    const protocols = sessions.map((session) => {
      const { name, ours, theirs, kind, key } = session;
      const channels = familiesOf(session).map((family) => `ipv${family} { import all; export none; };`).join(" ");
      const options = [kind === "multihop" ? `multihop ${MULTIHOP_TTL};` : "direct;", key === "MD5" ? `password "${PASSWORD}";` : ""].join(" ");
      return `protocol bgp ${name} { local ${theirs} as ${DAEMON_AS}; neighbor ${ours} as ${asOfNode(session)}; passive; ${options} error wait time 1,2; ${channels} }`;
    });
    await this.#bird.start(protocols.join("\n"));
  }

  async routes(sessions: readonly Session[]): Promise<ReadonlyMap<string, readonly Seen[]>> {
    const found = await Promise.all(sessions.map(async (session) => [session.name, (await this.#bird.routes(session.name)).map((seen) => withoutDefaults(session, seen))] as const));
    return new Map(found);
  }
}

class MatrixFrr implements MatrixDaemon {
  readonly #frr: Frr;

  constructor(host: DaemonHost) {
    this.#frr = new Frr(host, daemonNs("FRR"));
  }

  async start(sessions: readonly Session[]): Promise<void> {
    const neighbors = sessions.flatMap((session) => [
      ` neighbor ${session.ours} remote-as ${asOfNode(session)}`,
      ` neighbor ${session.ours} passive`,
      ...(session.key === "MD5" ? [` neighbor ${session.ours} password ${PASSWORD}`] : []),
      ...(session.kind === "multihop" ? [` neighbor ${session.ours} ebgp-multihop ${MULTIHOP_TTL}`] : []),
    ]);
    const families = ([4, 6] as const).flatMap((family) => [
      ` address-family ipv${family} unicast`,
      ...sessions.map((session) => `  ${familiesOf(session).includes(family) ? "" : "no "}neighbor ${session.ours} activate`),
    ]);
    await this.#frr.start(["router bgp 64501", " bgp router-id 10.95.2.2", " no bgp ebgp-requires-policy", ...neighbors, ...families, ""].join("\n"));
  }

  async routes(sessions: readonly Session[]): Promise<ReadonlyMap<string, readonly Seen[]>> {
    const all = (await Promise.all(([4, 6] as const).map(async (family) => this.#family(family)))).flat();
    return new Map(sessions.map((session) => [session.name, all.filter(({ from }) => from === session.ours).map(({ seen }) => withoutDefaults(session, seen))]));
  }

  async #family(family: 4 | 6): Promise<readonly { readonly from: string; readonly seen: Seen }[]> {
    interface Communities { readonly list: readonly string[] }
    interface Path {
      readonly aspath: { readonly string: string };
      readonly metric?: number;
      readonly locPrf?: number;
      readonly community?: Communities;
      readonly largeCommunity?: Communities;
      readonly nexthops: readonly { readonly ip: string; readonly scope?: string }[];
      readonly peer: { readonly peerId: string };
    }
    const show = async (what: string): Promise<unknown> => JSON.parse(await this.#frr.vtysh(`show bgp ipv${family} unicast ${what}json`));
    const { routes } = (await show("")) as { readonly routes: Readonly<Record<string, unknown>> };
    const found = await Promise.all(
      Object.keys(routes).map(async (prefix) => {
        const { paths } = (await show(`${prefix} `)) as { readonly paths: readonly Path[] };
        return paths.map(({ aspath, metric, locPrf, community, largeCommunity, nexthops, peer }) => ({
          from: peer.peerId,
          seen: {
            prefix,
            nextHop: nexthops.find(({ scope }) => scope !== "link-local")?.ip ?? "",
            asPath: aspath.string === "Local" ? "" : aspath.string,
            med: metric,
            localPref: locPrf,
            communities: [...(community?.list ?? []), ...(largeCommunity?.list ?? [])].toSorted(),
          },
        }));
      }),
    );
    return found.flat();
  }
}

class MatrixGobgp implements MatrixDaemon {
  readonly #gobgp: Gobgp;

  constructor(host: DaemonHost) {
    this.#gobgp = new Gobgp(host, daemonNs("GoBGP"));
  }

  async start(sessions: readonly Session[]): Promise<void> {
    const neighbors = sessions.map((session) =>
      [
        `[[neighbors]]\n[neighbors.config]\nneighbor-address = "${session.ours}"\npeer-as = ${asOfNode(session)}`,
        ...(session.key === "MD5" ? [`auth-password = "${PASSWORD}"`] : []),
        "[neighbors.transport.config]\npassive-mode = true",
        ...(session.kind === "multihop" ? [`[neighbors.ebgp-multihop.config]\nenabled = true\nmultihop-ttl = ${MULTIHOP_TTL}`] : []),
        ...familiesOf(session).map((family) => `[[neighbors.afi-safis]]\n[neighbors.afi-safis.config]\nafi-safi-name = "ipv${family}-unicast"`),
      ].join("\n"),
    );
    await this.#gobgp.start(`[global.config]\nas = ${DAEMON_AS}\nrouter-id = "10.95.3.2"\n${neighbors.join("\n")}\n`);
  }

  async routes(sessions: readonly Session[]): Promise<ReadonlyMap<string, readonly Seen[]>> {
    const found = await Promise.all(
      sessions.map(async (session) => [session.name, (await Promise.all(familiesOf(session).map(async (family) => this.#gobgp.routes(session.ours, family)))).flat()] as const),
    );
    return new Map(found);
  }
}

class MatrixOpenbgpd implements MatrixDaemon {
  constructor(private readonly host: DaemonHost) {}

  async start(sessions: readonly Session[]): Promise<void> {
    const neighbors = sessions.flatMap((session) => [
      `neighbor ${session.ours} {`,
      `  remote-as ${asOfNode(session)}`,
      "  passive",
      ...([4, 6] as const).map((family) => `  announce IPv${family} ${familiesOf(session).includes(family) ? "unicast" : "none"}`),
      ...(session.key === "MD5" ? [`  tcp md5sig password "${PASSWORD}"`] : []),
      ...(session.kind === "multihop" ? [`  multihop ${MULTIHOP_TTL}`] : []),
      "}",
    ]);
    const config = [`AS ${DAEMON_AS}`, "router-id 10.95.4.2", "fib-update no", `socket "${this.#socket()}"`, ...neighbors, "allow from any", ""].join("\n");
    const file = join(this.host.dir, "openbgpd.conf");
    writeFileSync(file, config);
    chmodSync(file, 0o600); // it refuses a file that others may read
    mkdirSync("/run/openbgpd", { recursive: true });
    await this.host.spawn("openbgpd", inNamespace(daemonNs("OpenBGPD"), ["bgpd", "-d", "-f", file]));
    await waitFor(async () => (await this.#ctl("show", "summary")).includes("Neighbor"), 10_000, "bgpd");
  }

  async routes(sessions: readonly Session[]): Promise<ReadonlyMap<string, readonly Seen[]>> {
    interface Path {
      readonly prefix: string;
      readonly aspath: string;
      readonly exit_nexthop: string;
      readonly neighbor: { readonly remote_addr: string };
      readonly metric?: number;
      readonly localpref?: number;
      readonly communities?: readonly string[];
      readonly large_communities?: readonly string[];
    }
    const { rib = [] } = JSON.parse(await this.#ctl("-j", "show", "rib", "in", "detail")) as { readonly rib?: readonly Path[] };
    const seen = ({ prefix, aspath, exit_nexthop, metric, localpref, communities = [], large_communities = [] }: Path): Seen => ({
      prefix,
      nextHop: exit_nexthop,
      asPath: aspath,
      med: metric,
      localPref: localpref,
      communities: [...communities, ...large_communities].toSorted(),
    });
    return new Map(sessions.map((session) => [session.name, rib.filter(({ neighbor }) => neighbor.remote_addr === session.ours).map((path) => withoutDefaults(session, seen(path)))]));
  }

  #socket(): string {
    return join(this.host.dir, "openbgpd.sock");
  }

  async #ctl(...args: readonly string[]): Promise<string> {
    return (await run(inNamespace(daemonNs("OpenBGPD"), ["bgpctl", "-s", this.#socket(), ...args]))).stdout;
  }
}

/** What ExaBGP says of each message; nested by what the message has. */
interface ExaLine {
  readonly type: string;
  readonly neighbor?: {
    readonly address: { readonly peer: string };
    readonly state?: string;
    readonly message?: { readonly update?: ExaUpdate };
  };
}
interface ExaUpdate {
  readonly attribute?: { readonly "as-path"?: readonly number[]; readonly med?: number; readonly "local-preference"?: number; readonly community?: readonly (readonly number[])[]; readonly "large-community"?: readonly (readonly number[])[] };
  readonly announce?: Readonly<Record<string, Readonly<Record<string, readonly { readonly nlri: string }[]>>>>;
  readonly withdraw?: Readonly<Record<string, readonly { readonly nlri: string }[]>>;
}

class MatrixExabgp implements MatrixDaemon {
  constructor(private readonly host: DaemonHost) {}

  async start(sessions: readonly Session[]): Promise<void> {
    const neighbors = sessions.map((session) =>
      [
        `neighbor ${session.ours} {`,
        `  router-id 10.95.5.2; local-address ${session.theirs}; local-as ${DAEMON_AS}; peer-as ${asOfNode(session)}; passive true; listen 179;`,
        ...(session.key === "MD5" ? [`  md5-password '${PASSWORD}';`] : []),
        ...(session.kind === "multihop" ? [`  outgoing-ttl ${MULTIHOP_TTL};`] : []),
        `  family { ${familiesOf(session).map((family) => `ipv${family} unicast;`).join(" ")} }`,
        "  api { processes [ dump ]; neighbor-changes; receive { parsed; update; } }",
        "}",
      ].join("\n"),
    );
    writeFileSync(this.#file("jsonl"), "");
    writeFileSync(this.#file("conf"), `process dump { run /bin/sh -c "cat > ${this.#file("jsonl")}"; encoder json; }\n${neighbors.join("\n")}\n`);
    const settings = ["exabgp.daemon.user=root", "exabgp.tcp.port=179", "exabgp.api.cli=false", "exabgp.daemon.daemonize=false"];
    await this.host.spawn("exabgp", inNamespace(daemonNs("ExaBGP"), ["env", ...settings, "exabgp", this.#file("conf")]));
  }

  async routes(sessions: readonly Session[]): Promise<ReadonlyMap<string, readonly Seen[]>> {
    const ribs = new Map<string, Map<string, Seen>>();
    for (const line of readFileSync(this.#file("jsonl"), "utf8").split("\n").slice(0, -1)) {
      const { type, neighbor } = JSON.parse(line) as ExaLine;
      if (neighbor === undefined) continue;
      const rib = ribs.get(neighbor.address.peer) ?? new Map<string, Seen>();
      ribs.set(neighbor.address.peer, type === "state" ? new Map<string, Seen>() : rib);
      if (neighbor.message?.update !== undefined) applyUpdate(rib, neighbor.message.update);
    }
    return Promise.resolve(new Map(sessions.map(({ name, ours }) => [name, [...(ribs.get(ours)?.values() ?? [])]])));
  }

  #file(ending: string): string {
    return join(this.host.dir, `exabgp.${ending}`);
  }
}

function applyUpdate(rib: Map<string, Seen>, { attribute = {}, announce = {}, withdraw = {} }: ExaUpdate): void {
  for (const { nlri } of Object.values(withdraw).flat()) rib.delete(nlri);
  for (const [nextHop, routes] of Object.values(announce).flatMap((byHop) => Object.entries(byHop))) {
    for (const { nlri } of routes) {
      rib.set(nlri, {
        prefix: nlri,
        nextHop,
        asPath: (attribute["as-path"] ?? []).join(" "),
        med: attribute.med,
        localPref: attribute["local-preference"],
        communities: [...(attribute.community ?? []), ...(attribute["large-community"] ?? [])].map((parts) => parts.join(":")).toSorted(),
      });
    }
  }
}

/** A daemon of each kind. */
export function matrixDaemon(daemon: DaemonName, host: DaemonHost): MatrixDaemon {
  return new { BIRD: MatrixBird, FRR: MatrixFrr, GoBGP: MatrixGobgp, OpenBGPD: MatrixOpenbgpd, ExaBGP: MatrixExabgp }[daemon](host);
}
