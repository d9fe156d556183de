import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Bird } from "./bgp-fixture.js";
import { ATTACKS, followed, HOSTILE_AS, STAYS, type HostileLine } from "./bgp-hostile.js";
import { Cluster } from "./cluster.js";
import { inNamespace, run } from "./command.js";
import { loadBalancer } from "./kube-client.js";
import type { LabProcess } from "./process.js";
import { CLIENT_NS, ROUTER_NS } from "./topology.js";

/** Each attack has an address of its own in the router, which the node dials. */
const addressed = ATTACKS.map((attack, at) => ({ ...attack, address: `10.77.0.${128 + at}` }));
const BIRD = "protocol bgp good { local 10.77.0.100 as 64501; neighbor 10.77.0.11 as 64500; passive; hold time 9; ipv4 { import all; export none; }; }";
/** As the packet of a session that is well takes, with room for a busy machine. */
const PATIENCE_MS = 20_000;

let cluster: Cluster;
let hostile: LabProcess;
let good: Bird;
let goodSince = "";

beforeAll(async () => {
  cluster = await Cluster.bare(1);
  const { lab } = cluster;
  good = new Bird({ dir: lab.dir, spawn: async (name, argv) => lab.spawn("client", argv.slice(inNamespace(CLIENT_NS, []).length), { name }) }, "bird", CLIENT_NS);
  await good.start(BIRD);
  const addresses = addressed.map(({ address }) => address);
  await run(["ip", "-n", ROUTER_NS, "-batch", "-"], { input: addresses.map((address) => `addr add ${address}/24 dev eth0`).join("\n") });
  const task = Object.fromEntries(addressed.map(({ address, script }) => [address, script]));
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

  test("all the while the session with the good peer stayed up, and the process has no error to tell of", async () => {
    expect(await since()).toBe(goodSince);
    expect(goodSince).not.toBe("no session");
    const vip = cluster.vip("n1");
    expect(vip.ended).toBeUndefined();
    expect(readFileSync(vip.logFile, "utf8").split("\n").filter((line) => line.includes('"level":"error"') || /^\w*Error/.test(line))).toEqual([]);
  });
});
