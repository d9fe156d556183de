import { describe, expect, test } from "vitest";
import { Bootstrap } from "../../src/core/bootstrap.js";
import type { OwnershipKey } from "../../src/core/model.js";
import type { OwnershipState } from "../../src/core/world.js";
import type { MacAddress } from "../../src/lib/mac.js";
import { BOOTSTRAP } from "../../src/machine/bootstrap.js";
import { PROBE } from "../../src/machine/probe.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeLog } from "../fakes/log.js";
import { CONTROL_PLANE, OwnershipBench } from "./ownership-bench.js";

const KEY = "control-plane";
const OWN = "02:00:00:00:00:05" as MacAddress;
const HIGHER = "02:00:00:00:00:09" as MacAddress;
const LOWER = "02:00:00:00:00:01" as MacAddress;
const never = async (): Promise<void> => new Promise(() => undefined);

/** The rule in front of the real Ownership, over an API that is reached when the test says so. */
class Node implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly log = new FakeLog();
  readonly sent: string[] = [];
  readonly moved: (OwnershipKey | undefined)[] = [];
  changes = 0;
  overs = 0;
  #reach: () => void = () => undefined;
  readonly leases: OwnershipBench;
  readonly bootstrap: Bootstrap;

  constructor(delay = 0.5) {
    const reached = new Promise<void>((resolve) => (this.#reach = resolve));
    this.leases = new OwnershipBench(this.clock, undefined, "n1", async (id, seen, signal) => {
      await Promise.race([reached, new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()))]);
      if (!signal.aborted) await this.leases.kube.leases.watch(id, seen, signal);
    });
    const { clock, log } = this;
    const send = (what: string): void => void this.sent.push(`${clock.now() - 1000} ${what}`);
    const over = async (): Promise<void> => void (this.overs += 1);
    this.bootstrap = new Bootstrap({ ...BOOTSTRAP, probe: PROBE }, { ownership: this.leases.ownership, clock, log, random: { float: () => delay }, send, changed: () => (this.changes += 1), over });
    this.bootstrap.onMoved((key) => this.moved.push(key));
    this.leases.ownership.watch(KEY, CONTROL_PLANE);
  }

  /** As the engine does: a pass tells how this node stands, and what the Leases say is learned. */
  async pass(ms = 0): Promise<void> {
    this.bootstrap.campaign(new Map([[KEY, "run"]]));
    for (let left = ms; left >= 0; left -= 10) {
      await this.clock.advance(Math.min(10, left));
      this.bootstrap.learn();
      if (left === 0) break;
    }
  }

  reach(): void {
    this.#reach();
  }

  state(): OwnershipState | undefined {
    return this.bootstrap.states().get(KEY);
  }

  /** All that the fence says must agree. */
  held(): boolean {
    const now = this.clock.now();
    const held = this.bootstrap.heldUntil(KEY) > now;
    expect([this.bootstrap.kernelDeadline(KEY) > now, this.bootstrap.mayAnnounce(KEY), this.state()?.held]).toEqual([held, held, held]);
    return held;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bootstrap[Symbol.asyncDispose]();
    await this.leases[Symbol.asyncDispose]();
  }
}

describe("the control-plane VIP while the API has not been reached", () => {
  test("is held from the end of the probe on, for a few seconds at a time, each second anew", async () => {
    await using node = new Node();
    await node.pass(1030);
    expect(node.held()).toBe(false);
    await node.pass(10);
    expect([node.held(), node.state(), node.changes]).toEqual([true, { held: true, view: "unknown", holder: "", created: false }, 1]);
    const first = node.bootstrap.kernelDeadline(KEY);
    expect(first - node.clock.now()).toBeGreaterThan(3900);
    await node.pass(1000);
    expect([node.bootstrap.kernelDeadline(KEY) - first, node.moved]).toEqual([1000, [KEY, KEY]]);
    expect(node.bootstrap.states().get(KEY)).toBe(node.bootstrap.states().get(KEY));
  });

  test("passes to the Lease without a moment in between; from then on the Lease alone decides", async () => {
    await using node = new Node();
    await node.pass(1500);
    node.reach();
    for (let i = 0; i < 100; i += 1) {
      await node.pass(10);
      expect(node.held()).toBe(true);
    }
    expect(node.state()).toMatchObject({ view: "mine", holder: "n1" });
    expect(node.bootstrap.heldUntil(KEY)).toBe(node.leases.ownership.heldUntil(KEY));
    expect(node.overs).toBe(1);
    node.leases.ownership.leave();
    await node.pass(10_000);
    expect(node.held()).toBe(false);
  });

  test("is let go when the Lease is another's", async () => {
    await using node = new Node();
    const record = { holderIdentity: "n2", leaseDurationSeconds: 5, acquireTime: undefined, renewTime: undefined, leaseTransitions: 0 };
    await node.leases.kube.leases.create(CONTROL_PLANE, record, 1000, new AbortController().signal);
    await node.pass(1500);
    expect(node.held()).toBe(true);
    node.reach();
    await node.pass(10);
    expect([node.held(), node.state()?.holder, node.overs]).toEqual([false, "n2", 1]);
  });

  test("is not even asked for where the API is reached first", async () => {
    await using node = new Node();
    node.reach();
    await node.pass(3000);
    expect([node.sent, node.held(), node.state()?.created]).toEqual([[], true, true]);
  });

  test("after somebody was found on the address, the first Lease is left to it for a moment; made here, it does not mean that nobody has the address", async () => {
    await using node = new Node(0);
    await node.pass(5);
    node.bootstrap.claimed(HIGHER, OWN, false);
    node.reach();
    await node.pass(500);
    expect(node.state()).toMatchObject({ held: false, view: "free" });
    await node.pass(2000);
    expect([node.held(), node.state()?.created]).toEqual([true, false]);
    // The patience was for the first Lease only; it is not offered again.
    await node.pass(40_000);
    expect(node.held()).toBe(true);
  });

  test.each<readonly [string, MacAddress, boolean]>([
    ["another with a lower MAC announces it: no", LOWER, false],
    ["another with a higher MAC announces it: yes, and it is told so", HIGHER, true],
  ])("whether it is still ours is for the LAN to say: %s", async (_name, mac, ours) => {
    await using node = new Node();
    await node.pass(1500);
    const confirmed = node.bootstrap.confirm(KEY);
    node.bootstrap.claimed(mac, OWN, false);
    await node.clock.advance(50);
    expect([await confirmed, node.held(), node.sent.includes("1500 defend")]).toEqual([ours, ours, ours]);
  });

  test.each<readonly [string, (node: Node) => void]>([
    ["the process ends", (node) => node.bootstrap.leave()],
    ["the link goes", (node) => node.bootstrap.campaign(new Map([[KEY, "drop"]]))],
    ["the machine stood still", (node) => node.bootstrap.suspect()],
  ])("is let go when %s", async (_name, strike) => {
    await using node = new Node();
    await node.pass(1500);
    expect(node.held()).toBe(true);
    strike(node);
    expect(node.held()).toBe(false);
  });

  test("a health that is bad or not known yet is no reason against it: there is no API server yet", async () => {
    await using node = new Node();
    node.bootstrap.campaign(new Map([[KEY, "yield"]]));
    await node.clock.advance(1500);
    expect(node.held()).toBe(true);
  });

  test("what else is owned goes by its Lease alone", async () => {
    await using node = new Node();
    await node.pass(1500);
    expect([node.bootstrap.heldUntil("services"), node.bootstrap.kernelDeadline("services"), node.bootstrap.mayAnnounce("services")]).toEqual([0, 0, false]);
    expect(await Promise.race([node.bootstrap.confirm("services"), never()])).toBe(false);
  });
});
