import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Family, IpAddress } from "../../../src/lib/ip.js";
import type { UpdateContext } from "../../../src/wire/bgp/attribute.js";
import { decodeMessage } from "../../../src/wire/bgp/message.js";
import { attributesKey, endOfRibMessage, packUpdates, type PackOptions, type Route, type RouteAttributes } from "../../../src/wire/bgp/pack.js";
import { prefixText, type Prefix } from "../../../src/wire/bgp/prefix.js";
import { endOfRib, routeChanges, type ReceivedUpdate } from "../../../src/wire/bgp/update.js";
import { toHex } from "../hex.js";

const CONTEXT: UpdateContext = { asSize: 4, internal: false, addPath: [] };
const IPV4: PackOptions = { family: 4, context: CONTEXT, most: 4096 };
const IPV6: PackOptions = { ...IPV4, family: 6 };
const ip = (text: string): IpAddress => text as IpAddress;

const plain: RouteAttributes = { origin: "igp", asPath: [{ kind: "sequence", as: [64_500] }], nextHop: ip("10.0.0.1") };
const plain6: RouteAttributes = { ...plain, nextHop: ip("fd00::1"), linkLocal: ip("fe80::1") };

function prefixes(family: Family, count: number): readonly Prefix[] {
  return Array.from({ length: count }, (_, n) =>
    family === 4 ? { address: ip(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`), length: 32 } : { address: ip(`fd00:1::${(n + 1).toString(16)}`), length: 128 },
  );
}

function routes(family: Family, count: number, attributes: RouteAttributes = family === 4 ? plain : plain6): readonly Route[] {
  return prefixes(family, count).map((prefix) => ({ prefix, attributes }));
}

function updates(messages: readonly Uint8Array[], context: UpdateContext = CONTEXT): readonly ReceivedUpdate[] {
  return messages.flatMap((octets) => {
    const message = decodeMessage(octets, context);
    return message.type === "update" ? [message.update] : [];
  });
}

function announced(messages: readonly Uint8Array[]): readonly string[] {
  return updates(messages).flatMap((update) => routeChanges(update).flatMap((change) => change.announced.map((prefix) => prefixText(prefix))));
}

describe("10,000 host routes with one set of attributes", () => {
  // 19 + 4 octets of header and lengths; ORIGIN 4, AS_PATH 9, NEXT_HOP 7; MP_REACH_NLRI 4 + 37 in place of NEXT_HOP.
  const rows: readonly (readonly [name: string, options: PackOptions, count: number])[] = [
    ["IPv4", IPV4, Math.ceil(10_000 / Math.floor((4096 - 23 - 20) / 5))],
    ["IPv6", IPV6, Math.ceil(10_000 / Math.floor((4096 - 23 - 13 - 41) / 17))],
    ["IPv4, extended messages", { ...IPV4, most: 65_535 }, 1],
    ["IPv6, extended messages", { ...IPV6, most: 65_535 }, 3],
  ];
  test.each(rows)("%s: as few messages as there can be", (_name, options, count) => {
    const wanted = routes(options.family, 10_000);
    const { messages, tooLarge } = packUpdates([], wanted, options);
    expect([messages.length, tooLarge.length]).toEqual([count, 0]);
    expect(Math.max(...messages.map(({ length }) => length))).toBeLessThanOrEqual(options.most);
    expect(announced(messages)).toEqual(wanted.map(({ prefix }) => prefixText(prefix)));
  });

  test.each([IPV4, IPV6])("withdrawn: as few messages as there can be", (options) => {
    const gone = prefixes(options.family, 10_000);
    const { messages } = packUpdates(gone, [], options);
    const room = options.family === 4 ? Math.floor((4096 - 23) / 5) : Math.floor((4096 - 23 - 7) / 17);
    expect(messages.length).toBe(Math.ceil(10_000 / room));
    expect(updates(messages).flatMap((update) => routeChanges(update).flatMap(({ withdrawn }) => withdrawn))).toEqual(gone);
  });
});

test.each([IPV4, IPV6])("how long 10,000 host routes take is printed", (options) => {
  const wanted = routes(options.family, 10_000);
  const times = Array.from({ length: 3 }, () => {
    const start = performance.now();
    const { messages } = packUpdates([], wanted, options);
    const packed = performance.now();
    expect(announced(messages)).toHaveLength(10_000);
    return { pack: packed - start, decode: performance.now() - packed, messages: messages.length };
  });
  const best = (of: "pack" | "decode"): number => Number(Math.min(...times.map((time) => time[of])).toFixed(1));
  console.info(JSON.stringify({ figure: "bgp pack", family: options.family, routes: 10_000, updates: times[0]?.messages, packMs: best("pack"), decodeMs: best("decode") }));
});

describe("packing", () => {
  test("withdraws first", () => {
    const { messages } = packUpdates(prefixes(4, 1), routes(4, 2).slice(1), IPV4);
    expect(updates(messages).map(({ withdrawn, nlri }) => [withdrawn.length, nlri.length])).toEqual([[1, 0], [0, 1]]);
  });

  test("puts equal attributes together, also of different objects and out of order", () => {
    const med = { ...plain, med: 5 };
    const [a, b, c, d] = prefixes(4, 4);
    const wanted = [[a, plain], [b, med], [c, { ...plain }], [d, { ...med }]] as const;
    const { messages } = packUpdates([], wanted.flatMap(([prefix, attributes]) => (prefix === undefined ? [] : [{ prefix, attributes }])), IPV4);
    expect(updates(messages).map(({ attributes, nlri }) => [attributes.med, nlri.length])).toEqual([[undefined, 2], [5, 2]]);
  });

  test("has the next hop in the key", () => {
    expect(attributesKey(plain)).not.toBe(attributesKey({ ...plain, nextHop: ip("10.0.0.2") }));
    expect(attributesKey(plain6)).not.toBe(attributesKey({ ...plain6, linkLocal: ip("fe80::2") }));
    expect(attributesKey(plain)).toBe(attributesKey({ nextHop: ip("10.0.0.1"), asPath: plain.asPath ?? [], origin: "igp" }));
  });

  test("puts the IPv4 next hop into NEXT_HOP, and an IPv6 one into MP_REACH_NLRI (RFC 8950)", () => {
    const [over4] = updates(packUpdates([], routes(4, 1), IPV4).messages);
    expect([over4?.attributes.nextHop, over4?.attributes.reach]).toEqual(["10.0.0.1", undefined]);
    const [over6] = updates(packUpdates([], routes(4, 1, { ...plain, nextHop: ip("fd00::1") }), IPV4).messages);
    expect([over6?.attributes.nextHop, over6?.attributes.reach]).toEqual([undefined, { family: 4, nextHop: "fd00::1", prefixes: prefixes(4, 1) }]);
    const [gone] = updates(packUpdates(prefixes(4, 1), [], { ...IPV4, multiprotocolIpv4: true }).messages);
    expect([gone?.withdrawn, gone?.attributes.unreach]).toEqual([[], { family: 4, prefixes: prefixes(4, 1) }]);
  });

  test("to a peer with two-octet AS numbers sends AS_TRANS, and the path in four octets (RFC 6793)", () => {
    const context = { ...CONTEXT, asSize: 2 } as const;
    const attributes = { ...plain, asPath: [{ kind: "sequence", as: [4_200_000_001, 64_500] }] } as const;
    const [update] = updates(packUpdates([], routes(4, 1, attributes), { ...IPV4, context }).messages, context);
    expect([update?.attributes.asPath, update?.attributes.as4Path]).toEqual([[{ kind: "sequence", as: [23_456, 64_500] }], attributes.asPath]);
    const [small] = updates(packUpdates([], routes(4, 1), { ...IPV4, context }).messages, context);
    expect([small?.attributes.asPath, small?.attributes.as4Path]).toEqual([plain.asPath, undefined]);
  });

  test("names the routes whose attributes leave no room, and sends the others", () => {
    const huge = { ...plain, communities: Array.from({ length: 1100 }, (_, n) => n) };
    const [first, second] = routes(4, 2);
    if (first === undefined || second === undefined) throw new Error("no routes");
    const { messages, tooLarge } = packUpdates([], [{ ...first, attributes: huge }, second], IPV4);
    expect([tooLarge, announced(messages)]).toEqual([[first.prefix], [prefixText(second.prefix)]]);
    expect(packUpdates([], [{ ...first, attributes: huge }], { ...IPV4, most: 65_535 }).tooLarge).toEqual([]);
  });

  test("fills a message to its last octet", () => {
    // 19 + 4 + 20, and 810 prefixes of 5 octets and one of 3: 4096.
    const wanted = [...routes(4, 810), { prefix: { address: ip("192.168.0.0"), length: 16 }, attributes: plain }];
    const { messages } = packUpdates([], wanted, IPV4);
    expect(messages.map(({ length }) => length)).toEqual([4096]);
  });

  test("End-of-RIB is an empty UPDATE, and for IPv6 an empty MP_UNREACH_NLRI (RFC 4724 2)", () => {
    expect(toHex(endOfRibMessage(IPV4)).slice(32)).toBe("00170200000000");
    expect(toHex(endOfRibMessage(IPV6)).slice(32)).toBe("001d0200000006800f03000201");
    expect(updates([endOfRibMessage(IPV4), endOfRibMessage(IPV6)]).map((update) => endOfRib(update))).toEqual([4, 6]);
  });

  test("loses nothing, whatever the prefixes and attributes", () => {
    const prefix = fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 255 }), fc.integer({ min: 16, max: 32 })).map(([a, b, length]) => ({ address: ip(`10.${a}.0.${length === 32 ? b : 0}`), length: length === 32 ? 32 : 16 }));
    const attributes = fc.record({ med: fc.integer({ min: 0, max: 3 }), communities: fc.array(fc.nat(9), { minLength: 1, maxLength: 60 }) });
    const wanted = fc.uniqueArray(fc.record({ prefix, extra: attributes }), { selector: (one) => prefixText(one.prefix), maxLength: 60 });
    fc.assert(
      fc.property(wanted, fc.integer({ min: 320, max: 700 }), (list, most) => {
        const all = list.map(({ prefix: one, extra }) => ({ prefix: one, attributes: { ...plain, ...extra } }));
        const { messages, tooLarge } = packUpdates([], all, { ...IPV4, most });
        const sent = new Map(updates(messages).flatMap(({ nlri, attributes: { med, communities } }) => nlri.map((one) => [prefixText(one), { med, communities }] as const)));
        expect(sent).toEqual(new Map(list.map(({ prefix: one, extra }) => [prefixText(one), extra])));
        expect([tooLarge, Math.max(0, ...messages.map(({ length }) => length)) <= most]).toEqual([[], true]);
      }),
      { seed: 20261121, numRuns: 300 },
    );
  });
});
