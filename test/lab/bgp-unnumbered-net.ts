import { join } from "node:path";

import { Frr } from "./bgp-fixture.js";
import { startBird, type BirdDaemon } from "./bird.js";
import type { Cluster } from "./cluster.js";
import { run } from "./command.js";
import { exampleOf, guide } from "./guide.js";
import { LabProcess } from "./process.js";

/** Routers of node n1, each at the end of a cable of its own without any configured address: FRR by `up1`, BIRD by `up2`. */
export const TORS = { frr: { ns: "lab-tor1", link: "up1" }, bird: { ns: "lab-tor2", link: "up2" } } as const;
export type Tor = keyof typeof TORS;

// Duplicate address detection as on any machine: a link-local address cannot be used at once.
const SYSCTLS = "cd /proc/sys/net/ipv6/conf; for d in all default; do echo 0 >$d/accept_ra; echo 1 >$d/accept_dad; echo 1 >$d/dad_transmits; done; echo 1 >all/forwarding";

/** Puts the routers there. They end with the lab. */
export async function cableTors(): Promise<void> {
  for (const { ns, link } of Object.values(TORS)) {
    await run(["ip", "netns", "add", ns]);
    await run(["ip", "netns", "exec", ns, "sh", "-ec", SYSCTLS]);
    await run(["ip", "-n", ns, "-batch", "-"], { input: `link set lo up\nlink add eth0 type veth peer name ${link} netns lab-n1\nlink set eth0 up` });
    await run(["ip", "-n", "lab-n1", "link", "set", link, "up"]);
  }
}

/** As the guide has it. */
const configOf = (daemon: "bird" | "frr"): string => exampleOf(guide("bgp.md"), `${daemon}.conf of an unnumbered router`).replaceAll("swp1", "eth0");

export async function startFrr({ lab }: Cluster, config = configOf("frr")): Promise<Frr> {
  const { ns } = TORS.frr;
  const host = { dir: lab.dir, spawn: async (name: string, argv: readonly string[]) => LabProcess.start(name, join(lab.dir, `${name}.log`), argv) };
  const frr = new Frr(host, ns, ["zebra", "bgpd", "bfdd"]);
  await frr.start(config);
  return frr;
}

/** With its routes, and the sockets for which the next one is waited: what a daemon that is killed leaves is nobody's. */
export async function killFrr({ lab }: Cluster): Promise<void> {
  await lab.exec(TORS.frr.ns, ["sh", "-ec", `cd ${lab.dir}/frr; cat *.pid | xargs kill -9; rm *.pid *.vty *.api *.sock; ip nexthop flush`]);
}

export async function startTorBird({ lab }: Cluster): Promise<BirdDaemon> {
  return await startBird(lab, { ns: TORS.bird.ns, config: configOf("bird") });
}

/** A peer as `vip bgp peers -o json` shows it. */
export interface Peer {
  readonly name: string;
  readonly address: string | null;
  readonly state: string;
  readonly problem: string | null;
  readonly lastEnd: { readonly reason: string } | null;
  readonly bfd: { readonly state: string } | null;
  readonly counters: { readonly established: number; readonly flaps: number };
  readonly session: { readonly internal: boolean; readonly local: string | null } | null;
  readonly discovery: { readonly router: string | null } | null;
}

const MS = 30_000;

/** What the node and its routers say of each other. */
export class TorLab {
  constructor(readonly cluster: Cluster) {}

  /** The peer of one link of node n1. */
  async peer(name: string): Promise<Peer> {
    const { lab } = this.cluster;
    const argv = [lab.built("vip"), "bgp", "peers", "-o", "json", "--directory", join(lab.dir, "n1", "run-vip")];
    const { stdout } = await lab.exec("n1", argv, { mayFail: true });
    const { processes } = JSON.parse(stdout) as { readonly processes: readonly { readonly peers: readonly Peer[] }[] };
    const found = processes.flatMap(({ peers }) => peers).find((one) => one.name === name);
    if (found === undefined) throw new Error(`no peer ${name}: ${stdout}`);
    return found;
  }

  /** Waits until the peer is as it should be. */
  async until(name: string, what: string, right: (seen: Peer) => boolean): Promise<Peer> {
    let last: Peer | undefined;
    const look = async (): Promise<unknown> => {
      last = await this.peer(name);
      return { ok: right(last), last };
    };
    await this.cluster.lab.waitFor(look, MS, `${what} (${name})`);
    return last ?? (await this.peer(name));
  }

  /** Waits until a router's kernel sends all these addresses to the node's end of the cable, and nowhere else. */
  async routed(tor: Tor, ...addresses: readonly string[]): Promise<void> {
    const ours = await this.linkLocal("lab-n1", TORS[tor].link);
    for (const address of addresses) {
      const look = async (): Promise<unknown> => {
        const hops = await this.#nextHops(tor, address);
        return { ok: hops.join() === ours, hops, ours };
      };
      await this.cluster.lab.waitFor(look, MS, `${address} by ${tor}`);
    }
  }

  async notRouted(tor: Tor, address: string): Promise<void> {
    await this.cluster.lab.waitFor(async () => (await this.#nextHops(tor, address)).length === 0, MS, `no route to ${address} by ${tor}`);
  }

  /** The link-local address at one end of a cable. */
  async linkLocal(ns: string, link: string): Promise<string> {
    const { stdout } = await this.cluster.lab.exec(ns, ["ip", "-6", "-o", "addr", "show", "dev", link, "scope", "link"]);
    return /inet6 (fe80:\S+)\/64/.exec(stdout)?.[1] ?? "";
  }

  /** Gives a router another link-local address instead of its own. */
  async move(tor: Tor, address: string): Promise<void> {
    const { ns } = TORS[tor];
    const before = await this.linkLocal(ns, "eth0");
    await this.cluster.lab.exec(ns, ["ip", "-6", "-batch", "-"], { input: `addr add ${address}/64 dev eth0 nodad\naddr del ${before}/64 dev eth0` });
  }

  /** As `ip route` shows them. */
  async #nextHops(tor: Tor, address: string): Promise<readonly string[]> {
    const { stdout } = await this.cluster.lab.exec(TORS[tor].ns, ["ip", address.includes(":") ? "-6" : "-4", "route", "show", address]);
    return [...stdout.matchAll(/via (?:inet6 )?(\S+) dev eth0/g)].map((match) => match[1] ?? "");
  }
}
