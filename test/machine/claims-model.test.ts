import { describe, expect, test } from "vitest";
import { runsOf } from "../runs.js";
import { campaign } from "./claims-campaign.js";
import { FAULTS, STORM, type SimOptions } from "./claims-sim-options.js";
import { ClaimsSim } from "./claims-sim.js";

/*
 * Rules that were switched off one by one, and what this model then shows: docs/decisions/0011-claims.md. A failure names its seed:
 * `new ClaimsSim({ ...options, seed }).run()` plays it again; fewer keys, nodes or FAULTS make it smaller.
 */

const LEASE_MS = 5000;
const ALL: Omit<SimOptions, "seed"> = { nodes: 4, keys: 20, seconds: 100, calmSeconds: 30, faults: FAULTS, stalls: true };
/** No slow or lost requests, and what nobody holds counts during faults, too. */
const STRICT = { ...ALL, stalls: false, strict: true };
const SOUND = { overlap: "", broken: [], needless: [], restless: [], unheld: [] };

describe("four nodes, twenty keys, random faults", { timeout: 60_000 }, () => {
  test("of all kinds: one holder each outside a hand-over, all held again after the last fault, and no writes when nothing changes", () => {
    const runs = runsOf(10);
    const worst = campaign(ALL, runs);
    expect(worst).toMatchObject({ ...SOUND, runs });
    expect(worst.moves).toBeGreaterThan(runs * 25);
    expect(worst.handOvers).toBeGreaterThan(runs * 4);
    // A request that hangs for its time-out, and a retry, on top of a lease time.
    expect(worst.gapMs).toBeLessThan(LEASE_MS + 3000 + 2000);
  });

  test("hand-overs of all kinds while requests hang and watches are dead: still one holder each", () => {
    const runs = runsOf(8);
    const worst = campaign({ ...ALL, ...STORM }, runs);
    expect(worst).toMatchObject({ ...SOUND, runs });
    expect(worst.handOvers).toBeGreaterThan(runs * 10);
    // The bound of a hand-over: the owner's patience, the heir's time, and a kernel lifetime of a frozen or killed owner.
    expect(worst.handOverMs).toBeLessThan(1000 + 80 + 999 + 1550);
  });

  test("processes that die: every key is held again within the lease time and 1 s", () => {
    const runs = runsOf(8);
    const worst = campaign({ ...STRICT, faults: ["kill"] }, runs);
    expect(worst).toMatchObject({ ...SOUND, runs, handOvers: 0 });
    expect(worst.moves).toBeGreaterThan(runs * 30);
    expect(worst.gapMs).toBeLessThan(LEASE_MS + 1000);
  });

  test("frozen and cut off: as if dead", () => {
    const runs = runsOf(8);
    const worst = campaign({ ...STRICT, faults: ["freeze", "cut"] }, runs);
    expect(worst).toMatchObject({ ...SOUND, runs, handOvers: 0 });
    expect(worst.gapMs).toBeLessThan(LEASE_MS + 1000);
  });

  test("watches that are slow, or dead without a word, move nothing at all", () => {
    const runs = runsOf(8);
    const worst = campaign({ ...STRICT, faults: ["watchSlow", "watchDead"] }, runs);
    expect(worst).toMatchObject({ ...SOUND, runs, moves: runs * 20, fencedAlive: 0 });
    expect(worst.gapMs).toBeLessThan(1500);
  });

  test("outages of the API move nothing at all", () => {
    const runs = runsOf(8);
    const worst = campaign({ ...STRICT, strict: false, faults: ["outage"] }, runs);
    expect(worst).toMatchObject({ ...SOUND, runs, moves: runs * 20 });
  });

  test("leaving and draining hand over without a break", () => {
    const runs = runsOf(8);
    const worst = campaign({ ...STRICT, faults: ["leave", "drain"] }, runs);
    expect(worst).toMatchObject({ ...SOUND, runs });
    expect(worst.handOvers).toBeGreaterThan(runs * 35);
    expect(worst.handOverMs).toBeLessThan(200);
    // The start, when nobody has been there before.
    expect(worst.gapMs).toBeLessThan(500);
  });

  test("without faults nothing moves but what makes the load even, and then nothing at all", () => {
    const runs = runsOf(6);
    const worst = campaign({ ...STRICT, faults: [], seconds: 90, calmSeconds: 45, startMs: 20_000, config: { rebalanceRate: 5 } }, runs);
    expect(worst).toMatchObject({ ...SOUND, runs, worstSpread: [5, 5] });
    expect(worst.moves).toBe(runs * 20 + worst.handOvers);
    // A key moves once from the first node to the second, and perhaps on to the third or fourth.
    expect(worst.handOvers).toBeLessThan(runs * 25);
  });

  test("a slow rebalancing among all faults comes to its end", () => {
    const runs = runsOf(6);
    const worst = campaign({ ...ALL, seconds: 150, calmSeconds: 75, preferred: true, config: { rebalanceRate: 5 } }, runs);
    expect(worst).toMatchObject({ ...SOUND, runs });
    expect(worst.worstSpread[1] - worst.worstSpread[0]).toBeLessThanOrEqual(2);
  });
});

describe("what the model is worth: with a rule switched off it fails", { timeout: 60_000 }, () => {
  test("a renew deadline beyond the lease duration", () => {
    expect(campaign({ ...ALL, config: { renewDeadlineMs: 9000, kernelLatenessMs: -6000 } }, 4).overlapMs).toBeGreaterThan(1000);
  });

  test("no allowance for a kernel that is late", () => {
    expect(campaign({ ...ALL, faults: ["freeze", "kill"], config: { kernelLatenessMs: 0 } }, 8).overlapMs).toBeGreaterThan(0);
  });

  test("a fence that goes through whatever the member has written since", () => {
    const worst = campaign({ ...ALL, blindFence: true }, 4);
    expect(worst.broken).toHaveLength(4);
    expect(worst.fencedAlive).toBeGreaterThan(4);
  });

  test("former owners that keep their address for longer than the hand-over allows", () => {
    expect(campaign({ ...STRICT, faults: ["leave", "drain"], config: { heirMs: 6000 } }, 4).overlapMs).toBeGreaterThan(0);
  });
});

describe("seeds that failed once", () => {
  test.each([
    ["an address that came back while its key was on offer, after the owner had had to let go of it", { ...ALL, seconds: 160, calmSeconds: 40, seed: 25 }],
    ["a late heir's take-over brought back what had been let go of", { ...ALL, seconds: 160, calmSeconds: 40, preferred: true, config: { rebalanceRate: 5 }, seed: 7 }],
    ["after a standstill an owner that was giving a key away took its address up again", { ...ALL, ...STORM, seconds: 130, seed: 109 }],
    ["after a standstill a former owner took it up again for the rest of its time", { ...ALL, ...STORM, seconds: 160, calmSeconds: 60, preferred: true, config: { rebalanceRate: 5 }, seed: 4 }],
  ])("%s", (_name, options) => {
    expect(new ClaimsSim(options).run()).toMatchObject({ overlapText: "", broken: [] });
  });
});
