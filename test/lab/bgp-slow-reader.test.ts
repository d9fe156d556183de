import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { rssAnonMb } from "../bench/lib/usage.js";
import { flooded, followed, HOSTILE_AS, SLOW_READER, type HostileLine } from "./bgp-hostile.js";
import { startBird, type BirdDaemon } from "./bird.js";
import { Cluster } from "./cluster.js";
import { inNamespace, run } from "./command.js";
import { loadBalancer } from "./kube-client.js";
import type { LabProcess } from "./process.js";
import { CLIENT_NS, ROUTER_NS } from "./topology.js";

/** Addresses of those who do not read, in the router. */
const SLOW = Array.from({ length: 4 }, (_, at) => `10.77.0.${120 + at}`);
const BIRD = "router id 10.77.0.100;\nprotocol device {}\nprotocol bgp good { local 10.77.0.100 as 64501; neighbor 10.77.0.11 as 64500; passive; hold time 9; ipv4 { import all; export none; }; }";
const PATIENCE_MS = 20_000;
const SERVICES = 1000;
/** Almost 4,000 octets, so that a message has room for a few prefixes only, and all routes are some 200 KB. */
const LONG = [...Array.from({ length: 480 }, (_, at) => `64500:${at}`), ...Array.from({ length: 160 }, (_, at) => `64500:0:${at}`)];
/** Questions of each of them, a few ms apart. */
const QUESTIONS = 3000;
/** UPDATEs for each of them: what fills the way, and one batch of 64 KB that waits. The answer to a single question has more. */
const MOST_UPDATES = 40;
/** 1,000 Services need about 60 MB. */
const MOST_MB = 100;

let cluster: Cluster;
let hostile: LabProcess;
let good: BirdDaemon;

beforeAll(async () => {
  cluster = await Cluster.bare(1);
  const { lab, api, admin } = cluster;
  good = await startBird(lab, { ns: CLIENT_NS, config: BIRD });
  await run(["ip", "-n", ROUTER_NS, "-batch", "-"], { input: SLOW.map((address) => `addr add ${address}/24 dev eth0`).join("\n") });
  // Little room on the way, so that those who do not read are felt at once.
  await run(inNamespace(ROUTER_NS, ["sh", "-c", "echo 4096 8192 8192 >/proc/sys/net/ipv4/tcp_rmem"]));
  await run(inNamespace("lab-n1", ["sh", "-c", "echo 4096 16384 16384 >/proc/sys/net/ipv4/tcp_wmem"]));
  writeFileSync(join(lab.dir, "hostile.json"), JSON.stringify(Object.fromEntries(SLOW.map((address) => [address, SLOW_READER]))));
  hostile = await lab.spawnProgram(ROUTER_NS, "hostile", [join(lab.dir, "hostile.json")]);
  await hostile.waitFor(/ready/, PATIENCE_MS);
  await api.client.createService(loadBalancer({ name: "first", ip: "192.0.2.1" }));
  await admin.bulkServices({ count: SERVICES, prefix: "bulk", ipBase: "10.99.0.1" });
  const peers = ["10.77.0.100", ...SLOW].map((address) => ({ "peer-address": address, "peer-asn": HOSTILE_AS, ...(SLOW.includes(address) ? { communities: LONG } : {}) }));
  writeFileSync(join(lab.dir, "peers.yaml"), JSON.stringify({ peers }));
  await cluster.startVip("n1", { env: { vip_arp: "false", bgp_enable: "true", bgp_as: "64500", bgp_hold_time: "90", bgp_config_file: join(lab.dir, "peers.yaml") } });
  await lab.waitFor(async () => (await count()) === SERVICES + 1, PATIENCE_MS, "all routes at the good peer");
}, 120_000);
afterAll(async () => await cluster[Symbol.asyncDispose]());

async function count(): Promise<number> {
  return Number(/(\d+) of \d+ routes/.exec(await good.ctl("show route count"))?.[1] ?? 0);
}

/** Octets on the way to each slow reader, in the kernel of the node. */
async function unread(): Promise<readonly number[]> {
  const { stdout } = await cluster.lab.exec("n1", ["ss", "-Htn", "dport", "=", "179"]);
  const queues = stdout.trim().split("\n").map((line) => line.split(/ +/));
  return SLOW.map((address) => Number(queues.find((fields) => fields[4] === `${address}:179`)?.[2] ?? 0));
}

/** UPDATEs that were handed to the socket of each slow reader. */
async function updates(): Promise<readonly number[]> {
  const argv = [cluster.lab.built("vip"), "bgp", "peers", "-o", "json", "--directory", join(cluster.lab.dir, "n1", "run-vip")];
  const { stdout } = await cluster.lab.exec("n1", argv, { mayFail: true });
  interface Peer { readonly name: string; readonly counters: { readonly updatesSent: number } }
  const peers = (JSON.parse(stdout) as { readonly processes: readonly { readonly peers: readonly Peer[] }[] }).processes.flatMap((one) => one.peers);
  return SLOW.map((address) => peers.find(({ name }) => name === address)?.counters.updatesSent ?? Infinity);
}

function linesOf(address: string): readonly HostileLine[] {
  return hostile.logs().filter((line) => line["address"] === address) as unknown as readonly HostileLine[];
}

test("peers that ask for everything again and again and read nothing keep nobody waiting, and cost little memory", async () => {
  const { lab, api } = cluster;
  await lab.waitFor(async () => Math.min(...(await unread())) > 0, PATIENCE_MS, "every way to those who do not read to be full");
  await api.client.deleteService("first");
  await lab.waitFor(async () => (await count()) === SERVICES, PATIENCE_MS, "the withdrawal at the good peer");
  const asked = (): number => Math.min(...SLOW.map((address) => flooded(linesOf(address))));
  await lab.waitFor(() => ({ ok: asked() >= QUESTIONS, asked: asked() }), PATIENCE_MS, "many questions");
  expect(Math.min(...(await unread()))).toBeGreaterThan(0);
  const vip = cluster.vip("n1");
  const megabytes = Math.round(rssAnonMb(vip.pid));
  const handedOver = await updates();
  console.log(JSON.stringify({ figure: "memory with peers that read nothing", peers: SLOW.length, questions: asked(), updates: handedOver, megabytes }));
  expect(Math.max(...handedOver)).toBeLessThan(MOST_UPDATES);
  expect(Math.min(...handedOver)).toBeGreaterThan(0);
  expect(megabytes).toBeLessThan(MOST_MB);
  for (const address of SLOW) expect(followed(linesOf(address))).toMatchObject({ notifications: [], closed: 0 });
  expect(vip.ended).toBeUndefined();
  expect(readFileSync(vip.logFile, "utf8").split("\n").filter((line) => line.includes('"level":"error"') || /^\w*Error/.test(line))).toEqual([]);
});
