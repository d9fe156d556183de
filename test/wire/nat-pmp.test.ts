import { describe, expect, test } from "vitest";
import { decodeNatPmp, encodeNatPmpExternal, encodeNatPmpMap, natPmpResultText } from "../../src/wire/nat-pmp.js";
import { fuzzDecode } from "./fuzz.js";
import { fromHex, toHex } from "./hex.js";

/** Captured: miniupnpd 2.3.1. */
const CAPTURED = { external: "0080000000000004c0000301", map: "00820000000000041f9046a000000078" };

describe("requests, laid out by hand after RFC 6886 3.2 and 3.3", () => {
  test.each<readonly [string, Uint8Array, string]>([
    ["the external address", encodeNatPmpExternal(), "0000"],
    ["TCP", encodeNatPmpMap({ protocol: "TCP", internalPort: 80, externalPort: 8080, lifetime: 3600 }), "0002 0000 0050 1f90 00000e10"],
    ["UDP, taken away", encodeNatPmpMap({ protocol: "UDP", internalPort: 53, externalPort: 0, lifetime: 0 }), "0001 0000 0035 0000 00000000"],
  ])("%s", (_name, bytes, hex) => {
    expect(toHex(bytes)).toBe(hex.replaceAll(" ", ""));
  });
});

describe("responses", () => {
  test("of miniupnpd", () => {
    expect(decodeNatPmp(fromHex(CAPTURED.external))).toMatchObject({ result: 0, body: { type: "external", address: "192.0.3.1" } });
    expect(decodeNatPmp(fromHex(CAPTURED.map))).toMatchObject({ result: 0, body: { type: "map", protocol: "TCP", internalPort: 8080, externalPort: 18_080, lifetime: 120 } });
  });

  test.each([
    ["to PCP: the version is not known", "0000 0001 00000010", 1],
    ["to PCP's MAP", "0081 0001 00000010", 1],
    ["refused, with a body", "0082 0002 00000010 0050 0000 00000000", 2],
  ])("%s", (_name, hex, result) => {
    const bytes = fromHex(hex.replaceAll(" ", ""));
    bytes[1] = (bytes[1] ?? 0) | 0x80;
    expect(decodeNatPmp(bytes)).toEqual({ result, epoch: 16, body: { type: "none" } });
  });

  test.each([
    ["nothing", "", "truncated"],
    ["another version", `02${"00".repeat(11)}`, "value"],
    ["a request", `0000${"00".repeat(10)}`, "value"],
    ["an address that is cut off", "0080000000000010c000", "truncated"],
    ["another opcode", `0083${"00".repeat(14)}`, "value"],
  ])("%s is an error", (_name, hex, code) => {
    expect(() => decodeNatPmp(fromHex(hex))).toThrow(expect.objectContaining({ code }) as Error);
  });

  test("of anything: a value, or DecodeError", () => {
    expect(fuzzDecode(Object.values(CAPTURED).map(fromHex), decodeNatPmp).decoded).toBeGreaterThan(500);
  });
});

test("results in words, also those that are not known", () => {
  expect([0, 3, 77].map(natPmpResultText)).toEqual(["success", "network failure", "result 77"]);
});
