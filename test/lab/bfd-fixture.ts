import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import type { BfdReport, BfdTarget } from "../../src/ports/bfd.js";
import { inNamespace, run } from "./command.js";
import { LabProcess } from "./process.js";
import { waitFor } from "./wait.js";

if (process.env["VIP_LAB"] !== "1") throw new Error("these tests change the network: run `npm test`, which gives them a network namespace of their own");

/**
 * The node is the namespace of the tests themselves. Each peer has a link to it (`v<peer>`, number n: 10.94.n.1 and fd94:n::1 here, .2 and ::2 there; fe80::1
 * and fe80::2),
 * and a second way that leads through a router: 10.96.0.1 and fd96::1 here, 10.97.n.2 and fd97:n::2 there.
 */
export const PEERS = { bird: 1, frr: 2 } as const;
export type PeerName = keyof typeof PEERS;

const SETUP = `
for d in all default; do echo 0 >/proc/sys/net/ipv6/conf/$d/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/$d/dad_transmits; done
ip link set lo up
ip netns add bfd-rt; ip -n bfd-rt link set lo up
ip netns exec bfd-rt sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
ip link add vrt type veth peer name node netns bfd-rt
ip addr add 10.96.0.1/24 dev vrt; ip addr add fd96::1/64 dev vrt nodad; ip link set vrt up
ip -n bfd-rt addr add 10.96.0.2/24 dev node; ip -n bfd-rt addr add fd96::2/64 dev node nodad; ip -n bfd-rt link set node up
ip route add 10.97.0.0/16 via 10.96.0.2; ip route add fd97::/16 via fd96::2
for peer in bird:1 frr:2; do
  name=\${peer%:*}; n=\${peer#*:}; ns=bfd-$name
  ip netns add $ns; ip -n $ns link set lo up
  ip netns exec $ns sh -c 'for d in all default; do echo 0 >/proc/sys/net/ipv6/conf/$d/accept_dad; done'
  ip link add v$name type veth peer name eth0 netns $ns
  ip -n bfd-rt link add r$name type veth peer name eth1 netns $ns
  ip addr add 10.94.$n.1/24 dev v$name; ip addr add fd94:$n::1/64 dev v$name nodad; ip addr replace fe80::1/64 dev v$name nodad; ip link set v$name up
  ip -n $ns addr add 10.94.$n.2/24 dev eth0; ip -n $ns addr add fd94:$n::2/64 dev eth0 nodad; ip -n $ns addr replace fe80::2/64 dev eth0 nodad; ip -n $ns link set eth0 up
  ip -n bfd-rt addr add 10.97.$n.1/24 dev r$name; ip -n bfd-rt addr add fd97:$n::1/64 dev r$name nodad; ip -n bfd-rt link set r$name up
  ip -n $ns addr add 10.97.$n.2/24 dev eth1; ip -n $ns addr add fd97:$n::2/64 dev eth1 nodad; ip -n $ns link set eth1 up
  ip -n $ns route add 10.96.0.0/24 via 10.97.$n.1; ip -n $ns route add fd96::/64 via fd97:$n::1
done
`;

const TEARDOWN = `
for ns in bfd-bird bfd-frr bfd-rt; do ip netns del $ns; done
for link in vbird vfrr vrt; do ip link del $link 2>/dev/null || true; done
for d in all default; do echo 1 >/proc/sys/net/ipv6/conf/$d/accept_dad; echo 1 >/proc/sys/net/ipv6/conf/$d/dad_transmits; done
`;

/** The network, and a folder for what the daemons write. */
export class BfdLab implements AsyncDisposable {
  readonly dir = mkdtempSync(join(tmpdir(), "vip-lab-bfd-"));
  readonly #running: LabProcess[] = [];

  static async build(): Promise<BfdLab> {
    await run(["sh", "-ec", SETUP]);
    return new BfdLab();
  }

  async spawn(name: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<LabProcess> {
    const started = await LabProcess.start(name, join(this.dir, `${name}.log`), argv, { env });
    this.#running.push(started);
    return started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#running.map(async (one) => one[Symbol.asyncDispose]()));
    await run(["sh", "-ec", TEARDOWN]);
    if (process.env["VIP_LAB_KEEP"] !== "1") rmSync(this.dir, { recursive: true });
  }
}

export function ip(text: string): IpAddress {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(`${text} is no address`);
  return parsed;
}

/** A target on the link of a peer, or behind the router. */
export function target(peer: PeerName, family: 4 | 6, multihop = false): BfdTarget {
  const n = PEERS[peer];
  if (multihop) return { address: ip(family === 4 ? `10.97.${n}.2` : `fd97:${n}::2`), iface: undefined, local: ip(family === 4 ? "10.96.0.1" : "fd96::1"), multihop };
  return { address: ip(family === 4 ? `10.94.${n}.2` : `fd94:${n}::2`), iface: `v${peer}`, local: ip(family === 4 ? `10.94.${n}.1` : `fd94:${n}::1`), multihop };
}

/** A session as a peer shows it. */
export interface PeerSession {
  readonly address: string;
  readonly up: boolean;
  /** How it is shown, for failures. */
  readonly text: string;
}

/** A peer's daemon. */
export interface PeerDaemon extends AsyncDisposable {
  readonly process: LabProcess;
  sessions(): Promise<readonly PeerSession[]>;
  /** Its own intervals and multiplier, changed in flight. */
  retime(ms: number, multiplier: number): Promise<void>;
}

export interface BirdPeer extends PeerDaemon {
  configure(neighbors: readonly string[], ms: number, multiplier: number): Promise<void>;
}

/** BIRD 2 with BFD alone; `neighbors` are lines such as `neighbor 10.94.1.1 dev "eth0"`. */
export async function startBird(lab: BfdLab, neighbors: readonly string[], ms = 100): Promise<BirdPeer> {
  const file = (name: string): string => join(lab.dir, name);
  const write = (lines: readonly string[], every: number, multiplier: number): void => {
    const options = `min rx interval ${every} ms; min tx interval ${every} ms; multiplier ${multiplier};`;
    const body = [`interface "eth*" { ${options} };`, `multihop { ${options} };`, ...lines.map((line) => `${line};`)].join("\n  ");
    writeFileSync(file("bird.conf"), `router id 10.94.1.2;\nprotocol device {}\nprotocol bfd {\n  ${body}\n}\n`);
  };
  write(neighbors, ms, 3);
  const daemon = await lab.spawn("bird", inNamespace("bfd-bird", ["bird", "-f", "-c", file("bird.conf"), "-s", file("bird.ctl"), "-P", file("bird.pid")]));
  const birdc = async (command: string): Promise<string> => (await run(inNamespace("bfd-bird", ["birdc", "-s", file("bird.ctl"), command]))).stdout;
  await waitFor(async () => (await birdc("show status")).includes("up and running"), 5000, "BIRD");
  const configure = async (lines: readonly string[], every: number, multiplier: number): Promise<void> => {
    write(lines, every, multiplier);
    await birdc("configure");
  };
  return {
    process: daemon,
    sessions: async () => {
      const rows = (await birdc("show bfd sessions")).split("\n").map((line) => line.trim().split(/\s+/));
      return rows.filter(([, iface]) => iface === "eth0" || iface === "---").map(([address = "", , state, ...rest]) => ({ address, up: state === "Up", text: `${state} ${rest.join(" ")}` }));
    },
    configure,
    retime: async (every, multiplier) => configure(neighbors, every, multiplier),
    [Symbol.asyncDispose]: async () => daemon[Symbol.asyncDispose](),
  };
}

export interface FrrPeer extends PeerDaemon {
  vtysh(...commands: readonly string[]): Promise<string>;
}

/** FRR's bfdd and zebra; `peers` are lines such as `peer 10.94.2.1 interface eth0`. */
export async function startFrr(lab: BfdLab, peers: readonly string[], ms = 100): Promise<FrrPeer> {
  const dir = join(lab.dir, "frr");
  const pathspace = ["-z", `${dir}/zserv.api`, "--vty_socket", dir, "-P", "0"];
  const profile = (every: number, multiplier: number): string => `profile lab\n  receive-interval ${every}\n  transmit-interval ${every}\n  detect-multiplier ${multiplier}\n exit`;
  const body = peers.map((peer) => ` ${peer}\n  profile lab\n exit`).join("\n");
  await run(["sh", "-ec", `chmod 755 ${lab.dir}; install -d -o frr -g frr -m 775 ${dir}; touch ${dir}/vtysh.conf`]);
  writeFileSync(join(dir, "frr.conf"), `bfd\n ${profile(ms, 3)}\n${body}\nexit\n`);
  const start = async (name: string, more: readonly string[] = []): Promise<LabProcess> =>
    lab.spawn(`frr-${name}`, inNamespace("bfd-frr", [`/usr/lib/frr/${name}`, ...pathspace, "-i", `${dir}/${name}.pid`, "-f", "/dev/null", "--log", "stdout", ...more]));
  await start("zebra");
  await waitFor(async () => (await run(["test", "-S", `${dir}/zserv.api`], { mayFail: true })).code === 0, 5000, "zebra");
  const bfdd = await start("bfdd", ["--bfdctl", `${dir}/bfdd.sock`]);
  const vty = async (args: readonly string[]): Promise<string> => (await run(inNamespace("bfd-frr", ["vtysh", "--vty_socket", dir, "--config_dir", dir, ...args]))).stdout;
  const vtysh = async (...commands: readonly string[]): Promise<string> => vty(commands.flatMap((command) => ["-c", command]));
  const configured = async (): Promise<boolean> => {
    await vty(["-b"]);
    return (await vtysh("show bfd peers json")).includes("peer");
  };
  await waitFor(configured, 10_000, "bfdd");
  return {
    process: bfdd,
    vtysh,
    sessions: async () => {
      const shown = JSON.parse(await vtysh("show bfd peers json")) as readonly { readonly peer: string; readonly status: string }[];
      return shown.map((one) => ({ address: one.peer, up: one.status === "up", text: JSON.stringify(one) }));
    },
    retime: async (every, multiplier) => {
      await vtysh("configure terminal", "bfd", "profile lab", `receive-interval ${every}`, `transmit-interval ${every}`, `detect-multiplier ${multiplier}`);
    },
    [Symbol.asyncDispose]: async () => bfdd[Symbol.asyncDispose](),
  };
}

/** Waits until the peer shows so many sessions, all of them up. */
export async function allUp(daemon: PeerDaemon, count: number): Promise<void> {
  const look = async (): Promise<unknown> => {
    const sessions = await daemon.sessions();
    return { ok: sessions.length === count && sessions.every(({ up }) => up), sessions };
  };
  await waitFor(look, 10_000, `${count} sessions that are up`);
}

/** Waits for a report that is as it should be. */
export async function reported(session: { report(): BfdReport }, right: (report: BfdReport) => boolean, ms: number, what: string): Promise<BfdReport> {
  await waitFor(() => ({ ok: right(session.report()), report: session.report() }), ms, what);
  return session.report();
}

const SEND = `const [from, to, port, ttl, ...packets] = process.argv.slice(1);
const socket = require("node:dgram").createSocket(to.includes(":") ? "udp6" : "udp4");
socket.bind(0, from, () => {
  socket.setTTL(Number(ttl));
  let left = packets.length;
  for (const one of packets) socket.send(Buffer.from(one, "hex"), Number(port), to, () => { if (--left === 0) socket.close(); });
});`;

/** Sends datagrams, as hex digits, from the namespace of a peer to the node. */
export async function sendFrom(peer: PeerName, to: { readonly ttl: number; readonly multihop?: boolean }, packets: readonly string[]): Promise<void> {
  const n = PEERS[peer];
  const [from, address, port] = to.multihop === true ? [`10.97.${n}.2`, "10.96.0.1", "4784"] : [`10.94.${n}.2`, `10.94.${n}.1`, "3784"];
  await run(inNamespace(`bfd-${peer}`, [process.execPath, "-e", SEND, from, address, port, String(to.ttl), ...packets]));
}

/** A session in a process of its own, with the thread that the executable has; see programs/bfd-fixture.ts. */
export async function startProgram(lab: BfdLab, name: string, session: { readonly target: BfdTarget; readonly timing: unknown }, spinMs = 0): Promise<LabProcess> {
  return lab.spawn(name, [process.execPath, "--disable-warning=ExperimentalWarning", "dist/lab/bfd-fixture.mjs", "dist/work/bfd-worker.cjs", JSON.stringify(session), String(spinMs)]);
}
