import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { MacAddress } from "../../src/lib/mac.js";
import { bootstrapKernelDeadline, bootstrapStart, bootstrapStep, bootstrapUntil, type BootstrapEvent, type BootstrapState } from "../../src/machine/bootstrap.js";
import type { LeaseView } from "../../src/machine/election-state.js";
import { FakeClock } from "../fakes/clock.js";
import { CONFIG, Lan, LanNode, Stranger } from "./bootstrap-lan.js";

const mac = (n: number): MacAddress => `02:00:00:00:00:${n.toString(16).padStart(2, "0")}` as MacAddress;

/** Runs events of one node with random number 0.5; returns its state and the actions with their times. */
function run(events: readonly (readonly [number, BootstrapEvent])[], until: number): { readonly state: BootstrapState; readonly sent: readonly string[] } {
  let state = bootstrapStart();
  let wake: number | undefined;
  const sent: string[] = [];
  const step = (event: BootstrapEvent, now: number): void => {
    const result = bootstrapStep(state, event, now, CONFIG);
    ({ state, wakeAt: wake } = result);
    for (const { type } of result.actions) sent.push(`${now} ${type}`);
  };
  const ticks = (end: number): void => {
    while (wake !== undefined && wake < end) step({ type: "tick", random: 0.5 }, wake);
  };
  for (const [at, event] of events) {
    ticks(at);
    step(event, at);
  }
  ticks(until);
  return { state, sent };
}

const able: BootstrapEvent = { type: "able", able: true, random: 0.5 };
const lease = (view: LeaseView, held = false): BootstrapEvent => ({ type: "lease", view, held, random: 0.5 });
const heard = (n: number, asking = false): BootstrapEvent => ({ type: "claimed", mac: mac(n), own: mac(5), asking, random: 0.5 });

describe("one node, nobody on the address", () => {
  test("waits a random while, asks three times, holds at 35 ms, and asks again every second", () => {
    const { state, sent } = run([[0, able]], 3036);
    expect(sent).toEqual(["1000 ask", "1010 ask", "1020 ask", "2035 ask", "3035 ask"]);
    expect(bootstrapUntil(state, CONFIG)).toBe(6035);
    expect(bootstrapKernelDeadline(state, CONFIG)).toBe(7035);
  });

  test.each<readonly [string, readonly (readonly [number, BootstrapEvent])[], string]>([
    ["nothing is known of the API", [[2000, lease("unknown")]], "holding"],
    ["there is no Lease yet: it is about to be made, the address stays", [[2000, lease("free")]], "holding"],
    ["the Lease names this node from an earlier life", [[2000, lease("mine")]], "holding"],
    ["the Lease is held here", [[2000, lease("free")], [2010, lease("mine", true)]], "over"],
    ["the Lease is held by another", [[2000, lease("other")]], "over"],
    ["the API was reached before the address was taken", [[500, lease("free")]], "over"],
    ["the API was reached while it was asked for", [[1015, lease("free")]], "over"],
    ["the Lease names this node, and it was not held yet", [[500, lease("mine")]], "over"],
    ["held once, never again", [[2000, lease("mine", true)], [2500, lease("free")]], "over"],
    ["the link goes", [[2000, { type: "able", able: false, random: 0.5 }]], "barred"],
    ["the link goes and comes back", [[2000, { type: "able", able: false, random: 0.5 }], [2100, able]], "waiting"],
    ["the machine stood still", [[2000, { type: "lapse", random: 0.5 }]], "waiting"],
    ["this process stood still for longer than it may hold", [[4036, { type: "tick", random: 0.5 }]], "holding"],
  ])("%s", (_name, events, phase) => {
    expect(run([[0, able], ...events], 3000).state.phase.name).toBe(phase);
  });

  test("a process that stood still for longer than it may hold asks anew before it holds again", () => {
    const before = run([[0, able]], 1100).state;
    const woken = bootstrapStep(before, { type: "tick", random: 0.5 }, bootstrapUntil(before, CONFIG), CONFIG);
    expect([woken.state.phase, bootstrapUntil(woken.state, CONFIG)]).toEqual([{ name: "waiting", until: 1035 + 3000 + 1000 }, 0]);
    const intime = bootstrapStep(before, { type: "tick", random: 0.5 }, bootstrapUntil(before, CONFIG) - 1, CONFIG);
    expect(intime.state.phase.name).toBe("holding");
  });
});

describe("somebody else on the address", () => {
  test.each<readonly [string, number, BootstrapEvent, string]>([
    ["answers while it is asked for: left alone", 1012, heard(9), "waiting"],
    ["asks at the same time, with a lower MAC: it goes first", 1012, heard(1, true), "waiting"],
    ["asks at the same time, with a higher MAC: this node goes on", 1012, heard(9, true), "holding"],
    ["only asks while it is held here: the kernel answers", 1500, heard(1, true), "holding"],
    ["claims it while it is held here, with a lower MAC: let go", 1500, heard(1), "waiting"],
    ["claims it while it is held here, with a higher MAC: kept", 1500, heard(9), "holding"],
  ])("%s", (_name, at, event, phase) => {
    expect(run([[0, able], [at, event]], at + 40).state.phase.name).toBe(phase);
  });

  test("with a higher MAC is told that the address is here; if it still claims it half a second later, it gets it", () => {
    const first = run([[0, able], [1500, heard(9)], [1999, heard(9)]], 2000);
    expect([first.sent.slice(3), first.state.phase.name]).toEqual([["1500 defend", "1999 defend"], "holding"]);
    const second = run([[0, able], [1500, heard(9)], [2000, heard(9)]], 2001);
    expect(second.state).toEqual({ phase: { name: "waiting", until: 2000 + 1000 + 1000 }, heard: mac(9) });
  });

  test("claims it once in a long while: each is a contest of its own", () => {
    const { state } = run([[0, able], [1500, heard(9)], [6000, heard(9)]], 6001);
    expect(state.phase.name).toBe("holding");
  });
});

/** Counts, every millisecond, who has the address. */
async function watch(lan: Lan, nodes: readonly LanNode[], ms: number): Promise<{ readonly overlapMs: number; readonly holders: readonly LanNode[]; readonly firstAt: number | undefined }> {
  let [run_, overlapMs] = [0, 0];
  let firstAt: number | undefined;
  const start = lan.clock.now();
  for (let at = 0; at < ms; at += 1) {
    await lan.clock.advance(1);
    const count = nodes.filter((node) => node.has()).length;
    run_ = count > 1 ? run_ + 1 : 0;
    overlapMs = Math.max(overlapMs, run_);
    if (count > 0) firstAt ??= lan.clock.now() - start;
  }
  return { overlapMs, holders: nodes.filter((node) => node.has()), firstAt };
}

function lanOf(count: number, random: (n: number) => () => number): { readonly lan: Lan; readonly nodes: readonly LanNode[] } {
  const lan = new Lan(new FakeClock());
  return { lan, nodes: Array.from({ length: count }, (_, n) => new LanNode(lan, mac(n + 1), random(n))) };
}

describe("nodes that start at once on one LAN", () => {
  test.each<readonly [string, readonly number[]]>([
    ["the same delay", [0.5, 0.5]],
    ["delays so near that both ask at once", [0.5, 0.502]],
    ["delays of which the second ends when the first takes it", [0.5, 0.5175]],
    ["delays far apart", [0.1, 0.9]],
    ["three, all the same", [0.3, 0.3, 0.3]],
  ])("%s: one takes it, and never do two have it", async (_name, delays) => {
    const { lan, nodes } = lanOf(delays.length, (n) => () => delays[n] ?? 0);
    for (const node of nodes) node.start();
    const { overlapMs, holders, firstAt } = await watch(lan, nodes, 6000);
    expect([overlapMs, holders.length]).toEqual([0, 1]);
    expect(firstAt).toBeLessThanOrEqual(2000 + 40);
  });

  test("on a LAN that loses half of all frames for two seconds: from then on two have it for a second at the most, and in the end one", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 50, maxLength: 50 }), fc.integer({ min: 2, max: 4 }), async (numbers, count) => {
        let at = 0;
        const next = (): number => numbers[(at += 1) % numbers.length] ?? 0;
        const { lan, nodes } = lanOf(count, () => next);
        let frames = 0;
        lan.lost = () => lan.clock.now() < 3000 && (frames += 1) % 2 === 0;
        for (const node of nodes) node.start();
        await lan.clock.advance(2000);
        const { overlapMs, holders } = await watch(lan, nodes, 6000);
        expect(overlapMs).toBeLessThanOrEqual(1010);
        expect(holders).toHaveLength(1);
      }),
      { numRuns: 25 },
    );
  });

  test("a LAN in two halves has two holders; when it is whole again, the lower MAC has it within little more than a second", async () => {
    const { lan, nodes } = lanOf(2, (n) => () => n * 0.4);
    lan.cut = () => true;
    for (const node of nodes) node.start();
    const apart = await watch(lan, nodes, 4000);
    expect(apart.holders).toHaveLength(2);
    lan.cut = () => false;
    const { overlapMs, holders } = await watch(lan, nodes, 4000);
    expect(overlapMs).toBeLessThanOrEqual(1010);
    expect(holders.map((node) => node.mac)).toEqual([mac(1)]);
  });

  test("the holder loses its power: another takes it, once", async () => {
    const { lan, nodes } = lanOf(3, (n) => () => n * 0.3);
    for (const node of nodes) node.start();
    const [first] = (await watch(lan, nodes, 3000)).holders;
    expect(first).toBe(nodes[0]);
    first?.die();
    const { overlapMs, holders } = await watch(lan, nodes, 5000);
    expect([overlapMs, holders.length]).toEqual([0, 1]);
    expect(holders[0]).not.toBe(first);
  });

  test.each([1, 200])("a stranger that has the address all along keeps it, whatever its MAC (%i)", async (n) => {
    const lan = new Lan(new FakeClock());
    const node = new LanNode(lan, mac(100), () => 0.1);
    const stranger = new Stranger(lan, mac(n));
    node.start();
    const { firstAt } = await watch(lan, [node], 10_000);
    expect(firstAt).toBeUndefined();
    expect(node.machine.state.heard).toBe(stranger.mac);
    expect(lan.frames).toBeLessThan(40);
  });

  test.each([1, 200])("the owner by the Lease, which announces itself and is not asked to give way, gets it (%i)", async (n) => {
    const lan = new Lan(new FakeClock());
    const node = new LanNode(lan, mac(100), () => 0.1);
    node.start();
    expect((await watch(lan, [node], 1000)).holders).toHaveLength(1);
    const owner = new Stranger(lan, mac(n));
    for (const ms of [0, 50, 200, 1000, 2000]) lan.clock.after(ms, () => owner.announce());
    await lan.clock.advance(1100);
    expect(node.has()).toBe(false);
  });
});
