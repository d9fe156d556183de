import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { ipFromBytes, type IpAddress } from "../../../src/lib/ip.js";
import { macFromBytes, type MacAddress } from "../../../src/lib/mac.js";
import { BOOTREPLY, BOOTREQUEST, DHCPDISCOVER, DHCPOFFER } from "../../../src/wire/dhcp/codes.js";
import { decodeClientFrame } from "../../../src/wire/dhcp/frame.js";
import { decodeDhcp, encodeDhcp, type DhcpMessage } from "../../../src/wire/dhcp/message.js";
import { fuzzDecode } from "../fuzz.js";
import { fromHex, toHex } from "../hex.js";
import { goldenFrame, goldenFrames, SERVERS } from "./golden.js";

const ip = (text: string): IpAddress => text as IpAddress;
const zero = ip("0.0.0.0");
const bare: DhcpMessage = {
  op: BOOTREPLY,
  hops: 0,
  xid: 0x3903f326,
  secs: 0,
  broadcast: false,
  ciaddr: zero,
  yiaddr: ip("192.168.0.10"),
  siaddr: zero,
  giaddr: zero,
  chaddr: "00:0b:82:01:fc:42" as MacAddress,
  options: { messageType: DHCPOFFER, other: new Map() },
};

/** A message whose options field, `file` and `sname` are these octets. */
function withAreas(areas: { readonly options: string; readonly file?: string; readonly sname?: string }): Uint8Array {
  const options = fromHex(areas.options);
  const bytes = new Uint8Array(240 + options.length);
  bytes.set(encodeDhcp(bare).subarray(0, 240));
  bytes.set(options, 240);
  bytes.set(fromHex(areas.sname ?? ""), 44);
  bytes.set(fromHex(areas.file ?? ""), 108);
  return bytes;
}

function optionsOf(areas: Parameters<typeof withAreas>[0]): DhcpMessage["options"] {
  return decodeDhcp(withAreas(areas)).options;
}

describe("a message", () => {
  it("has the layout of RFC 2131, and at least 300 octets", () => {
    const discover: DhcpMessage = {
      ...bare,
      op: BOOTREQUEST,
      secs: 3,
      broadcast: true,
      yiaddr: zero,
      options: { messageType: DHCPDISCOVER, clientId: fromHex("01000b8201fc42"), hostname: "web", requestedOptions: Uint8Array.of(1, 3), other: new Map([[80, new Uint8Array()]]) },
    };
    const head = `01010600 3903f326 0003 8000 00000000 00000000 00000000 00000000 000b8201fc42${"00".repeat(10 + 64 + 128)}63825363`;
    const options = "350101 3d0701000b8201fc42 0c03776562 37020103 5000 ff";
    const hex = (head + options).replaceAll(" ", "");
    expect(toHex(encodeDhcp(discover))).toBe(hex.padEnd(600, "0"));
    expect(decodeDhcp(encodeDhcp(discover))).toEqual(discover);
  });

  it("stops counting seconds at 65535", () => {
    expect(decodeDhcp(encodeDhcp({ ...bare, secs: 700_000 })).secs).toBe(0xffff);
  });

  const golden = encodeDhcp(bare);
  const changed = (at: number, octets: string): Uint8Array => {
    const bytes = golden.slice();
    bytes.set(fromHex(octets), at);
    return bytes;
  };
  it.each([
    { name: "empty", bytes: new Uint8Array(), code: "truncated", offset: 42 },
    { name: "BOOTP without options", bytes: golden.slice(0, 236), code: "truncated", offset: 278 },
    { name: "op 3", bytes: changed(0, "03"), code: "value", offset: 42 },
    { name: "token ring", bytes: changed(1, "06"), code: "value", offset: 43 },
    { name: "hardware address of 16 octets", bytes: changed(2, "10"), code: "value", offset: 44 },
    { name: "another cookie", bytes: changed(236, "63825364"), code: "value", offset: 278 },
    { name: "option without a length", bytes: withAreas({ options: "35" }), code: "truncated", offset: 283 },
    { name: "option cut short", bytes: withAreas({ options: "350102 3304 000000" }), code: "truncated", offset: 287 },
    { name: "lease time of 3 octets", bytes: withAreas({ options: "3303000000 ff" }), code: "length", offset: 282 },
    { name: "message type of 2 octets", bytes: withAreas({ options: "35020000 ff" }), code: "length", offset: 282 },
    { name: "server identifier of 5 octets", bytes: withAreas({ options: "36050a4d000100 ff" }), code: "length", offset: 282 },
    { name: "empty client identifier", bytes: withAreas({ options: "3d00 ff" }), code: "length", offset: 282 },
    { name: "mask with a gap", bytes: withAreas({ options: "0104ffff00ff ff" }), code: "value", offset: 282 },
    { name: "overload 4", bytes: withAreas({ options: "340104 ff" }), code: "value", offset: 286 },
    { name: "option cut short in file", bytes: withAreas({ options: "340101 ff", file: `${"00".repeat(126)}0c20` }), code: "truncated", offset: 278 },
  ])("is refused: $name", ({ bytes, code, offset }) => {
    expect(() => decodeDhcp(bytes, 42)).toThrow(expect.objectContaining({ name: "DecodeError", code, offset }) as Error);
  });
});

describe("options", () => {
  it.each([
    { name: "nothing at all is no DHCP, but readable", areas: { options: "" }, wanted: {} },
    { name: "no end option", areas: { options: "350105" }, wanted: { messageType: 5 } },
    { name: "what is behind the end option does not count", areas: { options: "350105 ff 3304000000ff" }, wanted: { messageType: 5 } },
    { name: "pads between options", areas: { options: "0000 350105 00 ff" }, wanted: { messageType: 5 } },
    // RFC 3396 8: the pieces of one value in order of their appearance.
    { name: "one value in two options", areas: { options: "0f03616263 350105 0f026465 ff" }, wanted: { messageType: 5, domainName: "abcde" } },
    { name: "an address in pieces", areas: { options: "36020a4d 36020001 ff" }, wanted: { serverId: "10.77.0.1" } },
    { name: "options in file", areas: { options: "340101 350105 ff", file: "33040000000a ff" }, wanted: { messageType: 5, leaseSeconds: 10 } },
    { name: "options in sname", areas: { options: "340102 350105 ff", sname: "33040000000a ff" }, wanted: { messageType: 5, leaseSeconds: 10 } },
    { name: "a value in all three, file before sname", areas: { options: "340103 0f0161 ff", file: "0f0162 ff", sname: "0f0163 ff" }, wanted: { domainName: "abc" } },
    { name: "without overload, file is no place for options", areas: { options: "350105 ff", file: "33040000000a ff" }, wanted: { messageType: 5 } },
    { name: "an overload inside of file leads nowhere", areas: { options: "340101 ff", file: "340103 ff", sname: "0f0163 ff" }, wanted: {} },
    { name: "a lease without end", areas: { options: "3304ffffffff ff" }, wanted: { leaseSeconds: 0xffff_ffff } },
    { name: "masks /0 and /32 are masks", areas: { options: "010400000000 ff" }, wanted: { prefix: 0 } },
    { name: "text with a NUL at its end", areas: { options: "0f046c616200 ff" }, wanted: { domainName: "lab" } },
    { name: "control characters cannot be shown", areas: { options: "38051b5b324a7f ff" }, wanted: { message: "?[2J?" } },
    // RFC 3442: the examples of its table.
    {
      name: "routes of each width",
      areas: { options: "791c 00 0a4d0001 08 0a 0a4d0001 18 0a0011 0a4d0001 19 0a1b8180 00000000 ff" },
      wanted: {
        classlessRoutes: [
          { destination: "0.0.0.0", prefix: 0, router: "10.77.0.1" },
          { destination: "10.0.0.0", prefix: 8, router: "10.77.0.1" },
          { destination: "10.0.17.0", prefix: 24, router: "10.77.0.1" },
          { destination: "10.27.129.128", prefix: 25, router: "0.0.0.0" },
        ],
      },
    },
    { name: "host bits of a route", areas: { options: "7907 0c 0aff 0a4d0001 ff" }, wanted: { classlessRoutes: [{ destination: "10.240.0.0", prefix: 12, router: "10.77.0.1" }] } },
  ])("$name", ({ areas, wanted }) => {
    const { other, ...known } = optionsOf(areas);
    expect(known).toEqual(wanted);
    expect(other.size).toBe(0);
  });

  it.each([
    { name: "an unknown one", areas: { options: "500301fe03 ff" }, code: 80 },
    { name: "DNS servers in 5 octets", areas: { options: "06050a4d000100 ff" }, code: 6 },
    { name: "a domain name of nothing but NUL", areas: { options: "0f0100 ff" }, code: 15 },
    { name: "an empty list of routers", areas: { options: "0300 ff" }, code: 3 },
    { name: "a route /33", areas: { options: "790a21c0a80a01010a4d0001 ff" }, code: 121 },
    { name: "a route that is cut short", areas: { options: "790618 0a0011 0a4d ff" }, code: 121 },
  ])("is kept as it came, and the lease counts: $name", ({ areas, code }) => {
    const options = optionsOf({ options: `33040000000a ${areas.options}` });
    expect(options.leaseSeconds).toBe(10);
    expect([...options.other.keys()]).toEqual([code]);
    const message: DhcpMessage = { ...bare, options };
    expect(decodeDhcp(encodeDhcp(message))).toEqual(message);
  });

  it("a value of more than 255 octets is several options, and is one again", () => {
    const message: DhcpMessage = { ...bare, options: { messageType: 5, domainName: "a".repeat(600), other: new Map([[224, new Uint8Array(510).fill(7)]]) } };
    const bytes = encodeDhcp(message);
    expect(toHex(bytes.subarray(243, 248))).toBe("0fff616161");
    expect(bytes).toHaveLength(240 + 3 + 3 * 2 + 600 + 2 * 2 + 510 + 1);
    expect(decodeDhcp(bytes)).toEqual(message);
  });

  it("a known option wins over one of the same code among the others", () => {
    const message: DhcpMessage = { ...bare, options: { messageType: 5, other: new Map([[53, Uint8Array.of(6)]]) } };
    expect(decodeDhcp(encodeDhcp(message)).options.messageType).toBe(5);
  });
});

describe("fuzz", () => {
  const samples = SERVERS.flatMap((server) => [...goldenFrames(server).values()].map((frame) => frame.slice(42)));

  it("decodes anything or throws DecodeError, and what it decodes is stable", () => {
    const stable = (bytes: Uint8Array): void => {
      const message = decodeDhcp(bytes);
      expect(decodeDhcp(encodeDhcp(message))).toEqual(message);
    };
    expect(fuzzDecode(samples, stable).decoded).toBeGreaterThan(300);
  });

  it("whole frames: anything or DecodeError", () => {
    expect(fuzzDecode([goldenFrame("dnsmasq", "ack"), goldenFrame("kea", "nak")], decodeClientFrame).decoded).toBeGreaterThan(100);
  });

  it("gives back any message", () => {
    const address = fc.uint8Array({ minLength: 4, maxLength: 4 }).map(ipFromBytes);
    const u32 = fc.nat(0xffff_ffff);
    const text = fc.string({ minLength: 1, maxLength: 300 }).filter((value) => /^[\u0020-\u007e]+$/.test(value));
    const octets = fc.uint8Array({ minLength: 1, maxLength: 400 });
    const options = fc.record(
      {
        messageType: fc.nat(255),
        clientId: octets,
        serverId: address,
        requestedAddress: address,
        leaseSeconds: u32,
        renewalSeconds: u32,
        rebindingSeconds: u32,
        prefix: fc.nat(32),
        routers: fc.array(address, { minLength: 1, maxLength: 70 }),
        hostname: text,
        message: text,
        maxMessageSize: fc.nat(0xffff),
        other: fc.array(fc.tuple(fc.integer({ min: 128, max: 254 }), octets)).map((rows) => new Map(rows)),
      },
      { requiredKeys: ["other"] },
    );
    const messages = fc.record({
      op: fc.constantFrom(BOOTREQUEST, BOOTREPLY),
      hops: fc.nat(255),
      xid: u32,
      secs: fc.nat(0xffff),
      broadcast: fc.boolean(),
      ciaddr: address,
      yiaddr: address,
      siaddr: address,
      giaddr: address,
      chaddr: fc.uint8Array({ minLength: 6, maxLength: 6 }).map(macFromBytes),
      options,
    });
    fc.assert(
      fc.property(messages, (message) => {
        expect(decodeDhcp(encodeDhcp(message))).toEqual(message);
      }),
      { seed: 2131 },
    );
  });
});
