import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { watchPeerSources } from "../../src/cli/watch-bgp.js";
import { bgpPeers, type BgpPeerFacts } from "../../src/core/bgp-peers.js";
import { loadSettings } from "../../src/config/load.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKube } from "../fakes/kube.js";
import { NO_FACTS } from "../core/bgp-given.js";
import { memoryLog } from "../kube/support.js";

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

interface Watching {
  readonly kube: FakeKube;
  readonly clock: FakeClock;
  /** Problems of texts, as they were logged. */
  readonly told: () => readonly string[];
  /** Names and passwords of the peers that follow now. */
  readonly peers: () => readonly string[];
  readonly settle: () => Promise<void>;
}

function watch(env: Readonly<Record<string, string>>): Watching {
  const { settings } = loadSettings({ env: { vip_arp: "true", svc_enable: "true", ...env } });
  const kube = new FakeKube();
  const clock = new FakeClock();
  const log = memoryLog();
  let facts: BgpPeerFacts = NO_FACTS;
  const stop = new AbortController();
  const done = watchPeerSources(settings, { node: "n1", kube, clock, log, learn: (part) => (facts = { ...facts, ...part }) }, stop.signal);
  stops.push(async () => {
    stop.abort();
    await done;
    expect(clock.pending).toBe(0);
  });
  return {
    kube,
    clock,
    told: () => log.lines.map(({ fields }) => String(fields["problem"])),
    peers: () => bgpPeers(settings, facts).peers.map(({ name, password }) => (password === undefined ? name : `${name} ${password}`)),
    settle: async () => new Promise((resolve) => void setImmediate(resolve)),
  };
}

const MAP = { namespace: "metallb-system", name: "config" };
const one = (address: string, more = ""): string => `- { peer-address: ${address}, peer-asn: 65001${more} }\n`;

describe("a ConfigMap of peers", () => {
  test("is followed; what cannot be read leaves what was known, what is gone takes its peers along", async () => {
    const { kube, peers, told, settle } = watch({ bgp_configmap: "metallb-system/config", bgp_peers: "192.0.2.9:1" });
    await settle();
    expect(peers()).toEqual(["192.0.2.9"]);
    expect(told()).toEqual(["ConfigMap metallb-system/config: expected it to be there, with peers"]);
    kube.putConfigMap(MAP, { config: `peers:\n${one("192.0.2.1")}` });
    await settle();
    expect(peers()).toEqual(["192.0.2.9", "192.0.2.1"]);
    kube.putConfigMap(MAP, { config: "peers: [" });
    await settle();
    expect(peers()).toEqual(["192.0.2.9", "192.0.2.1"]);
    expect(told().at(-1)).toMatch(/^ConfigMap metallb-system\/config: expected YAML/);
    kube.putConfigMap(MAP, { config: `peers:\n${one("192.0.2.2")}${one("x")}` });
    await settle();
    expect(peers()).toEqual(["192.0.2.9", "192.0.2.2"]);
    kube.putConfigMap(MAP, undefined);
    await settle();
    expect(peers()).toEqual(["192.0.2.9"]);
  });

  test("with node-selectors goes by the labels of this node", async () => {
    const { kube, peers, settle } = watch({ bgp_configmap: "metallb-system/config" });
    kube.putConfigMap(MAP, { config: `peers:\n${one("192.0.2.1", ", node-selectors: [{ match-labels: { rack: a } }]")}` });
    await settle();
    expect(peers()).toEqual([]);
    kube.putNodeTexts("n1", { labels: { rack: "a" }, annotations: {} });
    await settle();
    expect(peers()).toEqual(["192.0.2.1"]);
    kube.putNodeTexts("n1", { labels: { rack: "b" }, annotations: {} });
    await settle();
    expect(peers()).toEqual([]);
  });
});

describe("annotations of the Node", () => {
  test("are followed", async () => {
    const { kube, peers, settle } = watch({ annotation: "p" });
    const annotations = { "p/node-asn": "65000", "p/peer-asn": "65001", "p/src-ip": "192.0.2.5", "p/peer-ip": "192.0.2.1" };
    kube.putNodeTexts("n1", { labels: {}, annotations });
    await settle();
    expect(peers()).toEqual(["192.0.2.1"]);
    kube.putNodeTexts("n1", { labels: {}, annotations: { ...annotations, "p/peer-ip": "192.0.2.2,192.0.2.3" } });
    await settle();
    expect(peers()).toEqual(["192.0.2.2", "192.0.2.3"]);
  });
});

describe("a Secret and files", () => {
  test("passwords of a Secret are followed", async () => {
    const { kube, peers, settle } = watch({ bgp_secret: "bgp", bgp_peers: "192.0.2.1:1,192.0.2.2:1" });
    kube.putSecret({ namespace: "kube-system", name: "bgp" }, { "192.0.2.1": "one", password: "common" });
    await settle();
    expect(peers()).toEqual(["192.0.2.1 one", "192.0.2.2 common"]);
    kube.putSecret({ namespace: "kube-system", name: "bgp" }, undefined);
    await settle();
    expect(peers()).toEqual(["192.0.2.1", "192.0.2.2"]);
  });

  test("files are looked at again; one that is gone leaves what it said", async () => {
    const folder = mkdtempSync(join(tmpdir(), "vip-bgp-"));
    const [file, pass] = [join(folder, "peers.yaml"), join(folder, "password")];
    writeFileSync(file, `peers:\n${one("192.0.2.1")}`);
    const { clock, peers, told, settle } = watch({ bgp_config_file: file, bgp_peerpass_file: pass });
    await settle();
    expect(peers()).toEqual(["192.0.2.1"]);
    expect(told()).toEqual([`bgp_peerpass_file="${pass}": expected a file that can be read: ENOENT`]);
    writeFileSync(file, `peers:\n${one("192.0.2.2")}`);
    writeFileSync(pass, "secret\n");
    await clock.advance(2000);
    await settle();
    expect(peers()).toEqual(["192.0.2.2 secret"]);
    rmSync(folder, { recursive: true });
    await clock.advance(2000);
    await settle();
    await clock.advance(2000);
    await settle();
    expect(peers()).toEqual(["192.0.2.2 secret"]);
    expect(told()).toHaveLength(3);
  });
});
