import { describe, expect, test } from "vitest";

import type { IpAddress } from "../../src/lib/ip.js";
import { BgpBench, CAPABILITIES, NODE4, peer, route, ROUTER4, Router } from "./bgp-bench.js";

const PASSIVE = peer({ passive: true });
const GRACEFUL = { kind: "gracefulRestart", restarting: false, notification: false, seconds: 120, families: [{ afi: 1, safi: 1, forwarding: true }] } as const;
const OTHER = "10.0.0.2" as IpAddress;
const TIMING = { receiveMs: 300, transmitMs: 300, multiplier: 3 };

describe("listening", () => {
  test("nobody listens without a passive peer, unless asked to", async () => {
    await using bench = new BgpBench();
    await bench.peers(peer());
    expect(bench.net.listening).toBeUndefined();
    await bench.peers(peer(), peer({ name: "other", address: "10.0.0.2" as IpAddress, passive: true }));
    expect(bench.net.listening).toBe(179);
    await bench.peers(peer());
    expect(bench.net.listening).toBeUndefined();
    await using asked = new BgpBench({ listen: true, listenPort: 1179 });
    await asked.peers(peer());
    expect(asked.net.listening).toBe(1179);
  });

  test("a passive peer is not dialled, and gets its routes when it dials; who is no peer is refused", async () => {
    await using bench = new BgpBench();
    await bench.peers(PASSIVE);
    await bench.up(route(1));
    expect(bench.net.call({ address: "10.0.0.66" as IpAddress, port: 4000 }, NODE4)).toBeUndefined();
    const connection = bench.net.call({ address: ROUTER4, port: 4001 }, NODE4);
    if (connection === undefined) throw new Error("refused");
    const router = new Router(connection);
    await bench.clock.advance(10);
    expect(router.nextHop("192.0.2.1/32")).toBe(NODE4);
    expect(bench.net.dials).toHaveLength(0);
  });

  test("of several peers at one address the call is for the one that waits", async () => {
    await using bench = new BgpBench();
    await bench.peers(peer({ name: "dialled", port: 1179 }), PASSIVE);
    const connection = bench.net.call({ address: ROUTER4, port: 4001 }, NODE4);
    if (connection === undefined) throw new Error("refused");
    const router = new Router(connection);
    await bench.clock.advance(10);
    expect(router.notification).toBeUndefined();
    expect(bench.mode.reports().map(({ state, remote }) => [state, remote?.port])).toEqual([["Established", 1179], ["Established", 4001]]);
  });

  test("of several peers at one address the passive one says which key a call needs", async () => {
    await using bench = new BgpBench();
    await bench.peers(peer({ name: "dialled", password: "theirs" }), { ...PASSIVE, password: "ours" });
    expect(bench.net.callers.map(({ address, password }) => [address, password])).toEqual([[ROUTER4, "ours"]]);
  });

  test("a port that is taken is a problem of passive peers only, and asked for again", async () => {
    await using bench = new BgpBench();
    bench.net.taken = new Error("listen on TCP port 179: EADDRINUSE");
    await bench.peers(PASSIVE, peer({ name: "other", address: "10.0.0.2" as IpAddress }));
    expect(bench.mode.reports().map(({ problem }) => problem)).toEqual(["listen on TCP port 179: EADDRINUSE", undefined]);
    bench.net.taken = undefined;
    await bench.clock.advance(10_000);
    expect(bench.net.listening).toBe(179);
    expect(bench.mode.reports().map(({ problem }) => problem)).toEqual([undefined, undefined]);
  });

  test("a key that the kernel refuses is a problem of that peer only", async () => {
    await using bench = new BgpBench();
    bench.net.refused.set(ROUTER4, "set the TCP MD5 key for 10.0.0.1: ENOPROTOOPT");
    await bench.peers({ ...PASSIVE, password: "x" }, peer({ name: "other", address: "10.0.0.2" as IpAddress, passive: true }));
    expect(bench.mode.reports().map(({ problem }) => problem)).toEqual(["set the TCP MD5 key for 10.0.0.1: ENOPROTOOPT", undefined]);
  });
});

describe("the end", () => {
  test("drain says GRACEFUL_SHUTDOWN, withdraws, and ends the session, in this order", async () => {
    await using bench = new BgpBench();
    await bench.peers(peer({ policy: { communities: [5] } }));
    await bench.up(route(1));
    const drained = bench.mode.drain("ending");
    await bench.clock.advance(499);
    expect(bench.router().rib.get("192.0.2.1/32")?.communities).toEqual([5, 0xffff0000]);
    expect(bench.router().notification).toBeUndefined();
    await bench.clock.advance(20);
    await drained;
    expect(bench.router().rib.size).toBe(0);
    expect(bench.router().notification).toBe("6/2");
    expect(bench.router().connection.closed).toBe("graceful");
  });

  test("drain ends in time when a peer reads nothing, and at once when there is nothing to withdraw", async () => {
    await using bench = new BgpBench();
    await bench.peers(peer());
    bench.router().connection.draining = false;
    await bench.up(route(1));
    const stuck = bench.mode.drain("ending");
    await bench.clock.advance(1600);
    await stuck;
    await using idle = new BgpBench();
    await idle.peers(peer());
    const done = idle.mode.drain("ending");
    await idle.clock.advance(0);
    await done;
    expect(idle.router().notification).toBe("6/2");
  });

  test("without drain a peer with graceful restart hears nothing and keeps the routes; drain ends that too", async () => {
    const bench = new BgpBench({ gracefulShutdownMs: 0 });
    const capabilities = [...CAPABILITIES, GRACEFUL];
    bench.behaviour.set(ROUTER4, { capabilities });
    const graceful = peer({ gracefulRestartSeconds: 120 });
    await bench.peers(graceful, peer({ name: "other", address: "10.0.0.2" as IpAddress }));
    await bench.mode[Symbol.asyncDispose]();
    expect(bench.router().notification).toBeUndefined();
    expect(bench.router().connection.closed).toBe("graceful");
    expect(bench.router("10.0.0.2").notification).toBe("6/2");
    await using drained = new BgpBench({ gracefulShutdownMs: 0 });
    await drained.peers(graceful);
    const done = drained.mode.drain("ending");
    await drained.clock.advance(0);
    expect(await done).toBe(0);
    expect(drained.router().notification).toBe("6/2");
  });

  test("before a restart, peers with graceful restart keep what no Lease stands behind, and others hear of the end as ever", async () => {
    await using bench = new BgpBench();
    bench.behaviour.set(ROUTER4, { capabilities: [...CAPABILITIES, GRACEFUL] });
    await bench.peers(peer({ gracefulRestartSeconds: 120 }), peer({ name: "other", address: OTHER }));
    bench.mode.complete();
    bench.fence.renew();
    await bench.up(route(1), route(2, { ownership: "services" }));
    const drained = bench.mode.drain("restarting");
    await bench.clock.advance(499);
    const shown = (address: string): readonly unknown[] => [...bench.router(address).rib.values()].map(({ communities }) => communities?.[0]);
    expect([shown(ROUTER4), shown(OTHER)]).toEqual([[undefined, 0xffff0000], [0xffff0000, 0xffff0000]]);
    await bench.clock.advance(20);
    expect(await drained).toBe(120_000);
    expect([[...bench.router().rib.keys()], bench.router().notification, bench.router().connection.closed]).toEqual([["192.0.2.1/32"], undefined, "graceful"]);
    expect([bench.router(OTHER).rib.size, bench.router(OTHER).notification]).toEqual([0, "6/2"]);
  });

  test("before a restart with nothing to withdraw there is nothing to wait for", async () => {
    await using bench = new BgpBench();
    bench.behaviour.set(ROUTER4, { capabilities: [...CAPABILITIES, GRACEFUL] });
    await bench.peers(peer({ gracefulRestartSeconds: 120 }));
    bench.mode.complete();
    await bench.up(route(1));
    const drained = bench.mode.drain("restarting");
    await bench.clock.advance(2);
    expect(await drained).toBe(120_000);
    expect(bench.router().rib.size).toBe(1);
  });

  test.each([
    { name: "without the capability", capabilities: CAPABILITIES, given: {} },
    { name: "that BFD watches", capabilities: [...CAPABILITIES, GRACEFUL], given: { bfd: TIMING } },
  ])("a peer $name keeps nothing over a restart", async ({ capabilities, given }) => {
    await using bench = new BgpBench({ gracefulShutdownMs: 0 });
    bench.behaviour.set(ROUTER4, { capabilities });
    await bench.peers(peer({ gracefulRestartSeconds: 120, ...given }));
    bench.mode.complete();
    await bench.up(route(1));
    expect(bench.router().rib.size).toBe(1);
    const drained = bench.mode.drain("restarting");
    await bench.clock.advance(20);
    expect(await drained).toBe(0);
    expect([bench.router().rib.size, bench.router().notification]).toEqual([0, "6/2"]);
  });

  test("after a start, a peer with graceful restart hears that this is one, and nothing of routes before all are there", async () => {
    await using bench = new BgpBench();
    bench.behaviour.set(ROUTER4, { capabilities: [...CAPABILITIES, GRACEFUL] });
    await bench.peers(peer({ gracefulRestartSeconds: 120 }), peer({ name: "other", address: "10.0.0.2" as IpAddress }));
    const open = bench.router().messages.find((message) => message.type === "open");
    expect(open?.type === "open" && open.open.capabilities).toContainEqual(expect.objectContaining({ kind: "gracefulRestart", restarting: true }));
    await bench.up(route(1));
    expect([bench.router().rib.size, bench.router().endsOfRib.length, bench.router("10.0.0.2").rib.size]).toEqual([0, 0, 1]);
    bench.mode.complete();
    await bench.clock.advance(2);
    expect([bench.router().rib.size, bench.router().endsOfRib]).toEqual([1, [4, 6]]);
  });

  test("routes that are never said to be complete are after 30 s", async () => {
    await using bench = new BgpBench();
    bench.behaviour.set(ROUTER4, { capabilities: [...CAPABILITIES, GRACEFUL] });
    await bench.peers(peer({ gracefulRestartSeconds: 120 }));
    await bench.up(route(1));
    await bench.clock.advance(29_000);
    expect(bench.router().rib.size).toBe(0);
    await bench.clock.advance(1100);
    expect(bench.router().rib.size).toBe(1);
  });
});

describe("BFD", () => {
  const watched = peer({ bfd: TIMING });

  test("that loses the peer ends the session that is up, with Cease/BFD Down, and another follows", async () => {
    await using bench = new BgpBench();
    await bench.peers(watched);
    bench.bfd.see(ROUTER4, { state: "Up" });
    bench.bfd.see(ROUTER4, { state: "Down", diagnostic: "control detection time expired" });
    await bench.clock.advance(2);
    expect(bench.router().notification).toBe("6/10");
    expect(bench.mode.reports()[0]).toMatchObject({ bfd: { state: "Down" }, lastEnd: { reason: "Cease/BFD Down" } });
    await bench.clock.advance(1000);
    expect(bench.mode.reports()[0]?.state).toBe("Established");
  });

  test("that was never up, or is switched off by the peer, ends nothing", async () => {
    await using bench = new BgpBench();
    await bench.peers(watched);
    bench.bfd.see(ROUTER4, { state: "Init" });
    bench.bfd.see(ROUTER4, { state: "Down" });
    bench.bfd.see(ROUTER4, { state: "Up" });
    bench.bfd.see(ROUTER4, { state: "Down", remoteState: "AdminDown" });
    await bench.clock.advance(2);
    expect(bench.mode.reports()[0]?.state).toBe("Established");
  });

  test("new timers go to the session that stands; a peer without BFD is not watched", async () => {
    await using bench = new BgpBench();
    await bench.peers(watched);
    await bench.peers(peer({ bfd: { ...TIMING, receiveMs: 50 } }));
    expect(bench.bfd.timings).toEqual([300, 50]);
    expect(bench.net.dials).toHaveLength(1);
    await bench.peers(peer());
    expect([...bench.bfd.open_.keys()]).toEqual([]);
    expect(bench.mode.reports()[0]?.bfd).toBeUndefined();
  });

  test.each([
    { name: "a peer on the link", given: {}, target: { multihop: false, iface: undefined } },
    { name: "a peer beyond routers", given: { multihopTtl: 3, iface: "eth0" }, target: { multihop: true, iface: undefined } },
    { name: "an internal peer that is not on a link", given: { peerAs: "internal", address: "172.16.0.1" as IpAddress }, target: { multihop: true, iface: undefined } },
    { name: "an internal peer on the link", given: { peerAs: "internal", sourceAddress: NODE4 }, target: { multihop: false, local: NODE4 } },
  ] as const)("watches $name as such", async ({ given, target }) => {
    await using bench = new BgpBench();
    await bench.peers(peer({ ...given, bfd: TIMING }));
    expect([...bench.bfd.open_.values()].map((one) => one.target)).toEqual([expect.objectContaining(target)]);
  });
});
