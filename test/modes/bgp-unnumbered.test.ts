import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { BgpPeer } from "../../src/lib/bgp-peer.js";
import type { IpAddress } from "../../src/lib/ip.js";
import type { MacAddress } from "../../src/lib/mac.js";
import type { BgpPeerReport } from "../../src/modes/bgp-report.js";
import type { LinkState } from "../../src/modes/router-link.js";
import { ND_ROUTER_ADVERT, ND_ROUTER_SOLICIT, type RouterAdvert } from "../../src/wire/ndp-router.js";
import { udpError } from "../fakes/udp.js";
import { BgpBench, CAPABILITIES, peer, route } from "./bgp-bench.js";

const OURS = "fe80::11" as IpAddress;
const ROUTER = "fe80::1" as IpAddress;
const OTHER = "fe80::2" as IpAddress;
const MAC = "02:00:00:00:00:11" as MacAddress;
const LINK: LinkState = { index: 2, up: true, mac: MAC, linkLocals: [OURS] };
const EXTENDED = [...CAPABILITIES, { kind: "extendedNextHop", entries: [{ afi: 1, safi: 1, nextHopAfi: 2 }] }] as const;

let bench: BgpBench;

beforeEach(() => {
  bench = new BgpBench();
  bench.links.set("eth1", LINK);
  for (const address of [ROUTER, OTHER]) bench.behaviour.set(address, { local: OURS, capabilities: EXTENDED });
});

afterEach(async () => {
  await bench[Symbol.asyncDispose]();
  expect(bench.open()).toBe(0);
});

function unnumbered(given: Partial<BgpPeer> = {}): BgpPeer {
  return peer({ name: "eth1", address: undefined, iface: "eth1", peerAs: "external", ...given });
}

function advert(mac = "02:00:00:00:00:01", lifetimeSeconds = 30): RouterAdvert {
  return { type: ND_ROUTER_ADVERT, curHopLimit: 64, managed: false, other: false, lifetimeSeconds, reachableMs: 0, retransMs: 0, sourceMac: mac as MacAddress };
}

async function heard(source: IpAddress, message = advert(), iface = "eth1"): Promise<void> {
  bench.routerLinks.arrive(iface, source, message);
  await bench.clock.advance(10);
}

async function link(state: LinkState | undefined): Promise<void> {
  if (state === undefined) bench.links.delete("eth1");
  else bench.links.set("eth1", state);
  bench.mode.linksChanged();
  await bench.clock.advance(10);
}

function report(name = "eth1"): BgpPeerReport {
  const found = bench.mode.reports().find((one) => one.peer.name === name);
  if (found === undefined) throw new Error(`no peer ${name}`);
  return found;
}

describe("an unnumbered peer", () => {
  test("is asked for and told of us by messages that make nobody take this node for a router", async () => {
    await bench.peers(unnumbered());
    expect(bench.routerLinks.places).toEqual([{ iface: "eth1", linkIndex: 2, address: OURS }]);
    expect(bench.routerLinks.sent.map(({ to, message }) => [to, message])).toEqual([
      ["ff02::2", { type: ND_ROUTER_SOLICIT, sourceMac: MAC }],
      ["ff02::1", { ...advert(MAC, 0), curHopLimit: 0 }],
    ]);
    expect(report()).toMatchObject({ state: "Idle", problem: "its address on eth1 is not known yet; no Router Advertisement heard on eth1", discovery: { address: undefined, heardAt: undefined } });
    expect(bench.net.dials).toEqual([]);
  });

  test("is dialled at the address that it advertises from, on its link, and has IPv4 by our link-local address", async () => {
    await bench.up(route(1), route(1, { family: 6 }));
    await bench.peers(unnumbered({ ttlSecurityHops: 1 }));
    await heard(ROUTER);
    expect(bench.net.dials.map(({ target }) => target)).toMatchObject([{ address: ROUTER, iface: "eth1", port: 179, ttl: 255, leastTtl: 255 }]);
    expect(report()).toMatchObject({ state: "Established", problem: undefined, peer: { address: ROUTER }, discovery: { address: ROUTER, heardAt: bench.clock.now() - 10 } });
    await bench.clock.advance(10);
    const reach = ["192.0.2.1/32", "2001:db8::1/128"].map((key) => bench.router(ROUTER).rib.get(key)?.reach);
    expect(reach).toMatchObject([{ family: 4, nextHop: OURS }, { family: 6, nextHop: OURS }]);
    expect(reach.map((one) => one?.linkLocal)).toEqual([undefined, undefined]);
  });

  test("is told of a global address of the link as well, where that is configured", async () => {
    const global = "2001:db8:9::11" as IpAddress;
    bench.addresses = [...bench.addresses, { address: global, prefix: 64, iface: "eth1" }, { address: OURS, prefix: 64, iface: "eth1" }];
    await bench.up(route(1), route(1, { family: 6 }));
    await bench.peers(unnumbered({ nextHop: { 6: global } }));
    await heard(ROUTER);
    await bench.clock.advance(10);
    const { rib } = bench.router(ROUTER);
    expect(rib.get("2001:db8::1/128")?.reach).toMatchObject({ nextHop: global, linkLocal: OURS });
    expect(rib.get("192.0.2.1/32")?.reach?.nextHop).toBe(OURS);
  });

  test("that has moved is followed, and what has become of its first session is still told", async () => {
    await bench.up(route(1));
    await bench.peers(unnumbered());
    await heard(ROUTER);
    const first = bench.router(ROUTER);
    await heard(OTHER);
    await bench.clock.advance(10);
    expect(first.notification).toBe("6/6");
    expect([...bench.router(OTHER).rib.keys()]).toEqual(["192.0.2.1/32"]);
    expect(report()).toMatchObject({ state: "Established", problem: undefined, peer: { address: OTHER }, counters: { established: 2, flaps: 1 }, lastEnd: { reason: "Cease/Other Configuration Change" } });
  });

  test("keeps its session while its link is down, says so, and asks when it is up again", async () => {
    await bench.peers(unnumbered());
    await heard(ROUTER);
    await link({ ...LINK, up: false });
    expect(report()).toMatchObject({ state: "Established", problem: "eth1 is down, or has no carrier" });
    bench.routerLinks.sent.length = 0;
    await link(LINK);
    expect(bench.routerLinks.sent.map(({ message }) => message.type)).toEqual([ND_ROUTER_SOLICIT, ND_ROUTER_ADVERT]);
    expect(report()).toMatchObject({ state: "Established", problem: undefined });
    expect(bench.net.dials).toHaveLength(1);
  });

  test("whose link was replaced is looked for anew, from the new address", async () => {
    await bench.peers(unnumbered());
    await heard(ROUTER);
    await link(undefined);
    expect(report().problem).toContain("there is no link eth1");
    expect(bench.routerLinks.places).toEqual([]);
    await link({ ...LINK, index: 7, linkLocals: [OTHER] });
    await bench.clock.advance(10);
    expect(bench.routerLinks.places).toEqual([{ iface: "eth1", linkIndex: 7, address: OTHER }]);
    expect(report()).toMatchObject({ state: "Idle", discovery: { address: undefined }, counters: { flaps: 1 } });
    await heard(ROUTER);
    expect(report()).toMatchObject({ state: "Established", counters: { established: 2 } });
  });

  test("beside which another router is heard stays, and that is told", async () => {
    await bench.peers(unnumbered());
    await heard(ROUTER);
    await heard(OTHER, advert("02:00:00:00:00:02"));
    expect(report()).toMatchObject({ state: "Established", problem: "other routers are heard on eth1, too (fe80::2): expected one, the peer is fe80::1" });
    await bench.clock.advance(61_000);
    await heard(ROUTER);
    expect(report().problem).toBeUndefined();
  });

  test("is let in where it dials, and nobody else is", async () => {
    await bench.peers(unnumbered({ passive: true }));
    expect(bench.net.callers).toEqual([]);
    await heard(ROUTER);
    expect(bench.net.callers).toMatchObject([{ address: ROUTER, iface: "eth1" }]);
    expect(bench.net.dials).toEqual([]);
  });

  test("that goes, goes with its socket; those of other links stay", async () => {
    bench.links.set("eth2", { ...LINK, index: 3 });
    await bench.peers(unnumbered(), unnumbered({ name: "eth2", iface: "eth2" }));
    await heard(ROUTER);
    await heard(ROUTER, advert(), "eth2");
    const [, second] = bench.net.dials;
    await bench.peers(unnumbered({ name: "eth2", iface: "eth2" }));
    expect(bench.routerLinks.places).toMatchObject([{ iface: "eth2" }]);
    expect([second?.open, report("eth2").state]).toEqual([true, "Established"]);
  });

  test("is watched by BFD at its address, on its link", async () => {
    await bench.peers(unnumbered({ bfd: { receiveMs: 300, transmitMs: 300, multiplier: 3 } }));
    expect([...bench.bfd.open_.keys()]).toEqual([]);
    await heard(ROUTER);
    expect([...bench.bfd.open_.values()].map(({ target }) => target)).toEqual([{ address: ROUTER, iface: "eth1", local: undefined, multihop: false }]);
  });
});

describe("a link", () => {
  test.each([
    { name: "that is not there", state: undefined, problem: "there is no link eth1" },
    { name: "that is down", state: { ...LINK, up: false, linkLocals: [] }, problem: "eth1 is down, or has no carrier" },
    { name: "without IPv6", state: { ...LINK, linkLocals: [] }, problem: "eth1 has no link-local address: expected IPv6 to be on there (sysctl disable_ipv6=0)" },
  ])("$name is told of, and used when it is there", async ({ state, problem }) => {
    if (state === undefined) bench.links.delete("eth1");
    else bench.links.set("eth1", state);
    await bench.peers(unnumbered());
    expect(report().problem).toBe(`its address on eth1 is not known yet; ${problem}`);
    expect(bench.routerLinks.places).toEqual([]);
    await link(LINK);
    await heard(ROUTER);
    expect(report().state).toBe("Established");
  });

  test.each([
    { name: "whose address is still being checked for duplicates is tried again soon", code: "EADDRNOTAVAIL", ms: 500 },
    { name: "that cannot be listened on is tried again later", code: "EPERM", ms: 10_000 },
  ])("$name", async ({ code, ms }) => {
    bench.routerLinks.openError = udpError(code);
    await bench.peers(unnumbered());
    expect(report().problem).toContain(`udp: ${code}`);
    bench.routerLinks.openError = undefined;
    await bench.clock.advance(ms - 20);
    expect(bench.routerLinks.places).toEqual([]);
    await bench.clock.advance(20);
    await heard(ROUTER);
    expect(report()).toMatchObject({ state: "Established", problem: undefined });
  });

  test("that does not send is told of, and no longer when it does", async () => {
    bench.routerLinks.sendError = udpError("ENETDOWN");
    await bench.peers(unnumbered());
    expect(report().problem).toContain("udp: ENETDOWN");
    bench.routerLinks.sendError = undefined;
    await bench.clock.advance(4000);
    expect(report().problem).toBe("its address on eth1 is not known yet; no Router Advertisement heard on eth1");
  });

  test("on which another program of this node advertises is left to it", async () => {
    await bench.peers(unnumbered());
    await heard(OURS, advert(MAC, 1800));
    bench.routerLinks.sent.length = 0;
    await bench.clock.advance(60_000);
    expect(bench.routerLinks.sent.filter(({ message }) => message.type === ND_ROUTER_ADVERT)).toEqual([]);
    expect(report().discovery?.address).toBeUndefined();
  });

  test("that brings an advertisement from a global address drops it, and goes on", async () => {
    await bench.peers(unnumbered());
    await heard("2001:db8::1" as IpAddress);
    expect(report().discovery?.address).toBeUndefined();
    await heard(ROUTER);
    expect(report().state).toBe("Established");
  });
});

test("a node that drains does not begin anew with a router that comes meanwhile", async () => {
  await bench.up(route(1));
  await bench.peers(unnumbered());
  await heard(ROUTER);
  const drained = bench.mode.drain("ending");
  bench.routerLinks.arrive("eth1", OTHER, advert());
  await bench.clock.advance(3000);
  await drained;
  expect(bench.net.dials).toHaveLength(1);
});
