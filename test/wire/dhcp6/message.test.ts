import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { ipFromBytes, type IpAddress } from "../../../src/lib/ip.js";
import { ADVERTISE, INFINITE_LIFETIME, REPLY, SOLICIT } from "../../../src/wire/dhcp6/codes.js";
import { encodeDuidUuid } from "../../../src/wire/dhcp6/duid.js";
import { decodeDhcp6, encodeDhcp6, type Dhcp6Message } from "../../../src/wire/dhcp6/message.js";
import { fuzzDecode } from "../fuzz.js";
import { fromHex, toHex } from "../hex.js";

const ip = (text: string): IpAddress => text as IpAddress;
const UUID = "00112233445566778899aabbccddeeff";
const DUID = encodeDuidUuid(fromHex(UUID));

/** Built by hand from RFC 8415 8, 21 and RFC 4704 4. */
const SOLICIT_HEX = `01 a1b2c3
  0001 0012 0004 ${UUID}
  0003 0028 00000001 00000000 00000000  0005 0018 fd770000000000000000000000000150 00000000 00000000
  0006 0004 0027 0052
  0008 0002 0064
  000e 0000
  0027 0005 01 03776562`;
const SOLICIT_MESSAGE: Dhcp6Message = {
  type: SOLICIT,
  transactionId: 0xa1b2c3,
  options: {
    clientId: DUID,
    iaNa: [{ iaid: 1, t1Seconds: 0, t2Seconds: 0, addresses: [{ address: ip("fd77::150"), preferredSeconds: 0, validSeconds: 0, other: [] }], other: [] }],
    requestedOptions: [39, 82],
    elapsed: 100,
    rapidCommit: true,
    fqdn: { flags: 1, name: "web" },
    other: [],
  },
};

/** What a server of RFC 8415 says that has one address, and one that it does not give. */
const REPLY_HEX = `07 a1b2c3
  0001 0012 0004 ${UUID}
  0002 000a 0003 0001 020000000001
  0003 005f 00000001 0000003c 00000060
    0005 0018 fd770000000000000000000000000150 00000078 ffffffff
    0005 0025 fd770000000000000000000000000151 00000000 00000000 000d 0009 0004 6e6f74 0a 686572
    000d 000a 0000 616c6c2077656c6c
  0007 0001 ff
  0017 0010 fd770000000000000000000000000001
  0052 0004 00000078`;
const REPLY_MESSAGE: Dhcp6Message = {
  type: REPLY,
  transactionId: 0xa1b2c3,
  options: {
    clientId: DUID,
    serverId: fromHex("00030001020000000001"),
    iaNa: [
      {
        iaid: 1,
        t1Seconds: 60,
        t2Seconds: 96,
        addresses: [
          { address: ip("fd77::150"), preferredSeconds: 120, validSeconds: INFINITE_LIFETIME, other: [] },
          { address: ip("fd77::151"), preferredSeconds: 0, validSeconds: 0, status: { code: 4, message: "not?her" }, other: [] },
        ],
        status: { code: 0, message: "all well" },
        other: [],
      },
    ],
    preference: 255,
    solMaxRtSeconds: 120,
    other: [{ code: 23, value: fromHex("fd770000000000000000000000000001") }],
  },
};

describe("a message", () => {
  it("of a client is written as the RFCs say, and read back", () => {
    expect(toHex(encodeDhcp6(SOLICIT_MESSAGE))).toBe(SOLICIT_HEX.replaceAll(/\s/g, ""));
    expect(decodeDhcp6(fromHex(SOLICIT_HEX))).toEqual(SOLICIT_MESSAGE);
  });

  it("of a server is read with all that it says", () => {
    expect(decodeDhcp6(fromHex(REPLY_HEX))).toEqual(REPLY_MESSAGE);
  });

  it.each([
    { name: "empty", hex: "", code: "truncated", offset: 0 },
    { name: "of three octets", hex: "07a1b2", code: "truncated", offset: 0 },
    { name: "of a relay", hex: "0c000000", code: "value", offset: 0 },
    { name: "an option without a length", hex: "07a1b2c3 0001", code: "truncated", offset: 6 },
    { name: "an option cut short", hex: "07a1b2c3 0007 0002 ff", code: "truncated", offset: 8 },
    { name: "a DUID of two octets", hex: "07a1b2c3 0001 0002 0004", code: "length", offset: 8 },
    { name: "a DUID of 131 octets", hex: `07a1b2c3 0002 0083 ${"00".repeat(131)}`, code: "length", offset: 8 },
    { name: "an IA_NA of 11 octets", hex: `07a1b2c3 0003 000b ${"00".repeat(11)}`, code: "truncated", offset: 16 },
    { name: "an address of 15 octets", hex: `07a1b2c3 0003 001f ${"00".repeat(12)} 0005 000f ${"00".repeat(15)}`, code: "truncated", offset: 24 },
    { name: "a status of one octet", hex: "07a1b2c3 000d 0001 00", code: "truncated", offset: 8 },
    { name: "a rapid commit with a value", hex: "07a1b2c3 000e 0001 00", code: "length", offset: 8 },
  ])("is refused: $name", ({ hex, code, offset }) => {
    expect(() => decodeDhcp6(fromHex(hex))).toThrow(expect.objectContaining({ name: "DecodeError", code, offset }) as Error);
  });

  it.each([
    { name: "an unknown option", hex: "0017 0001 00", code: 23 },
    { name: "a preference of two octets", hex: "0007 0002 0000", code: 7 },
    { name: "a name that cannot be shown", hex: "0027 0003 00 01 07", code: 39 },
    { name: "a name with a dot in a label", hex: "0027 0005 00 03 612e62", code: 39 },
    { name: "a label of 64 octets", hex: `0027 0042 00 40 ${"61".repeat(64)}`, code: 39 },
    { name: "a name of 256 octets", hex: `0027 0101 00 ${`3f${"61".repeat(63)}`.repeat(4)}`, code: 39 },
    { name: "an empty label in a name", hex: "0027 0005 00 0161 00 00", code: 39 },
    { name: "a second preference", hex: "0007 0001 05 0007 0001 06", code: 7 },
  ])("keeps as it came: $name", ({ hex, code }) => {
    const message = decodeDhcp6(fromHex(`07a1b2c3 ${hex}`));
    expect(message.options.other.map((option) => option.code)).toEqual([code]);
    expect(decodeDhcp6(encodeDhcp6(message))).toEqual(message);
  });

  it("stops counting time at 655.35 s", () => {
    const message: Dhcp6Message = { ...SOLICIT_MESSAGE, options: { ...SOLICIT_MESSAGE.options, elapsed: 70_000 } };
    expect(decodeDhcp6(encodeDhcp6(message)).options.elapsed).toBe(0xffff);
  });

  it("has names with and without their final dot", () => {
    const named = (name: string): string | undefined => decodeDhcp6(encodeDhcp6({ type: SOLICIT, transactionId: 0, options: { iaNa: [], fqdn: { flags: 0, name }, other: [] } })).options.fqdn?.name;
    for (const name of ["", "web", "web.example.org", "web.example.org."]) expect(named(name)).toBe(name);
  });
});

describe("fuzz", () => {
  it("decodes anything or throws DecodeError, and what it decodes is stable", () => {
    const stable = (bytes: Uint8Array): void => {
      const message = decodeDhcp6(bytes);
      expect(decodeDhcp6(encodeDhcp6(message))).toEqual(message);
    };
    expect(fuzzDecode([fromHex(SOLICIT_HEX), encodeDhcp6(REPLY_MESSAGE)], stable).decoded).toBeGreaterThan(300);
  });

  it("gives back any message", () => {
    const address = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(ipFromBytes);
    const u32 = fc.nat(0xffff_ffff);
    const status = fc.record({ code: fc.nat(0xffff), message: fc.string({ maxLength: 60 }).filter((text) => /^[\u0020-\u007e]*$/.test(text)) });
    const other = fc.array(fc.record({ code: fc.integer({ min: 100, max: 0xffff }), value: fc.uint8Array({ maxLength: 40 }) }), { maxLength: 3 });
    const addresses = fc.array(fc.record({ address, preferredSeconds: u32, validSeconds: u32, status, other }, { requiredKeys: ["address", "preferredSeconds", "validSeconds", "other"] }), { maxLength: 3 });
    const iaNa = fc.record({ iaid: u32, t1Seconds: u32, t2Seconds: u32, addresses, status, other }, { requiredKeys: ["iaid", "t1Seconds", "t2Seconds", "addresses", "other"] });
    const duid = fc.uint8Array({ minLength: 3, maxLength: 130 });
    const options = fc.record(
      {
        clientId: duid,
        serverId: duid,
        iaNa: fc.array(iaNa, { maxLength: 3 }),
        requestedOptions: fc.array(fc.nat(0xffff), { maxLength: 5 }),
        preference: fc.nat(255),
        elapsed: fc.nat(0xffff),
        status,
        rapidCommit: fc.constant(true as const),
        solMaxRtSeconds: u32,
        other,
      },
      { requiredKeys: ["iaNa", "other"] },
    );
    fc.assert(
      fc.property(fc.record({ type: fc.constantFrom(SOLICIT, ADVERTISE, REPLY), transactionId: fc.nat(0xff_ffff), options }), (message) => {
        expect(decodeDhcp6(encodeDhcp6(message))).toEqual(message);
      }),
      { seed: 8415 },
    );
  });

  it("a UUID has 16 octets", () => {
    expect(toHex(DUID)).toBe(`0004${UUID}`);
    expect(() => encodeDuidUuid(new Uint8Array(15))).toThrow(RangeError);
  });
});
