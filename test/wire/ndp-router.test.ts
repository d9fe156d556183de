import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { IpAddress } from "../../src/lib/ip.js";
import { macFromBytes, type MacAddress } from "../../src/lib/mac.js";
import { decodeRouterMessage, encodeRouterMessage, ND_ROUTER_ADVERT, ND_ROUTER_SOLICIT, type RouterAdvert, type RouterMessage } from "../../src/wire/ndp-router.js";
import { fuzzDecode } from "./fuzz.js";
import { fromHex, toHex } from "./hex.js";

const ROUTER = "fe80::c02b:94ff:fe7f:a09c" as IpAddress;
const MAC = "c2:2b:94:7f:a0:9c" as MacAddress;
const UNSPECIFIED = "::" as IpAddress;

// Captured on a veth pair: the solicitation is Linux 6.18's own, the advertisements are those of FRR 8.4.4 with an unnumbered neighbour.
const SOLICIT = "85 00 909e 00000000 01 01 c22b947fa09c";
const ADVERT = "86 00 4f79 40 00 001e 00000000 00000000 01 01 c22b947fa09c";
const ADVERT_END = "86 00 4f97 40 00 0000 00000000 00000000 01 01 c22b947fa09c";
// RFC 4861 4.2, 4.6: flags, times, and a prefix and an MTU around the link-layer address.
const ADVERT_FULL = `86 00 0000 ff c0 ffff 000493e0 000003e8 03 04 40 c0 00015180 00003840 00000000 20010db8000000000000000000000000
  01 01 c22b947fa09c 05 01 0000 000005dc`;

const PLAIN: RouterAdvert = { type: ND_ROUTER_ADVERT, curHopLimit: 64, managed: false, other: false, lifetimeSeconds: 30, reachableMs: 0, retransMs: 0, sourceMac: MAC };
const FULL: RouterAdvert = { type: ND_ROUTER_ADVERT, curHopLimit: 255, managed: true, other: true, lifetimeSeconds: 65_535, reachableMs: 300_000, retransMs: 1000, sourceMac: MAC };

function decode(hex: string, { source = ROUTER, hopLimit = 255 }: { readonly source?: IpAddress; readonly hopLimit?: number } = {}): RouterMessage {
  return decodeRouterMessage({ bytes: fromHex(hex), source, hopLimit });
}

/** With the checksum as it is left to the kernel. */
function unsummed(hex: string): string {
  const bytes = fromHex(hex);
  bytes.fill(0, 2, 4);
  return toHex(bytes);
}

describe("router messages", () => {
  it.each([
    { name: "a solicitation of Linux", hex: SOLICIT, message: { type: ND_ROUTER_SOLICIT, sourceMac: MAC } },
    { name: "a solicitation without options", hex: "85 00 0000 00000000", message: { type: ND_ROUTER_SOLICIT, sourceMac: undefined } },
    { name: "an advertisement of FRR", hex: ADVERT, message: PLAIN },
    { name: "the last advertisement of FRR", hex: ADVERT_END, message: { ...PLAIN, lifetimeSeconds: 0 } },
  ] as const)("$name: both ways", ({ hex, message }) => {
    expect(decode(hex)).toEqual(message);
    expect(toHex(encodeRouterMessage(message))).toBe(unsummed(hex));
  });

  it("reads all fields, and skips other options", () => {
    expect(decode(ADVERT_FULL)).toEqual(FULL);
  });

  it("a link-layer address that is no MAC is none, and of two the first counts", () => {
    expect(decode("86 00 0000 00 00 0000 00000000 00000000 01 02 0011223344556677 000000000000")).toMatchObject({ sourceMac: undefined });
    expect(decode(`${ADVERT} 01 01 020000000001`)).toMatchObject({ sourceMac: MAC });
  });

  it.each([
    { name: "a packet that a router has forwarded", hex: ADVERT, given: { hopLimit: 254 }, code: "value", offset: 0 },
    { name: "an advertisement from a global address", hex: ADVERT, given: { source: "2001:db8::1" as IpAddress }, code: "value", offset: 0 },
    { name: "an advertisement from ::", hex: ADVERT, given: { source: UNSPECIFIED }, code: "value", offset: 0 },
    { name: "another ICMPv6 type", hex: "87 00 0000 00000000", given: {}, code: "value", offset: 0 },
    { name: "a code", hex: "85 01 0000 00000000", given: {}, code: "value", offset: 1 },
    { name: "a solicitation from :: with a link-layer address", hex: SOLICIT, given: { source: UNSPECIFIED }, code: "value", offset: 8 },
    { name: "nothing", hex: "", given: {}, code: "truncated", offset: 0 },
    { name: "a short solicitation", hex: "85 00 0000 000000", given: {}, code: "truncated", offset: 4 },
    { name: "a short advertisement", hex: "86 00 0000 40 00 001e 00000000 000000", given: {}, code: "truncated", offset: 12 },
    { name: "an option of length 0", hex: "85 00 0000 00000000 0e 00 000000000000", given: {}, code: "length", offset: 8 },
    { name: "an option that is cut off", hex: "85 00 0000 00000000 01 01 c22b947f", given: {}, code: "truncated", offset: 10 },
    { name: "a lone octet of an option", hex: "85 00 0000 00000000 01", given: {}, code: "truncated", offset: 9 },
  ])("refuses $name", ({ hex, given, code, offset }) => {
    expect(() => decode(hex, given)).toThrow(expect.objectContaining({ name: "DecodeError", code, offset }) as Error);
  });

  it("reads back what it writes", () => {
    const mac = fc.option(fc.uint8Array({ minLength: 6, maxLength: 6 }).map((bytes) => macFromBytes(bytes)), { nil: undefined });
    const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
    const advert = fc.record({
      type: fc.constant(ND_ROUTER_ADVERT),
      curHopLimit: fc.nat(255),
      managed: fc.boolean(),
      other: fc.boolean(),
      lifetimeSeconds: fc.nat(65_535),
      reachableMs: u32,
      retransMs: u32,
      sourceMac: mac,
    });
    const solicit = fc.record({ type: fc.constant(ND_ROUTER_SOLICIT), sourceMac: mac });
    fc.assert(
      fc.property(fc.oneof(advert, solicit), (message) => {
        expect(decodeRouterMessage({ bytes: encodeRouterMessage(message), source: ROUTER, hopLimit: 255 })).toEqual(message);
      }),
      { seed: 20261121 },
    );
  });

  it("throws nothing but DecodeError, whatever comes", () => {
    const { decoded } = fuzzDecode([SOLICIT, ADVERT, ADVERT_FULL].map(fromHex), (bytes) => decodeRouterMessage({ bytes, source: ROUTER, hopLimit: 255 }));
    expect(decoded).toBeGreaterThan(100);
  });
});
