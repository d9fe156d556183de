import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ifaceOf, parsePools, poolOf, type Pool } from "../../src/core/pools.js";
import { unusableAsVip, type Family } from "../../src/lib/ip.js";
import { ipFromNumber } from "../../src/lib/ip-range.js";

type Data = Readonly<Record<string, string>>;

/** All ranges of a pool as texts. */
function shown(pool: Pool | undefined): readonly string[] {
  if (pool === undefined) return ["no pool"];
  return [...pool.ranges[4], ...pool.ranges[6]].map(({ family, first, last }) => `${ipFromNumber(family, first)}-${ipFromNumber(family, last)}`);
}

function given(data: Data, namespace = "default"): readonly string[] {
  return shown(poolOf(parsePools(data, undefined).pools, namespace));
}

describe("which source counts for a namespace", () => {
  const all: Data = { "cidr-default": "10.1.0.0/30", "range-default": "10.2.0.5-10.2.0.6", "cidr-global": "10.3.0.0/30", "range-global": "10.4.0.5-10.4.0.6" };

  const rows: readonly [string, Data | undefined, string | undefined, readonly string[], string | undefined][] = [
    ["its own cidr and range together, before everything else", all, "10.5.0.5", ["10.1.0.1-10.1.0.2", "10.2.0.5-10.2.0.6"], "cidr-default and range-default"],
    ["its own range before the global cidr", { "range-default": "10.2.0.5", "cidr-global": "10.3.0.0/30" }, "10.5.0.5", ["10.2.0.5-10.2.0.5"], "range-default"],
    ["keys that are there and empty: none, and not those of all", { ...all, "cidr-default": "", "range-default": "" }, "10.5.0.5", [], "cidr-default and range-default"],
    ["else cidr and range of all, before the setting", { "cidr-global": "10.3.0.0/30", "range-global": "10.4.0.5-10.4.0.6" }, "10.5.0.5", ["10.3.0.1-10.3.0.2", "10.4.0.5-10.4.0.6"], "cidr-global and range-global"],
    ["the setting where the ConfigMap has nothing for it", { "cidr-other": "10.1.0.0/30" }, "10.5.0.5, 2001:db8::/126", ["10.5.0.5-10.5.0.5", "2001:db8::1-2001:db8::3"], "svc_addresses"],
    ["the setting where there is no ConfigMap", undefined, "10.5.0.5", ["10.5.0.5-10.5.0.5"], "svc_addresses"],
    ["none where nobody says anything", { "search-order": "desc" }, "", ["no pool"], undefined],
  ];
  test.each(rows)("%s", (_name, data, setting, ranges, name) => {
    const pool = poolOf(parsePools(data, setting).pools, "default");
    expect(shown(pool)).toEqual(ranges);
    expect(pool?.name).toBe(name);
  });

  test("a namespace without keys gets the global pool, and not the setting", () => {
    expect(shown(poolOf(parsePools(all, "10.5.0.5").pools, "other"))).toEqual(["10.3.0.1-10.3.0.2", "10.4.0.5-10.4.0.6"]);
  });

  test("global is no namespace of its own", () => expect([...parsePools(all, undefined).pools.named.keys()]).toEqual(["default"]));

  test("a namespace may have dashes, and the name of a key", () => {
    expect(given({ "cidr-a-b": "10.0.0.1/32" }, "a-b")).toEqual(["10.0.0.1-10.0.0.1"]);
    expect(given({ "range-range-x": "10.0.0.1" }, "range-x")).toEqual(["10.0.0.1-10.0.0.1"]);
    expect(given({ "cidr-__proto__": "10.0.0.1/32" }, "__proto__")).toEqual(["10.0.0.1-10.0.0.1"]);
  });
});

describe("what is given of a value", () => {
  const rows: readonly [string, Data, readonly string[]][] = [
    ["IPv4 /30 and shorter: without network and broadcast address", { "cidr-default": "192.0.2.220/29,10.0.0.0/30" }, ["10.0.0.1-10.0.0.2", "192.0.2.217-192.0.2.222"]],
    ["IPv4 /31 and /32: all", { "cidr-default": "192.0.2.0/31,192.0.2.8/32" }, ["192.0.2.0-192.0.2.1", "192.0.2.8-192.0.2.8"]],
    ["IPv6: without the all-zero host part", { "cidr-default": "2001:db8::/64" }, ["2001:db8::1-2001:db8::ffff:ffff:ffff:ffff"]],
    ["IPv6 /127 and /128: all", { "cidr-default": "2001:db8::10/127,2001:db8::20/128" }, ["2001:db8::10-2001:db8::11", "2001:db8::20-2001:db8::20"]],
    ["skip-end-ips-in-cidr true: the last of an IPv6 CIDR neither", { "cidr-default": "2001:db8::/126,192.0.2.0/29", "skip-end-ips-in-cidr": "true" }, ["192.0.2.1-192.0.2.6", "2001:db8::1-2001:db8::2"]],
    ["skip-end-ips-in-cidr true: single addresses and pairs all the same", { "cidr-default": "2001:db8::/127,192.0.2.0/31,192.0.2.8/32", "skip-end-ips-in-cidr": "true" }, ["192.0.2.0-192.0.2.1", "192.0.2.8-192.0.2.8", "2001:db8::-2001:db8::1"]],
    ["skip-end-ips-in-cidr false: network and broadcast address too, but never the anycast address", { "cidr-default": "2001:db8::/126,192.0.2.0/29", "skip-end-ips-in-cidr": "false" }, ["192.0.2.0-192.0.2.7", "2001:db8::1-2001:db8::3"]],
    ["ranges are given whole", { "range-default": "192.0.2.0-192.0.2.255, 2001:db8::-2001:db8::f", "skip-end-ips-in-cidr": "true" }, ["192.0.2.0-192.0.2.255", "2001:db8::-2001:db8::f"]],
    ["duplicates and overlaps count once", { "cidr-default": "192.0.2.0/29,192.0.2.0/29", "range-default": "192.0.2.6-192.0.2.9" }, ["192.0.2.1-192.0.2.9"]],
    ["an end that another entry names is given", { "cidr-default": "192.0.2.0/29", "range-default": "192.0.2.7" }, ["192.0.2.1-192.0.2.7"]],
    ["each key takes both notations", { "cidr-default": "192.0.2.10-192.0.2.11", "range-default": "192.0.2.16/30" }, ["192.0.2.10-192.0.2.11", "192.0.2.17-192.0.2.18"]],
    ["a comma too many is no matter", { "cidr-default": "192.0.2.8/32,," }, ["192.0.2.8-192.0.2.8"]],
  ];
  test.each(rows)("%s", (_name, data, ranges) => {
    expect(given(data)).toEqual(ranges);
    expect(parsePools(data, undefined).problems).toEqual([]);
  });

  test("a pool knows its size, by family", () => {
    expect(poolOf(parsePools({ "cidr-global": "10.0.0.0/8,10.0.0.0/9,2001:db8::/64" }, undefined).pools, "x")?.size).toEqual({ 4: (1n << 24n) - 2n, 6: (1n << 64n) - 1n });
  });

  test("never what cannot be a VIP, and everything else, both families", () => {
    const numbers: fc.Arbitrary<readonly [Family, bigint]> = fc.oneof(
      fc.bigInt(0n, (1n << 32n) - 1n).map((n) => [4, n] as const),
      fc.tuple(fc.constantFrom(0n, 1n, 2n, 0xfe7fn << 112n, 0xfe80n << 112n, 0xfebfn << 112n, 0xfec0n << 112n, 0xfeffn << 112n, 0xff00n << 112n, 0xffffn << 112n), fc.nat(3)).map(([n, more]) => [6, n + BigInt(more)] as const),
      fc.bigInt(0n, (1n << 128n) - 1n).map((n) => [6, n] as const),
      fc.constantFrom(0x00ffffffn, 0x01000000n, 0x7effffffn, 0x7f000000n, 0x7fffffffn, 0x80000000n, 0xdfffffffn, 0xe0000000n).map((n) => [4, n] as const),
    );
    fc.assert(
      fc.property(numbers, ([family, number]) => {
        const address = ipFromNumber(family, number);
        expect(given({ "range-default": address })).toEqual(unusableAsVip(address) === undefined ? [`${address}-${address}`] : []);
      }),
      { seed: 1, numRuns: 1000 },
    );
  });
});

describe("DHCP", () => {
  test("0.0.0.0/32 stands for it, from each source", () => {
    for (const { pools, problems } of [parsePools({ "cidr-default": "0.0.0.0/32" }, undefined), parsePools({ "cidr-global": " 0.0.0.0/32 " }, undefined), parsePools(undefined, "0.0.0.0/32")]) {
      expect(poolOf(pools, "default")).toMatchObject({ dhcp: true, damaged: false, size: { 4: 0n, 6: 0n } });
      expect(problems).toEqual([]);
    }
  });

  test("beside other addresses of the same value it is refused", () => {
    const { pools, problems } = parsePools({ "cidr-default": "0.0.0.0/32,192.0.2.8/32" }, undefined);
    expect(poolOf(pools, "default")).toMatchObject({ dhcp: false, damaged: true });
    expect(problems).toEqual([expect.stringMatching(/^cidr-default has "0\.0\.0\.0\/32": expected .* alone$/)]);
  });

  test("beside the other key of the namespace it counts, and that one is said to be unused", () => {
    const { pools, problems } = parsePools({ "cidr-default": "0.0.0.0/32", "range-default": "192.0.2.8" }, undefined);
    expect(poolOf(pools, "default")).toMatchObject({ dhcp: true, size: { 4: 0n, 6: 0n } });
    expect(problems).toEqual(["range-default is not used: cidr-default is 0.0.0.0/32 (DHCP)"]);
  });
});

describe("the other keys", () => {
  test("the interface is that of the namespace, else of all, whichever pool the addresses are from", () => {
    const { pools } = parsePools({ "interface-a": "eth3", "interface-global": " eth5 ", "cidr-global": "10.0.0.0/24" }, undefined);
    expect(["a", "b"].map((namespace) => ifaceOf(pools, namespace))).toEqual(["eth3", "eth5"]);
    expect(ifaceOf(parsePools({ "interface-a": "eth3" }, "10.0.0.1").pools, "b")).toBeUndefined();
  });

  test.each([["desc", true], ["asc", false], [undefined, false]])("search-order %s", (order, descending) => {
    const { pools, problems } = parsePools(order === undefined ? {} : { "search-order": order }, undefined);
    expect(pools.descending).toBe(descending);
    expect(problems).toEqual([]);
  });
});

describe("what is not understood", () => {
  const rows: readonly [string, string, RegExp][] = [
    ["cidr-other", "10.0.0.0/33", /^cidr-other has "10\.0\.0\.0\/33": expected unicast CIDRs such as /],
    ["cidr-other", "10.0.0.0/24, ten, 10.0.0.300", /^cidr-other has "ten, 10\.0\.0\.300": expected /],
    ["range-other", "10.0.0.9-10.0.0.1", /^range-other has "10\.0\.0\.9-10\.0\.0\.1": expected /],
    ["range-other", "", /^range-other has "": expected /],
    ["cidr-other", "10.0.0.0/24;10.0.1.0/24", /^cidr-other has "10\.0\.0\.0\/24;10\.0\.1\.0\/24": /],
    ["cidr-other", "x".repeat(1000), /^cidr-other has "x{60}\.\.\.": /],
    ["cidr-other", "224.0.0.0/24", /^cidr-other has "224\.0\.0\.0\/24": expected unicast /],
    ["range-other", "126.0.0.1-128.0.0.1", /^range-other has /],
    ["search-order", "descending", /^search-order is "descending": expected asc or desc$/],
    ["skip-end-ips-in-cidr", "yes", /^skip-end-ips-in-cidr is "yes": expected true or false$/],
    ["interface-other", "", /^interface-other is "": expected the name of a link/],
    ["interface-other", "a-name-of-16-chr", /^interface-other is "a-name-of-16-chr": /],
    ["allow-share-other", "true", /^allow-share-other is "true", which is not used: .* ask for the same one/],
    ["cird-other", "10.0.0.0/24", /^cird-other is no known key: expected cidr-/],
    ["cidr", "10.0.0.0/24", /^cidr is no known key: /],
  ];
  test.each(rows)("%s: %j is told in one line, and the other keys count", (key, value, line) => {
    const { pools, problems } = parsePools({ "cidr-default": "192.0.2.8/32", [key]: value }, "10.9.9.9");
    expect(problems).toEqual([expect.stringMatching(line)]);
    expect(shown(poolOf(pools, "default"))).toEqual(["192.0.2.8-192.0.2.8"]);
  });

  test("allow-share false is what we do, and told by nobody", () => expect(parsePools({ "allow-share-global": "false" }, undefined).problems).toEqual([]));

  test("the good parts of a value count, and the pool is damaged", () => {
    expect(poolOf(parsePools({ "cidr-default": "10.0.0.0/30,10.0.0.0/33" }, undefined).pools, "default")).toMatchObject({ damaged: true, size: { 4: 2n } });
  });

  test("a namespace whose key does not parse does not get addresses of the others", () => {
    expect(given({ "cidr-default": "10.0.0.0/33", "cidr-global": "10.3.0.0/24" })).toEqual([]);
  });

  test("of the setting: named as it is called", () => {
    const { pools, problems } = parsePools(undefined, "10.0.0.0/24,nonsense");
    expect(problems).toEqual([expect.stringMatching(/^svc_addresses has "nonsense": expected /)]);
    expect(poolOf(pools, "default")?.size[4]).toBe(254n);
  });

  test("the setting is told although the ConfigMap is what counts", () => expect(parsePools({ "cidr-global": "10.0.0.0/24" }, "nonsense").problems).toHaveLength(1));

  test("any texts parse without an error", () => {
    const key = fc.oneof(fc.string(), fc.tuple(fc.constantFrom("cidr-", "range-", "interface-", "allow-share-", "search-order"), fc.string()).map(([a, b]) => a + b));
    const value = fc.oneof(fc.string(), fc.array(fc.constantFrom("10.0.0.0/8", "::", "/", "-", ",", "1", "0.0.0.0/32", " ")).map((parts) => parts.join("")));
    fc.assert(fc.property(fc.dictionary(key, value), fc.option(value, { nil: undefined }), (data, setting) => {
      const { pools, problems } = parsePools(data, setting);
      expect(problems.length).toBeLessThanOrEqual(Object.keys(data).length + 1);
      expect(pools.named.size).toBeLessThanOrEqual(Object.keys(data).length);
    }), { seed: 1, numRuns: 1000 });
  });
});
