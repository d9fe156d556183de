import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { createClock } from "../../src/linux/clock.js";
import { createNative } from "../../src/linux/native.js";
import { createRandom } from "../../src/linux/random.js";
import { createUdp } from "../../src/linux/udp.js";
import { BfdSessions } from "../../src/modes/bfd.js";
import type { BfdReport, BfdSession, BfdTarget } from "../../src/ports/bfd.js";
import { encodeBfd, type BfdPacket } from "../../src/wire/bfd.js";
import { PLAIN } from "../wire/bfd-packet.js";
import { FakeLog } from "../fakes/log.js";
import { toHex } from "../wire/hex.js";
import { allUp, BfdLab, ip, reported, sendFrom, startBird, startFrr, startProgram, target, type BirdPeer, type FrrPeer, type PeerDaemon, type PeerName } from "./bfd-fixture.js";
import { figure, tenths } from "./kernel-fixture.js";
import { waitFor } from "./wait.js";

const DEFAULT = { receiveMs: 300, transmitMs: 300, multiplier: 3 };
const FAST = { receiveMs: 50, transmitMs: 50, multiplier: 3 };
const clock = createClock();
const random = createRandom();
const log = new FakeLog();
const udp = createUdp({ native: createNative(), log, random });

let lab: BfdLab;
let bird: BirdPeer;
let frr: FrrPeer;
let bfd: BfdSessions;
let reports: BfdReport[] = [];
const open: BfdSession[] = [];

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
  bfd = new BfdSessions({ clock, random, log, udp });
}, 30_000);

afterAll(async () => {
  await bfd[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
});

afterEach(() => {
  for (const one of open.splice(0)) one[Symbol.dispose]();
  reports = [];
});

function session(to: BfdTarget, timing = DEFAULT): BfdSession {
  const opened = bfd.open(to, timing, (report) => reports.push(report));
  open.push(opened);
  return opened;
}

async function up(to: BfdTarget, timing = DEFAULT): Promise<BfdSession> {
  const opened = session(to, timing);
  // Up, and the Poll that follows on it is over: the peer's fast interval is known.
  await reported(opened, ({ state, detectMs }) => state === "Up" && detectMs !== undefined && detectMs < 1000, 10_000, "Up");
  return opened;
}

async function shows(daemon: PeerDaemon, address: string, isUp: boolean): Promise<void> {
  const look = async (): Promise<unknown> => {
    const sessions = await daemon.sessions();
    return { ok: sessions.find((one) => one.address === address)?.up === isUp, sessions };
  };
  await waitFor(look, 10_000, `${address} ${isUp ? "up" : "down"}`);
}

describe.each(["bird", "frr"] as const)("with %s", (name: PeerName) => {
  const daemon = (): PeerDaemon => (name === "bird" ? bird : frr);
  const ours = name === "bird" ? "10.94.1.1" : "10.94.2.1";

  it("four sessions are up on both sides: one hop and many, IPv4 and IPv6", async () => {
    const sessions = ([[4, false], [6, false], [4, true], [6, true]] as const).map(([family, multihop]) => session(target(name, family, multihop)));
    for (const one of sessions) await reported(one, ({ state }) => state === "Up", 10_000, "Up");
    await allUp(daemon(), 4);
    for (const one of sessions) {
      // The slower of what we take and they send, times their multiplier.
      const report = await reported(one, ({ detectMs }) => detectMs === 900, 5000, "the detection time");
      expect(report).toMatchObject({ remoteState: "Up", transmitMs: 300, problem: undefined });
      expect(report.counters).toMatchObject({ discarded: 0, notSent: 0 });
    }
  });

  it("intervals change in flight on either side, and the session stays up", async () => {
    const one = await up(target(name, 4));
    one.setTiming({ receiveMs: 60, transmitMs: 500, multiplier: 5 });
    await reported(one, ({ detectMs, transmitMs }) => detectMs === 300 && transmitMs === 500, 5000, "our change");
    await daemon().retime(200, 4);
    await reported(one, ({ detectMs }) => detectMs === 800, 5000, "the peer's change");
    one.setTiming(FAST);
    await reported(one, ({ detectMs, transmitMs }) => detectMs === 800 && transmitMs === 200, 5000, "as fast as the peer takes");
    await daemon().retime(100, 3);
    await reported(one, ({ detectMs, transmitMs }) => detectMs === 300 && transmitMs === 100, 5000, "the peer's change");
    expect(reports.map(({ state }) => state)).toEqual(["Init", "Up"].slice(-reports.length));
    await shows(daemon(), ours, true);
  });

  it("the end is said: the peer is down at once, and knows that it is no failure", async () => {
    const one = await up(target(name, 4));
    await shows(daemon(), ours, true);
    one[Symbol.dispose]();
    // Its detection time would be 900 ms.
    const from = clock.now();
    await shows(daemon(), ours, false);
    expect(clock.now() - from).toBeLessThan(800);
  });

  it("kill -9 of our process: the peer sees Down after its detection time", async () => {
    const program = await startProgram(lab, `killed-${name}`, { target: target(name, 4), timing: DEFAULT });
    await program.waitFor(/"state":"Up"/);
    // The peer knows our fast interval: until then its detection time is that of a slow session.
    const known = name === "bird" ? /\b0\.900$/ : /"remote-transmit-interval":300\b/;
    const look = async (): Promise<unknown> => {
      const sessions = await daemon().sessions();
      return { ok: sessions.some(({ address, up: isUp, text }) => address === ours && isUp && known.test(text)), sessions };
    };
    await waitFor(look, 5000, "up there, with our interval");
    await program.stop("SIGKILL");
    const from = clock.now();
    await shows(daemon(), ours, false);
    const ms = clock.now() - from;
    figure("bfd.ourCrashSeen", { [name]: tenths(ms), detectMs: 900 });
    expect(ms).toBeGreaterThan(500);
    expect(ms).toBeLessThan(1500);
  });
});

describe("packets that are not the peer's", () => {
  const plain: BfdPacket = { ...PLAIN, myDiscriminator: 77, requiredMinRx: 1_000_000 };
  const down = toHex(encodeBfd(plain));

  it("TTL 254 is ignored on one hop; the same packet with 255 ends the session", async () => {
    const one = await up(target("bird", 4));
    await sendFrom("bird", { ttl: 254 }, [down]);
    await reported(one, ({ counters }) => counters.discarded === 1, 2000, "a discarded packet");
    expect(one.report().state).toBe("Up");
    await sendFrom("bird", { ttl: 255 }, [down]);
    await waitFor(() => reports.some(({ state, diagnostic }) => state === "Down" && diagnostic === "neighbor signaled session down"), 2000, "Down");
  });

  it("garbage, wrong versions and lengths, zero fields, strangers' discriminators: the session does not notice", async () => {
    const one = await up(target("bird", 4));
    const bad: readonly Partial<BfdPacket>[] = [{ multiplier: 0 }, { multipoint: true }, { myDiscriminator: 0 }, { state: "Up" }, { authentication: new Uint8Array(6) }, { state: "Down", yourDiscriminator: 12_345 }];
    const broken = ["00", "ff".repeat(24), down.slice(0, 40), `40${down.slice(2)}`, `${down.slice(0, 6)}ff${down.slice(8)}`, "20".repeat(1400)];
    await sendFrom("bird", { ttl: 255 }, [...bad.map((fields) => toHex(encodeBfd({ ...plain, ...fields }))), ...broken]);
    await reported(one, ({ counters }) => counters.discarded === 5, 2000, "five discarded packets");
    expect(one.report().state).toBe("Up");
    expect(reports.filter(({ state }) => state === "Down")).toEqual([]);
  });
});

describe("what is wrong is said", () => {
  it("where nobody listens, and where another program has the port", async () => {
    const one = session({ address: ip("10.96.0.2"), iface: "vrt", local: undefined, multihop: false });
    await reported(one, ({ problem }) => problem === "10.96.0.2 does not listen on UDP port 3784", 5000, "the refusal");
    await using second = new BfdSessions({ clock, random, log, udp });
    using other = second.open(target("frr", 4), DEFAULT, () => {});
    await reported(other, ({ problem }) => problem?.endsWith("receive on UDP port 3784, IPv4: EADDRINUSE") === true, 3000, "the port in use");
    const missing = session({ address: ip("10.94.9.9"), iface: "nolink0", local: undefined, multihop: false });
    const report = await reported(missing, ({ problem }) => problem !== undefined, 3000, "no such link");
    expect(report.problem).toBe("open a UDP socket to 10.94.9.9 by nolink0: ENODEV");
    expect(report.counters).toMatchObject({ sent: 0, notSent: expect.any(Number) as number });
  });
});

describe("the thread", () => {
  it("keeps 50 x 3 with a main thread that computes for half a second at a time", async () => {
    await bird.configure(birdLines, 50, 3);
    const program = await startProgram(lab, "busy", { target: target("bird", 4), timing: FAST }, 500);
    await program.waitFor(/"state":"Up"/, 10_000);
    const turn = Number(/\d+/.exec(program.lines().findLast((line) => line.startsWith('{"turns"')) ?? "0")?.[0]);
    await program.waitFor(new RegExp(`"turns":${turn + 8}}`), 15_000);
    await shows(bird, "10.94.1.1", true);
    expect((await program.stop()).code).toBe(0);
    const lines = program.logs();
    const states = lines.flatMap(({ report }) => (report === undefined ? [] : [(report as BfdReport).state]));
    expect(states.at(-1)).toBe("Up");
    expect(states).not.toContain("Down");
    const last = lines.find((line) => line["last"] !== undefined)?.["last"] as BfdReport;
    expect(last).toMatchObject({ state: "Up", detectMs: 150, transmitMs: 50 });
    expect(last).not.toHaveProperty("problem");
    expect(last.counters.sent).toBeGreaterThan(60);
    expect(lines.at(-1)).toEqual({ ended: true });
    await bird.configure(birdLines, 100, 3);
  });
});

describe("link-local", () => {
  it("is up by its link", async () => {
    await bird.configure([...birdLines, 'neighbor fe80::1 dev "eth0"'], 100, 3);
    const one = await up({ address: ip("fe80::2"), iface: "vbird", local: ip("fe80::1"), multihop: false });
    expect(one.report().counters.discarded).toBe(0);
    await shows(bird, "fe80::1", true);
    await bird.configure(birdLines, 100, 3);
  });
});

describe.each(["bird", "frr"] as const)("%s is killed", (name: PeerName) => {
  it("Down within the detection time, diagnostic 1", async () => {
    const one = await up(target(name, 4));
    await reported(one, ({ detectMs }) => detectMs === 900, 5000, "the detection time");
    const daemon = name === "bird" ? bird.process : frr.process;
    const from = clock.now();
    await daemon.stop("SIGKILL");
    const report = await reported(one, ({ state }) => state === "Down", 5000, "Down");
    figure("bfd.peerCrashSeen", { [name]: tenths(report.since - from), detectMs: 900 });
    expect(report).toMatchObject({ diagnostic: "control detection time expired", remoteState: undefined });
    expect(report.since - from).toBeLessThan(1500);
    expect(report.since - from).toBeGreaterThan(500);
  });
});
