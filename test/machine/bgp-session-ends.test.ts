import { describe, expect, test } from "vitest";
import type { IpAddress } from "../../src/lib/ip.js";
import { decodeMessage } from "../../src/wire/bgp/message.js";
import { hardReset } from "../../src/wire/bgp/notification.js";
import { notificationOf } from "../../src/wire/bgp/error.js";
import type { Capability } from "../../src/wire/bgp/capability.js";
import { CEASE_ADMIN_RESET, CEASE_ADMIN_SHUTDOWN, CEASE_CONFIG_CHANGE, CEASE_DECONFIGURED } from "../../src/wire/bgp/codes.js";
import { Bench, config, CONTEXT, KEEPALIVE, notification, PEER_CAPABILITIES, peerOpen, routeMap } from "./bgp-session-bench.js";

const GR: Capability = { kind: "gracefulRestart", restarting: false, notification: true, seconds: 120, families: [] };
const GR_OPEN = peerOpen({ capabilities: [...PEER_CAPABILITIES, GR] });
const GR_CONFIG = { ...config, gracefulRestartSeconds: 60 };

describe("timers", () => {
  test("a dial without an answer is given up, and followed by another", () => {
    const bench = Bench.in("Connect");
    expect(bench.wakeAt).toBe(5000);
    expect(bench.wake()).toEqual(["out-1 close hard", "ended by local: no connection within 5000 ms"]);
    expect([bench.name, bench.wakeAt]).toEqual(["Active", 5500]);
    expect(bench.wake()).toEqual(["out-2 dial"]);
  });

  test("pauses between dials double up to the longest, with jitter over the upper half", () => {
    const pauses = (random: number): readonly number[] => {
      const bench = new Bench();
      bench.random = random;
      bench.send({ type: "start", restarting: false });
      return Array.from({ length: 7 }, (_, n) => {
        bench.send({ type: "closed", id: `out-${n + 1}`, reason: "ECONNREFUSED" });
        const pause = (bench.wakeAt ?? 0) - bench.now;
        bench.wake();
        return pause;
      });
    };
    expect(pauses(0)).toEqual([500, 1000, 2000, 4000, 8000, 8000, 8000]);
    expect(pauses(1)).toEqual([1000, 2000, 4000, 8000, 16_000, 16_000, 16_000]);
  });

  test("after a session that lasted, pauses start anew; after a short one they do not", () => {
    const pauseAfter = (lived: number): number => {
      const bench = Bench.in("Established", { ...config, holdSeconds: 0 }, peerOpen());
      bench.state = { ...bench.state, failures: 4 };
      bench.at(lived, { type: "closed", id: "out-1", reason: "ECONNRESET" });
      return (bench.wakeAt ?? 0) - lived;
    };
    expect([pauseAfter(59_999), pauseAfter(60_000)]).toEqual([8000, 500]);
  });

  test("an OPEN that does not come within 4 minutes ends the attempt", () => {
    const bench = Bench.in("OpenSent");
    expect(bench.at(239_999)).toEqual([]);
    expect(bench.wakeAt).toBe(240_000);
    expect(bench.wake().slice(0, 2)).toEqual(["out-1 NOTIFICATION 4/0", "out-1 close"]);
  });

  test.each(["OpenConfirm", "Established"] as const)("the hold timer runs out in %s, with keepalives of ours in between", (phase) => {
    const bench = Bench.in(phase);
    bench.random = 1;
    const log: string[] = [];
    while (bench.name === phase) log.push(...bench.wake().map((line) => `${bench.now} ${line}`));
    expect(log).toEqual([
      "22500 out-1 KEEPALIVE",
      "52500 out-1 KEEPALIVE",
      "82500 out-1 KEEPALIVE",
      "90000 out-1 NOTIFICATION 4/0",
      "90000 out-1 close",
      "90000 ended by local: Hold Timer Expired",
    ]);
  });

  test("each KEEPALIVE and UPDATE of the peer starts the hold timer again", () => {
    const bench = Bench.in("Established");
    bench.now = 89_999;
    bench.hear("out-1", KEEPALIVE);
    expect([bench.at(179_998).filter((line) => line.includes("NOTIFICATION")), bench.name]).toEqual([[], "Established"]);
    expect(bench.at(179_999)[0]).toBe("out-1 NOTIFICATION 4/0");
  });

  test("a process that stood still looks first at what has come meanwhile", () => {
    const bench = Bench.in("Established");
    expect(bench.at(120_000).join()).not.toContain("NOTIFICATION");
    bench.at(120_001);
    bench.hear("out-1", KEEPALIVE);
    expect([bench.name, bench.at(200_000).join().includes("NOTIFICATION")]).toEqual(["Established", false]);
    const silent = Bench.in("Established");
    silent.at(120_000);
    expect(silent.at(120_500)[0]).toBe("out-1 NOTIFICATION 4/0");
  });

  test.each([
    ["ours", { ...config, holdSeconds: 0 }, peerOpen()],
    ["the peer's", config, peerOpen({ holdSeconds: 0 })],
  ])("hold time 0 (%s) turns both timers off", (_name, settings, open) => {
    const bench = Bench.in("Established", settings, open);
    expect(bench.wakeAt).toBeUndefined();
    expect([bench.at(10_000_000), bench.name]).toEqual([[], "Established"]);
  });

  test("keepalives come after three quarters to all of their interval", () => {
    const first = (random: number): number | undefined => {
      const bench = Bench.in("OpenSent");
      bench.random = random;
      bench.hear("out-1", peerOpen());
      return bench.wakeAt;
    };
    expect([first(0), first(1)]).toEqual([22_500, 30_000]);
  });

  test("a peer that takes nothing for 8 minutes is given up (RFC 9687)", () => {
    const bench = Bench.in("Established", { ...config, holdSeconds: 0 });
    bench.slow = true;
    bench.routes([4, routeMap(1)]);
    expect(bench.wakeAt).toBe(480_000);
    expect(bench.wake()).toEqual(["out-1 NOTIFICATION 8/0", "out-1 close", "ended by local: Send Hold Timer Expired"]);
  });
});

describe("the end of a session", () => {
  const hard = `out-1 NOTIFICATION 6/9 0602067261636b2037`;
  const rows: Readonly<Record<string, readonly [line: string, bench: () => Bench, event: Parameters<Bench["send"]>[0]]>> = {
    "shutdown with a reason": ["out-1 NOTIFICATION 6/2 067261636b2037", () => Bench.in("Established"), { type: "stop", subcode: CEASE_ADMIN_SHUTDOWN, text: "rack 7" }],
    "shutdown without one": ["out-1 NOTIFICATION 6/2", () => Bench.in("Established"), { type: "stop", subcode: CEASE_ADMIN_SHUTDOWN }],
    "a removed peer": ["out-1 NOTIFICATION 6/3", () => Bench.in("Established"), { type: "stop", subcode: CEASE_DECONFIGURED }],
    "another configuration": ["out-1 NOTIFICATION 6/6", () => Bench.in("Established"), { type: "stop", subcode: CEASE_CONFIG_CHANGE }],
    "shutdown before it is up": ["out-1 NOTIFICATION 6/2", () => Bench.in("OpenSent"), { type: "stop", subcode: CEASE_ADMIN_SHUTDOWN }],
    "shutdown with graceful restart: a hard reset (RFC 8538)": [hard, () => Bench.in("Established", GR_CONFIG, GR_OPEN), { type: "stop", subcode: CEASE_ADMIN_SHUTDOWN, text: "rack 7" }],
    "configuration with graceful restart: routes are kept": ["out-1 NOTIFICATION 6/6", () => Bench.in("Established", GR_CONFIG, GR_OPEN), { type: "stop", subcode: CEASE_CONFIG_CHANGE }],
    "a reset that is to be hard": ["out-1 NOTIFICATION 6/9 0604", () => Bench.in("Established", GR_CONFIG, GR_OPEN), { type: "reset", subcode: CEASE_ADMIN_RESET, hard: true }],
  };
  test.each(Object.entries(rows))("%s", (_name, [line, make, event]) => {
    const bench = make();
    expect(bench.send(event).slice(0, 2)).toEqual([line, "out-1 close"]);
    expect([bench.name, bench.wakeAt]).toEqual(event.type === "stop" ? ["Idle", undefined] : ["Active", 500]);
    expect(bench.state.lastEnd?.by).toBe("local");
  });

  test("a dial is just called off", () => {
    const bench = Bench.in("Connect");
    expect(bench.send({ type: "stop", subcode: CEASE_ADMIN_SHUTDOWN })[0]).toBe("out-1 close hard");
  });

  test("for the process that follows nothing is said, so that the peer keeps the routes", () => {
    const bench = Bench.in("Established", GR_CONFIG, GR_OPEN);
    expect(bench.send({ type: "abandon" })).toEqual(["out-1 close", "ended by local: left for the process that follows"]);
    expect([bench.name, bench.wakeAt]).toEqual(["Idle", undefined]);
  });

  test("after the first session that comes up, an OPEN says no more that we follow a restart", () => {
    const bench = new Bench(GR_CONFIG);
    bench.send({ type: "start", restarting: true });
    for (const id of ["out-1", "out-2", "out-3"]) {
      bench.send({ type: "connected", id });
      // Only the second one comes up.
      if (id === "out-2") bench.hear(id, GR_OPEN, KEEPALIVE);
      bench.send({ type: "closed", id, reason: "ECONNRESET" });
      bench.wake();
    }
    const opens = bench.actions.flatMap((action) => (action.type === "send" ? [decodeMessage(action.octets, CONTEXT)] : []));
    const restarting = opens.flatMap((message) => (message.type === "open" ? message.open.capabilities : [])).flatMap((one) => (one.kind === "gracefulRestart" ? [one.restarting] : []));
    expect(restarting).toEqual([true, true, false]);
  });

  test("BFD down (RFC 9384); before a session is up it means nothing", () => {
    const bench = Bench.in("Established");
    expect(bench.send({ type: "bfdDown" })).toEqual(["out-1 NOTIFICATION 6/10", "out-1 close", "ended by local: Cease/BFD Down"]);
    expect([bench.name, Bench.in("OpenConfirm").send({ type: "bfdDown" })]).toEqual(["Active", []]);
  });

  test("by the peer, with what it said", () => {
    const bench = Bench.in("Established");
    const inner = { code: 6, subcode: 2, data: Uint8Array.of(2, 0x68, 0x69) };
    bench.hear("out-1", { type: "notification", notification: hardReset(inner) });
    expect(bench.state.lastEnd).toEqual({ at: 0, wasEstablished: true, by: "peer", notification: notificationOf(6, 9, Uint8Array.of(6, 2, 2, 0x68, 0x69)), reason: 'Cease/Hard Reset: Cease/Administrative Shutdown: "hi"' });
  });

  test("by TCP, with its error", () => {
    const bench = Bench.in("Established");
    expect(bench.send({ type: "closed", id: "out-1", reason: "ECONNRESET" })).toEqual(["ended by transport: ECONNRESET"]);
  });

  test("what comes late of it means nothing", () => {
    const bench = Bench.in("Established");
    bench.send({ type: "closed", id: "out-1", reason: "ECONNRESET" });
    const before = bench.state;
    expect([bench.hear("out-1", KEEPALIVE), bench.send({ type: "connected", id: "out-1" }), bench.send({ type: "writable", id: "out-1" }), bench.send({ type: "closed", id: "out-1", reason: "" })].flat()).toEqual([]);
    expect(bench.state).toEqual(before);
  });

  test("stopped twice and started twice is stopped and started", () => {
    const bench = Bench.in("Established");
    bench.send({ type: "stop", subcode: CEASE_ADMIN_SHUTDOWN });
    expect(bench.send({ type: "stop", subcode: CEASE_ADMIN_SHUTDOWN })).toEqual([]);
    expect(bench.send({ type: "start", restarting: false })).toEqual(["out-2 dial"]);
    expect(bench.send({ type: "start", restarting: false })).toEqual([]);
  });
});

describe("two connections at once (RFC 4271 6.8)", () => {
  /** The peer dials while our dial has got this far. */
  const both = (peer: string, first: "out-1" | "in-1", peerAs = 64_501): Bench => {
    const bench = Bench.in("OpenSent", { ...config, routerId: "10.0.0.5" as IpAddress });
    bench.send({ type: "accepted", id: "in-1" });
    bench.hear(first, peerOpen({ routerId: peer, as: peerAs }));
    expect(bench.name).toBe("OpenConfirm");
    return bench;
  };

  const rows = [
    { name: "the peer has the higher identifier: the one that it dialled stays", peer: "10.0.0.6", stays: "in-1" },
    { name: "we have the higher identifier: the one that we dialled stays", peer: "10.0.0.4", stays: "out-1" },
    { name: "as numbers, not as text: 10.0.0.40 is higher than 10.0.0.5", peer: "10.0.0.40", stays: "in-1" },
    { name: "equal identifiers: the higher AS number decides (RFC 6286)", peer: "10.0.0.5", stays: "in-1" },
  ] as const;
  const orders = rows.flatMap((row) => (["out-1", "in-1"] as const).map((first) => ({ ...row, first })));

  test.each(orders)("$name (OPEN first on $first)", ({ peer, stays, first }) => {
    const bench = both(peer, first);
    const second = first === "out-1" ? "in-1" : "out-1";
    const lost = stays === "in-1" ? "out-1" : "in-1";
    const heard = bench.hear(second, peerOpen({ routerId: peer }));
    expect(heard).toEqual([`${lost} NOTIFICATION 6/7`, `${lost} close`, ...(stays === second ? [`${second} KEEPALIVE`] : [])]);
    expect([bench.hear(stays, KEEPALIVE), bench.state.connections.length]).toEqual([[`${stays} established`], 1]);
    expect(bench.state.lastEnd).toBeUndefined();
  });

  test("a session that is up stays, and another one is turned away at once", () => {
    const bench = Bench.in("Established");
    expect(bench.send({ type: "accepted", id: "in-1" })).toEqual(["in-1 NOTIFICATION 6/7", "in-1 close"]);
    expect(bench.name).toBe("Established");
  });

  test("with graceful restart it says that the peer has restarted: the new one takes over (RFC 4724 4.2)", () => {
    const bench = Bench.in("Established", GR_CONFIG, GR_OPEN);
    expect(bench.send({ type: "accepted", id: "in-1" })).toEqual(["out-1 close hard", "ended by local: the peer has restarted", "in-1 OPEN"]);
    expect([bench.hear("in-1", GR_OPEN, KEEPALIVE), bench.state.retryAt]).toEqual([["in-1 KEEPALIVE", "in-1 established"], undefined]);
  });

  test("the one that comes up first ends a dial that is still under way", () => {
    const bench = Bench.in("Connect");
    bench.send({ type: "accepted", id: "in-1" });
    expect(bench.hear("in-1", peerOpen(), KEEPALIVE)).toEqual(["in-1 KEEPALIVE", "out-1 close hard", "in-1 established"]);
  });

  test("a dial that fails beside a connection is no failure", () => {
    const bench = Bench.in("Connect");
    bench.send({ type: "accepted", id: "in-1" });
    expect(bench.send({ type: "closed", id: "out-1", reason: "ECONNREFUSED" })).toEqual([]);
    expect([bench.name, bench.state.retryAt, bench.state.failures]).toEqual(["OpenSent", undefined, 0]);
  });

  test("the peer's second dial takes the place of its first: there are never more than two", () => {
    const bench = Bench.in("OpenSent");
    bench.send({ type: "accepted", id: "in-1" });
    expect(bench.send({ type: "accepted", id: "in-2" })).toEqual(["in-1 NOTIFICATION 6/7", "in-1 close", "in-2 OPEN"]);
    expect(bench.state.connections.map(({ id }) => id)).toEqual(["out-1", "in-2"]);
  });

  test("a notification on one of them leaves the other", () => {
    const bench = Bench.in("OpenSent");
    bench.send({ type: "accepted", id: "in-1" });
    bench.hear("out-1", notification(6, 7));
    expect([bench.name, bench.state.connections.map(({ id }) => id)]).toEqual(["OpenSent", ["in-1"]]);
  });
});
