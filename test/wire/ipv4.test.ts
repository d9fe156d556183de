import { describe, expect, it } from "vitest";

import type { IpAddress } from "../../src/lib/ip.js";
import { decodeIpv4, encodeIpv4, type Ipv4Packet } from "../../src/wire/ipv4.js";
import { internetChecksum } from "../../src/wire/checksum.js";
import { fuzzDecode } from "./fuzz.js";
import { fromHex, toHex } from "./hex.js";

const packet: Ipv4Packet = {
  source: "192.168.0.1" as IpAddress,
  destination: "192.168.0.199" as IpAddress,
  protocol: 17,
  ttl: 64,
  payload: fromHex("0035e97c005f279f 0001"),
};
// The header of the well-known example 4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7, with a payload of ten octets: 0x73 - 0x1e more in the checksum.
const HEX = "4500001e00004000 4011b8b6 c0a80001 c0a800c7 0035e97c005f279f0001".replaceAll(" ", "");

/** The packet with `edit` done to it and its header checksum made right again. */
function edited(edit: (bytes: Uint8Array) => void): Uint8Array {
  const bytes = fromHex(HEX);
  edit(bytes);
  const headerLength = ((bytes[0] ?? 0) & 0xf) * 4;
  const view = new DataView(bytes.buffer);
  view.setUint16(10, 0);
  view.setUint16(10, internetChecksum(bytes.subarray(0, headerLength)));
  return bytes;
}

describe("ipv4", () => {
  it("writes and reads the same octets", () => {
    expect(toHex(encodeIpv4(packet))).toBe(HEX);
    expect(decodeIpv4(fromHex(HEX))).toEqual(packet);
  });

  it("skips options, and ignores what is behind the packet", () => {
    const withOptions = edited((bytes) => bytes.set([0x46], 0));
    expect(decodeIpv4(withOptions)).toEqual({ ...packet, payload: packet.payload.slice(4) });
    expect(decodeIpv4(Uint8Array.of(...fromHex(HEX), 0, 0, 0))).toEqual(packet);
  });

  it.each([
    { name: "empty", bytes: new Uint8Array(), code: "truncated", offset: 100 },
    { name: "cut in the header", bytes: fromHex(HEX).slice(0, 18), code: "truncated", offset: 116 },
    { name: "cut in the payload", bytes: fromHex(HEX).slice(0, 29), code: "truncated", offset: 120 },
    { name: "version 6", bytes: edited((bytes) => bytes.set([0x65], 0)), code: "value", offset: 100 },
    { name: "header of 16 octets", bytes: edited((bytes) => bytes.set([0x44], 0)), code: "length", offset: 100 },
    { name: "shorter than its header", bytes: edited((bytes) => bytes.set([0, 19], 2)), code: "length", offset: 102 },
    { name: "options that are not there", bytes: edited((bytes) => bytes.set([0x4f, 0, 0, 60], 0)), code: "truncated", offset: 120 },
    { name: "first fragment", bytes: edited((bytes) => bytes.set([0x20, 0], 6)), code: "value", offset: 106 },
    { name: "last fragment", bytes: edited((bytes) => bytes.set([0, 1], 6)), code: "value", offset: 106 },
    { name: "wrong checksum", bytes: Uint8Array.from(fromHex(HEX), (octet, at) => (at === 8 ? 63 : octet)), code: "value", offset: 110 },
  ])("refuses: $name", ({ bytes, code, offset }) => {
    expect(() => decodeIpv4(bytes, 100)).toThrow(expect.objectContaining({ name: "DecodeError", code, offset }) as Error);
  });

  it("decodes anything or throws DecodeError, and what it decodes is stable", () => {
    const stable = (bytes: Uint8Array): void => {
      const decoded = decodeIpv4(bytes);
      expect(decodeIpv4(encodeIpv4(decoded))).toEqual(decoded);
    };
    expect(fuzzDecode([fromHex(HEX)], stable).decoded).toBeGreaterThan(100);
  });
});
