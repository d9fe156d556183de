import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { ipFromBytes, type IpAddress } from "../../src/lib/ip.js";
import { macFromBytes, type MacAddress } from "../../src/lib/mac.js";
import { internetChecksum } from "../../src/wire/checksum.js";
import { decodeUdp, decodeUdpFrame, encodeUdp, encodeUdpFrame, type UdpFrame } from "../../src/wire/udp.js";
import { fuzzDecode } from "./fuzz.js";
import { fromHex, toHex } from "./hex.js";

const path = { source: "10.77.0.1" as IpAddress, destination: "10.77.0.192" as IpAddress };
const datagram = { sourcePort: 67, destinationPort: 68, payload: Uint8Array.of(1, 2, 3) };
// Laid out by hand: sum of 0a4d 0001 0a4d 00c0 0011 000b (pseudo-header, 0x1577), 0043 0044 000b, 0102 0300 is 0x1a0b; its complement is e5f4.
const HEX = "00430044000be5f4010203";

const frame: UdpFrame = {
  destination: "ff:ff:ff:ff:ff:ff" as MacAddress,
  source: "02:00:00:00:00:0a" as MacAddress,
  sourceIp: path.source,
  destinationIp: path.destination,
  ...datagram,
};

function withChecksum(checksum: number): Uint8Array {
  const bytes = fromHex(HEX);
  new DataView(bytes.buffer).setUint16(6, checksum);
  return bytes;
}

describe("udp", () => {
  it("writes and reads the same octets", () => {
    expect(toHex(encodeUdp(datagram, path))).toBe(HEX);
    expect(decodeUdp(fromHex(HEX), path)).toEqual(datagram);
  });

  it("takes no checksum, and one that Linux left to the network card", () => {
    expect(decodeUdp(withChecksum(0), path)).toEqual(datagram);
    expect(decodeUdp(withChecksum(0x1577), path)).toEqual(datagram);
  });

  it("sends a checksum of 0 as all ones", () => {
    // The payload makes up for the rest of the sum: 0x1577 - 1 for the shorter length twice, ports and length.
    const rest = 0xffff - 0x1576 - 0x43 - 0x44 - 0xa;
    const bytes = encodeUdp({ ...datagram, payload: Uint8Array.of(rest >> 8, rest & 0xff) }, path);
    expect(new DataView(bytes.buffer).getUint16(6)).toBe(0xffff);
    expect(decodeUdp(bytes, path).payload).toHaveLength(2);
  });

  it.each([
    { name: "cut in the header", bytes: fromHex(HEX).slice(0, 7), code: "truncated", offset: 40 },
    { name: "cut in the payload", bytes: fromHex(HEX).slice(0, 10), code: "truncated", offset: 42 },
    { name: "length below the header", bytes: fromHex("004300440007e5f4010203"), code: "length", offset: 38 },
    { name: "wrong checksum", bytes: withChecksum(0xe5f5), code: "value", offset: 40 },
  ])("refuses: $name", ({ bytes, code, offset }) => {
    expect(() => decodeUdp(bytes, path, 34)).toThrow(expect.objectContaining({ name: "DecodeError", code, offset }) as Error);
  });

  it("decodes anything or throws DecodeError", () => {
    const samples = [fromHex(HEX), withChecksum(0)];
    const stable = (bytes: Uint8Array): void => {
      const decoded = decodeUdp(bytes, path);
      expect(decodeUdp(encodeUdp(decoded, path), path)).toEqual(decoded);
    };
    expect(fuzzDecode(samples, stable).decoded).toBeGreaterThan(100);
  });
});

describe("udp in a frame", () => {
  const ipHeader = (edit: (header: Uint8Array) => void): Uint8Array => {
    const bytes = encodeUdpFrame(frame);
    const header = bytes.subarray(14, 34);
    edit(header);
    header.set([0, 0], 10);
    new DataView(header.buffer, header.byteOffset).setUint16(10, internetChecksum(header));
    return bytes;
  };

  it("ignores the padding of a short frame", () => {
    const padded = new Uint8Array(60);
    padded.set(encodeUdpFrame(frame));
    expect(decodeUdpFrame(padded)).toEqual(frame);
  });

  it.each([
    { name: "ARP", bytes: ((): Uint8Array => Uint8Array.from(encodeUdpFrame(frame), (octet, at) => (at === 13 ? 6 : octet)))(), offset: 12 },
    { name: "TCP", bytes: ipHeader((header) => header.set([6], 9)), offset: 23 },
  ])("refuses: $name", ({ bytes, offset }) => {
    expect(() => decodeUdpFrame(bytes)).toThrow(expect.objectContaining({ name: "DecodeError", code: "value", offset }) as Error);
  });

  it("gives back any frame", () => {
    const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map(macFromBytes);
    const ip = fc.uint8Array({ minLength: 4, maxLength: 4 }).map(ipFromBytes);
    const port = fc.nat(0xffff);
    const frames = fc.record({ destination: mac, source: mac, sourceIp: ip, destinationIp: ip, sourcePort: port, destinationPort: port, payload: fc.uint8Array() });
    fc.assert(
      fc.property(frames, (any) => {
        expect(decodeUdpFrame(encodeUdpFrame(any))).toEqual(any);
      }),
      { seed: 768 },
    );
  });

  it("decodes anything or throws DecodeError", () => {
    expect(fuzzDecode([encodeUdpFrame(frame)], decodeUdpFrame).decoded).toBeGreaterThan(100);
  });
});
