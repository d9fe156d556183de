import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { ipFromBytes, type IpAddress } from "../../src/lib/ip.js";
import { BROADCAST_MAC, macFromBytes, type MacAddress } from "../../src/lib/mac.js";
import { ARP_REPLY, ARP_REQUEST, decodeArp, encodeArp, type ArpFrame } from "../../src/wire/arp.js";
import { decodeEthernet, encodeEthernet } from "../../src/wire/ethernet.js";
import { fuzzDecode } from "./fuzz.js";
import { fromHex, toHex } from "./hex.js";

const ours = "02:00:00:00:00:0a" as MacAddress;
const theirs = "02:00:00:00:00:0b" as MacAddress;
const vip = "192.0.2.10" as IpAddress;

const ROWS: readonly { readonly name: string; readonly hex: string; readonly frame: ArpFrame }[] = [
  {
    // RFC 5227 3: an ARP announcement is a request whose sender and target address are both the announced one.
    name: "announcement",
    hex: "ffffffffffff 02000000000a 0806 0001 0800 06 04 0001 02000000000a c000020a 000000000000 c000020a",
    frame: {
      destination: BROADCAST_MAC,
      source: ours,
      operation: ARP_REQUEST,
      senderMac: ours,
      senderIp: vip,
      targetMac: "00:00:00:00:00:00" as MacAddress,
      targetIp: vip,
    },
  },
  {
    // RFC 5227 2.1.1: a probe has sender address 0.0.0.0 and no target hardware address.
    name: "probe",
    hex: "ffffffffffff 02000000000a 0806 0001 0800 06 04 0001 02000000000a 00000000 000000000000 c000020a",
    frame: {
      destination: BROADCAST_MAC,
      source: ours,
      operation: ARP_REQUEST,
      senderMac: ours,
      senderIp: "0.0.0.0" as IpAddress,
      targetMac: "00:00:00:00:00:00" as MacAddress,
      targetIp: vip,
    },
  },
  {
    // Laid out by hand after RFC 826: the answer to the probe above goes to its sender only.
    name: "reply to a probe",
    hex: "02000000000a 02000000000b 0806 0001 0800 06 04 0002 02000000000b c000020a 02000000000a 00000000",
    frame: {
      destination: ours,
      source: theirs,
      operation: ARP_REPLY,
      senderMac: theirs,
      senderIp: vip,
      targetMac: ours,
      targetIp: "0.0.0.0" as IpAddress,
    },
  },
];

describe("arp", () => {
  it.each(ROWS)("$name, bytes both ways", ({ hex, frame }) => {
    expect(toHex(encodeArp(frame))).toBe(hex.replaceAll(" ", ""));
    expect(decodeArp(fromHex(hex))).toEqual(frame);
  });

  it("ignores the padding of a frame of minimum length", () => {
    const padded = new Uint8Array(60);
    padded.set(fromHex(ROWS[0]?.hex ?? ""));
    expect(decodeArp(padded)).toEqual(ROWS[0]?.frame);
  });

  const malformed = [
    { name: "empty", at: 0, value: 0, cut: 42, code: "truncated", offset: 0 },
    { name: "cut in the Ethernet header", at: 0, value: 0, cut: 30, code: "truncated", offset: 12 },
    { name: "cut in the target address", at: 0, value: 0, cut: 1, code: "truncated", offset: 38 },
    { name: "IPv4, not ARP", at: 13, value: 0, cut: 0, code: "value", offset: 12 },
    { name: "hardware type 6", at: 15, value: 6, cut: 0, code: "value", offset: 14 },
    { name: "protocol IPv6", at: 16, value: 0x86, cut: 0, code: "value", offset: 16 },
    { name: "hardware length 8", at: 18, value: 8, cut: 0, code: "value", offset: 18 },
    { name: "protocol length 16", at: 19, value: 16, cut: 0, code: "value", offset: 19 },
  ];
  it.each(malformed)("refuses: $name", ({ at, value, cut, code, offset }) => {
    const bytes = fromHex(ROWS[0]?.hex ?? "").slice(0, 42 - cut);
    if (bytes.length > 0 && cut === 0) bytes[at] = value;
    expect(() => decodeArp(bytes)).toThrow(expect.objectContaining({ name: "DecodeError", code, offset }) as Error);
  });

  it("decodes anything or throws DecodeError, and what it decodes is stable", () => {
    const stable = (bytes: Uint8Array): void => {
      const frame = decodeArp(bytes);
      expect(decodeArp(encodeArp(frame))).toEqual(frame);
    };
    expect(fuzzDecode(ROWS.map(({ hex }) => fromHex(hex)), stable).decoded).toBeGreaterThan(100);
  });

  it("gives back any packet", () => {
    const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map(macFromBytes);
    const ip = fc.uint8Array({ minLength: 4, maxLength: 4 }).map(ipFromBytes);
    const frames = fc.record({ destination: mac, source: mac, operation: fc.nat(0xffff), senderMac: mac, senderIp: ip, targetMac: mac, targetIp: ip });
    fc.assert(
      fc.property(frames, (frame) => {
        expect(decodeArp(encodeArp(frame))).toEqual(frame);
      }),
      { seed: 826 },
    );
  });
});

describe("ethernet", () => {
  it("keeps ethertype and payload as they came", () => {
    const bytes = fromHex("01005e000001 02000000000a 88b5 010203");
    const frame = decodeEthernet(bytes);
    expect(frame).toEqual({ destination: "01:00:5e:00:00:01", source: ours, etherType: 0x88b5, payload: Uint8Array.of(1, 2, 3) });
    expect(encodeEthernet(frame)).toEqual(bytes);
  });
});
