import { describe, expect, test } from "vitest";
import { DhcpSim } from "./dhcp-client-sim.js";
import { seeded } from "./election-sim.js";

interface Totals {
  leases: number;
  expired: number;
  refused: number;
  declined: number;
  moved: number;
}

/** Half an hour of faults: loss, servers that stop, servers that forget, links that come back. Then two minutes of peace. */
function troubled(seed: number): { readonly sim: DhcpSim; readonly totals: Totals } {
  const random = seeded(seed);
  const leaseSeconds = [4, 20, 120, 900][seed % 4] ?? 120;
  const sim = new DhcpSim({ clients: 8, leaseSeconds, random, loss: 0.25, authoritative: seed % 3 !== 0 });
  const end = 1_800_000;
  for (let time = 0; time < end; time += 20_000 + random() * 120_000) {
    const server = sim.servers[random() < 0.5 ? 0 : 1];
    const client = sim.clients[Math.floor(random() * sim.clients.length)];
    const kind = random();
    sim.at(time, () => {
      if (server === undefined || client === undefined) return;
      if (kind < 0.35) server.up = !server.up;
      else if (kind < 0.7) server.forget();
      else if (kind < 0.85) sim.send(client, { type: "rejoined" });
      else sim.send(client, { type: "slept", ms: random() * 10_000 });
    });
  }
  sim.runUntil(end);
  for (const server of sim.servers) server.up = true;
  sim.loss = 0;
  sim.runUntil(end + 180_000);
  return { sim, totals: sim.counts };
}

describe("eight clients and two servers that lose packets, power and memory", () => {
  test("no address is used twice, by somebody to whom nobody gave it, or beyond its time; and in the end all have one", { timeout: 60_000 }, () => {
    const sum: Totals = { leases: 0, expired: 0, refused: 0, declined: 0, moved: 0 };
    for (let seed = 1; seed <= 12; seed += 1) {
      const { sim, totals } = troubled(seed);
      for (const key of Object.keys(sum) as (keyof Totals)[]) sum[key] += totals[key];
      expect(sim.clients.map(({ state }) => state.lease === undefined), `seed ${seed}`).not.toContain(true);
    }
    // The faults did what they are for.
    expect(sum.leases).toBeGreaterThan(2000);
    for (const count of [sum.expired, sum.refused, sum.declined]) expect(count).toBeGreaterThan(20);
  });
});

describe("a hundred clients at once", () => {
  test("have their leases within a second where nothing gets lost", () => {
    const sim = new DhcpSim({ clients: 100, leaseSeconds: 3600, random: seeded(5), loss: 0, authoritative: true });
    // Two servers that know nothing of each other give some addresses twice, which costs those who find out 10 s.
    for (const server of sim.servers.slice(1)) server.up = false;
    sim.runUntil(1000);
    expect(sim.clients.filter(({ using }) => using === undefined)).toHaveLength(0);
    expect(new Set(sim.clients.map(({ using }) => using)).size).toBe(100);
  });
});

describe("a release of all", () => {
  test("leaves no lease at the server, and nobody who still waits for anything", () => {
    const sim = new DhcpSim({ clients: 4, leaseSeconds: 3600, random: seeded(9), loss: 0, authoritative: true });
    for (const server of sim.servers.slice(1)) server.up = false;
    sim.runUntil(5000);
    expect(sim.servers[0]?.size).toBe(4);
    for (const client of sim.clients) sim.send(client, { type: "release" });
    sim.runUntil(10_000);
    expect(sim.servers[0]?.size).toBe(0);
    expect(sim.clients.map(({ using, wakeAt }) => ({ using, wakeAt }))).toEqual(Array.from({ length: 4 }, () => ({ using: undefined, wakeAt: undefined })));
  });
});
