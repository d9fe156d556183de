import { describe, expect, it } from "vitest";

import type { FromBfdThread, ToBfdThread } from "../../src/cli/bfd-messages.js";
import { BfdThread, type BfdThreadListener } from "../../src/cli/bfd-thread.js";
import { serveBfd } from "../../src/cli/bfd-worker.js";
import { startBfdThread } from "../../src/cli/bfd.js";
import type { IpAddress } from "../../src/lib/ip.js";
import { createClock } from "../../src/linux/clock.js";
import type { BfdReport, BfdTarget } from "../../src/ports/bfd.js";
import { decodeBfd, encodeBfd, type BfdState } from "../../src/wire/bfd.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeLog } from "../fakes/log.js";
import { FakeUdp } from "../fakes/udp.js";

const TIMING = { receiveMs: 300, transmitMs: 300, multiplier: 3 };
const TARGET: BfdTarget = { address: "10.0.0.2" as IpAddress, iface: "eth0", local: undefined, multihop: false };

/** Both sides in one thread. What is posted is cloned, as between two threads. */
function setUp() {
  const clock = new FakeClock(5000);
  const log = new FakeLog();
  const threads: { readonly udp: FakeUdp; readonly listener: BfdThreadListener; ended: boolean; die: () => void }[] = [];
  const start = (listener: BfdThreadListener) => {
    const udp = new FakeUdp();
    const thread = { udp, listener, ended: false, die: (): void => {} };
    threads.push(thread);
    // Its clock begins anew.
    const origin = clock.now();
    const itsClock = { now: () => clock.now() - origin, wallTime: () => 0, after: (ms: number, fn: () => void) => clock.after(ms, fn) };
    const post = (message: FromBfdThread): void => {
      if (!thread.ended) listener.message(structuredClone(message));
    };
    const take = serveBfd({ clock: itsClock, udp, log: new FakeLog(), random: { float: () => 0.5 }, post });
    thread.die = () => {
      thread.ended = true;
      take({ type: "end" });
    };
    return { post: (message: ToBfdThread) => take(structuredClone(message)), end: async () => void (thread.ended = true) };
  };
  const bfd = new BfdThread({ clock, log, start });
  const reports: BfdReport[] = [];
  const hear = (at: number, state: BfdState): void => {
    const udp = threads[at]?.udp;
    const said = decodeBfd(udp?.sent.at(-1)?.bytes ?? new Uint8Array());
    const flags = { poll: false, final: false, controlPlaneIndependent: false, demand: false, multipoint: false };
    const numbers = { diagnostic: 0, multiplier: 3, myDiscriminator: 7, desiredMinTx: 100_000, requiredMinRx: 100_000, requiredMinEchoRx: 0 };
    udp?.arrive(3784, { source: TARGET.address, bytes: encodeBfd({ ...flags, ...numbers, state, yourDiscriminator: state === "Down" ? 0 : said.myDiscriminator, authentication: undefined }) });
    udp?.deliver();
  };
  const goUp = async (at: number): Promise<void> => {
    await clock.advance(0);
    hear(at, "Down");
    hear(at, "Up");
  };
  return { clock, log, bfd, threads, reports, goUp, changed: (report: BfdReport) => void reports.push(report) };
}

async function end({ bfd, clock }: ReturnType<typeof setUp>): Promise<void> {
  const ended = bfd[Symbol.asyncDispose]();
  await clock.advance(200);
  await ended;
  expect(clock.pending).toBe(0);
}

describe("BFD in a thread of its own", () => {
  it("starts with the first session; states, times and counters come across", async () => {
    const test = setUp();
    const { clock, bfd, threads, reports } = test;
    expect(threads).toHaveLength(0);
    const session = bfd.open(TARGET, TIMING, test.changed);
    expect(session.report()).toMatchObject({ state: "Down", since: 5000, counters: { sent: 0 } });
    await test.goUp(0);
    await clock.advance(100);
    expect(reports.map(({ state }) => state)).toEqual(["Init", "Up"]);
    expect(session.report()).toMatchObject({ state: "Up", since: 5000, detectMs: 900, remoteState: "Up", counters: { sent: 3, received: 2 } });
    await clock.advance(800);
    expect(session.report()).toMatchObject({ state: "Down", since: 5900, diagnostic: "control detection time expired" });
    expect(reports).toHaveLength(3);
    expect(threads).toHaveLength(1);
    await end(test);
  });

  it("passes new intervals on, and the end of a session", async () => {
    const test = setUp();
    const session = test.bfd.open(TARGET, TIMING, test.changed);
    await test.goUp(0);
    const { udp } = test.threads[0] ?? { udp: new FakeUdp() };
    session.setTiming({ ...TIMING, multiplier: 7 });
    expect(decodeBfd(udp.sent.at(-1)?.bytes ?? new Uint8Array())).toMatchObject({ multiplier: 7 });
    expect(() => test.bfd.open(TARGET, TIMING, test.changed)).toThrow(RangeError);
    session[Symbol.dispose]();
    expect(decodeBfd(udp.sent.at(-1)?.bytes ?? new Uint8Array())).toMatchObject({ state: "AdminDown" });
    expect(test.reports.at(-1)).toMatchObject({ state: "Up" });
    test.bfd.open(TARGET, TIMING, test.changed);
    await end(test);
    expect(() => test.bfd.open(TARGET, TIMING, test.changed)).toThrow(RangeError);
  });

  it("a thread that fails says nothing about the peer, and another one takes its place", async () => {
    const test = setUp();
    const { clock, bfd, log, threads, reports } = test;
    const session = bfd.open(TARGET, TIMING, test.changed);
    await test.goUp(0);
    const [first] = threads;
    if (first === undefined) throw new Error("no thread");
    first.die();
    first.listener.failed("out of memory");
    expect(reports.at(-1)).toMatchObject({ state: "AdminDown", problem: "the thread of BFD ended: out of memory" });
    session.setTiming({ ...TIMING, multiplier: 9 });
    await clock.advance(1000);
    expect(threads).toHaveLength(2);
    await test.goUp(1);
    expect(session.report()).toMatchObject({ state: "Up", problem: undefined });
    expect(decodeBfd(threads[1]?.udp.sent.at(-1)?.bytes ?? new Uint8Array())).toMatchObject({ multiplier: 9 });
    expect(log.lines).toMatchObject([{ level: "error", message: "bfd thread ended", why: "out of memory" }]);
    await end(test);
  });

  it("without a session there is nothing to end", async () => {
    const test = setUp();
    await end(test);
    expect(test.threads).toEqual([]);
  });
});

describe("a real thread", () => {
  it("that ends by itself is told, with why", async () => {
    const why = await new Promise<string>((resolve) => {
      startBfdThread('throw new Error("cannot start");', { message: () => {}, failed: resolve });
    });
    expect(why).toBe("cannot start");
  });

  it("carries messages both ways, and may be ended", async () => {
    const clock = createClock();
    const echo = 'const { parentPort } = require("node:worker_threads"); parentPort.on("message", (m) => parentPort.postMessage(m.type === "end" ? { type: "ended" } : { type: "log", level: "info", message: m.type, fields: {} }));';
    const log = new FakeLog();
    const bfd = new BfdThread({ clock, log, start: (listener) => startBfdThread(echo, listener) });
    bfd.open(TARGET, TIMING, () => {});
    await bfd[Symbol.asyncDispose]();
    expect(log.lines).toEqual([{ level: "info", message: "open" }]);
  });
});
