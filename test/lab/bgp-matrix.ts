import { writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Seen } from "./bgp-fixture.js";
import { matrixDaemon, type MatrixDaemon } from "./bgp-matrix-daemons.js";
import { CARRIES, connectDaemons, KEYS, KINDS, NODE_AS, peerFields, type DaemonName, type Session } from "./bgp-matrix-net.js";
import { Cluster } from "./cluster.js";
import type { Finished } from "./command.js";
import { loadBalancer } from "./kube-client.js";
import { LabProcess } from "./process.js";
import { monotonicMs, waitFor } from "./wait.js";

/** A Service of each family about which nothing is said, and one with everything that can be said of a route. */
const PLAIN = { plain4: "192.0.2.1", plain6: "2001:db8::1" } as const;
const SAID = { said4: "192.0.2.2", said6: "2001:db8::2" } as const;
const ANNOTATIONS = {
  "vip.internal/bgp-communities": "64500:7,64500:1:2",
  "vip.internal/bgp-med": "20",
  "vip.internal/bgp-prepend": "1",
  "vip.internal/bgp-local-pref": "150",
};

/** How long all daemons together may take to have what they should. */
const PATIENCE_MS = 60_000;

/** Whether a session was seen to work: undefined, or what is wrong. */
export type Outcome = ReadonlyMap<Session, string | undefined>;

/** One `vip` with sessions to several daemons at once. */
export class Matrix implements AsyncDisposable {
  readonly #running: LabProcess[] = [];
  readonly #daemons = new Map<DaemonName, MatrixDaemon>();

  private constructor(
    readonly cluster: Cluster,
    readonly sessions: readonly Session[],
  ) {}

  /** Everything runs, and the Services are there; nothing is waited for. */
  static async start(sessions: readonly Session[]): Promise<Matrix> {
    const cluster = await Cluster.bare(1);
    const matrix = new Matrix(cluster, sessions);
    try {
      await matrix.#start();
      return matrix;
    } catch (error) {
      await matrix[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Waits until every daemon has exactly these routes of each session. `left`: the Services that were made. */
  async outcome(left: "all" | "said"): Promise<Outcome> {
    const until = monotonicMs() + PATIENCE_MS;
    const found = await Promise.all([...this.#daemons].map(async ([name, daemon]) => this.#daemonOutcome(name, daemon, { left, until })));
    return new Map(found.flat());
  }

  /** The plain Services go. */
  async withdraw(): Promise<void> {
    for (const name of Object.keys(PLAIN)) await this.cluster.api.client.deleteService(name);
  }

  /** What `vip bgp peers` says; its exit code is 0 where all sessions are up. */
  async peers(): Promise<Finished> {
    const { lab } = this.cluster;
    return await lab.exec("n1", [lab.built("vip"), "bgp", "peers", "--directory", join(lab.dir, "n1", "run-vip")], { mayFail: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#running.map(async (one) => one[Symbol.asyncDispose]()));
    await this.cluster[Symbol.asyncDispose]();
  }

  async #start(): Promise<void> {
    const { lab, api } = this.cluster;
    await connectDaemons(this.sessions);
    const host = { dir: lab.dir, spawn: async (name: string, argv: readonly string[]) => this.#spawn(name, argv) };
    for (const name of new Set(this.sessions.map(({ daemon }) => daemon))) {
      const daemon = matrixDaemon(name, host);
      this.#daemons.set(name, daemon);
      await daemon.start(this.#of(name));
    }
    const file = join(lab.dir, "peers.yaml");
    writeFileSync(file, JSON.stringify({ peers: this.sessions.map(peerFields) }));
    await this.cluster.startVip("n1", { env: { vip_arp: "false", bgp_enable: "true", bgp_as: String(NODE_AS), bgp_routerid: "10.77.0.11", bgp_hold_time: "90", bgp_config_file: file } });
    for (const [name, ip] of Object.entries(PLAIN)) await api.client.createService(loadBalancer({ name, ip }));
    for (const [name, ip] of Object.entries(SAID)) await api.client.createService(loadBalancer({ name, ip, annotations: ANNOTATIONS }));
  }

  async #spawn(name: string, argv: readonly string[]): Promise<LabProcess> {
    const started = await LabProcess.start(name, join(this.cluster.lab.dir, `${name}.log`), argv);
    this.#running.push(started);
    return started;
  }

  #of(name: DaemonName): readonly Session[] {
    return this.sessions.filter(({ daemon }) => daemon === name);
  }

  async #daemonOutcome(name: DaemonName, daemon: MatrixDaemon, { left, until }: { readonly left: "all" | "said"; readonly until: number }): Promise<readonly (readonly [Session, string | undefined])[]> {
    const sessions = this.#of(name);
    let last: readonly (readonly [Session, string | undefined])[] = sessions.map((session) => [session, "never looked at"]);
    const look = async (): Promise<boolean> => {
      const routes = await daemon.routes(sessions);
      last = sessions.map((session) => [session, difference(routes.get(session.name) ?? [], expected(session, left))] as const);
      return last.every(([, wrong]) => wrong === undefined);
    };
    await waitFor(look, until - monotonicMs(), name).catch((error: unknown) => {
      last = last.map(([session, wrong]) => [session, wrong ?? String(error)]);
    });
    return last;
  }
}

/** What a daemon is to have of a session. */
function expected({ kind, hop4, hop6 }: Session, left: "all" | "said"): readonly Seen[] {
  const internal = kind === "iBGP";
  const plain = { asPath: internal ? "" : String(NODE_AS), med: undefined, localPref: internal ? 100 : undefined, communities: [] };
  const said = { asPath: internal ? "" : `${NODE_AS} ${NODE_AS}`, med: 20, localPref: internal ? 150 : undefined, communities: ["64500:1:2", "64500:7"] };
  const routes = [...(left === "all" ? Object.values(PLAIN).map((address) => ({ address, ...plain })) : []), ...Object.values(SAID).map((address) => ({ address, ...said }))];
  return routes.flatMap(({ address, ...rest }) => {
    const ipv6 = address.includes(":");
    const nextHop = ipv6 ? hop6 : hop4;
    return nextHop === undefined ? [] : [{ prefix: `${address}/${ipv6 ? 128 : 32}`, nextHop, ...rest }];
  });
}

/** `BIRD ebgp_ipv4_none: has nothing, should have ...`. */
export function failures(outcome: Outcome): readonly string[] {
  return [...outcome].flatMap(([{ daemon, name }, problem]) => (problem === undefined ? [] : [`${daemon} ${name}: ${problem}`]));
}

function rowOf({ prefix, nextHop, asPath, med, localPref, communities }: Seen): string {
  return `${prefix} via ${nextHop} path ${asPath} med ${med ?? "none"} local ${localPref ?? "none"} communities ${communities.join(" ")}`;
}

function difference(seen: readonly Seen[], wanted: readonly Seen[]): string | undefined {
  const [has, should] = [seen, wanted].map((routes) => routes.map(rowOf).toSorted().join("; "));
  return has === should ? undefined : `has ${has === "" ? "nothing" : has}, should have ${should}`;
}

/** One line for each daemon, one mark for each way; what is not `ok` is explained below. */
export function matrixTable(outcome: Outcome): string {
  const sessions = [...outcome.keys()];
  const columns = KINDS.flatMap((kind) => KEYS.flatMap((key) => CARRIES.map((carries) => ({ kind, key, carries, title: `${kind} ${key === "MD5" ? "MD5 " : ""}${carries}` }))));
  const used = columns.filter((column) => sessions.some((session) => isOf(session, column)));
  const lines = [...new Set(sessions.map(({ daemon }) => daemon))].map((daemon) => {
    const cells = used.map((column) => {
      const session = sessions.find((one) => one.daemon === daemon && isOf(one, column));
      return (session === undefined ? "-" : outcome.get(session) === undefined ? "ok" : "WRONG").padEnd(column.title.length);
    });
    return [daemon.padEnd(8), ...cells].join("  ");
  });
  return [["".padEnd(8), ...used.map(({ title }) => title)].join("  "), ...lines, ...failures(outcome)].join("\n");
}

function isOf(session: Session, way: Pick<Session, "kind" | "key" | "carries">): boolean {
  return session.kind === way.kind && session.key === way.key && session.carries === way.carries;
}
