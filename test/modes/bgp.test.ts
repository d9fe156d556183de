import { describe, expect, test } from "vitest";

import type { BgpPeer } from "../../src/lib/bgp-peer.js";
import type { IpAddress } from "../../src/lib/ip.js";
import { BgpBench, CAPABILITIES, NODE4, NODE6, peer, route, ROUTER4, ROUTER6 } from "./bgp-bench.js";
import { conforms } from "./conformance.js";

conforms("bgp", () => new BgpBench());

const SECOND = "10.0.0.2" as IpAddress;
const signal = new AbortController().signal;

function second(given: Parameters<typeof peer>[0] = {}): ReturnType<typeof peer> {
  return peer({ name: "second", address: SECOND, ...given });
}

describe("announcing", () => {
  test("many changes in one turn are one UPDATE to each peer, and a session that comes up later gets all of it", async () => {
    await using bench = new BgpBench();
    await bench.peers(peer(), second());
    await bench.up(...Array.from({ length: 200 }, (_, n) => route(n)));
    expect([bench.router().updates, bench.router(SECOND).updates]).toEqual([1, 1]);
    await bench.peers(peer(), second(), peer({ name: "third", address: "10.0.0.3" as IpAddress }));
    expect(bench.router("10.0.0.3").rib.size).toBe(200);
    expect(bench.router().updates).toBe(1);
  });

  test("a withdrawn route goes at once, the others are not said again", async () => {
    await using bench = new BgpBench();
    await bench.peers(peer());
    await bench.up(route(1), route(2), route(3, { family: 6 }));
    await bench.mode.down(route(2).key, "unwanted", signal);
    await bench.clock.advance(2);
    expect([...bench.router().rib.keys()].toSorted()).toEqual(["192.0.2.1/32", "2001:db8::3/128"]);
    expect(bench.router().updates).toBe(3);
    expect(bench.mode.reports()[0]).toMatchObject({ sent: { 4: 1, 6: 1 }, counters: { updatesSent: 5, established: 1, flaps: 0 } });
    expect(bench.mode.routes("router").map(({ key }) => key)).toEqual(["192.0.2.1/32", "2001:db8::3/128"]);
  });

  test("what a route says goes before what its peer says; only internal peers hear of LOCAL_PREF, only external ones of prepending", async () => {
    await using bench = new BgpBench();
    bench.behaviour.set(SECOND, { as: 64_500, routerId: "10.0.0.2" });
    const policy = { communities: [1], med: 5, prepend: 2, localPref: 50 };
    await bench.peers(peer({ policy }), second({ policy, peerAs: "internal" }));
    await bench.up(route(1), route(2, { policy: { communities: [7, 3, 7], localPref: 200 } }));
    const as = [64_500, 64_500, 64_500];
    expect(bench.router().rib.get("192.0.2.1/32")).toMatchObject({ origin: "igp", asPath: [{ kind: "sequence", as }], communities: [1], med: 5, nextHop: NODE4 });
    expect(bench.router().rib.get("192.0.2.1/32")).not.toHaveProperty("localPref");
    expect(bench.router(SECOND).rib.get("192.0.2.2/32")).toMatchObject({ asPath: [], communities: [3, 7], med: 5, localPref: 200 });
  });

  test("a route for some peers only goes to no other", async () => {
    await using bench = new BgpBench();
    await bench.peers(peer(), second());
    await bench.up(route(1), route(2, { peers: ["second"] }));
    expect([...bench.router().rib.keys()]).toEqual(["192.0.2.1/32"]);
    expect([...bench.router(SECOND).rib.keys()]).toEqual(["192.0.2.1/32", "192.0.2.2/32"]);
  });

  test("a route that has to be owned is announced only while it is, also when nobody says that it is no longer", async () => {
    await using bench = new BgpBench();
    await bench.peers(peer());
    await bench.up(route(1, { ownership: "services" }), route(2));
    expect([...bench.router().rib.keys()]).toEqual(["192.0.2.2/32"]);
    bench.fence.renew();
    await bench.clock.advance(2);
    expect(bench.router().rib.size).toBe(2);
    await bench.clock.advance(2990);
    expect(bench.router().rib.size).toBe(2);
    await bench.clock.advance(10);
    expect([...bench.router().rib.keys()]).toEqual(["192.0.2.2/32"]);
  });
});

describe("the next hop", () => {
  const NODE = [
    { name: "is this end of the session", route: route(1), hop: NODE4, peer: peer() },
    { name: "of IPv6 over IPv4 is the node's address on that link", route: route(1, { family: 6 }), hop: NODE6, peer: peer() },
    { name: "of IPv4 over IPv6 is the node's address on that link", route: route(1), hop: NODE4, peer: peer({ address: ROUTER6 }) },
    { name: "is what the peer's configuration says", route: route(1), hop: "10.9.9.9", peer: peer({ nextHop: { 4: "10.9.9.9" as IpAddress } }) },
  ] as const;
  test.each(NODE)("$name", async ({ route: one, hop, peer: to }) => {
    await using bench = new BgpBench();
    await bench.peers(to);
    await bench.up(one);
    expect(bench.router(to.address).nextHop(one.key)).toBe(hop);
  });

  test("of the other family is on the link of the session, also where the session has an address that is not listed", async () => {
    await using bench = new BgpBench();
    bench.addresses = [{ address: "fd01::11" as IpAddress, prefix: 64, iface: "eth1" }, { address: "10.1.0.11" as IpAddress, prefix: 24, iface: "eth1" }, ...bench.addresses];
    bench.behaviour.set(ROUTER4, { local: "10.0.0.99" as IpAddress });
    await bench.peers(peer());
    await bench.up(route(1, { family: 6 }));
    expect(bench.router().nextHop("2001:db8::1/128")).toBe(NODE6);
  });

  test("of IPv4 is an IPv6 address where the peer takes that", async () => {
    await using bench = new BgpBench();
    const entries = [{ afi: 1, safi: 1, nextHopAfi: 2 }];
    bench.behaviour.set(ROUTER6, { capabilities: [...CAPABILITIES, { kind: "extendedNextHop", entries }] });
    await bench.peers(peer({ address: ROUTER6 }));
    await bench.up(route(1));
    expect(bench.router(ROUTER6).nextHop("192.0.2.1/32")).toBe(NODE6);
  });

  test.each([
    { peer: "127.0.0.1", local: "127.0.0.1", family: 4, hop: NODE4 },
    { peer: "::1", local: "::1", family: 6, hop: NODE6 },
    { peer: "::1", local: "::1", family: 4, hop: NODE4 },
    { peer: "10.0.0.1", local: "192.0.2.7", family: 4, hop: NODE4 },
  ] as const)("for a peer at $peer that is reached from $local is never that, but the node's own ($family)", async ({ peer: address, local, family, hop }) => {
    await using bench = new BgpBench();
    bench.behaviour.set(address, { local: local as IpAddress, capabilities: [...CAPABILITIES, { kind: "extendedNextHop", entries: [{ afi: 1, safi: 1, nextHopAfi: 2 }] }] });
    await bench.peers(peer({ address: address as IpAddress }));
    await bench.up(route(7), route(7, { family: 6 }));
    expect(bench.router(address).nextHop(route(7, { family }).key)).toBe(hop);
  });

  test("that does not exist keeps the routes of that family back, says so, and comes with the address", async () => {
    await using bench = new BgpBench();
    const all = bench.addresses;
    bench.addresses = all.filter(({ address }) => address === NODE4);
    await bench.peers(peer());
    await bench.up(route(1), route(2, { family: 6 }));
    expect([...bench.router().rib.keys()]).toEqual(["192.0.2.1/32"]);
    expect(bench.mode.reports()[0]?.problem).toBe("no IPv6 next hop: this node has no usable IPv6 address");
    bench.addresses = all;
    bench.mode.addressesChanged();
    await bench.clock.advance(2);
    expect(bench.router().nextHop("2001:db8::2/128")).toBe(NODE6);
    expect(bench.mode.reports()[0]?.problem).toBeUndefined();
  });

  test.each<readonly [string, Partial<BgpPeer>, { readonly nextHop: string; readonly linkLocal: string | undefined }]>([
    ["is that, since the peer need not have an address in a subnet of ours", {}, { nextHop: "fe80::11", linkLocal: undefined }],
    ["and a configured address of its link are both told", { nextHop: { 6: NODE6 } }, { nextHop: NODE6, linkLocal: "fe80::11" }],
    ["has nothing to do with a configured address of another machine", { nextHop: { 6: ROUTER6 } }, { nextHop: ROUTER6, linkLocal: undefined }],
  ])("our end of a link-local session %s", async (_name, given, { nextHop, linkLocal }) => {
    await using bench = new BgpBench();
    const router = "fe80::1" as IpAddress;
    const local = "fe80::11" as IpAddress;
    bench.behaviour.set(router, { local });
    await bench.peers(peer({ address: router, iface: "eth0", ...given }));
    await bench.up(route(1, { family: 6 }));
    const reach = bench.router(router).rib.get("2001:db8::1/128")?.reach;
    expect([reach?.nextHop, reach?.linkLocal]).toEqual([nextHop, linkLocal]);
  });
});

describe("peers", () => {
  test("a change of one ends its session only, with the reason, and the new one gets all routes", async () => {
    await using bench = new BgpBench();
    await bench.peers(peer({ password: "old" }), second());
    await bench.up(route(1));
    const before = bench.router();
    await bench.peers(peer({ password: "new" }), second());
    expect(before.notification).toBe("6/6");
    expect(bench.net.dials.map(({ target }) => [target?.address, target?.password])).toEqual([[ROUTER4, "old"], [SECOND, undefined], [ROUTER4, "new"]]);
    expect(bench.router()).not.toBe(before);
    expect(bench.router().rib.size).toBe(1);
    expect(bench.router(SECOND).notification).toBeUndefined();
  });

  test("a change of the policy or of the next hop is said in the session that stands", async () => {
    await using bench = new BgpBench();
    await bench.peers(peer({ nextHop: { 4: "10.9.9.9" as IpAddress } }));
    await bench.up(route(1));
    await bench.peers(peer({ policy: { med: 9 }, nextHop: { 4: "10.9.9.8" as IpAddress } }));
    expect(bench.net.dials).toHaveLength(1);
    expect(bench.router().rib.get("192.0.2.1/32")).toMatchObject({ med: 9, nextHop: "10.9.9.8" });
  });

  test("one that is removed is told so, and is in no report", async () => {
    await using bench = new BgpBench();
    await bench.peers(peer(), second());
    await bench.peers(second());
    expect(bench.router().notification).toBe("6/3");
    expect(bench.mode.reports().map(({ peer: { name } }) => name)).toEqual(["second"]);
    expect(bench.mode.routes("router")).toEqual([]);
  });

  test("one that sends nonsense is told what is wrong; the others do not notice", async () => {
    await using bench = new BgpBench();
    await bench.peers(peer(), second());
    await bench.up(route(1));
    bench.router().connection.arrive(new Uint8Array(19));
    await bench.clock.advance(2);
    expect(bench.router().notification).toBe("1/1");
    expect(bench.mode.reports().map(({ state, counters }) => [state, counters.flaps])).toEqual([["Active", 1], ["Established", 0]]);
    expect(bench.mode.reports()[0]?.lastEnd).toMatchObject({ by: "local", wasEstablished: true });
    await bench.up(route(2));
    expect(bench.router(SECOND).rib.size).toBe(2);
    await bench.clock.advance(1000);
    expect(bench.router().rib.size).toBe(2);
  });

  test("one that never reads holds up nobody, and little memory", async () => {
    await using bench = new BgpBench();
    await bench.peers(peer(), second());
    bench.router().connection.draining = false;
    for (let round = 0; round < 50; round += 1) await bench.up(...Array.from({ length: 200 }, (_, n) => route(n, { policy: { med: round } })));
    expect(bench.router(SECOND).rib.get("192.0.2.9/32")?.med).toBe(49);
    expect(bench.router().updates).toBeLessThan(3);
  });

  test("a password is in no log line and in no report", async () => {
    await using bench = new BgpBench();
    await bench.peers(peer({ password: "s3cret" }), second({ password: "s3cret".repeat(20) }));
    await bench.peers(peer({ password: "s3cret2" }));
    expect(JSON.stringify([bench.log.lines, bench.mode.reports()])).not.toContain("s3cret");
    expect(bench.mode.reports()[0]?.peer.hasPassword).toBe(true);
  });

  test.each([
    { name: "a password that TCP MD5 cannot take", given: { password: "p".repeat(81) }, problem: "the password has 81 octets, expected at most 80 (TCP MD5)" },
    { name: "a link and no address", given: { address: undefined, iface: "eth0" }, problem: "its address on eth0 is not known yet; there is no link eth0" },
    { name: "a link-local address without a link", given: { address: "fe80::1" as IpAddress }, problem: "fe80::1 is a link-local address, expected a link with it" },
    { name: "a source address of the other family", given: { sourceAddress: NODE6 }, problem: `the source address ${NODE6} is not of the family of ${ROUTER4}` },
  ])("with $name is left out, and said so; the others are served", async ({ given, problem }) => {
    await using bench = new BgpBench();
    await bench.peers(peer(given), second());
    expect(bench.mode.reports().map((report) => [report.state, report.problem])).toEqual([["Idle", problem], ["Established", undefined]]);
  });

  test("without a router ID wait for the node's IPv4 address", async () => {
    await using bench = new BgpBench();
    bench.addresses = [];
    await bench.peers(peer(), second({ routerId: "1.1.1.1" as IpAddress }));
    expect(bench.mode.reports().map(({ state }) => state)).toEqual(["Idle", "Established"]);
    bench.addresses = [{ address: NODE4, prefix: 24, iface: "eth0" }];
    bench.mode.addressesChanged();
    await bench.clock.advance(10);
    expect(bench.mode.reports().map(({ state, problem }) => [state, problem])).toEqual([["Established", undefined], ["Established", undefined]]);
  });

  test("a peer that stays away is told of once", async () => {
    await using bench = new BgpBench();
    bench.silent.add(ROUTER4);
    await bench.peers(peer());
    for (let n = 0; n < 5; n += 1) {
      bench.net.dials.at(-1)?.fail("connect to 10.0.0.1 port 179: ECONNREFUSED");
      await bench.clock.advance(20_000);
    }
    expect(bench.net.dials.length).toBeGreaterThan(5);
    expect(bench.log.lines.filter(({ message }) => message === "no session").map(({ reason }) => reason)).toEqual(["connect to 10.0.0.1 port 179: ECONNREFUSED", "no connection within 5000 ms"]);
  });
});
