import { describe, expect, it } from "vitest";

import type { IpAddress } from "../../../src/lib/ip.js";
import {
  decodeAddress,
  encodeAddress,
  encodeAddressDump,
  encodeAddressGet,
  encodeAddressRemoval,
  IFA_F_NODAD,
  type AddressMessage,
} from "../../../src/wire/netlink/address.js";
import { decodeLink, encodeLinkDump } from "../../../src/wire/netlink/link.js";
import { decodeRoute, encodeRouteDump } from "../../../src/wire/netlink/route.js";
import { fuzzDecode } from "../fuzz.js";
import { fromHex, toHex } from "../hex.js";

const vip4 = "192.0.2.10" as IpAddress;
const vip6 = "2001:db8::10" as IpAddress;

// Payloads of RTM_NEWADDR in dumps of Linux 6.18, by recv.
const ADDRESS4 = "02188000 03000000 08000100c0000201 08000200c0000201 08000300766b6100 0800080080000000 14000600ffffffffffffffff4658050046580500";
const ADDRESS6 = "0a40c0fd 03000000 14000100fe80000000000000000000fffe00000a 14000600ffffffffffffffff4058050040580500 08000800c0000000 05000b0003000000";
// Laid out by hand after linux/if_addr.h; Linux 6.18 took them on link 2 and 3, and `ip addr` showed what they say: 20 s, scope host; for ever, nodad.
const PUT4 = "022000fe 03000000 08000200c000020a 08000100c000020a 0800080000000000 14000600 00000000 14000000 0000000000000000 05000b004d000000";
const PUT6 = `0a800200 03000000 1400020020010db8000000000000000000000010 1400010020010db8000000000000000000000010 0800080002000000
  14000600 00000000 ffffffff 0000000000000000 05000b004d000000`;

const LO = "00000403 01000000 08000000 00000000 07000300 6c6f0000 08000400 00000100 0a000100 000000000000 0000";
// The same dump's vka, without statistics and the like: name, mtu, kind, address.
const VETH = `00000100 03000000 43100100 00000000 08000300766b6100 08000400dc050000 0a00010002000000000a0000
  10001200 09000100 7665746800000000 0800050002000000`;

const DEFAULT4 = "02000000 fe030001 00000000 08000f00fe000000 0800060007000000 08000500c00002fe 0800040003000000";
const CONNECTED4 = "02180000 fe02fd01 00000000 08000f00fe000000 08000100c0000200 08000700c0000201 0800040003000000";
const MULTIPATH4 = `02180000 fe030001 00000000 08000f00fe000000 08000100c6336400
  24000900 1000000003000000 08000500c0000202 1000000003000000 08000500c0000203`;
const VIA6 = "02180000 fc030001 00000000 08000f00e8030000 08000100cb007100 16001200 0a00 fe800000000000000000000000000001 0000 0800040003000000";
const LINKLOCAL6 = `0a400000 fe020001 00000000 08000f00fe000000 14000100fe800000000000000000000000000000 0800060000010000 0800040002000000
  24000c000000000000000000000000000000000000000000000000000000000000000000 0500140000000000`;

describe("addresses", () => {
  const put: AddressMessage = {
    linkIndex: 3,
    address: vip4,
    peer: undefined,
    prefix: 32,
    scope: 254,
    flags: 0,
    mark: 77,
    validSeconds: 20,
    preferredSeconds: 0,
    label: undefined,
  };

  it.each([
    { name: "IPv4", hex: PUT4, message: put },
    { name: "IPv6", hex: PUT6, message: { ...put, address: vip6, prefix: 128, scope: 0, flags: IFA_F_NODAD, validSeconds: Infinity } },
  ])("a put, $name, bytes both ways", ({ hex, message }) => {
    expect(toHex(encodeAddress(message))).toBe(hex.replaceAll(/\s/g, ""));
    expect(decodeAddress(fromHex(hex))).toEqual(message);
  });

  it("IPv4 of a dump", () => {
    expect(decodeAddress(fromHex(ADDRESS4))).toEqual({
      ...put,
      address: "192.0.2.1",
      prefix: 24,
      scope: 0,
      flags: 0x80,
      mark: 0,
      validSeconds: Infinity,
      preferredSeconds: Infinity,
      label: "vka",
    });
  });

  it("IPv6 of a dump, which has no IFA_LOCAL and the kernel's own mark", () => {
    expect(decodeAddress(fromHex(ADDRESS6))).toMatchObject({ address: "fe80::ff:fe00:a", prefix: 64, scope: 253, flags: 0xc0, mark: 3 });
  });

  it("a point-to-point address is the local one", () => {
    const message = { ...put, peer: "198.51.100.1" as IpAddress, label: "ppp0" };
    expect(decodeAddress(encodeAddress(message))).toEqual(message);
  });

  it("a removal, as iproute2 6.1 writes it (strace)", () => {
    const id = { address: "192.0.2.99" as IpAddress, linkIndex: 3, prefix: 32 };
    expect(toHex(encodeAddressRemoval(id))).toBe("0220000003000000" + "08000200c0000263" + "08000100c0000263");
  });

  it("a question for one IPv6 address: no prefix, since the strict check refuses one; laid out by hand", () => {
    const hex = "0a00000003000000" + "14000100" + "20010db8000000000000000000000010";
    expect(toHex(encodeAddressGet({ address: vip6, linkIndex: 3 }))).toBe(hex);
  });

  it("refuses lifetimes that the wire has no place for", () => {
    for (const validSeconds of [-1, 1.5, 0xffff_ffff, Number.NaN]) expect(() => encodeAddress({ ...put, validSeconds })).toThrow(RangeError);
  });

  it.each([
    { name: "empty", hex: "", code: "truncated", offset: 0 },
    { name: "family AF_BRIDGE", hex: "07200000 03000000", code: "value", offset: 0 },
    { name: "prefix 33", hex: "02210000 03000000 08000200c000020a", code: "value", offset: 1 },
    { name: "prefix 129", hex: "0a810000 03000000", code: "value", offset: 1 },
    { name: "no address", hex: "02200000 03000000", code: "value", offset: 8 },
    { name: "IPv4 address of 3 octets", hex: "02200000 03000000 07000200c0000200", code: "length", offset: 12 },
    { name: "IPv6 address of 4 octets", hex: "0a400000 03000000 08000100c0000200", code: "length", offset: 12 },
    { name: "cache info of 4 octets", hex: "02200000 03000000 08000200c000020a 0800060000000000", code: "truncated", offset: 24 },
    { name: "mark of no octets", hex: "02200000 03000000 08000200c000020a 04000b00", code: "truncated", offset: 20 },
  ])("refuses: $name", ({ hex, code, offset }) => {
    expect(() => decodeAddress(fromHex(hex))).toThrow(expect.objectContaining({ name: "DecodeError", code, offset }) as Error);
  });
});

describe("links", () => {
  it("lo has no address", () => {
    expect(decodeLink(fromHex(LO))).toMatchObject({ family: 0, index: 1, flags: 8, name: "lo", mtu: 65536, mac: undefined, kind: undefined });
  });

  it("a veth that is up", () => {
    const veth = { family: 0, index: 3, flags: 0x11043, name: "vka", mtu: 1500, mac: "02:00:00:00:00:0a", kind: "veth" };
    expect(decodeLink(fromHex(VETH))).toEqual({ ...veth, alias: "", parentIndex: 2, vlan: undefined });
  });

  it("a link with an address that is no MAC (IP over InfiniBand: 20 octets)", () => {
    expect(decodeLink(fromHex(`00002000 05000000 00000000 00000000 18000100${"01".repeat(20)}`)).mac).toBeUndefined();
  });

  it.each([
    { name: "header cut", hex: "00000100 0300", code: "truncated", offset: 4 },
    { name: "index 0", hex: "00000100 00000000 00000000 00000000", code: "value", offset: 4 },
    { name: "index below 0", hex: "00000100 ffffffff 00000000 00000000", code: "value", offset: 4 },
    { name: "broken link info", hex: "00000100 03000000 00000000 00000000 08001200 02000100", code: "length", offset: 20 },
    { name: "mtu of 2 octets", hex: "00000100 03000000 00000000 00000000 06000400 dc050000", code: "truncated", offset: 20 },
  ])("refuses: $name", ({ hex, code, offset }) => {
    expect(() => decodeLink(fromHex(hex))).toThrow(expect.objectContaining({ name: "DecodeError", code, offset }) as Error);
  });
});

describe("routes", () => {
  const rows = [
    {
      name: "default",
      hex: DEFAULT4,
      route: { destination: undefined, prefix: 0, protocol: 3, metric: 7, nextHops: [{ linkIndex: 3, gateway: "192.0.2.254" }] },
    },
    { name: "connected", hex: CONNECTED4, route: { destination: "192.0.2.0", prefix: 24, protocol: 2, nextHops: [{ linkIndex: 3, gateway: undefined }] } },
    {
      name: "multipath",
      hex: MULTIPATH4,
      route: {
        destination: "198.51.100.0",
        nextHops: [
          { linkIndex: 3, gateway: "192.0.2.2" },
          { linkIndex: 3, gateway: "192.0.2.3" },
        ],
      },
    },
    { name: "via IPv6, table above 255", hex: VIA6, route: { destination: "203.0.113.0", table: 1000, nextHops: [{ linkIndex: 3, gateway: "fe80::1" }] } },
    { name: "IPv6", hex: LINKLOCAL6, route: { family: 6, destination: "fe80::", prefix: 64, metric: 256, nextHops: [{ linkIndex: 2, gateway: undefined }] } },
  ];
  it.each(rows)("$name", ({ hex, route }) => {
    expect(decodeRoute(fromHex(hex))).toMatchObject({ family: 4, type: 1, ...(hex === VIA6 ? {} : { table: 254 }), ...route });
  });

  it.each([
    { name: "header cut", hex: "02000000 fe0300", code: "truncated", offset: 7 },
    { name: "family AF_MPLS", hex: "1c000000 fe030001 00000000", code: "value", offset: 0 },
    { name: "next hop of 4 octets", hex: "02000000 fe030001 00000000 0c000900 0400000003000000", code: "length", offset: 16 },
    { name: "next hop beyond the attribute", hex: "02000000 fe030001 00000000 0c000900 1000000003000000", code: "truncated", offset: 18 },
    { name: "via of an unknown family", hex: "02000000 fe030001 00000000 0a001200 0700 01020304 0000", code: "value", offset: 16 },
  ])("refuses: $name", ({ hex, code, offset }) => {
    expect(() => decodeRoute(fromHex(hex))).toThrow(expect.objectContaining({ name: "DecodeError", code, offset }) as Error);
  });
});

describe("dump requests", () => {
  // As iproute2 6.1 begins them: one header of zeros with the family.
  it("are a header of zeros with the family", () => {
    // And, as `ip -s` does not, IFLA_EXT_MASK with RTEXT_FILTER_SKIP_STATS.
    expect(toHex(encodeLinkDump())).toBe(`${"00".repeat(16)}08001d0008000000`);
    expect([toHex(encodeAddressDump(4)), toHex(encodeAddressDump(6))]).toEqual(["0200000000000000", "0a00000000000000"]);
    expect([toHex(encodeRouteDump(4)), toHex(encodeRouteDump(6))]).toEqual([`02${"00".repeat(11)}`, `0a${"00".repeat(11)}`]);
  });
});

describe("fuzz", () => {
  it("addresses decode, or throw DecodeError, and are stable", () => {
    const stable = (bytes: Uint8Array): void => {
      const message = decodeAddress(bytes);
      expect(decodeAddress(encodeAddress(message))).toEqual(message);
    };
    expect(fuzzDecode([ADDRESS4, ADDRESS6, PUT4, PUT6].map(fromHex), stable).decoded).toBeGreaterThan(100);
  });

  it("links and routes decode, or throw DecodeError", () => {
    expect(fuzzDecode([LO, VETH].map(fromHex), decodeLink).decoded).toBeGreaterThan(100);
    expect(fuzzDecode([DEFAULT4, CONNECTED4, MULTIPATH4, VIA6, LINKLOCAL6].map(fromHex), decodeRoute).decoded).toBeGreaterThan(100);
  });
});
