import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { createClock } from "../../src/linux/clock.js";
import { createNative } from "../../src/linux/native.js";
import { createRandom } from "../../src/linux/random.js";
import { createUdp } from "../../src/linux/udp.js";
import { BfdSessions } from "../../src/modes/bfd.js";
import type { BfdReport, BfdSession, BfdTarget } from "../../src/ports/bfd.js";
import { FakeLog } from "../fakes/log.js";
import { allUp, BfdLab, reported, startBird, startFrr, target, type BirdPeer, type FrrPeer, type PeerName } from "./bfd-fixture.js";

const DEFAULT = { receiveMs: 300, transmitMs: 300, multiplier: 3 };
const clock = createClock();
const random = createRandom();
const log = new FakeLog();

let lab: BfdLab;
let bird: BirdPeer;
let frr: FrrPeer;
let bfd: BfdSessions;
let reports: BfdReport[] = [];

const birdLines = ['neighbor 10.94.1.1 dev "eth0"', 'neighbor fd94:1::1 dev "eth0"', "neighbor 10.96.0.1 local 10.97.1.2 multihop", "neighbor fd96::1 local fd97:1::2 multihop"];
const frrLines = [
  "peer 10.94.2.1 interface eth0",
  "peer fd94:2::1 local-address fd94:2::2 interface eth0",
  "peer 10.96.0.1 multihop local-address 10.97.2.2",
  "peer fd96::1 multihop local-address fd97:2::2",
];

beforeAll(async () => {
  lab = await BfdLab.build();
  bird = await startBird(lab, birdLines);
  frr = await startFrr(lab, frrLines);
  bfd = new BfdSessions({ clock, random, log, udp: createUdp({ native: createNative(), log, random }) });
}, 30_000);

afterAll(async () => {
  await bfd[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
});

const open: BfdSession[] = [];
function session(to: BfdTarget, timing = DEFAULT): BfdSession {
  const opened = bfd.open(to, timing, (report) => reports.push(report));
  open.push(opened);
  return opened;
}

afterEach(() => {
  for (const one of open.splice(0)) one[Symbol.dispose]();
  reports = [];
});

describe.each(["bird", "frr"] as const)("with %s", (name: PeerName) => {
  const daemon = (): BirdPeer | FrrPeer => (name === "bird" ? bird : frr);

  it("four sessions are up on both sides: one hop and many, IPv4 and IPv6", async () => {
    const sessions = ([[4, false], [6, false], [4, true], [6, true]] as const).map(([family, multihop]) => session(target(name, family, multihop)));
    for (const one of sessions) await reported(one, ({ state }) => state === "Up", 10_000, "Up");
    await allUp(daemon(), 4);
    for (const one of sessions) {
      // Their detection time is ours: the slower of what we want and they send, times their multiplier.
      const report = await reported(one, ({ detectMs }) => detectMs === 900, 5000, "the detection time");
      expect(report).toMatchObject({ remoteState: "Up", transmitMs: 300, problem: undefined });
      expect(report.counters).toMatchObject({ discarded: 0, notSent: 0 });
    }
  });
});
