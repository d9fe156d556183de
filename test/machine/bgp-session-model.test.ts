import { describe, expect, test } from "vitest";
import { bgpStateName } from "../../src/machine/bgp-session-state.js";
import { CEASE_ADMIN_RESET, CEASE_ADMIN_SHUTDOWN } from "../../src/wire/bgp/codes.js";
import { config, routeMap } from "./bgp-session-bench.js";
import { Simulation, speakerConfig } from "./bgp-session-sim.js";

const CHAOS_MS = 60_000;
const SEEDS = Array.from({ length: 150 }, (_, seed) => seed + 1);
const base = { ...config, holdSeconds: 9, retryMostMs: 8000, families: [4] } as const;

/** How long after `from` both agree, ms. A run that never does ends the test. */
function agreeAfter(simulation: Simulation, from: number, most: number): number {
  simulation.run(from + most, () => simulation.agreed());
  const ends = simulation.speakers.map(({ name, ends: list, state }) => `${name} ${bgpStateName(state)}: ${list.slice(-5).join("; ")}`);
  if (!simulation.agreed()) throw new Error(`no agreement within ${most} ms: ${ends.join(" | ")}`);
  return simulation.now - from;
}

function started(seed: number, change: Partial<typeof config> = {}): Simulation {
  const simulation = new Simulation([speakerConfig(1, base), { ...speakerConfig(2, base), ...change }], seed);
  const [a, b] = simulation.speakers;
  simulation.announce(a, routeMap(50));
  simulation.announce(b, new Map([...routeMap(40)].slice(10)));
  simulation.send(a, { type: "start", restarting: false });
  simulation.at(simulation.float() * 30, () => simulation.send(b, { type: "start", restarting: false }));
  return simulation;
}

describe("two speakers that dial each other at the same time", () => {
  test("agree on one connection and have each other's routes, whatever the order of the messages", () => {
    let collisions = 0;
    const times = SEEDS.map((seed) => {
      const simulation = started(seed);
      const time = agreeAfter(simulation, 0, 30_000);
      collisions += simulation.collisions;
      // It stays so: nobody has a second connection, and nothing ends.
      const ends = simulation.speakers.map((speaker) => speaker.ends.length);
      simulation.run(120_000);
      expect([simulation.agreed(), simulation.speakers.map((speaker) => speaker.ends.length), simulation.speakers.map((speaker) => speaker.state.connections.length)]).toEqual([true, ends, [1, 1]]);
      return time;
    });
    console.info(`agreed after ${Math.max(...times).toFixed(0)} ms at most, ${collisions} collisions in ${SEEDS.length} runs`);
    expect(collisions).toBeGreaterThan(50);
  });

  test("also when only one of them dials", () => {
    for (const seed of SEEDS.slice(0, 30)) agreeAfter(started(seed, { passive: true }), 0, 5000);
  });

  test("also with graceful restart and equal identifiers", () => {
    for (const seed of SEEDS.slice(0, 50)) {
      const simulation = new Simulation([{ ...speakerConfig(1, base), gracefulRestartSeconds: 60 }, { ...speakerConfig(2, base), gracefulRestartSeconds: 60, routerId: speakerConfig(1, base).routerId }], seed);
      for (const speaker of simulation.speakers) {
        simulation.announce(speaker, routeMap(3));
        simulation.send(speaker, { type: "start", restarting: true });
      }
      agreeAfter(simulation, 0, 60_000);
    }
  });
});

describe("two speakers over a network that loses dials and resets connections", () => {
  test("agree soon after it has become well, with the routes of then", () => {
    let ends = 0;
    const times = SEEDS.slice(0, 75).map((seed) => {
      const simulation = started(seed);
      simulation.faults = { refusedDial: 0.2, lostDial: 0.2, reset: 0.15 };
      const [a, b] = simulation.speakers;
      for (let at = 0; at < CHAOS_MS; at += 3000) {
        simulation.at(at, () => simulation.announce(a, routeMap(Math.floor(simulation.float() * 200), { med: Math.floor(simulation.float() * 3) })));
        simulation.at(at + 500, () => simulation.announce(b, routeMap(Math.floor(simulation.float() * 200))));
      }
      simulation.at(20_000, () => simulation.send(a, { type: "reset", subcode: CEASE_ADMIN_RESET }));
      simulation.at(40_000, () => simulation.send(b, { type: "stop", subcode: CEASE_ADMIN_SHUTDOWN }));
      simulation.at(45_000, () => simulation.send(b, { type: "start", restarting: false }));
      simulation.at(CHAOS_MS - 10, () => simulation.send(a, { type: "reset", subcode: CEASE_ADMIN_RESET }));
      simulation.run(CHAOS_MS);
      simulation.faults = { refusedDial: 0, lostDial: 0, reset: 0 };
      ends += a.ends.length + b.ends.length;
      return agreeAfter(simulation, CHAOS_MS, 60_000);
    });
    const sorted = times.toSorted((x, y) => x - y);
    console.info(`${ends} ends in ${times.length} runs; agreed again after ${sorted.at(times.length / 2)?.toFixed(0)} ms (median), ${sorted.at(-1)?.toFixed(0)} ms at most`);
    expect(ends).toBeGreaterThan(5 * times.length);
  });
});
