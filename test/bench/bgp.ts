// bgp: 10,000 Services by BGP into BIRD: from their creation, and from a session that comes up; UPDATEs and memory; the same with 100 peers. gobgpd
// announces the same prefixes to the same BIRD in the same run. And connections through a router over a restart of the process.
import { writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster } from "../lab/cluster.js";
import { run } from "../lab/command.js";
import type { LabProcess } from "../lab/process.js";
import { waitFor } from "../lab/wait.js";
import { measureRestart } from "./lib/bgp-restart.js";
import { figure, progress, spread } from "./lib/figures.js";
import { benchOptions } from "./lib/options.js";
import { bulkAddress, makeServices, quiet } from "./lib/services.js";
import { rssAnonMb } from "./lib/usage.js";

const PREFIXES = 10_000;
const BUDGET_MS = 1000;
const PEERS = 100;
/** What 100 peers are sent: each of them all of it. */
const PEERS_PREFIXES = 1000;
const PATIENCE_MS = 120_000;

/** The router stands for 100 peers, with an address for each at either end, 10.94.0.x and 10.94.1.x or 10.94.2.x. It dials both speakers, which wait. */
const SPEAKERS = { vip: { node: "n1", ends: "10.94.1" }, gobgpd: { node: "n2", ends: "10.94.2" } } as const;
type Speaker = keyof typeof SPEAKERS;
const ALL = ["vip", "gobgpd"] as const satisfies readonly Speaker[];
const ends = (network: string): readonly string[] => Array.from({ length: PEERS }, (_, at) => `${network}.${101 + at}`);
const peerAddresses = ends("10.94.0");
/** The address of gobgpd for the one who feeds it, and its router ID. */
const GOBGPD = "10.77.0.12";

function routerConfig(): string {
  const session = (speaker: Speaker, at: number): string =>
    `local ${peerAddresses[at]} as 64501; neighbor ${ends(SPEAKERS[speaker].ends)[at]} as 64500; connect delay time 1; connect retry time 1; error wait time 1,2;`;
  const protocols = ALL.flatMap((speaker) => [
    `ipv4 table t_${speaker};`,
    ...peerAddresses.map((_, at) => `protocol bgp ${speaker}_${at} { disabled; ${session(speaker, at)} ipv4 { table t_${speaker}; import all; export none; }; }`),
  ]);
  return ["router id 10.77.0.100;", "protocol device {}", ...protocols].join("\n");
}

/** Gives gobgpd what it announces, by a session of its own. */
function feederConfig(): string {
  const routes = Array.from({ length: PREFIXES }, (_, at) => `route ${bulkAddress(at)}/32 blackhole;`);
  const feed = `protocol bgp feed { local 10.77.0.1 as 64499; neighbor ${GOBGPD} as 64500; connect delay time 1; ipv4 { import none; export all; next hop self; }; }`;
  return ["router id 10.77.0.1;", "protocol device {}", `protocol static { ipv4; ${routes.join(" ")} }`, feed].join("\n");
}

function gobgpConfig(): string {
  const neighbors = ["10.77.0.1", ...peerAddresses].map(
    (address) => `[[neighbors]]\n[neighbors.config]\nneighbor-address = "${address}"\npeer-as = ${address === "10.77.0.1" ? 64_499 : 64_501}\n[neighbors.transport.config]\npassive-mode = true`,
  );
  return `[global.config]\nas = 64500\nrouter-id = "${GOBGPD}"\n${neighbors.join("\n")}\n`;
}

/** BIRD by its control socket: a question costs far less than a process. */
class BirdControl implements Disposable {
  #text = "";

  private constructor(private readonly socket: Socket) {
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      this.#text += text;
    });
  }

  static async open(path: string): Promise<BirdControl> {
    const socket = await waitFor(
      async () =>
        await new Promise<Socket>((resolve, reject) => {
          const made = connect(path, () => resolve(made)).once("error", reject);
        }),
      10_000,
      path,
    );
    const control = new BirdControl(socket);
    await control.#answer();
    return control;
  }

  async ask(command: string): Promise<string> {
    this.socket.write(`${command}\n`);
    return await this.#answer();
  }

  /** Routes in the table of a speaker. */
  async routes(speaker: Speaker): Promise<number> {
    return Number(/(\d+) of \d+ routes/.exec(await this.ask(`show route count table t_${speaker}`))?.[1] ?? 0);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  /** The last line of an answer has a code of four digits and a blank; those before it a dash. */
  async #answer(): Promise<string> {
    const end = /^(?:0|8|9)\d{3} .*\n/m;
    while (!end.test(this.#text)) await new Promise((resolve) => this.socket.once("data", resolve));
    const answer = this.#text;
    this.#text = "";
    return answer;
  }
}

/** From the first session that is up to the last route, ms: what the clock of the router shows. */
async function filled(control: BirdControl, speaker: Speaker, { peers, routes }: { readonly peers: number; readonly routes: number }): Promise<number> {
  await control.ask(`enable "${speaker}_${peers === 1 ? "0" : "*"}"`);
  const up = async (): Promise<boolean> => new RegExp(`${speaker}_.*Established`).test(await control.ask(`show protocols "${speaker}_*"`));
  await waitFor(up, PATIENCE_MS, `a session with ${speaker}`);
  const start = performance.now();
  await waitFor(async () => (await control.routes(speaker)) === peers * routes, PATIENCE_MS, `${peers * routes} routes of ${speaker}`);
  return performance.now() - start;
}

async function emptied(control: BirdControl, speaker: Speaker): Promise<void> {
  await control.ask(`disable "${speaker}_*"`);
  await waitFor(async () => (await control.routes(speaker)) === 0, PATIENCE_MS, `no route of ${speaker}`);
  await sleep(500);
}

/** UPDATEs that a speaker has sent to the first peer since it started. */
async function updatesSent(speaker: Speaker): Promise<number> {
  if (speaker === "vip") {
    const { stdout } = await cluster.lab.exec("n1", [cluster.lab.built("vip"), "bgp", "peers", "-o", "json", "--directory", join(cluster.lab.dir, "n1", "run-vip")], { mayFail: true });
    interface Report { readonly processes: readonly { readonly peers: readonly { readonly address: string; readonly counters: { readonly updatesSent: number } }[] }[] }
    return (JSON.parse(stdout) as Report).processes[0]?.peers.find(({ address }) => address === peerAddresses[0])?.counters.updatesSent ?? Number.NaN;
  }
  const { stdout } = await cluster.lab.exec("n2", ["gobgp", "neighbor", peerAddresses[0] ?? ""]);
  return Number(/Updates: +(\d+)/.exec(stdout)?.[1]);
}

const { vip, choose } = benchOptions();
progress("a restart");
await measureRestart(choose(5, 2), vip);
await using cluster = await Cluster.bare(2);
const { lab } = cluster;

async function bird(ns: string, name: string, config: string): Promise<BirdControl> {
  const file = join(lab.dir, name);
  writeFileSync(`${file}.conf`, config);
  await lab.spawn(ns, ["bird", "-f", "-c", `${file}.conf`, "-s", `${file}.ctl`, "-P", `${file}.pid`], { name });
  return await BirdControl.open(`${file}.ctl`);
}

async function startSpeakers(): Promise<Readonly<Record<Speaker, LabProcess>>> {
  for (const [node, addresses] of [["client", peerAddresses], ...ALL.map((speaker) => [SPEAKERS[speaker].node, ends(SPEAKERS[speaker].ends)] as const)] as const) {
    await run(["ip", "-n", lab.ns(node), "-batch", "-"], { input: addresses.map((address) => `addr add ${address}/16 dev eth0`).join("\n") });
  }
  writeFileSync(join(lab.dir, "gobgpd.toml"), gobgpConfig());
  const gobgpd = await lab.spawn("n2", ["gobgpd", "-f", join(lab.dir, "gobgpd.toml"), "--pprof-disable"], { name: "gobgpd" });
  using feeder = await bird("lab-rt", "feeder", feederConfig());
  await feeder.ask("show status");
  writeFileSync(join(lab.dir, "peers.yaml"), JSON.stringify({ peers: peerAddresses.map((address) => ({ "peer-address": address, "peer-asn": 64_501, passive: true })) }));
  const env = { vip_arp: "false", bgp_enable: "true", bgp_as: "64500", bgp_hold_time: "90", bgp_config_file: join(lab.dir, "peers.yaml") };
  const speaker = await cluster.startVip("n1", { ...vip, env });
  await waitFor(async () => (await lab.exec("n2", ["gobgp", "global", "rib", "summary"])).stdout.includes(`Path: ${PREFIXES}`), PATIENCE_MS, "all prefixes in gobgpd");
  return { vip: speaker, gobgpd };
}

const speakers = await startSpeakers();
using router = await bird("lab-cl", "router", routerConfig());
progress("1,000 Services, 100 peers");
await makeServices(cluster, 0, PEERS_PREFIXES);
await quiet(cluster, PATIENCE_MS);
figure("bgp.peers", await filled(router, "vip", { peers: PEERS, routes: PEERS_PREFIXES }), "ms", { peers: PEERS, prefixes: PEERS_PREFIXES, from: "first session up" });
figure("bgp.memory", rssAnonMb(speakers.vip.pid), "MB", { peers: PEERS, prefixes: PEERS_PREFIXES, services: PEERS_PREFIXES });
await emptied(router, "vip");

progress("10,000 Services");
await router.ask('enable "vip_0"');
await waitFor(async () => (await router.routes("vip")) === PEERS_PREFIXES, PATIENCE_MS, "the first routes");
const start = performance.now();
await makeServices(cluster, PEERS_PREFIXES, PREFIXES);
const made = performance.now() - start;
await waitFor(async () => (await router.routes("vip")) === PREFIXES, PATIENCE_MS, "all routes");
figure("bgp.services", performance.now() - start, "ms", { services: PREFIXES - PEERS_PREFIXES, createdMs: Math.round(made), from: "start of creation" });
await emptied(router, "vip");
// What is still to be written of 10,000 Services would count, too.
await cluster.admin.pause();
await sleep(3000);

const runs = choose(5, 2);
const times: Record<Speaker, number[]> = { vip: [], gobgpd: [] };
for (let i = 0; i < runs; i += 1) {
  for (const speaker of ALL) {
    const before = i === 0 ? await updatesSent(speaker) : 0;
    times[speaker].push(await filled(router, speaker, { peers: 1, routes: PREFIXES }));
    if (i === 0) figure("bgp.updates", (await updatesSent(speaker)) - before, "UPDATEs", { speaker, prefixes: PREFIXES });
    await emptied(router, speaker);
  }
}
for (const speaker of ALL) {
  spread("bgp.table", times[speaker], "ms", { speaker, prefixes: PREFIXES, from: "session up", ...(speaker === "vip" ? { budget: BUDGET_MS } : {}) });
  figure("bgp.memory", rssAnonMb(speakers[speaker].pid), "MB", { speaker, prefixes: PREFIXES, ...(speaker === "vip" ? { services: PREFIXES } : {}) });
}
