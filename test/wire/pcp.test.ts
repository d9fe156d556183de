import { describe, expect, test } from "vitest";
import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import { answersMap, decodePcp, encodePcpAnnounce, encodePcpMap, pcpResultText, type PcpMapRequest, type PcpMapping } from "../../src/wire/pcp.js";
import { fuzzDecode } from "./fuzz.js";
import { fromHex, toHex } from "./hex.js";

const ip = (text: string): IpAddress => parseIp(text) as IpAddress;
const NONCE = fromHex("000102030405060708090a0b");
const ASKED: PcpMapRequest = { client: ip("10.77.0.200"), lifetime: 3600, nonce: NONCE, protocol: "TCP", internalPort: 32_380, externalPort: 32_380 };

describe("requests, laid out by hand after RFC 6887 7.1 and 11.1", () => {
  test.each<readonly [string, Uint8Array, string]>([
    ["ANNOUNCE from IPv4", encodePcpAnnounce(ip("10.77.0.200")), "0200 0000 00000000 00000000000000000000ffff0a4d00c8"],
    ["MAP", encodePcpMap(ASKED), "0201 0000 00000e10 00000000000000000000ffff0a4d00c8 000102030405060708090a0b 06000000 7e7c 7e7c 00000000000000000000ffff00000000"],
    ["MAP, UDP, taken away", encodePcpMap({ ...ASKED, protocol: "UDP", lifetime: 0, externalPort: 0 }), "0201 0000 00000000 00000000000000000000ffff0a4d00c8 000102030405060708090a0b 11000000 7e7c 0000 00000000000000000000ffff00000000"],
    ["MAP from IPv6", encodePcpMap({ ...ASKED, client: ip("fd77::200") }), "0201 0000 00000e10 fd770000000000000000000000000200 000102030405060708090a0b 06000000 7e7c 7e7c 00000000000000000000000000000000"],
  ])("%s", (_name, bytes, hex) => {
    expect(toHex(bytes)).toBe(hex.replaceAll(" ", ""));
  });
});

/** Captured: miniupnpd 2.3.1, in answer to these requests. */
const CAPTURED = {
  announce: "028000000000000000000003000000000000000000000000",
  map: "028100000000007800000004000000000000000000000000000102030405060708090a0b060000001f9046a000000000000000000000ffffc0000301",
};

describe("responses", () => {
  test("of miniupnpd", () => {
    expect(decodePcp(fromHex(CAPTURED.announce))).toMatchObject({ result: 0, body: { type: "announce" } });
    const { result, lifetime, body } = decodePcp(fromHex(CAPTURED.map));
    expect([result, lifetime]).toEqual([0, 120]);
    expect(body).toEqual({ type: "map", map: { nonce: NONCE, protocol: 6, internalPort: 8080, externalPort: 18_080, externalAddress: "192.0.3.1" } });
  });

  test("an error whose body was cut off is one all the same, a success is not", () => {
    const head = "0281 0008 0000001e 00000064 000000000000000000000000".replaceAll(" ", "");
    expect(decodePcp(fromHex(head))).toEqual({ result: 8, lifetime: 30, epoch: 100, body: { type: "unknown" } });
    expect(() => decodePcp(fromHex(head.replace("02810008", "02810000")))).toThrow(expect.objectContaining({ code: "truncated" }) as Error);
  });

  test("options behind the body, and opcodes that nobody asked for, are passed over", () => {
    expect(decodePcp(fromHex(`${CAPTURED.map}02000004c0000201`)).body).toEqual(decodePcp(fromHex(CAPTURED.map)).body);
    expect(decodePcp(fromHex("0282 0000 00000000 00000001 000000000000000000000000".replaceAll(" ", ""))).body).toEqual({ type: "unknown" });
  });

  test.each([
    ["nothing", "", "truncated"],
    ["another version", `01${"00".repeat(23)}`, "value"],
    ["a request", `02${"00".repeat(23)}`, "value"],
    ["a header that is cut off", `0280${"00".repeat(20)}`, "truncated"],
    ["more than a message may have", `0280${"00".repeat(1100)}`, "length"],
  ])("%s is an error", (_name, hex, code) => {
    expect(() => decodePcp(fromHex(hex))).toThrow(expect.objectContaining({ code }) as Error);
  });

  test("of anything: a value, or DecodeError", () => {
    expect(fuzzDecode(Object.values(CAPTURED).map(fromHex), decodePcp).decoded).toBeGreaterThan(500);
  });
});

test("an answer is one to what was asked only with its nonce, protocol and port", () => {
  const mapping: PcpMapping = { nonce: NONCE, protocol: 6, internalPort: 32_380, externalPort: 1, externalAddress: ip("192.0.2.1") };
  expect(answersMap(mapping, ASKED)).toBe(true);
  expect(answersMap({ ...mapping, protocol: 17 }, ASKED)).toBe(false);
  expect(answersMap({ ...mapping, internalPort: 1 }, ASKED)).toBe(false);
  expect(answersMap({ ...mapping, nonce: fromHex("000102030405060708090a0c") }, ASKED)).toBe(false);
});

test("results in words, also those that are not known", () => {
  expect([0, 2, 13, 77].map(pcpResultText)).toEqual(["success", "not authorized", "excessive remote peers", "result 77"]);
});
