import { describe, expect, test } from "vitest";
import { Engine } from "../../src/core/engine.js";
import type { IpAddress } from "../../src/lib/ip.js";
import type { AddressPut, Link } from "../../src/ports/kernel.js";
import type { Events } from "../../src/ports/kube.js";
import { decodeArp } from "../../src/wire/arp.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKernel } from "../fakes/kernel.js";
import { FakeKube } from "../fakes/kube.js";
import { FakeLog } from "../fakes/log.js";
import { PLAN_CONFIG } from "./given.js";
import { fakeService } from "../fakes/service.js";
import { Node } from "./engine-node.js";
import { STRANGER, StrangersKernel } from "./strangers-kernel.js";

const HELD = ["192.0.2.10/32 dev eth0 scope host"];
const ETH0 = 2;
const web = fakeService({ loadBalancerIP: "192.0.2.10" });

/** Knows every address that was ever put. */
class PutsKernel extends FakeKernel {
  readonly seen: string[] = [];

  override async putAddress(put: AddressPut, signal: AbortSignal): Promise<number> {
    this.seen.push(`${put.address}/${put.prefix} scope ${put.scope}`);
    return await super.putAddress(put, signal);
  }
}

test("a VIP that goes with the node's own address of its subnet is put again as a host address, never as the first of the subnet", async () => {
  const clock = new FakeClock();
  const kube = new FakeKube();
  kube.put(web);
  const kernel = new PutsKernel(clock);
  await using node = new Node("n1", clock, kube, kernel, true, { prefixes: { 4: 24, 6: 128 } });
  const own = { linkIndex: ETH0, address: "192.0.2.1" as IpAddress, prefix: 24, scope: "global", mark: 0, validSeconds: Infinity, preferredSeconds: Infinity } as const;
  const vip = { ...own, address: "192.0.2.10" as IpAddress, mark: 118, validSeconds: 3, preferredSeconds: 0 };
  node.engine.kernelEvent({ type: "address", address: own, gone: false });
  await clock.advance(500);
  expect(kernel.shown()).toEqual(["192.0.2.10/24 dev eth0 scope global"]);
  kernel.seen.length = 0;
  // As Linux does it: the secondary addresses go first.
  await kernel.removeAddress(vip, new AbortController().signal);
  node.engine.kernelEvent({ type: "address", address: vip, gone: true });
  await clock.advance(1);
  node.engine.kernelEvent({ type: "address", address: own, gone: true });
  await clock.advance(500);
  expect(kernel.shown()).toEqual(HELD);
  expect(kernel.seen).not.toContain("192.0.2.10/24 scope global");
});

/** An API that refuses to write Events with `refusal`. */
class EventlessKube extends FakeKube {
  refusal: "forbidden" | "server" | undefined;
  writes = 0;

  override readonly eventPort: Events = {
    write: async (event) => {
      this.writes += 1;
      if (this.refusal !== undefined) throw Object.assign(new Error(`POST events: ${this.refusal}`), { code: this.refusal });
      this.events.push(event);
    },
  };
}

async function started(node: Node): Promise<Node> {
  node.kube.put(web);
  await node.clock.advance(100);
  return node;
}

function carrier(node: Node, on: boolean): void {
  const link = node.kernel.linkList.find(({ index }) => index === ETH0);
  if (link === undefined) throw new Error("no eth0");
  const changed: Link = { ...link, carrier: on };
  node.engine.kernelEvent({ type: "link", link: changed, gone: false });
}

/** Announcements since then, in ms since then. */
function announced(node: Node, since: number): readonly number[] {
  const frames = node.kernel.frames.filter(({ at, bytes }) => at >= since && decodeArp(bytes).senderIp === "192.0.2.10");
  return frames.map(({ at }) => at - since);
}

function warnings(node: Node): readonly string[] {
  return node.log.lines.filter(({ level }) => level === "warn").map(({ message }) => message);
}

describe("an address that a stranger has", () => {
  test("is not taken, asked for again after a second and then every ten seconds, and told once as an Event", async () => {
    const clock = new FakeClock();
    const kernel = new StrangersKernel(clock);
    await using node = await started(new Node("n1", clock, new FakeKube(), kernel));
    expect(node.kernel.shown()).toEqual([]);
    const asked: number[] = [];
    for (let i = 0; i < 35; i += 1) {
      const before = kernel.asked;
      await clock.advance(1000);
      if (kernel.asked > before) asked.push(i);
    }
    expect(asked).toEqual([0, 10, 20, 30]);
    expect(node.kube.events).toMatchObject([{ type: "Warning", reason: "AddressInUse", message: `192.0.2.10 is in use on eth0 by ${STRANGER}, not taken; looked at again every ten seconds` }]);
    expect([...node.kube.services.values()][0]?.ingress).toEqual([]);
    expect(node.engine.world.ownership.get("services")?.held).toBe(true);
  });

  test("is taken within ten seconds after the stranger is gone", async () => {
    const clock = new FakeClock();
    const kernel = new StrangersKernel(clock);
    await using node = await started(new Node("n1", clock, new FakeKube(), kernel));
    kernel.there = false;
    await clock.advance(10_100);
    expect(node.kernel.shown()).toEqual(HELD);
    expect(node.kube.events.map(({ reason }) => reason)).toEqual(["AddressInUse", "VipHeld"]);
  });
});

describe("the control-plane VIP of another process on this node", () => {
  const theirs = { linkIndex: ETH0, address: "192.0.2.10" as IpAddress, prefix: 32, scope: "host", mark: 119, validSeconds: 3, preferredSeconds: 0 } as const;
  const puts = (node: Node): number => node.log.lines.filter(({ message }) => message === "vip not as wanted, repaired").length;

  test("is not taken for a Service, and told; once it has gone to another node, nobody answers for it and it is taken", async () => {
    await using node = new Node("n1", new FakeClock(), new FakeKube());
    node.engine.kernelEvent({ type: "address", address: theirs, gone: false });
    await started(node);
    expect(node.kernel.shown()).toEqual([]);
    expect(node.kube.events).toMatchObject([{ type: "Warning", reason: "AddressOfApi", message: "192.0.2.10 is the control-plane VIP, held on node n1 by another process: expected another address, or cp_enable and address=192.0.2.10 in the same process" }]);
    node.engine.kernelEvent({ type: "address", address: theirs, gone: true });
    await node.clock.advance(500);
    expect(node.kernel.shown()).toEqual(HELD);
  });

  test("is given up where that process comes to want what a Service has: two that repair each other would never end", async () => {
    await using node = await started(new Node("n1", new FakeClock(), new FakeKube()));
    expect(node.kernel.shown()).toEqual(HELD);
    await node.kernel.putAddress({ ...theirs, validUntil: node.clock.now() + 60_000 }, new AbortController().signal);
    node.engine.kernelEvent({ type: "address", address: theirs, gone: false });
    await node.clock.advance(5000);
    const there = await node.kernel.addresses();
    expect(there.filter(({ address }) => address === theirs.address)).toMatchObject([{ mark: 119 }]);
    expect(puts(node)).toBe(0);
    expect(node.kube.events.map(({ reason }) => reason)).toEqual(["VipHeld", "AddressOfApi"]);
  });
});

describe("a link that loses its carrier", () => {
  test("for less than 200 ms keeps its VIPs, which are announced anew", async () => {
    await using node = await started(new Node("n1", new FakeClock(), new FakeKube()));
    await node.clock.advance(5000);
    carrier(node, false);
    await node.clock.advance(199);
    expect(node.kernel.shown()).toEqual(HELD);
    const since = node.clock.now();
    carrier(node, true);
    await node.clock.advance(10);
    expect(announced(node, since)).toEqual([0]);
    expect(node.engine.world.ownership.get("services")?.held).toBe(true);
  });

  test("for longer: the VIPs are off and the Lease is free at once; back: the Lease is taken and they are announced", async () => {
    await using node = await started(new Node("n1", new FakeClock(), new FakeKube()));
    carrier(node, false);
    await node.clock.advance(210);
    expect(node.kernel.shown()).toEqual([]);
    expect(node.kube.lease("plndr-svcs-lock")?.record.holderIdentity).toBe("");
    await node.clock.advance(60_000);
    expect(node.kube.lease("plndr-svcs-lock")?.record.holderIdentity).toBe("");
    const since = node.clock.now();
    carrier(node, true);
    await node.clock.advance(20);
    expect(node.kube.lease("plndr-svcs-lock")?.record.holderIdentity).toBe("n1");
    expect(node.kernel.shown()).toEqual(HELD);
    expect(announced(node, since)[0]).toBeLessThan(10);
  });

  test("another node whose link is good takes over at once", async () => {
    await using first = await started(new Node("n1", new FakeClock(), new FakeKube()));
    await using second = new Node("n2", first.clock, first.kube);
    await first.clock.advance(100);
    carrier(first, false);
    await first.clock.advance(220);
    expect([first.kernel.shown(), second.kernel.shown()]).toEqual([[], HELD]);
    carrier(first, true);
    await first.clock.advance(10_000);
    expect([first.kernel.shown(), second.kernel.shown()]).toEqual([[], HELD]);
  });
});

test("a VIP that somebody makes an address of the node, for ever, is ours again and stays in service", async () => {
  await using node = await started(new Node("n1", new FakeClock(), new FakeKube()));
  const taken = { linkIndex: ETH0, address: "192.0.2.10" as IpAddress, prefix: 32, scope: "global", mark: 0, validSeconds: Infinity, preferredSeconds: Infinity } as const;
  node.engine.kernelEvent({ type: "address", address: taken, gone: false });
  await node.clock.advance(10);
  expect(node.log.lines.filter(({ message }) => message.includes("repaired"))).toHaveLength(1);
  expect(node.kernel.shown()).toEqual(HELD);
  await node.clock.advance(20_000);
  expect(node.kernel.shown()).toEqual(HELD);
  expect(node.kube.events.map(({ reason }) => reason)).toEqual(["VipHeld"]);
});

test("without the right to write Events everything is served, one warning says so, and none is tried again", async () => {
  const kube = new EventlessKube();
  kube.refusal = "forbidden";
  kube.put(fakeService({ name: "other", loadBalancerIP: "192.0.2.11" }));
  await using node = await started(new Node("n1", new FakeClock(), kube));
  await node.clock.advance(60_000);
  expect(node.kernel.shown()).toHaveLength(2);
  expect(kube.writes).toBe(2);
  expect(warnings(node)).toEqual(["events are not written"]);
});

test("an Event that another trouble keeps from being written is written later", async () => {
  const kube = new EventlessKube();
  kube.refusal = "server";
  await using node = await started(new Node("n1", new FakeClock(), kube));
  expect(kube.events).toEqual([]);
  kube.refusal = undefined;
  await node.clock.advance(60_000);
  expect(kube.events.map(({ reason }) => reason)).toEqual(["VipHeld"]);
});

test("a pass that throws is a bug, and comes out of `failed`", async () => {
  const clock = new FakeClock();
  const kube = new FakeKube();
  const verbs = { up: async () => undefined, down: async () => undefined, held: async () => [], [Symbol.asyncDispose]: async () => undefined };
  const states = (): never => {
    throw new TypeError("no states");
  };
  await using engine = new Engine(
    { node: "n1", marks: { services: 118, "control-plane": 119 }, plan: PLAN_CONFIG },
    { clock, log: new FakeLog(), random: { float: () => 0.5 }, services: kube.servicePort, events: kube.eventPort, ownership: { states, campaign: () => undefined }, modes: { arp: () => ({ name: "arp", ...verbs }), link: () => ({ name: "link", ...verbs }), dhcp: () => ({ name: "dhcp", ...verbs }), dnat: () => ({ name: "dnat", ...verbs }) }, planned: () => undefined },
  );
  engine.wake();
  const failed = engine.failed.catch((error: unknown) => error);
  await clock.advance(2);
  expect(await failed).toMatchObject({ message: "no states" });
});
