import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { ipFromBytes, type IpAddress } from "../../src/lib/ip.js";
import { macFromBytes, type MacAddress } from "../../src/lib/mac.js";
import {
  ALL_NODES,
  ALL_NODES_MAC,
  decodeNd,
  encodeNa,
  encodeNs,
  multicastMac,
  ND_NEIGHBOR_ADVERT,
  ND_NEIGHBOR_SOLICIT,
  ndProbe,
  solicitedNode,
  unsolicitedNa,
  type NdFrame,
} from "../../src/wire/ndp.js";
import { icmpv6Checksum } from "../../src/wire/ipv6.js";
import { fuzzDecode } from "./fuzz.js";
import { fromHex, toHex } from "./hex.js";

const a = "02:00:00:00:00:0a" as MacAddress;
const b = "02:00:00:00:00:0b" as MacAddress;
const ip = (text: string): IpAddress => text as IpAddress;

// Captured on a veth pair between two Linux 6.18 namespaces; the frames are the kernel's own.
const PROBE = `3333ff000010 02000000000a 86dd 60000000 0018 3a ff 00000000000000000000000000000000 ff0200000000000000000001ff000010
  87 00 4ccf 00000000 20010db8000000000000000000000010`;
const SOLICIT = `3333ff00000b 02000000000a 86dd 60000000 0020 3a ff 20010db800000000000000000000000a ff0200000000000000000001ff00000b
  87 00 1c03 00000000 20010db800000000000000000000000b 01 01 02000000000a`;
const SOLICITED = `02000000000a 02000000000b 86dd 60000000 0020 3a ff 20010db800000000000000000000000b 20010db800000000000000000000000a
  88 00 8a4d 60000000 20010db800000000000000000000000b 02 01 02000000000b`;
const SOLICITED_ROUTER = `02000000000a 02000000000b 86dd 60000000 0020 3a ff 20010db800000000000000000000000c 20010db800000000000000000000000a
  88 00 0a4b e0000000 20010db800000000000000000000000c 02 01 02000000000b`;
const UNSOLICITED = `333300000001 02000000000b 86dd 60000000 0020 3a ff 20010db800000000000000000000000c ff020000000000000000000000000001
  88 00 f90a 20000000 20010db800000000000000000000000c 02 01 02000000000b`;
const ANSWER_TO_PROBE = `333300000001 02000000000b 86dd 60000000 0020 3a ff 20010db800000000000000000000000c ff020000000000000000000000000001
  88 00 790a a0000000 20010db800000000000000000000000c 02 01 02000000000b`;
// With a nonce option (RFC 7527), which we skip.
const PROBE_WITH_NONCE = `3333ff00000b 02000000000b 86dd 60000000 0020 3a ff 00000000000000000000000000000000 ff0200000000000000000001ff00000b
  87 00 014b 00000000 20010db800000000000000000000000b 0e 01 268d407cd67b`;

const ROWS: readonly { readonly name: string; readonly hex: string; readonly frame: NdFrame }[] = [
  { name: "probe (duplicate address detection)", hex: PROBE, frame: ndProbe(a, ip("2001:db8::10")) },
  {
    name: "solicitation",
    hex: SOLICIT,
    frame: {
      type: ND_NEIGHBOR_SOLICIT,
      destination: "33:33:ff:00:00:0b" as MacAddress,
      source: a,
      sourceIp: ip("2001:db8::a"),
      destinationIp: ip("ff02::1:ff00:b"),
      target: ip("2001:db8::b"),
      sourceMac: a,
    },
  },
  {
    name: "solicited advertisement",
    hex: SOLICITED,
    frame: {
      type: ND_NEIGHBOR_ADVERT,
      destination: a,
      source: b,
      sourceIp: ip("2001:db8::b"),
      destinationIp: ip("2001:db8::a"),
      router: false,
      solicited: true,
      override: true,
      target: ip("2001:db8::b"),
      targetMac: b,
    },
  },
  {
    name: "solicited advertisement of a host that forwards",
    hex: SOLICITED_ROUTER,
    frame: {
      type: ND_NEIGHBOR_ADVERT,
      destination: a,
      source: b,
      sourceIp: ip("2001:db8::c"),
      destinationIp: ip("2001:db8::a"),
      router: true,
      solicited: true,
      override: true,
      target: ip("2001:db8::c"),
      targetMac: b,
    },
  },
  { name: "unsolicited advertisement (ndisc_notify)", hex: UNSOLICITED, frame: unsolicitedNa(b, ip("2001:db8::c"), { router: false }) },
  { name: "answer to a probe, of a host that forwards", hex: ANSWER_TO_PROBE, frame: unsolicitedNa(b, ip("2001:db8::c"), { router: true }) },
];

function encode(frame: NdFrame): Uint8Array {
  return frame.type === ND_NEIGHBOR_SOLICIT ? encodeNs(frame) : encodeNa(frame);
}

/** The frame with `edit` done to it and its checksum made right again. */
function edited(hex: string, edit: (bytes: Uint8Array) => Uint8Array): Uint8Array {
  const changed = edit(fromHex(hex));
  const view = new DataView(changed.buffer);
  view.setUint16(18, changed.length - 54);
  view.setUint16(56, 0);
  const payload = changed.subarray(54);
  view.setUint16(56, icmpv6Checksum({ source: ipFromBytes(changed.slice(22, 38)), destination: ipFromBytes(changed.slice(38, 54)), payload }));
  return changed;
}

function withOctets(octets: Uint8Array, at: number): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => {
    bytes.set(octets, at);
    return bytes;
  };
}

function withTail(hex: string, tail: string): (bytes: Uint8Array) => Uint8Array {
  return () => fromHex(hex + tail);
}

describe("groups", () => {
  it.each([
    // RFC 4291 2.7.1
    { address: "4037::01:800:200e:8c6c", group: "ff02::1:ff0e:8c6c", mac: "33:33:ff:0e:8c:6c" },
    { address: "fd77::1:0", group: "ff02::1:ff01:0", mac: "33:33:ff:01:00:00" },
    { address: "::", group: "ff02::1:ff00:0", mac: "33:33:ff:00:00:00" },
  ])("$address is asked for in $group", ({ address, group, mac }) => {
    expect(solicitedNode(ip(address))).toBe(group);
    expect(multicastMac(ip(group))).toBe(mac);
  });

  it("all nodes have theirs", () => {
    expect(multicastMac(ALL_NODES)).toBe(ALL_NODES_MAC);
  });
});

describe("ndp", () => {
  it.each(ROWS)("$name, bytes both ways", ({ hex, frame }) => {
    expect(toHex(encode(frame))).toBe(hex.replaceAll(/\s/g, ""));
    expect(decodeNd(fromHex(hex))).toEqual(frame);
  });

  it("skips unknown options, and of two of a kind takes the first", () => {
    expect(decodeNd(fromHex(PROBE_WITH_NONCE))).toEqual(ndProbe(b, ip("2001:db8::b")));
    const twice = decodeNd(edited(SOLICIT, withTail(SOLICIT, "0101 02000000000c")));
    expect(twice).toMatchObject({ sourceMac: a });
  });

  it("ignores the padding behind the packet, and an advertisement may have no option", () => {
    expect(decodeNd(Uint8Array.of(...fromHex(SOLICIT), 0, 0, 0))).toEqual(ROWS[1]?.frame);
    expect(decodeNd(edited(SOLICITED, (bytes) => bytes.slice(0, 78)))).toEqual({ ...ROWS[2]?.frame, targetMac: undefined });
  });

  const malformed: readonly { name: string; bytes: () => Uint8Array; code: string; offset: number }[] = [
    { name: "empty", bytes: () => new Uint8Array(), code: "truncated", offset: 0 },
    { name: "cut in the IPv6 header", bytes: () => fromHex(SOLICIT).slice(0, 30), code: "truncated", offset: 22 },
    { name: "cut in the message", bytes: () => fromHex(SOLICIT).slice(0, 80), code: "truncated", offset: 54 },
    { name: "message without a whole target", bytes: () => edited(PROBE, (bytes) => bytes.slice(0, 77)), code: "truncated", offset: 62 },
    { name: "ethertype of ARP", bytes: () => edited(SOLICIT, withOctets(Uint8Array.of(8, 6), 12)), code: "value", offset: 12 },
    { name: "IP version 4", bytes: () => edited(SOLICIT, withOctets(Uint8Array.of(0x45), 14)), code: "value", offset: 14 },
    { name: "hop-by-hop header", bytes: () => edited(SOLICIT, withOctets(Uint8Array.of(0), 20)), code: "value", offset: 20 },
    { name: "hop limit 254", bytes: () => edited(SOLICIT, withOctets(Uint8Array.of(254), 21)), code: "value", offset: 21 },
    { name: "router advertisement", bytes: () => edited(SOLICIT, withOctets(Uint8Array.of(134), 54)), code: "value", offset: 54 },
    { name: "code 1", bytes: () => edited(SOLICIT, withOctets(Uint8Array.of(1), 55)), code: "value", offset: 55 },
    { name: "wrong checksum", bytes: () => Uint8Array.from(fromHex(SOLICIT), (octet, at) => (at === 57 ? octet ^ 1 : octet)), code: "value", offset: 56 },
    { name: "multicast target", bytes: () => edited(SOLICIT, withOctets(Uint8Array.of(0xff, 2), 62)), code: "value", offset: 62 },
    { name: "solicited, to a group", bytes: () => edited(UNSOLICITED, withOctets(Uint8Array.of(0x60), 58)), code: "value", offset: 58 },
    { name: "probe to all nodes", bytes: () => edited(PROBE, withOctets(fromHex(`ff02${"00".repeat(13)}01`), 38)), code: "value", offset: 38 },
    { name: "probe with a link-layer address", bytes: () => edited(PROBE, withTail(PROBE, "0101 02000000000a")), code: "value", offset: 78 },
    { name: "option of length 0", bytes: () => edited(PROBE, withTail(PROBE, "0e00 000000000000")), code: "length", offset: 78 },
    { name: "option that ends too late", bytes: () => edited(PROBE, withTail(PROBE, "0e02 000000000000")), code: "truncated", offset: 80 },
    { name: "option of one octet", bytes: () => edited(PROBE, withTail(PROBE, "0e")), code: "truncated", offset: 79 },
    { name: "link-layer address of 14 octets", bytes: () => edited(SOLICIT, (bytes) => fromHex(`${toHex(bytes.slice(0, 78))}0102${"02".repeat(14)}`)), code: "length", offset: 78 },
  ];
  it.each(malformed)("refuses: $name", ({ bytes, code, offset }) => {
    expect(() => decodeNd(bytes())).toThrow(expect.objectContaining({ name: "DecodeError", code, offset }) as Error);
  });

  it("decodes anything or throws DecodeError, and what it decodes is stable", () => {
    const stable = (bytes: Uint8Array): void => {
      const frame = decodeNd(bytes);
      expect(decodeNd(encode(frame))).toEqual(frame);
    };
    const samples = [...ROWS.map(({ hex }) => hex), PROBE_WITH_NONCE].map(fromHex);
    // A change that the checksum does not cover is all that gets through.
    expect(fuzzDecode(samples, stable).decoded).toBeGreaterThan(100);
    // With the checksum put right the rest is reached too.
    const repaired = (bytes: Uint8Array): void => stable(bytes.length < 58 ? bytes : edited(toHex(bytes), (same) => same));
    expect(fuzzDecode(samples, repaired).decoded).toBeGreaterThan(300);
  });

  it("gives back any frame", () => {
    const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map(macFromBytes);
    const octets = fc.uint8Array({ minLength: 15, maxLength: 15 });
    const unicast = octets.map((rest) => ipFromBytes(Uint8Array.of(0x20, ...rest)));
    const carrier = { destination: mac, source: mac, sourceIp: unicast, destinationIp: unicast, target: unicast };
    const option = fc.option(mac, { nil: undefined });
    const solicitation = fc.record({ type: fc.constant(ND_NEIGHBOR_SOLICIT), ...carrier, sourceMac: option });
    const flags = { router: fc.boolean(), solicited: fc.boolean(), override: fc.boolean() };
    const advertisement = fc.record({ type: fc.constant(ND_NEIGHBOR_ADVERT), ...carrier, ...flags, targetMac: option });
    fc.assert(
      fc.property(fc.oneof(solicitation, advertisement), (frame) => {
        expect(decodeNd(encode(frame))).toEqual(frame);
      }),
      { seed: 4861 },
    );
  });
});
