import { createServer, type AddressInfo } from "node:net";
import { once } from "node:events";
import { expect, test } from "vitest";
import { createBgp, type BgpSetup } from "../../src/cli/bgp-setup.js";
import { loadSettings } from "../../src/config/load.js";
import { emptyWorld, type World } from "../../src/core/world.js";
import { createClock } from "../../src/linux/clock.js";
import { ip } from "../core/explain-input.js";
import { FakeFence } from "../fakes/fence.js";
import { FakeKube } from "../fakes/kube.js";
import { FakeLog } from "../fakes/log.js";
import { givenPass } from "./metrics-given.js";

const ENV = { vip_arp: "false", svc_enable: "true", bgp_enable: "true", bgp_passive: "true", bgp_peers: "192.0.2.1:65001" };

const CLOCK = createClock();
const DEPS = { node: "n1", fence: new FakeFence(CLOCK), clock: CLOCK, log: new FakeLog(), random: { float: () => 0.5 }, events: new FakeKube().eventPort, world: () => emptyWorld("n1") };

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** BGP of a daemon that waits for its peers: nothing is dialled. */
class Bench implements AsyncDisposable {
  readonly log = new FakeLog();
  readonly setup: BgpSetup;
  world: World = emptyWorld("n1");

  private constructor(env: Readonly<Record<string, string>>) {
    const setup = createBgp(loadSettings({ env }).settings, { ...DEPS, log: this.log, world: () => this.world });
    if (setup === undefined) throw new Error("no BGP");
    this.setup = setup;
  }

  static async of(env: Readonly<Record<string, string>> = {}): Promise<Bench> {
    return new Bench({ ...ENV, bgp_listen_port: String(await freePort()), ...env });
  }

  /** A pass in which the node has these IPv4 addresses on eth0. */
  pass(...addresses: readonly string[]): ReturnType<typeof givenPass> {
    this.world = { ...this.world, subnets: new Map([["eth0", addresses.map((address) => ({ address: ip(address), prefix: 24 }))]]) };
    return givenPass({ world: this.world });
  }

  get peers(): readonly (readonly [string, string | undefined])[] {
    return this.setup.mode.reports().map(({ peer: { name, routerId } }) => [name, routerId]);
  }

  get problems(): readonly unknown[] {
    return this.log.lines.filter(({ message }) => message === "BGP peer").map(({ problem }) => problem);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.setup.mode[Symbol.asyncDispose]();
    await this.setup[Symbol.asyncDispose]();
  }
}

test("without bgp_enable there is none", () => {
  expect(createBgp(loadSettings({ env: { vip_arp: "true", svc_enable: "true" } }).settings, DEPS)).toBeUndefined();
});

test("peers of the settings are there with the first pass, and follow the addresses of the node", async () => {
  await using bench = await Bench.of({ bgp_routerinterface: "eth0" });
  expect(bench.peers).toEqual([]);
  const first = bench.pass("192.0.2.11");
  bench.setup.planned(first, undefined);
  expect(bench.peers).toEqual([["192.0.2.1", "192.0.2.11"]]);
  bench.setup.planned(bench.pass("192.0.2.12"), first);
  expect(bench.peers).toEqual([["192.0.2.1", "192.0.2.12"]]);
});

test("peers of other sources come and go beside those of the settings; a part that is not told of stays", async () => {
  await using bench = await Bench.of();
  bench.setup.planned(bench.pass("192.0.2.11"), undefined);
  bench.setup.learn({ drafts: [{ from: "file, peer 1", name: "tor2", address: ip("192.0.2.2"), peerAs: 65_002 }] });
  bench.setup.learn({ password: "secret" });
  expect(bench.peers.map(([name]) => name)).toEqual(["192.0.2.1", "tor2"]);
  expect(bench.setup.mode.reports().map(({ peer }) => peer.hasPassword)).toEqual([true, true]);
  bench.setup.learn({ drafts: [] });
  expect(bench.peers.map(([name]) => name)).toEqual(["192.0.2.1"]);
});

test("a peer that cannot be used is told of once, again where it is wrong again, and harms no other", async () => {
  await using bench = await Bench.of();
  bench.setup.planned(bench.pass("192.0.2.11"), undefined);
  const bad = { from: "file, peer 1", address: ip("192.0.2.2"), peerAs: 65_002, password: "x".repeat(81) };
  const line = "file, peer 1: password: expected at most 80 octets, it has 81";
  bench.setup.learn({ drafts: [bad] });
  bench.setup.learn({ drafts: [bad] });
  expect(bench.problems).toEqual([line]);
  expect(bench.peers.map(([name]) => name)).toEqual(["192.0.2.1"]);
  bench.setup.learn({ drafts: [] });
  bench.setup.learn({ drafts: [bad] });
  expect(bench.problems).toEqual([line, line]);
});
