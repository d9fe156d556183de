import { describe, expect, it } from "vitest";

import type { MacAddress } from "../../../src/lib/mac.js";
import {
  encodeLinkAlias,
  encodeLinkRemoval,
  encodeLinkUp,
  encodeNewLink,
  MACVLAN_MODE_BRIDGE,
  type LinkKind,
} from "../../../src/wire/netlink/link-change.js";
import { decodeLink } from "../../../src/wire/netlink/link.js";
import { fuzzDecode } from "../fuzz.js";
import { fromHex, toHex } from "../hex.js";

const vlan200: LinkKind = { kind: "vlan", vlan: 200 };
const macvlan: LinkKind = { kind: "macvlan", mode: MACVLAN_MODE_BRIDGE, mac: "02:00:00:00:00:77" as MacAddress };

/** Hex digits without blanks and line breaks. */
function digits(hex: string): string {
  return hex.replaceAll(/\s/g, "");
}

// What iproute2 6.1 writes (strace). Ours differs in the header only: it has the index, and IFF_UP as flags and mask.
// ip link add link <3> name eth0.200 type vlan id 200
const ADD_VLAN = `0800050003000000 0d00030065746830 2e32303000000000 1800120008000100 766c616e0c000200 06000100c8000000`;
// ip link add link <3> address 02:00:00:00:00:77 name mv1 type macvlan mode bridge
const ADD_MACVLAN = `0a00010002000000 0077000008000500 0300000008000300 6d7631001c001200 0b0001006d616376 6c616e000c000200 0800010004000000`;

describe("requests", () => {
  it("that add a VLAN, as iproute2 does", () => {
    const hex = toHex(encodeNewLink({ index: 0, name: "eth0.200", parentIndex: 3, kind: vlan200 }));
    expect(hex).toBe(digits(`00000000 00000000 01000000 01000000 ${ADD_VLAN}`));
  });

  it("that add a macvlan, as iproute2 does, with the index that we want", () => {
    const hex = toHex(encodeNewLink({ index: 0x8001, name: "mv1", parentIndex: 3, kind: macvlan }));
    expect(hex).toBe(digits(`00000000 01800000 01000000 01000000 ${ADD_MACVLAN}`));
  });

  it("that add a macvlan with a MAC address of the kernel's choice", () => {
    const hex = toHex(encodeNewLink({ index: 0, name: "mv1", parentIndex: 3, kind: { ...macvlan, mac: undefined } }));
    expect(hex).toBe(digits(`00000000 00000000 01000000 01000000 ${digits(ADD_MACVLAN).slice(2 * 12)}`));
  });

  // `ip link set mv5 alias hello` has the alias like this (strace); the link info is that of the request above.
  it("that set the alias of a VLAN", () => {
    const hex = toHex(encodeLinkAlias({ index: 5, kind: vlan200 }, "hello"));
    expect(hex).toBe(digits("00000000 05000000 00000000 00000000 0900140068656c6c 6f000000 1800120008000100 766c616e0c000200 06000100c8000000"));
  });

  // ip link set <4> up; ip link del <4> (strace)
  it("that set a link up and remove it, as iproute2 does", () => {
    expect(toHex(encodeLinkUp(4))).toBe(digits("00000000 04000000 01000000 01000000"));
    expect(toHex(encodeLinkRemoval(4))).toBe(digits("00000000 04000000 00000000 00000000"));
  });

  it.each([0, 4095, 1.5, -1, Number.NaN])("refuses VLAN %d", (vlan) => {
    expect(() => encodeNewLink({ index: 0, name: "eth0.0", parentIndex: 3, kind: { kind: "vlan", vlan } })).toThrow(RangeError);
  });
});

// A dump of Linux 6.18 (strace of `ip link show mv1`), without statistics and the like: name, mtu, alias, address, link info, link below.
const MACVLAN = `00000100 04000000 03100000 00000000 080003006d763100 08000400dc050000 0b0014007669703a20780000
  0a00010002000000 00770000 3c0012000c000100 6d6163766c616e00 2c00020008000100 0400000006000200 0000000008000600 00000000
  08000700e8030000 08000800e8030000 0800050003000000`;
// Dumps of Linux 6.1, shortened in the same way: name, mtu, alias, address, link info (protocol in network order, id, flags), link below.
const VLAN = `00000100 04000000 03100000 00000000 0d000300657468302e32303000000000 08000400dc050000 090014006f75727300000000
  0a0001007ad72af822a10000 3000120009000100 766c616e00000000 2000020006000500 8100000006000100 c80000000c000200 01000000ffffffff
  0800050003000000`;
const VLAN_OF_8021AD = `00000100 05000000 02100000 00000000 0700030061640000 08000400dc050000 0a0001007ad72af822a10000
  3000120009000100 766c616e00000000 2000020006000500 88a8000006000100 2c0100000c000200 01000000ffffffff 0800050003000000`;
// The first of these after `ip link set eth0.200 netns ...`, as the other network namespace shows it.
const VLAN_ELSEWHERE = `00000100 04000000 02100000 00000000 0d000300657468302e32303000000000 08000400dc050000 090014006f75727300000000
  0a0001007ad72af822a10000 3000120009000100 766c616e00000000 2000020006000500 8100000006000100 c80000000c000200 01000000ffffffff
  0800250000000000 0800050003000000`;
// For what no kernel says.
const HEADER = "00000100 05000000 43100100 00000000 0d00030065746830 2e32303000000000 08000400dc050000";

describe("links", () => {
  it("a macvlan with an alias tells the link below, and no VLAN", () => {
    expect(decodeLink(fromHex(MACVLAN))).toEqual({
      family: 0,
      index: 4,
      flags: 0x1003,
      name: "mv1",
      mtu: 1500,
      mac: "02:00:00:00:00:77",
      kind: "macvlan",
      alias: "vip: x",
      parentIndex: 3,
      vlan: undefined,
    });
  });

  it.each([
    { name: "a VLAN", hex: VLAN, shown: { name: "eth0.200", kind: "vlan", alias: "ours", parentIndex: 3, vlan: 200 } },
    { name: "a VLAN of IEEE 802.1ad", hex: VLAN_OF_8021AD, shown: { name: "ad", kind: "vlan", alias: "", parentIndex: 3, vlan: undefined } },
    { name: "a VLAN over a link of another network namespace", hex: VLAN_ELSEWHERE, shown: { alias: "ours", parentIndex: undefined, vlan: 200 } },
    { name: "a VLAN without a protocol", hex: encodedVlan(), shown: { name: "eth0.200", kind: "vlan", parentIndex: 3, vlan: 200 } },
    { name: "a VLAN that says nothing", hex: `${HEADER} 0c00120008000100766c616e`, shown: { kind: "vlan", parentIndex: undefined, vlan: undefined } },
    { name: "a tunnel without a link below", hex: `${HEADER} 0800050000000000`, shown: { parentIndex: undefined, kind: undefined } },
  ])("$name", ({ hex, shown }) => {
    expect(decodeLink(fromHex(hex))).toMatchObject(shown);
  });

  it.each([
    { name: "link below of 2 octets", hex: `${HEADER} 06000500 03000000`, code: "truncated", offset: 44 },
    { name: "VLAN id of 1 octet", hex: `${HEADER} 1500120008000100 766c616e 09000200 05000100 c8000000`, code: "truncated", offset: 60 },
    { name: "VLAN data that is no attributes", hex: `${HEADER} 1200120008000100 766c616e 06000200 01000000`, code: "truncated", offset: 58 },
  ])("refuses: $name", ({ hex, code, offset }) => {
    expect(() => decodeLink(fromHex(hex))).toThrow(expect.objectContaining({ name: "DecodeError", code, offset }) as Error);
  });

  it("decode, or throw DecodeError", () => {
    expect(fuzzDecode([MACVLAN, VLAN, VLAN_ELSEWHERE].map(fromHex), decodeLink).decoded).toBeGreaterThan(100);
  });
});

/** Our own request is a link without a protocol. */
function encodedVlan(): string {
  return toHex(encodeNewLink({ index: 5, name: "eth0.200", parentIndex: 3, kind: vlan200 }));
}
