import { describe, expect, test } from "vitest";
import type { IpAddress } from "../../src/lib/ip.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKernel } from "../fakes/kernel.js";
import { FakeKube } from "../fakes/kube.js";
import { fakeService } from "../fakes/service.js";
import { Node } from "./engine-node.js";

const HELD = ["192.0.2.10/32 dev eth0 scope host"];
const web = fakeService({ loadBalancerIP: "192.0.2.10" });

async function one(): Promise<{ clock: FakeClock; kube: FakeKube; node: Node }> {
  const clock = new FakeClock();
  const kube = new FakeKube();
  kube.put(web);
  const node = new Node("n1", clock, kube);
  await clock.advance(50);
  return { clock, kube, node };
}

describe("one node", () => {
  test("from watch event to kernel, status and Event; then nothing is left to do", async () => {
    const { clock, kube, node } = await one();
    await using _ = node;
    expect(node.kernel.shown()).toEqual(HELD);
    expect([...kube.services.values()]).toMatchObject([{ ingress: [{ ip: "192.0.2.10" }], annotations: { "kube-vip.io/vipHost": "n1" } }]);
    expect(kube.events.map((e) => e.reason)).toEqual(["VipHeld"]);
    const before = kube.requests;
    await clock.advance(10_000);
    // Ten renews of the one Lease, nothing else.
    expect(kube.requests - before).toBe(10);
    expect(node.kernel.shown()).toEqual(HELD);
  });

  test("drops everything at the renew deadline when the API is away, goes on living, and takes it again", async () => {
    const { clock, kube, node } = await one();
    await using _ = node;
    kube.down = true;
    await clock.advance(3100);
    expect(node.kernel.shown()).toEqual([]);
    await clock.advance(20_000);
    kube.down = false;
    await clock.advance(1100);
    expect(node.kernel.shown()).toEqual(HELD);
    expect(node.ownership.states().get("services")?.held).toBe(true);
  });

  test("an address that is taken away comes back within a few ms; our own refreshes wake nobody", async () => {
    const { clock, node } = await one();
    await using _ = node;
    await clock.advance(10_000);
    expect(node.log.lines.filter((line) => line.message.includes("repaired"))).toEqual([]);
    node.kernel.steal("192.0.2.10");
    expect(node.kernel.shown()).toEqual([]);
    await clock.advance(5);
    expect(node.kernel.shown()).toEqual(HELD);
  });

  test("leftovers of an earlier life go once it is known what is wanted, and not before; what is not ours stays", async () => {
    const clock = new FakeClock();
    const kube = new FakeKube();
    const kernel = new FakeKernel(clock);
    const signal = new AbortController().signal;
    for (const [address, mark] of [["192.0.2.10", 118], ["192.0.2.66", 118], ["192.0.2.77", 0]] as const) {
      await kernel.putAddress({ linkIndex: 2, address: address as IpAddress, prefix: 32, scope: "host", mark, validUntil: clock.now() + 60_000 }, signal);
    }
    kube.put(web);
    kube.down = true;
    await using node = new Node("n1", clock, kube, kernel);
    await clock.advance(500);
    expect(kernel.shown()).toHaveLength(3);
    kube.down = false;
    await clock.advance(2000);
    expect(kernel.shown()).toEqual([...HELD, "192.0.2.77/32 dev eth0 scope host"]);
    expect(node.log.lines.filter((line) => line.message === "leftover removed")).toHaveLength(1);
  });

  test("a kernel that refuses is tried again, and told", async () => {
    const clock = new FakeClock();
    const kube = new FakeKube();
    kube.put(web);
    const kernel = new FakeKernel(clock);
    kernel.refuse = new Error("add 192.0.2.10/32: EPERM");
    await using node = new Node("n1", clock, kube, kernel);
    await clock.advance(1000);
    expect(node.log.lines.filter((line) => line.level === "warn").map((line) => line["error"])).toContain("add 192.0.2.10/32: EPERM");
    expect([...kube.services.values()][0]?.ingress).toEqual([]);
    kernel.refuse = undefined;
    await clock.advance(2000);
    expect(kernel.shown()).toEqual(HELD);
  });
});

describe("two nodes", () => {
  test("the second takes over when the first leaves, before the first lets go", async () => {
    const { clock, kube, node: first } = await one();
    await using _ = first;
    await using second = new Node("n2", clock, kube);
    await clock.advance(100);
    expect(second.kernel.shown()).toEqual([]);
    first.ownership.leave();
    await clock.advance(0);
    await clock.advance(1);
    expect(first.kernel.shown()).toEqual(HELD);
    await clock.advance(20);
    // The fakes have no LAN between them: the first does not hear the second announce, and waits out the time it gives an heir.
    expect([first.kernel.shown(), second.kernel.shown()]).toEqual([HELD, HELD]);
    await clock.advance(80);
    expect([first.kernel.shown(), second.kernel.shown()]).toEqual([[], HELD]);
    expect([...kube.services.values()][0]?.annotations["kube-vip.io/vipHost"]).toBe("n2");
  });
});
