import { describe, expect, test } from "vitest";
import type { IpAddress } from "../../src/lib/ip.js";
import type { BgpMessage } from "../../src/wire/bgp/message.js";
import { prefixText } from "../../src/wire/bgp/prefix.js";
import { CEASE_ADMIN_RESET } from "../../src/wire/bgp/codes.js";
import type { RouteMap } from "../../src/machine/bgp-session-config.js";
import { exportAttributes } from "../../src/machine/bgp-session-export.js";
import { sentCount } from "../../src/machine/bgp-session-out.js";
import { ReceivedPrefixes } from "../../src/machine/bgp-session-received.js";
import { establishedOf } from "../../src/machine/bgp-session-state.js";
import { Bench, config, PEER_CAPABILITIES, peerOpen, routeMap } from "./bgp-session-bench.js";

const ENHANCED = peerOpen({ capabilities: [...PEER_CAPABILITIES, { kind: "enhancedRefresh" }] });
const refresh = (afi: number, subtype = 0): BgpMessage => ({ type: "refresh", refresh: { afi, safi: 1, subtype, filters: new Uint8Array() } });
const none: RouteMap = new Map();

function without(routes: RouteMap, ...keys: readonly string[]): RouteMap {
  return new Map([...routes].filter(([key]) => !keys.includes(key)));
}

function sent(bench: Bench): number {
  const connection = establishedOf(bench.state);
  return connection === undefined ? -1 : sentCount(connection.out, 4);
}

describe("routes", () => {
  test("all of them when the session is up, then End-of-RIB for each family that is known", () => {
    const bench = Bench.in("Established");
    expect(bench.routes([4, routeMap(2)])).toEqual(["out-1 UPDATE +192.0.0.0/32 +192.0.0.1/32", "out-1 EOR 4"]);
    expect(bench.routes([4, routeMap(2)], [6, none])).toEqual(["out-1 EOR 6"]);
    expect(sent(bench)).toBe(2);
  });

  test("those known before wait for it", () => {
    const bench = Bench.in("OpenConfirm");
    expect(bench.routes([4, routeMap(1)])).toEqual([]);
    expect(bench.hear("out-1", { type: "keepalive" })).toEqual(["out-1 established", "out-1 UPDATE +192.0.0.0/32", "out-1 EOR 4"]);
  });

  test("then only what is different, withdrawals first", () => {
    const bench = Bench.in("Established");
    const three = routeMap(3);
    bench.routes([4, three]);
    const changed = new Map([...without(three, "192.0.0.0/32"), ...[...routeMap(5)].slice(4)]);
    expect(bench.routes([4, changed])).toEqual(["out-1 UPDATE -192.0.0.0/32", "out-1 UPDATE +192.0.0.4/32"]);
    expect(bench.routes([4, routeMap(3, { med: 5 })])).toEqual(["out-1 UPDATE -192.0.0.4/32", "out-1 UPDATE +192.0.0.0/32 +192.0.0.1/32 +192.0.0.2/32"]);
  });

  test("equal attributes in another object are no change", () => {
    const bench = Bench.in("Established");
    bench.routes([4, routeMap(3)]);
    expect([bench.routes([4, routeMap(3)]), bench.routes([4, routeMap(3)])]).toEqual([[], []]);
  });

  test("of a family that the peer does not have are not sent", () => {
    const bench = Bench.in("Established", config, peerOpen({ capabilities: [] }));
    expect(bench.routes([6, none], [4, none])).toEqual(["out-1 EOR 4"]);
  });

  test("are forgotten with the session: the next one has its own next hop", () => {
    const bench = Bench.in("Established");
    bench.routes([4, routeMap(1)]);
    bench.send({ type: "reset", subcode: CEASE_ADMIN_RESET });
    bench.wake();
    bench.send({ type: "connected", id: "out-2" });
    expect(bench.hear("out-2", peerOpen(), { type: "keepalive" })).toEqual(["out-2 KEEPALIVE", "out-2 established"]);
    expect(bench.routes([4, routeMap(1)])).toEqual(["out-2 UPDATE +192.0.0.0/32", "out-2 EOR 4"]);
  });

  test("an UPDATE puts the next KEEPALIVE off", () => {
    const bench = Bench.in("Established");
    bench.now = 20_000;
    bench.routes([4, routeMap(1)]);
    expect(bench.wakeAt).toBe(42_500);
  });

  test("whose attributes fit into no message are withdrawn where the peer had them, and told", () => {
    const bench = Bench.in("Established");
    bench.routes([4, routeMap(2)]);
    const huge = new Map([...routeMap(2)].map(([key, route], n) => [key, n === 0 ? route : { ...route, attributes: { ...route.attributes, communities: Array.from({ length: 1100 }, (_, c) => c) } }]));
    expect(bench.routes([4, huge])).toEqual(["out-1 UPDATE -192.0.0.1/32", "tooLarge 4 1"]);
    expect([sent(bench), bench.send({ type: "tick" })]).toEqual([1, []]);
  });
});

describe("a route refresh", () => {
  test("brings everything again", () => {
    const bench = Bench.in("Established");
    bench.routes([4, routeMap(2)], [6, none]);
    expect(bench.hear("out-1", refresh(1))).toEqual(["out-1 UPDATE +192.0.0.0/32 +192.0.0.1/32"]);
    expect(bench.hear("out-1", refresh(2))).toEqual([]);
  });

  test("between two marks where both sides know them (RFC 7313)", () => {
    const bench = Bench.in("Established", config, ENHANCED);
    bench.routes([4, routeMap(1)], [6, none]);
    expect(bench.hear("out-1", refresh(1))).toEqual(["out-1 REFRESH 1/1", "out-1 UPDATE +192.0.0.0/32", "out-1 REFRESH 1/2"]);
    expect(bench.hear("out-1", refresh(2))).toEqual(["out-1 REFRESH 2/1", "out-1 REFRESH 2/2"]);
  });

  test("before the first routes are known, and for other families, waits or means nothing", () => {
    const bench = Bench.in("Established", config, ENHANCED);
    expect(bench.hear("out-1", refresh(1), refresh(25), refresh(1, 7), refresh(1, 1), refresh(1, 2))).toEqual([]);
    expect(bench.routes([4, none])).toEqual(["out-1 EOR 4", "out-1 REFRESH 1/1", "out-1 REFRESH 1/2"]);
  });

  test("asked for a hundred times while the peer reads nothing is answered once", () => {
    const bench = Bench.in("Established");
    bench.slow = true;
    bench.routes([4, routeMap(1)]);
    for (let n = 0; n < 100; n += 1) expect(bench.hear("out-1", refresh(1))).toEqual([]);
    bench.slow = false;
    expect(bench.send({ type: "writable", id: "out-1" })).toEqual(["out-1 UPDATE +192.0.0.0/32"]);
  });
});

describe("a peer that reads slowly", () => {
  test("gets no more than a batch before it has taken the last one, and in the end what is wanted then", () => {
    const bench = Bench.in("Established");
    bench.slow = true;
    const batches: number[] = [];
    const sizes = (): void => {
      for (const action of bench.actions.splice(0)) if (action.type === "send") batches.push(action.octets.length);
    };
    sizes();
    batches.length = 0;
    // 40,000 host routes: 200 KB, three batches; then one for the last change.
    const many = routeMap(40_000);
    bench.routes([4, many]);
    sizes();
    expect(batches).toHaveLength(1);
    // A thousand changes meanwhile cost nothing: only the last one counts.
    for (let n = 0; n < 1000; n += 1) bench.routes([4, n % 2 === 0 ? none : many]);
    bench.routes([4, without(many, "192.0.0.0/32")]);
    sizes();
    expect(batches).toHaveLength(1);
    let last: readonly string[] = [];
    for (let turns = 0; bench.state.connections.some(({ flushSince }) => flushSince !== undefined); turns += 1) {
      if (turns > 20) throw new Error("no end");
      last = bench.send({ type: "writable", id: "out-1" });
    }
    sizes();
    expect([batches.length, Math.max(...batches) < 65_536 + 4096]).toEqual([4, true]);
    expect([last, sent(bench)]).toEqual([[], 39_999]);
  });

  test("still gets keepalives", () => {
    const bench = Bench.in("Established");
    bench.slow = true;
    bench.routes([4, routeMap(1)]);
    expect(bench.wake()).toEqual(["out-1 KEEPALIVE"]);
  });
});

describe("what the peer announces", () => {
  const nlri = [{ address: "198.51.100.0" as IpAddress, length: 24 }];
  const update = (attributes: object): BgpMessage => ({ type: "update", update: { withdrawn: [], attributes, nlri, faults: [] } });

  test("is told, a faulty one as withdrawn, and the session goes on (RFC 7606)", () => {
    const bench = Bench.in("Established");
    const attributes = { origin: "igp", asPath: [{ kind: "sequence", as: [64_501] }], nextHop: "10.0.0.2" };
    expect(bench.hear("out-1", update(attributes))).toEqual(["received 4 +1 -0"]);
    expect(bench.hear("out-1", update({ ...attributes, communities: [] }))).toEqual(["received 4 +0 -1"]);
    expect(bench.name).toBe("Established");
  });

  test("resets the session only where it must", () => {
    const bench = Bench.in("Established");
    const bad: BgpMessage = { type: "update", update: { withdrawn: [], attributes: { communities: [] }, nlri: [], faults: [] } };
    expect(bench.hear("out-1", bad)[0]).toBe("out-1 NOTIFICATION 3/9 c00800");
  });

  test("is counted up to the limit, and what is beyond it is counted, too", () => {
    const received = new ReceivedPrefixes(3);
    const prefixes = [...routeMap(5).values()].map(({ prefix }) => prefix);
    received.apply([{ family: 4, announced: prefixes.slice(0, 3), withdrawn: [] }]);
    expect([received.count(4), received.beyond]).toEqual([3, 0]);
    received.apply([{ family: 4, announced: prefixes, withdrawn: [] }]);
    expect([received.count(4), received.beyond]).toEqual([3, 2]);
    received.apply([{ family: 4, announced: [], withdrawn: prefixes.slice(0, 2) }]);
    expect([received.count(4), received.count(6)]).toEqual([1, 0]);
  });
});

describe("attributes of our routes", () => {
  const nextHop = "10.0.0.1" as IpAddress;

  test("to an external peer: our AS, repeated as often as wanted, no LOCAL_PREF", () => {
    expect(exportAttributes({ nextHop, prepend: 2, localPref: 50, med: 7 }, { localAs: 64_500, internal: false })).toEqual({
      origin: "igp",
      asPath: [{ kind: "sequence", as: [64_500, 64_500, 64_500] }],
      nextHop,
      med: 7,
    });
  });

  test("to an internal peer: no AS, LOCAL_PREF 100 unless given", () => {
    const internal = { localAs: 64_500, internal: true };
    expect(exportAttributes({ nextHop, prepend: 2 }, internal)).toEqual({ origin: "igp", asPath: [], nextHop, localPref: 100 });
    expect(exportAttributes({ nextHop, localPref: 0 }, internal).localPref).toBe(0);
  });

  test("communities are sets: sorted, each once", () => {
    const large = { global: 1, local1: 2, local2: 3 };
    const made = exportAttributes({ nextHop, communities: [0xffff0000, 5, 5], largeCommunities: [{ ...large, local2: 4 }, large, { ...large }] }, { localAs: 1, internal: false });
    expect([made.communities, made.largeCommunities]).toEqual([[5, 0xffff0000], [large, { ...large, local2: 4 }]]);
  });

  test("routes by prefix have its text as key", () => {
    for (const [key, { prefix }] of routeMap(3)) expect(key).toBe(prefixText(prefix));
  });
});

