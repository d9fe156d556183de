import { expect, test } from "vitest";
import type { Part, Vip } from "../../src/core/model.js";
import { NodeLabeler, type Planned } from "../../src/core/node-labeler.js";
import { HAS_IP, PROVIDES } from "../../src/core/node-labels.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKube } from "../fakes/kube.js";
import { FakeLog } from "../fakes/log.js";

const WEB = `${PROVIDES}web.default`;

class Bench {
  readonly clock = new FakeClock();
  readonly kube = new FakeKube();
  readonly log = new FakeLog();
  readonly labeler: NodeLabeler;
  readonly following: Promise<void>;

  constructor(labels: Readonly<Record<string, string>> | undefined, parts: readonly Part[] = ["services"]) {
    if (labels !== undefined) this.kube.putNodeTexts("n1", { labels, annotations: {} });
    this.labeler = new NodeLabeler({ node: "n1", parts }, { nodes: this.kube.nodes, clock: this.clock, log: this.log });
    this.following = this.labeler.follow();
  }

  /** What was written since, with time for it. */
  async written(ms = 1000): Promise<readonly unknown[]> {
    const before = this.kube.nodePatches.length;
    await this.clock.advance(ms);
    return this.kube.nodePatches.slice(before).map(({ labels }) => labels);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.labeler[Symbol.asyncDispose]();
    await this.following;
    expect(this.clock.pending).toBe(0);
  }
}

/** VIPs of `default/web`; those that are not up come with a `-` in front. */
function pass(settled: boolean, ...addresses: readonly string[]): Planned {
  const vips = addresses.map((text) => ({ key: text, address: text.replace("-", ""), owners: ["default/web"] }) as unknown as Vip);
  const observed = new Map(vips.map(({ key }) => [key, key.startsWith("-") ? ({ state: "pending" } as const) : ({ state: "up", result: undefined } as const)]));
  const wants = { arp: new Map(vips.map((vip) => [vip.key, vip])), bgp: new Map() } as unknown as Planned["plan"]["wants"];
  return { world: { observed, observedRoutes: new Map() }, plan: { wants, settled } };
}

test("what is up is written once, and taken away when it goes", async () => {
  await using bench = new Bench({ zone: "a" });
  bench.labeler.planned(pass(true, "192.0.2.1", "-192.0.2.2"));
  expect(await bench.written()).toEqual([{ [WEB]: "192.0.2.1" }]);
  bench.labeler.planned(pass(true, "192.0.2.1", "-192.0.2.2"));
  expect(await bench.written()).toEqual([]);
  bench.labeler.planned(pass(true));
  expect(await bench.written()).toEqual([{ [WEB]: null }]);
});

test("what an earlier life left goes once all is known, and labels of others stay", async () => {
  await using bench = new Bench({ zone: "a", [`${PROVIDES}gone.default`]: "192.0.2.9", [HAS_IP]: "192.0.2.8" });
  bench.labeler.planned(pass(false, "192.0.2.1"));
  expect(await bench.written()).toEqual([{ [WEB]: "192.0.2.1" }]);
  bench.labeler.planned(pass(true, "192.0.2.1"));
  expect(await bench.written()).toEqual([{ [`${PROVIDES}gone.default`]: null }]);
});

test("what somebody changes by hand is put right", async () => {
  await using bench = new Bench({});
  bench.labeler.planned(pass(true, "192.0.2.1"));
  await bench.written();
  bench.kube.putNodeTexts("n1", { labels: { [WEB]: "another" }, annotations: {} });
  expect(await bench.written()).toEqual([{ [WEB]: "192.0.2.1" }]);
});

test("many changes at once are one write", async () => {
  await using bench = new Bench({});
  for (let i = 1; i <= 50; i += 1) bench.labeler.planned(pass(true, ...Array.from({ length: i }, (_, n) => `192.0.2.${n + 1}`)));
  expect(await bench.written()).toHaveLength(1);
});

test("at the end all of it goes, and nothing comes back", async () => {
  await using bench = new Bench({ zone: "a" });
  bench.labeler.planned(pass(true, "192.0.2.1"));
  await bench.written();
  await bench.labeler.clear();
  expect(bench.kube.nodePatches.at(-1)?.labels).toEqual({ [WEB]: null });
  bench.labeler.planned(pass(true, "192.0.2.1"));
  expect(await bench.written()).toEqual([]);
});

test("a write that fails is told once and tried again", async () => {
  await using bench = new Bench({});
  await bench.clock.advance(1);
  bench.kube.down = true;
  bench.labeler.planned(pass(true, "192.0.2.1"));
  expect(await bench.written()).toEqual([]);
  expect(bench.log.lines.map(({ level, message }) => `${level}: ${message}`)).toEqual(["warn: labels of the Node are not written, tried again"]);
  bench.kube.down = false;
  expect(await bench.written(6000)).toEqual([{ [WEB]: "192.0.2.1" }]);
});

test("without a Node nothing is written", async () => {
  await using bench = new Bench(undefined);
  bench.labeler.planned(pass(true, "192.0.2.1"));
  expect(await bench.written()).toEqual([]);
});
