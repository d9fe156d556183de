import { describe, expect, test } from "vitest";
import { EXTERNAL_IPS } from "../../src/core/external-ips.js";
import { parsePools } from "../../src/core/pools.js";
import type { Leases, Service } from "../../src/ports/kube.js";
import type { IpAddress } from "../../src/lib/ip.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKernel } from "../fakes/kernel.js";
import { FakeKube } from "../fakes/kube.js";
import { fakeService } from "../fakes/service.js";
import { Node } from "./engine-node.js";
import { fakeSlice } from "./given.js";
import { STRANGER, StrangersKernel } from "./strangers-kernel.js";

const A = "192.0.2.10";
const NODES = ["n1", "n2", "n3"] as const;
const ROMANA = { romanaip: `{"ip":"${A}"}` };
const web = fakeService({ type: "ClusterIP", externalIPs: ["203.0.113.1"], annotations: ROMANA });
/** Once the heir's name is seen, and where there is none. */
const HEIR_MS = 80;
const HAND_OVER_MS = 1000;

/** Three nodes, and who held the address at every ms. */
class Cluster implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly kube = new FakeKube();
  readonly nodes: readonly Node[];
  /** Holders at one ms, one line each while they stay the same: `n1 n2 for 80 ms`. */
  readonly #seen: { holders: string; ms: number }[] = [];

  constructor(Kernel: typeof FakeKernel = FakeKernel) {
    this.nodes = NODES.map((name) => new Node(name, this.clock, this.kube, new Kernel(this.clock), false));
  }

  /** Where the pods are: as in `fakeSlice`. */
  pods(...endpoints: readonly string[]): void {
    this.kube.putSlice(fakeSlice("web-1", endpoints));
  }

  get service(): Service | undefined {
    return [...this.kube.services.values()].find(({ name }) => name === "web");
  }

  holders(address = A): readonly string[] {
    return this.nodes.filter(({ kernel }) => kernel.shown().some((line) => line.startsWith(`${address}/`))).map(({ name }) => name);
  }

  /** Time passes, looked at ms by ms. */
  async pass(ms: number): Promise<void> {
    for (let i = 0; i < ms; i += 1) {
      await this.clock.advance(1);
      const holders = this.holders().join(" ");
      const last = this.#seen.at(-1);
      if (last?.holders === holders) last.ms += 1;
      else this.#seen.push({ holders, ms: 1 });
    }
  }

  /** Who held it since the last time that this was asked. */
  story(): readonly { readonly holders: string; readonly ms: number }[] {
    return this.#seen.splice(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes) await node[Symbol.asyncDispose]();
    expect(this.clock.pending).toBe(0);
  }
}

async function started(service: Service, ...pods: readonly string[]): Promise<Cluster> {
  const cluster = new Cluster();
  cluster.kube.put(service);
  cluster.pods(...pods);
  await cluster.pass(3000);
  return cluster;
}

describe("a Romana VIP", () => {
  test("is taken where its pod is, by that node only, with our entry beside the user's", async () => {
    await using cluster = await started(web, "n2");
    expect(cluster.holders()).toEqual(["n2"]);
    expect(cluster.service).toMatchObject({ externalIPs: ["203.0.113.1", A], annotations: { [EXTERNAL_IPS]: A, "kube-vip.io/vipHost": "n2" } });
    const story = cluster.story();
    expect(story.map(({ holders }) => holders)).toEqual(["", "n2"]);
    expect(story[0]?.ms).toBeLessThan(200);
    expect(cluster.kube.events.map(({ type, reason, message }) => `${type} ${reason}: ${message}`)).toEqual([`Normal VipHeld: ${A} is held by node n2 (ARP on eth0); traffic is led to its pods by spec.externalIPs`]);
  });

  test("follows its pod make-before-break, while the old one still serves: never nowhere, twice for no longer than the hand-over", async () => {
    await using cluster = await started(web, "n2");
    cluster.story();
    cluster.pods("n2 terminating", "n3");
    await cluster.pass(2000);
    const story = cluster.story();
    expect(story.map(({ holders }) => holders)).toEqual(["n2", "n2 n3", "n3"]);
    expect(story[0]?.ms).toBeLessThan(50);
    expect(story[1]?.ms).toBeLessThanOrEqual(HEIR_MS + 10);
    cluster.pods("n3");
    await cluster.pass(5000);
    expect(cluster.story()).toEqual([{ holders: "n3", ms: 5000 }]);
    expect(cluster.service?.annotations["kube-vip.io/vipHost"]).toBe("n3");
  });

  test("stays while the last pod ends and none is ready elsewhere, and moves once one is", async () => {
    await using cluster = await started(web, "n2");
    cluster.story();
    cluster.pods("n2 terminating", "n3 unready");
    await cluster.pass(20_000);
    expect(cluster.story()).toEqual([{ holders: "n2", ms: 20_000 }]);
    cluster.pods("n2 terminating", "n3");
    await cluster.pass(2000);
    expect(cluster.story().map(({ holders }) => holders)).toEqual(["n2", "n2 n3", "n3"]);
  });

  test("whose pod vanishes at once moves at once, and is nowhere for a few ms only", async () => {
    await using cluster = await started(web, "n2", "n3");
    const from = cluster.holders()[0] ?? "";
    cluster.story();
    cluster.pods(from === "n2" ? "n3" : "n2");
    await cluster.pass(2000);
    const story = cluster.story();
    expect(cluster.holders()).toEqual([from === "n2" ? "n3" : "n2"]);
    const nowhere = story.reduce((sum, { holders, ms }) => sum + (holders === "" ? ms : 0), 0);
    expect(nowhere).toBeLessThanOrEqual(60);
    expect(story.filter(({ holders, ms }) => holders.includes(" ") && ms > HAND_OVER_MS)).toEqual([]);
  });

  test("does not move when pods are added, twenty times over", async () => {
    await using cluster = await started(web, "n2");
    cluster.story();
    for (let i = 0; i < 20; i += 1) {
      cluster.pods("n2", ...Array.from({ length: i + 1 }, (_, at) => NODES[at % 3] ?? ""));
      await cluster.pass(100);
    }
    expect(cluster.story()).toEqual([{ holders: "n2", ms: 2000 }]);
  });

  test("goes with its last endpoint, and comes back with the next", async () => {
    await using cluster = await started(web, "n2");
    cluster.story();
    cluster.pods();
    await cluster.pass(3000);
    expect(cluster.story().at(-1)).toMatchObject({ holders: "" });
    cluster.pods("n1");
    await cluster.pass(1000);
    expect(cluster.holders()).toEqual(["n1"]);
  });

  test("without its annotation is gone, and our entry too; the user's was never touched", async () => {
    await using cluster = await started(web, "n2");
    const { annotations, ...rest } = cluster.service ?? web;
    const { romanaip: _, ...others } = annotations;
    cluster.kube.put({ ...rest, annotations: others });
    await cluster.pass(3000);
    expect(cluster.holders()).toEqual([]);
    expect(cluster.service).toMatchObject({ externalIPs: ["203.0.113.1"], annotations: {} });
    expect(Object.keys(cluster.service?.annotations ?? {})).toEqual([]);
  });

  test("that is deleted is gone everywhere, and so is every trace of its key", async () => {
    await using cluster = await started(web, "n2");
    cluster.kube.remove("default/web");
    await cluster.pass(3000);
    expect(cluster.holders()).toEqual([]);
    expect(cluster.nodes.map(({ ownership }) => [...ownership.states().keys()])).toEqual([["services"], ["services"], ["services"]]);
  });

  test("whose node loses the API is held elsewhere once its Lease has ended, and not before it is off there", async () => {
    await using cluster = await started(web, "n2", "n3");
    const [from = ""] = cluster.holders();
    const old = cluster.nodes.find(({ name }) => name === from);
    cluster.story();
    // It hears nothing and says nothing, as if its process had been stopped; its kernel ends the address.
    await old?.engine[Symbol.asyncDispose]();
    await old?.ownership[Symbol.asyncDispose]();
    await cluster.pass(7000);
    const story = cluster.story();
    expect(cluster.holders()).toEqual([from === "n2" ? "n3" : "n2"]);
    expect(story.filter(({ holders }) => holders.includes(" "))).toEqual([]);
  });

  test("whose entry is refused is led by nftables on its node, and the Event says why", async () => {
    const cluster = new Cluster();
    await using _ = cluster;
    cluster.kube.refuseExternalIPs = "Use of external IPs is denied by admission control";
    cluster.kube.put(web);
    cluster.pods("n2");
    await cluster.pass(3000);
    expect(cluster.service).toMatchObject({ externalIPs: ["203.0.113.1"] });
    expect(cluster.service?.annotations[EXTERNAL_IPS]).toBeUndefined();
    expect(cluster.nodes.map(({ nft }) => nft.shown())).toEqual([[], [`TCP ${A}:80 -> 10.0.0.1:8080`], []]);
    expect(cluster.kube.events.at(-1)?.message).toContain("by nftables (spec.externalIPs was refused: ");
    cluster.pods("n3");
    await cluster.pass(3000);
    expect(cluster.nodes.map(({ nft }) => nft.shown())).toEqual([[], [], [`TCP ${A}:80 -> 10.0.0.1:8080`]]);
  });
});

test("a leftover of a Romana VIP is removed once it is known that another node owns it, and not before", async () => {
  const clock = new FakeClock();
  const kube = new FakeKube();
  const kernel = new FakeKernel(clock);
  await kernel.putAddress({ linkIndex: 2, address: A as IpAddress, prefix: 32, scope: "host", mark: 118, validUntil: clock.now() + 60_000 }, new AbortController().signal);
  kube.put(web);
  kube.putSlice(fakeSlice("web-1", ["n1", "n2"]));
  await using _two = new Node("n2", clock, kube, new FakeKernel(clock), false);
  await clock.advance(500);
  const { leases } = kube;
  const late: (() => void)[] = [];
  // The claims are seen late.
  const watchLabelled: Leases["watchLabelled"] = async (where, changed, signal) => {
    await new Promise<void>((resolve) => late.push(resolve));
    await leases.watchLabelled(where, changed, signal);
  };
  Object.assign(kube, { leases: { ...leases, watchLabelled } });
  await using one = new Node("n1", clock, kube, kernel, false);
  await clock.advance(5000);
  expect(one.kernel.shown()).toHaveLength(1);
  for (const go of late) go();
  await clock.advance(100);
  expect([one.kernel.shown(), one.ownership.states().get("romana/default/web")?.holder]).toEqual([[], "n2"]);
});

describe("a Romana VIP that is given its address", () => {
  const auto = fakeService({ type: "ClusterIP", annotations: { romanavip: '{"auto":true}' } });
  const events = (cluster: Cluster): readonly string[] => cluster.kube.events.map(({ reason, message }) => `${reason}: ${message}`);

  async function given(range: string): Promise<Cluster> {
    const cluster = new Cluster(StrangersKernel);
    for (const { engine } of cluster.nodes) engine.learn({ pools: parsePools({ "range-global": range }, undefined).pools });
    await cluster.pass(2000);
    // Another node than the one that gives out addresses finds the stranger.
    const allocator = cluster.nodes.findIndex(({ engine }) => engine.world.ownership.get("services")?.held === true);
    cluster.pods(NODES[(allocator + 1) % NODES.length] ?? "");
    cluster.kube.put(auto);
    await cluster.pass(3000);
    return cluster;
  }

  test("at which a stranger answers is given another one at once, and the first is nobody's for ten minutes", async () => {
    await using cluster = await given("192.0.2.10-192.0.2.11");
    expect(cluster.holders("192.0.2.11")).toHaveLength(1);
    expect(cluster.service?.annotations).toMatchObject({ "vip.internal/granted": "192.0.2.11" });
    expect(Object.keys(cluster.service?.annotations ?? {})).not.toContain("vip.internal/granted-in-use");
    expect(events(cluster)).toContainEqual(`AddressInUse: 192.0.2.10 is in use on eth0 by ${STRANGER}, not taken; another one is given to it`);
    cluster.kube.put({ ...auto, name: "second", uid: "uid-second" });
    await cluster.pass(1000);
    expect(events(cluster)).toContainEqual(expect.stringMatching(/^PoolExhausted: /));
  });

  test("has none where the pool has no other, and is given the same one once the ten minutes are over", async () => {
    await using cluster = await given("192.0.2.10-192.0.2.10");
    expect(events(cluster)).toContainEqual(expect.stringMatching(/^PoolExhausted: /));
    for (const { kernel } of cluster.nodes) if (kernel instanceof StrangersKernel) kernel.there = false;
    await cluster.clock.advance(590_000);
    expect(cluster.holders()).toEqual([]);
    await cluster.clock.advance(20_000);
    expect(cluster.holders()).toHaveLength(1);
    expect(Object.keys(cluster.service?.annotations ?? {})).not.toContain("vip.internal/granted-in-use");
  });
});
