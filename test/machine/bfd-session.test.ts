import { describe, expect, it } from "vitest";

import { bfdSessionStart, bfdSessionStep } from "../../src/machine/bfd-session.js";
import { bfdFault, detectionMs, transmissionMs, type BfdSessionAction, type BfdSessionInput, type BfdSessionState } from "../../src/machine/bfd-session-state.js";
import type { StepResult } from "../../src/machine/step.js";
import { BFD_STATES, type BfdPacket, type BfdState } from "../../src/wire/bfd.js";

const TIMING = { receiveMs: 300, transmitMs: 300, multiplier: 3 };
const OURS = 0x1001;
const THEIRS = 0x2002;

type Result = StepResult<BfdSessionState, BfdSessionAction>;

/** A packet of the peer: 100 ms both ways, multiplier 5. */
function packet(state: BfdState, fields: Partial<BfdPacket> = {}): BfdPacket {
  return {
    diagnostic: 0,
    state,
    poll: false,
    final: false,
    controlPlaneIndependent: false,
    demand: false,
    multipoint: false,
    multiplier: 5,
    myDiscriminator: THEIRS,
    yourDiscriminator: state === "Down" ? 0 : OURS,
    desiredMinTx: 100_000,
    requiredMinRx: 100_000,
    requiredMinEchoRx: 0,
    authentication: undefined,
    ...fields,
  };
}

/** A session that is driven by hand. */
class Driven {
  now = 0;
  result: Result;
  /** Since the last look. */
  sent: BfdPacket[] = [];

  constructor(timing = TIMING) {
    this.result = { state: bfdSessionStart(OURS, timing, 0), actions: [], wakeAt: 0 };
  }

  get state(): BfdSessionState {
    return this.result.state;
  }

  step(input: BfdSessionInput, random = 1): this {
    this.result = bfdSessionStep(this.state, { ...input, random }, this.now);
    for (const action of this.result.actions) if (action.type === "send") this.sent.push(action.packet);
    return this;
  }

  hear(state: BfdState, fields: Partial<BfdPacket> = {}): this {
    return this.step({ type: "received", packet: packet(state, fields) });
  }

  /** Moves on to `at`, with every wake-up in between. */
  until(at: number): this {
    while (this.result.wakeAt !== undefined && this.result.wakeAt <= at) {
      this.now = Math.max(this.now, this.result.wakeAt);
      this.step({ type: "tick" });
    }
    this.now = at;
    return this;
  }

  take(): readonly BfdPacket[] {
    return this.sent.splice(0);
  }

  /** Up, with every Poll Sequence over. */
  up(): this {
    this.hear("Down").hear("Up", { final: true });
    this.hear("Up", { final: true });
    this.take();
    return this;
  }
}

describe("the state table of RFC 5880 6.2", () => {
  // from, what comes -> to, diagnostic
  const rows: readonly (readonly [BfdState, BfdState, BfdState, number])[] = [
    ["Down", "AdminDown", "Down", 0],
    ["Down", "Down", "Init", 0],
    ["Down", "Init", "Up", 0],
    ["Down", "Up", "Down", 0],
    ["Init", "AdminDown", "Down", 3],
    ["Init", "Down", "Init", 0],
    ["Init", "Init", "Up", 0],
    ["Init", "Up", "Up", 0],
    ["Up", "AdminDown", "Down", 3],
    ["Up", "Down", "Down", 3],
    ["Up", "Init", "Up", 0],
    ["Up", "Up", "Up", 0],
  ];
  it.each(rows)("%s hears %s: %s, diagnostic %i", (from, heard, to, diagnostic) => {
    const driven = new Driven();
    if (from === "Init") driven.hear("Down");
    if (from === "Up") driven.up();
    driven.take();
    driven.now = 50;
    driven.hear(heard);
    expect(driven.state).toMatchObject({ state: to, diagnostic, since: from === to ? 0 : 50 });
    // A change is said at once.
    expect(driven.take().map(({ state }) => state)).toEqual(from === to ? [] : [to]);
  });
});

describe("discards", () => {
  const rows = [
    ["multiplierZero", packet("Up", { multiplier: 0 })],
    ["multipoint", packet("Up", { multipoint: true })],
    ["noDiscriminator", packet("Up", { myDiscriminator: 0 })],
    ["noYourDiscriminator", packet("Up", { yourDiscriminator: 0 })],
    ["noYourDiscriminator", packet("Init", { yourDiscriminator: 0 })],
    ["authenticated", packet("Up", { authentication: new Uint8Array(2) })],
    ["pollAndFinal", packet("Up", { poll: true, final: true })],
  ] as const;
  it.each(rows)("%s", (fault, bad) => {
    expect(bfdFault(bad)).toBe(fault);
    const driven = new Driven().up();
    const before = driven.state;
    driven.now = 99;
    driven.step({ type: "received", packet: bad });
    expect(driven.result.actions).toEqual([{ type: "discarded", reason: fault }]);
    expect(driven.state).toBe(before);
  });

  it("but not a peer that does not know us yet", () => {
    expect(bfdFault(packet("Down", { yourDiscriminator: 0 }))).toBeUndefined();
    expect(bfdFault(packet("AdminDown", { yourDiscriminator: 0 }))).toBeUndefined();
    for (const state of BFD_STATES) expect(bfdFault(packet(state, { yourDiscriminator: OURS }))).toBeUndefined();
  });
});

describe("transmission", () => {
  it("begins at once, and is slow as long as the session is not up", () => {
    const driven = new Driven({ receiveMs: 50, transmitMs: 50, multiplier: 3 }).until(3000);
    expect(driven.take()).toHaveLength(4);
    expect(driven.hear("Down").take()).toMatchObject([{ state: "Init", desiredMinTx: 1_000_000, requiredMinRx: 50_000, requiredMinEchoRx: 0, demand: false }]);
  });

  it.each([
    [3, 0, 225],
    [3, 1, 300],
    [1, 0, 225],
    [1, 1, 270],
  ])("is jittered: multiplier %i, random %i, %i ms", (multiplier, random, ms) => {
    const driven = new Driven({ ...TIMING, multiplier }).up().until(300);
    const now = driven.result.wakeAt ?? 0;
    driven.now = now;
    driven.step({ type: "tick" }, random);
    expect(driven.take().length).toBeGreaterThan(0);
    expect(driven.state.sendAt).toBeCloseTo(now + ms, 6);
  });

  it("is no faster than the peer can take", () => {
    const driven = new Driven().up().hear("Up", { requiredMinRx: 2_000_000 });
    expect(transmissionMs(driven.state)).toBe(2000);
  });

  it("follows at once where the peer can take more: the next packet is no farther from the last than it wants", () => {
    const driven = new Driven().up().hear("Up", { requiredMinRx: 10_000_000, desiredMinTx: 60_000_000 }).until(2000);
    driven.take();
    driven.hear("Up");
    expect(driven.result.wakeAt).toBeLessThan(2000);
    driven.step({ type: "tick" });
    expect(driven.take()).toHaveLength(1);
  });

  it("stops where the peer wants nothing, but polls are answered", () => {
    const driven = new Driven().up().hear("Up", { requiredMinRx: 0, desiredMinTx: 60_000_000 }).until(5000);
    expect(driven.take()).toEqual([]);
    expect(driven.hear("Up", { poll: true, requiredMinRx: 0 }).take()).toMatchObject([{ final: true, poll: false }]);
  });

  it("stops for a peer in demand mode while both are up", () => {
    const driven = new Driven().up().hear("Up", { demand: true, desiredMinTx: 60_000_000 }).until(5000);
    expect(driven.take()).toEqual([]);
    driven.step({ type: "timing", timing: { ...TIMING, transmitMs: 400 } }).until(5900);
    expect(driven.take().map(({ poll }) => poll)).toEqual([true, true, true, true]);
  });

  it("that was held up goes on from now, with one packet", () => {
    const driven = new Driven().until(0);
    driven.take();
    driven.now = 60_000;
    driven.step({ type: "tick" });
    expect(driven.take()).toHaveLength(1);
    expect(driven.state.sendAt).toBe(61_000);
  });
});

describe("detection", () => {
  it("is the peer's multiplier times the slower of what it sends and what we take", () => {
    expect(detectionMs(new Driven().state)).toBeUndefined();
    expect(detectionMs(new Driven().up().state)).toBe(1500);
    expect(detectionMs(new Driven().up().hear("Up", { desiredMinTx: 1_000_000, multiplier: 2 }).state)).toBe(2000);
  });

  it("ends the session: Down, diagnostic 1, the peer's discriminator forgotten, slow again", () => {
    const driven = new Driven().up().until(1499);
    driven.take();
    expect(driven.state.state).toBe("Up");
    driven.until(1500);
    expect(driven.state).toMatchObject({ state: "Down", diagnostic: 1, since: 1500, remote: undefined, poll: undefined });
    expect(driven.take().at(-1)).toMatchObject({ state: "Down", diagnostic: 1, yourDiscriminator: 0, desiredMinTx: 1_000_000, poll: false });
    expect(driven.state.sendAt).toBe(2500);
  });

  it("starts anew with each packet", () => {
    const driven = new Driven().up();
    for (let at = 1000; at < 10_000; at += 1000) driven.until(at).hear("Up");
    expect(driven.state.state).toBe("Up");
  });

  it("does not count a packet that was discarded", () => {
    const driven = new Driven().up().until(1400).hear("Up", { multiplier: 0 }).until(1500);
    expect(driven.state.state).toBe("Down");
  });
});

describe("parameter changes, RFC 5880 6.8.3", () => {
  it("going up polls with the fast interval until there is a Final", () => {
    const driven = new Driven().hear("Down");
    driven.take();
    driven.hear("Up");
    expect(driven.take()).toMatchObject([{ state: "Up", poll: true, desiredMinTx: 300_000 }]);
    driven.until(300);
    expect(driven.take()).toMatchObject([{ poll: true }]);
    driven.hear("Up", { final: true }).until(600);
    expect(driven.take()).toMatchObject([{ poll: false }]);
  });

  it("sending more slowly waits for the Final, sending faster does not", () => {
    const driven = new Driven().up().step({ type: "timing", timing: { ...TIMING, transmitMs: 500 } });
    expect(driven.take()).toMatchObject([{ poll: true, desiredMinTx: 500_000 }]);
    expect(transmissionMs(driven.state)).toBe(300);
    expect(transmissionMs(driven.hear("Up").state)).toBe(300);
    expect(transmissionMs(driven.hear("Up", { final: true }).state)).toBe(500);
    expect(transmissionMs(driven.step({ type: "timing", timing: { ...TIMING, transmitMs: 150 } }).state)).toBe(150);
  });

  it("giving up sooner waits for the Final, giving up later does not", () => {
    const driven = new Driven().up().step({ type: "timing", timing: { ...TIMING, receiveMs: 150 } });
    expect(driven.take()).toMatchObject([{ poll: true, requiredMinRx: 150_000 }]);
    expect(detectionMs(driven.state)).toBe(1500);
    expect(detectionMs(driven.hear("Up", { final: true }).state)).toBe(750);
    expect(detectionMs(driven.step({ type: "timing", timing: { ...TIMING, receiveMs: 400 } }).state)).toBe(2000);
  });

  it("a change during a poll takes another one", () => {
    const driven = new Driven().up().step({ type: "timing", timing: { ...TIMING, transmitMs: 500 } });
    driven.step({ type: "timing", timing: { ...TIMING, transmitMs: 600 } });
    driven.take();
    // This Final may be the answer to 500.
    driven.hear("Up", { final: true });
    expect(transmissionMs(driven.state)).toBe(300);
    expect(driven.take()).toMatchObject([{ poll: true, desiredMinTx: 600_000 }]);
    expect(transmissionMs(driven.hear("Up", { final: true }).state)).toBe(600);
    expect(driven.take()).toEqual([]);
  });

  it("another multiplier is said at once, without a poll", () => {
    const driven = new Driven().up().step({ type: "timing", timing: { ...TIMING, multiplier: 5 } });
    expect(driven.take()).toMatchObject([{ multiplier: 5, poll: false }]);
  });

  it("the same again is no change", () => {
    expect(new Driven().up().step({ type: "timing", timing: { ...TIMING } }).take()).toEqual([]);
  });

  it("before anything was heard there is nobody to poll", () => {
    const driven = new Driven().step({ type: "timing", timing: { ...TIMING, receiveMs: 50 } });
    expect(driven.take()).toMatchObject([{ poll: false, requiredMinRx: 50_000 }]);
  });

  it("a Poll is answered at once, in every state, and never with a Poll", () => {
    const driven = new Driven();
    expect(driven.hear("Down", { poll: true }).take()).toMatchObject([{ state: "Init", final: true, poll: false }]);
    expect(driven.hear("Up", { poll: true }).take()).toMatchObject([{ state: "Up", final: true, poll: false }]);
    expect(driven.hear("Up", { poll: true }).take()).toMatchObject([{ final: true, poll: false }]);
    // Ours is still under way.
    expect(driven.until(300).take()).toMatchObject([{ final: false, poll: true }]);
    expect(driven.hear("Down", { poll: true, yourDiscriminator: OURS }).take()).toMatchObject([{ state: "Down", final: true }]);
  });
});

describe("the end", () => {
  it("says AdminDown three times, and nothing after that", () => {
    const driven = new Driven().up().step({ type: "close" });
    expect(driven.take()).toMatchObject([{ state: "AdminDown", diagnostic: 7, yourDiscriminator: THEIRS, poll: false }]);
    expect(driven.hear("Up", { poll: true }).result.actions).toEqual([{ type: "discarded", reason: "closed" }]);
    driven.step({ type: "timing", timing: TIMING });
    driven.step({ type: "close" });
    expect(driven.take()).toEqual([]);
    driven.until(20);
    expect(driven.result.actions.map(({ type }) => type)).toEqual(["send"]);
    driven.until(100);
    expect(driven.take().map(({ state }) => state)).toEqual(["AdminDown", "AdminDown"]);
    expect(driven.result).toMatchObject({ wakeAt: undefined, actions: [{ type: "send" }, { type: "ended" }] });
    driven.step({ type: "tick" });
    expect(driven.result.actions).toEqual([]);
  });
});
