import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { BFD_STATES, decodeBfd, diagnosticText, encodeBfd, type BfdPacket } from "../../src/wire/bfd.js";
import { PLAIN } from "./bfd-packet.js";
import { fuzzDecode } from "./fuzz.js";
import { fromHex, toHex } from "./hex.js";

const ROWS: readonly { readonly name: string; readonly hex: string; readonly packet: BfdPacket }[] = [
  {
    // Captured: FRR 8.4.4 bfdd, peer not heard yet. It offers echo.
    name: "FRR, Down",
    hex: "20400318 826cd853 00000000 000f4240 000f4240 0000c350",
    packet: { ...PLAIN, myDiscriminator: 0x826c_d853, requiredMinRx: 1_000_000, requiredMinEchoRx: 50_000 },
  },
  {
    // Captured: BIRD 2.0.12, interval 100 ms, in answer to a first packet.
    name: "BIRD, Init",
    hex: "20800318 72d4dc9b 61f70aa5 000f4240 000186a0 00000000",
    packet: { ...PLAIN, state: "Init", myDiscriminator: 0x72d4_dc9b, yourDiscriminator: 0x61f7_0aa5, requiredMinRx: 100_000 },
  },
  {
    // Captured: BIRD 2.0.12, the Poll that follows on Up.
    name: "BIRD, Up, Poll",
    hex: "20e00318 72d4dc9b 61f70aa5 000186a0 000186a0 00000000",
    packet: { ...PLAIN, state: "Up", poll: true, myDiscriminator: 0x72d4_dc9b, yourDiscriminator: 0x61f7_0aa5, desiredMinTx: 100_000, requiredMinRx: 100_000 },
  },
  {
    // Captured: FRR 8.4.4, in answer to a Poll.
    name: "FRR, Up, Final",
    hex: "20d00318 826cd853 f4d751b1 000186a0 000186a0 0000c350",
    packet: {
      ...PLAIN,
      state: "Up",
      final: true,
      myDiscriminator: 0x826c_d853,
      yourDiscriminator: 0xf4d7_51b1,
      desiredMinTx: 100_000,
      requiredMinRx: 100_000,
      requiredMinEchoRx: 50_000,
    },
  },
  {
    // Captured: BIRD 2.0.12, after the other side said AdminDown.
    name: "BIRD, Down, neighbor signaled",
    hex: "23600318 72d4dc9b 61f70aa5 000f4240 000186a0 00000000",
    packet: { ...PLAIN, diagnostic: 3, poll: true, myDiscriminator: 0x72d4_dc9b, yourDiscriminator: 0x61f7_0aa5, requiredMinRx: 100_000 },
  },
  {
    // Laid out by hand after RFC 5880 4.1 and 4.2: simple password, and every flag.
    name: "a password, all flags",
    hex: "27 3f ff 21 ffffffff fffffffe ffffffff 00000001 00000002 01 09 07 736563726574",
    packet: {
      diagnostic: 7,
      state: "AdminDown",
      poll: true,
      final: true,
      controlPlaneIndependent: true,
      demand: true,
      multipoint: true,
      multiplier: 255,
      myDiscriminator: 0xffff_ffff,
      yourDiscriminator: 0xffff_fffe,
      desiredMinTx: 0xffff_ffff,
      requiredMinRx: 1,
      requiredMinEchoRx: 2,
      authentication: fromHex("01 09 07 736563726574"),
    },
  },
];

const GOOD = ROWS[1]?.hex ?? "";

describe("bfd", () => {
  it.each(ROWS)("$name, bytes both ways", ({ hex, packet }) => {
    expect(decodeBfd(fromHex(hex))).toEqual(packet);
    expect(toHex(encodeBfd(packet))).toBe(hex.replaceAll(" ", ""));
  });

  it("ignores what is behind the packet's own length", () => {
    expect(decodeBfd(fromHex(`${GOOD} ffffffff`))).toEqual(decodeBfd(fromHex(GOOD)));
  });

  it.each([
    { name: "nothing", hex: "", code: "truncated", offset: 0 },
    { name: "version 0", hex: GOOD.replace(/^20/, "00"), code: "value", offset: 0 },
    { name: "version 2", hex: GOOD.replace(/^20/, "40"), code: "value", offset: 0 },
    { name: "length 23", hex: GOOD.replace(/^208003../, "20800317"), code: "length", offset: 3 },
    { name: "length 0", hex: GOOD.replace(/^208003../, "20800300"), code: "length", offset: 3 },
    { name: "authenticated, length 25", hex: `${GOOD.replace(/^2080031./, "20840319")} 00`, code: "length", offset: 3 },
    { name: "a length beyond the payload", hex: GOOD.replace(/^208003../, "20800319"), code: "truncated", offset: 4 },
    { name: "cut off", hex: GOOD.slice(0, -2), code: "truncated", offset: 4 },
  ])("refuses: $name", ({ hex, code, offset }) => {
    expect(() => decodeBfd(fromHex(hex))).toThrow(expect.objectContaining({ name: "DecodeError", code, offset }) as Error);
  });

  it("has words for diagnostics", () => {
    expect([0, 1, 3, 7, 8, 9, 31].map(diagnosticText)).toEqual([
      "no diagnostic",
      "control detection time expired",
      "neighbor signaled session down",
      "administratively down",
      "reverse concatenated path down",
      "diagnostic 9",
      "diagnostic 31",
    ]);
  });

  it("decodes anything or throws DecodeError, and what it decodes is stable", () => {
    const stable = (bytes: Uint8Array): void => {
      const packet = decodeBfd(bytes);
      expect(decodeBfd(encodeBfd(packet))).toEqual(packet);
    };
    expect(fuzzDecode(ROWS.map(({ hex }) => fromHex(hex)), stable).decoded).toBeGreaterThan(500);
  });

  it("gives back any packet", () => {
    const u32 = fc.nat(0xffff_ffff);
    const packets = fc.record({
      diagnostic: fc.nat(31),
      state: fc.constantFrom(...BFD_STATES),
      poll: fc.boolean(),
      final: fc.boolean(),
      controlPlaneIndependent: fc.boolean(),
      demand: fc.boolean(),
      multipoint: fc.boolean(),
      multiplier: fc.nat(255),
      myDiscriminator: u32,
      yourDiscriminator: u32,
      desiredMinTx: u32,
      requiredMinRx: u32,
      requiredMinEchoRx: u32,
      authentication: fc.option(fc.uint8Array({ minLength: 2, maxLength: 30 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(packets, (packet) => {
        expect(decodeBfd(encodeBfd(packet))).toEqual(packet);
      }),
      { seed: 5880 },
    );
  });
});
