import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rssAnonMb } from "../bench/lib/usage.js";
import { Bird } from "./bgp-fixture.js";
import { ATTACKS, followed, HOSTILE_AS, SLOW_READER, STAYS, type HostileLine } from "./bgp-hostile.js";
import { Cluster } from "./cluster.js";
import { inNamespace, run } from "./command.js";
import { loadBalancer } from "./kube-client.js";
import type { LabProcess } from "./process.js";
import { CLIENT_NS, ROUTER_NS } from "./topology.js";

/** Each attack has an address of its own in the router, which the node dials; so have those that do not read. */
const addressed = ATTACKS.map((attack, at) => ({ ...attack, address: `10.77.0.${128 + at}` }));
const SLOW = Array.from({ length: 6 }, (_, at) => `10.77.0.${120 + at}`);
const BIRD = "protocol bgp good { local 10.77.0.100 as 64501; neighbor 10.77.0.11 as 64500; passive; hold time 9; ipv4 { import all; export none; }; }";
/** As the packet of a session that is well takes, with room for a busy machine. */
const PATIENCE_MS = 20_000;
const SERVICES = 1000;
/** 1,000 Services need about 60 MB. */
const MOST_MB = 100;

let cluster: Cluster;
let hostile: LabProcess;
let good: Bird;
let goodSince = "";

beforeAll(async () => {
  cluster = await Cluster.bare(1);
  const { lab } = cluster;
  good = new Bird({ dir: lab.dir, spawn: async (name, argv) => lab.spawn("client", argv.slice(inNamespace(CLIENT_NS, []).length), { name }) }, "bird", CLIENT_NS);
  await good.start(BIRD);
  const addresses = [...SLOW, ...addressed.map(({ address }) => address)];
  await run(["ip", "-n", ROUTER_NS, "-batch", "-"], { input: addresses.map((address) => `addr add ${address}/24 dev eth0`).join("\n") });
  // Little room on the way, so that those who do not read are felt at once.
  await run(inNamespace(ROUTER_NS, ["sh", "-c", "echo 4096 8192 8192 >/proc/sys/net/ipv4/tcp_rmem"]));
  await run(inNamespace("lab-n1", ["sh", "-c", "echo 4096 16384 16384 >/proc/sys/net/ipv4/tcp_wmem"]));
  const task = { ...Object.fromEntries(addressed.map(({ address, script }) => [address, script])), ...Object.fromEntries(SLOW.map((address) => [address, SLOW_READER])) };
  writeFileSync(join(lab.dir, "hostile.json"), JSON.stringify(task));
  hostile = await lab.spawnProgram(ROUTER_NS, "hostile", [join(lab.dir, "hostile.json")]);
  await hostile.waitFor(/ready/, PATIENCE_MS);
  const peers = ["10.77.0.100", ...addresses].map((address) => ({ "peer-address": address, "peer-asn": HOSTILE_AS }));
  writeFileSync(join(lab.dir, "peers.yaml"), JSON.stringify({ peers }));
  await cluster.startVip("n1", { env: { vip_arp: "false", bgp_enable: "true", bgp_as: "64500", bgp_hold_time: "90", bgp_config_file: join(lab.dir, "peers.yaml") } });
  await cluster.api.client.createService(loadBalancer({ name: "first", ip: "192.0.2.1" }));
  await lab.waitFor(async () => (await good.routes("good")).length === 1, PATIENCE_MS, "the good peer to have a route");
  goodSince = await since();
});
afterAll(async () => await cluster[Symbol.asyncDispose]());

/** When the session of the good peer came up, as BIRD says: another time is another session. */
async function since(): Promise<string> {
  return /^good .* up +(\S+) +Established/m.exec(await good.ctl("show protocols good"))?.[1] ?? "no session";
}

/** Octets on the way to each slow reader, in the kernel of the node. */
async function unread(): Promise<readonly number[]> {
  const { stdout } = await cluster.lab.exec("n1", ["ss", "-Htn", "dport", "=", "179"]);
  const queues = stdout.trim().split("\n").map((line) => line.split(/ +/));
  return SLOW.map((address) => Number(queues.find((fields) => fields[4] === `${address}:179`)?.[2] ?? 0));
}

function linesOf(address: string): readonly HostileLine[] {
  return hostile.logs().filter((line) => line["address"] === address) as unknown as readonly HostileLine[];
}

describe("a peer that misbehaves is told so in the words of the RFCs, again and again, and harms nobody", () => {
  test.each(addressed.filter(({ follows }) => follows !== STAYS))("$name: $follows", async ({ address, follows }) => {
    const { notifications } = await cluster.lab.waitFor(() => {
      const seen = followed(linesOf(address));
      return seen.closed > 0 ? seen : undefined;
    }, PATIENCE_MS, "the end of the connection");
    expect(notifications.length).toBeGreaterThan(0);
    expect(new Set(notifications)).toEqual(new Set([follows]));
  });

  test.each(addressed.filter(({ follows }) => follows === STAYS))("$name: the session goes on", async ({ address }) => {
    const seen = await cluster.lab.waitFor(() => {
      const now = followed(linesOf(address));
      return now.refreshed || now.closed > 0 ? now : undefined;
    }, PATIENCE_MS, "an answer to the route refresh behind it");
    expect(seen).toEqual({ notifications: [], refreshed: true, closed: 0 });
  });

  test("peers that ask for everything again and again and read nothing keep nobody waiting, and cost little memory", async () => {
    const { lab, admin, api } = cluster;
    const count = async (): Promise<number> => Number(/(\d+) of \d+ routes/.exec(await good.ctl("show route count"))?.[1] ?? 0);
    const before = await count();
    await admin.bulkServices({ count: SERVICES, prefix: "bulk", ipBase: "10.99.0.1" });
    await lab.waitFor(async () => (await count()) === before + SERVICES, PATIENCE_MS, `${SERVICES} more routes at the good peer`);
    await lab.waitFor(async () => Math.min(...(await unread())) > 0, PATIENCE_MS, "every way to those who do not read to be full");
    await api.client.deleteService("first");
    await lab.waitFor(async () => (await good.routes("good")).every(({ prefix }) => prefix !== "192.0.2.1/32"), PATIENCE_MS, "the withdrawal at the good peer");
    expect(Math.min(...(await unread()))).toBeGreaterThan(0);
    expect(rssAnonMb(cluster.vip("n1").pid)).toBeLessThan(MOST_MB);
    for (const address of SLOW) expect(followed(linesOf(address))).toMatchObject({ notifications: [], closed: 0 });
  });

  test("all the while the session with the good peer stayed up, and the process has no error to tell of", async () => {
    expect(await since()).toBe(goodSince);
    expect(goodSince).not.toBe("no session");
    const vip = cluster.vip("n1");
    expect(vip.ended).toBeUndefined();
    expect(readFileSync(vip.logFile, "utf8").split("\n").filter((line) => line.includes('"level":"error"') || /^\w*Error/.test(line))).toEqual([]);
  });
});
