import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { familyOf, ipFromBytes, parseIp } from "../../src/lib/ip.js";
import { countIps, eachIp, inRanges, ipFromNumber, ipToNumber, mergeRanges, overlap, parseCidr, parseIpRange, type IpRange } from "../../src/lib/ip-range.js";

/** Ends as texts: `192.0.2.0-192.0.2.255`. */
function shown(ends: IpRange | undefined): string | undefined {
  return ends === undefined ? undefined : `${ipFromNumber(ends.family, ends.first)}-${ipFromNumber(ends.family, ends.last)}`;
}

function range(text: string): IpRange {
  const parsed = parseIpRange(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

// Groups of zeros are what IPv6 text is about, so they come often; ::ffff:0:0/96 has a text of its own (RFC 5952 5).
const group = fc.oneof(fc.constant(0), fc.constant(0), fc.nat(0xffff));
const v6Bytes = fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => Uint8Array.from(groups.flatMap((g) => [g >> 8, g & 255])));
const mapped = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((four) => Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, ...four]));
const v4Bytes = fc.uint8Array({ minLength: 4, maxLength: 4 });

describe("an address as a number", () => {
  test("is its octets read as one, and back to the same canonical text, both families", () => {
    fc.assert(
      fc.property(fc.oneof(v4Bytes, v6Bytes, mapped), (bytes) => {
        const address = ipFromBytes(bytes);
        const value = BigInt(`0x${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`);
        expect(ipToNumber(address)).toBe(value);
        expect(ipFromNumber(familyOf(address), value)).toBe(address);
        expect(parseIp(ipFromNumber(familyOf(address), value))).toBe(address);
      }),
      { seed: 1, numRuns: 2000 },
    );
  });

  test.each(["::", "::1", "1::", "1::1", "1:0:0:2::1", "1:0:0:2:0:0:0:3", "1:0:2:3:4:5:6:7", "2001:db8::1:0:0:1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"])("%s there and back", (text) => {
    const address = parseIp(text);
    expect(address === undefined ? "no address" : ipFromNumber(6, ipToNumber(address))).toBe(address);
  });
});

describe("a CIDR", () => {
  test.each([
    ["192.0.2.0/24", "192.0.2.0-192.0.2.255"],
    ["192.0.2.210/29", "192.0.2.208-192.0.2.215"],
    ["192.0.2.7/32", "192.0.2.7-192.0.2.7"],
    ["0.0.0.0/0", "0.0.0.0-255.255.255.255"],
    ["2001:db8::5/64", "2001:db8::-2001:db8::ffff:ffff:ffff:ffff"],
    ["2001:db8::11/127", "2001:db8::10-2001:db8::11"],
    ["::/0", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  ])("%s is %s", (text, ends) => expect(shown(parseCidr(text))).toBe(ends));

  test.each(["", "192.0.2.0", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/024", "192.0.2.0/-1", "192.0.2.0/24/24", "192.0.2.0/255.255.255.0", "2001:db8::/129", "/24", "192.0.2/24"])("%j is none", (text) =>
    expect(parseCidr(text)).toBeUndefined(),
  );
});

describe("a range", () => {
  test.each([
    ["192.0.2.10-192.0.2.20", "192.0.2.10-192.0.2.20"],
    ["192.0.2.10 - 192.0.2.20", "192.0.2.10-192.0.2.20"],
    ["192.0.2.10", "192.0.2.10-192.0.2.10"],
    ["2001:DB8::10-2001:db8:0::1:0", "2001:db8::10-2001:db8::1:0"],
  ])("%s is %s", (text, ends) => expect(shown(parseIpRange(text))).toBe(ends));

  test.each(["", "-", "192.0.2.20-192.0.2.10", "192.0.2.1-2001:db8::1", "192.0.2.1-192.0.2.2-192.0.2.3", "192.0.2.1-20", "192.0.2.0/24", "192.0.2.1-"])("%j is none", (text) =>
    expect(parseIpRange(text)).toBeUndefined(),
  );
});

describe("ranges as a set", () => {
  const rows: readonly [string, readonly string[], readonly string[]][] = [
    ["those that overlap become one", ["10.0.0.5-10.0.0.9", "10.0.0.1-10.0.0.6"], ["10.0.0.1-10.0.0.9"]],
    ["those that touch become one", ["10.0.0.1-10.0.0.4", "10.0.0.5-10.0.0.9"], ["10.0.0.1-10.0.0.9"]],
    ["one inside of another is gone", ["10.0.0.1-10.0.0.9", "10.0.0.3", "10.0.0.1-10.0.0.9"], ["10.0.0.1-10.0.0.9"]],
    ["one apart stays apart", ["10.0.0.6", "10.0.0.4"], ["10.0.0.4-10.0.0.4", "10.0.0.6-10.0.0.6"]],
    ["families do not mix, although their numbers do", ["::a00:2-::a00:4", "10.0.0.1-10.0.0.3"], ["10.0.0.1-10.0.0.3", "::a00:2-::a00:4"]],
  ];
  test.each(rows)("%s", (_name, texts, merged) => expect(mergeRanges(texts.map(range)).map(shown)).toEqual(merged));

  test("has and counts each address once", () => {
    const small = fc.tuple(fc.nat(60), fc.nat(8)).map(([first, more]): IpRange => ({ family: 4, first: BigInt(first), last: BigInt(first + more) }));
    fc.assert(
      fc.property(fc.array(small, { maxLength: 8 }), (ranges) => {
        const merged = mergeRanges(ranges);
        const numbers = [...Array(80).keys()].map(BigInt);
        const members = numbers.filter((n) => ranges.some(({ first, last }) => first <= n && n <= last));
        expect(numbers.filter((n) => inRanges(merged, n))).toEqual(members);
        expect(countIps(merged)).toBe(BigInt(members.length));
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  test("a /8 and a /64 are counted without looking at their addresses", () => {
    const all = ["10.0.0.0/8", "2001:db8::/64"].map((text) => parseCidr(text) ?? range(text));
    expect(countIps(all)).toBe((1n << 24n) + (1n << 64n));
  });

  test("are walked in order, each address once, up and down, over the edges of blocks", () => {
    const starts = fc.constantFrom<IpRange>(range("192.0.2.0"), range("192.0.1.250"), range("0.0.0.0"), range("2001:db8::"), range("2001:db8::fffa"), range("2001:db8:0:1:0:0:0:fffa"), range("1:0:0:2::fffa"), range("1:2:3:4:5:6:7:fffa"));
    const short = fc.tuple(starts, fc.nat(20), fc.nat(300)).map(([{ family, first }, skip, more]): IpRange => ({ family, first: first + BigInt(skip), last: first + BigInt(skip + more) }));
    fc.assert(
      fc.property(fc.array(short, { maxLength: 3 }), (ranges) => {
        const merged = mergeRanges(ranges);
        const all = merged.flatMap(({ family, first, last }) => [...Array(Number(last - first) + 1).keys()].map((i) => ipFromNumber(family, first + BigInt(i))));
        expect([...eachIp(merged, false)]).toEqual(all);
        expect([...eachIp(merged, true)]).toEqual(all.toReversed());
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  test("are walked from both ends of everything", () => {
    const everything = ["0.0.0.0-255.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"].map(range);
    expect(eachIp(everything, false).take(2).toArray()).toEqual(["0.0.0.0", "0.0.0.1"]);
    expect(eachIp(everything, true).take(1).toArray()).toEqual(["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]);
  });

  test("overlap is told of one family only", () => {
    expect(overlap(range("10.0.0.1-10.0.0.3"), range("10.0.0.3-10.0.0.9"))).toBe(true);
    expect(overlap(range("10.0.0.1-10.0.0.3"), range("10.0.0.4-10.0.0.9"))).toBe(false);
    expect(overlap(range("10.0.0.1"), range("::a00:1"))).toBe(false);
  });
});
