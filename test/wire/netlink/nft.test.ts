import { describe, expect, it } from "vitest";

import type { IpAddress } from "../../../src/lib/ip.js";
import {
  baseChainPut,
  batchBegin,
  batchEnd,
  chainPut,
  chainRemoval,
  decodeGeneration,
  decodeRule,
  generationGet,
  ruleAdd,
  ruleDump,
  ruleRemoval,
  tablePut,
  tableRemoval,
  type NftRequest,
} from "../../../src/wire/netlink/nft.js";
import { daddrIs, decodeExpressions, dnatTo, dportIs, encodeExpressions, jumpTarget, jumpTo, oneOf } from "../../../src/wire/netlink/nft-expression.js";
import { commentOf, encodeComment } from "../../../src/wire/netlink/nft-userdata.js";
import { fuzzDecode } from "../fuzz.js";
import { fromHex, toHex } from "../hex.js";

// Payloads of one transaction that nft 1.0.6 wrote for
//   table inet vip { comment "virtual IPs"
//     chain prerouting { type nat hook prerouting priority -100; policy accept; }
//     chain output { type nat hook output priority -100; policy accept; }
//     chain vip-0123 { comment "eth0/192.0.2.10"; } }
//   flush chain inet vip vip-0123
//   add rule ... (each below), delete rule inet vip prerouting handle 7, delete chain inet vip vip-0123
const BEGIN = "0000000a";
const TABLE = "010000000800010076697000080002000000000012000600000c7669727475616c20495073000000";
const PREROUTING = "0100000008000100766970000f000300707265726f7574696e670000080007006e617400080005000000000114000480080001000000000008000200ffffff9c";
const OUTPUT = "0100000008000100766970000b0003006f75747075740000080007006e617400080005000000000114000480080001000000000308000200ffffff9c";
const CHAIN = "0100000008000100766970000d0003007669702d303132330000000016000c000010657468302f3139322e302e322e3130000000";
const FLUSH = "0100000008000100766970000d0002007669702d3031323300000000";
const RULE4 = `0100000008000100766970000d0002007669702d3031323300000000a401048024000180090001006d6574610000000014000280080002000000001008000100000000012c00
  018008000100636d700020000280080001000000000108000200000000000c0003800500010006000000340001800c0001007061796c6f616400240002800800010000000001
  0800020000000002080003000000000208000400000000022c00018008000100636d700020000280080001000000000108000200000000000c00038006000100005000003400
  01800b0001006e756d67656e00002400028008000100000000010800020000000002080003000000000108000400000000002c00018008000100636d70002000028008000100
  0000000108000200000000000c00038008000100000000002c0001800e000100696d6d6564696174650000001800028008000100000000010c000280080001000a0000012c00
  01800e000100696d6d6564696174650000001800028008000100000000020c000280060001001f90000038000180080001006e6174002c000280080001000000000108000200
  00000002080003000000000108000500000000020800070000000002`;
const RULE6 = `0100000008000100766970000d0002007669702d30313233000000005001048024000180090001006d6574610000000014000280080002000000001008000100000000012c00
  018008000100636d700020000280080001000000000108000200000000000c0003800500010011000000340001800c0001007061796c6f616400240002800800010000000001
  0800020000000002080003000000000208000400000000022c00018008000100636d700020000280080001000000000108000200000000000c00038006000100003500003800
  01800e000100696d6d656469617465000000240002800800010000000001180002801400010020010db80000000000000000000000012c0001800e000100696d6d6564696174
  650000001800028008000100000000020c0002800600010014e9000038000180080001006e6174002c0002800800010000000001080002000000000a08000300000000010800
  0500000000020800070000000002`;
const JUMP4 = `0100000008000100766970000f000200707265726f7574696e670000f400048024000180090001006d6574610000000014000280080002000000000f08000100000000012c00
  018008000100636d700020000280080001000000000108000200000000000c0003800500010002000000340001800c0001007061796c6f616400240002800800010000000001
  0800020000000001080003000000001008000400000000042c00018008000100636d700020000280080001000000000108000200000000000c00038008000100c000020a4000
  01800e000100696d6d6564696174650000002c0002800800010000000000200002801c00028008000100fffffffd0d0002007669702d30313233000000001600070000106574
  68302f3139322e302e322e3130000000`;
const JUMP6 = `0100000008000100766970000b0002006f757470757400000001048024000180090001006d6574610000000014000280080002000000000f08000100000000012c0001800800
  0100636d700020000280080001000000000108000200000000000c000380050001000a000000340001800c0001007061796c6f61640024000280080001000000000108000200
  00000001080003000000001808000400000000103800018008000100636d70002c00028008000100000000010800020000000000180003801400010020010db8000000000000
  000000000010400001800e000100696d6d6564696174650000002c0002800800010000000000200002801c00028008000100fffffffd0d0002007669702d3031323300000000
  180007000012657468302f323030313a6462383a3a313000`;
const DELETE_RULE = "0100000008000100766970000f000200707265726f7574696e6700000c0003000000000000000007";
const DELETE_CHAIN = "0100000008000100766970000d0003007669702d3031323300000000";

// Messages that the kernel (6.18) answered to `nft list table inet vip` after that, without the deletions.
const READ_JUMP4 = `0100000208000100766970000f000200707265726f7574696e6700000c0003000000000000000006f400040024000100090001006d6574610000000014000200080002000000
  000f08000100000000012c00010008000100636d700020000200080001000000000108000200000000000c0003000500010002000000340001000c0001007061796c6f616400
  2400020008000100000000010800020000000001080003000000001008000400000000042c00010008000100636d700020000200080001000000000108000200000000000c00
  030008000100c000020a400001000e000100696d6d6564696174650000002c0002000800010000000000200002001c00020008000100fffffffd0d0002007669702d30313233
  00000000160007000010657468302f3139322e302e322e3130000000`;
const READ_JUMP6 = `0100000208000100766970000b0002006f757470757400000c00030000000000000000070001040024000100090001006d6574610000000014000200080002000000000f0800
  0100000000012c00010008000100636d700020000200080001000000000108000200000000000c000300050001000a000000340001000c0001007061796c6f61640024000200
  08000100000000010800020000000001080003000000001808000400000000103800010008000100636d70002c00020008000100000000010800020000000000180003001400
  010020010db8000000000000000000000010400001000e000100696d6d6564696174650000002c0002000800010000000000200002001c00020008000100fffffffd0d000200
  7669702d3031323300000000180007000012657468302f323030313a6462383a3a313000`;
const READ_RULE4 = `0100000208000100766970000d0002007669702d30313233000000000c0003000000000000000004b401040024000100090001006d6574610000000014000200080002000000
  001008000100000000012c00010008000100636d700020000200080001000000000108000200000000000c0003000500010006000000340001000c0001007061796c6f616400
  2400020008000100000000010800020000000002080003000000000208000400000000022c00010008000100636d700020000200080001000000000108000200000000000c00
  03000600010000500000340001000b0001006e756d67656e00002400020008000100000000010800020000000002080003000000000108000400000000002c00010008000100
  636d700020000200080001000000000108000200000000000c00030008000100000000002c0001000e000100696d6d6564696174650000001800020008000100000000010c00
  0200080001000a0000012c0001000e000100696d6d6564696174650000001800020008000100000000020c000200060001001f90000048000100080001006e6174003c000200
  0800010000000001080002000000000208000300000000010800040000000001080005000000000208000600000000020800070000000003`;
const READ_RULE6 = `0100000208000100766970000d0002007669702d30313233000000000c00030000000000000000050c00060000000000000000046001040024000100090001006d6574610000
  000014000200080002000000001008000100000000012c00010008000100636d700020000200080001000000000108000200000000000c000300050001001100000034000100
  0c0001007061796c6f6164002400020008000100000000010800020000000002080003000000000208000400000000022c00010008000100636d700020000200080001000000
  000108000200000000000c0003000600010000350000380001000e000100696d6d656469617465000000240002000800010000000001180002001400010020010db800000000
  00000000000000012c0001000e000100696d6d6564696174650000001800020008000100000000020c0002000600010014e9000048000100080001006e6174003c0002000800
  010000000001080002000000000a08000300000000010800040000000001080005000000000208000600000000020800070000000003`;
const READ_GENERATION = "000000020800010000000002080002000000412b080003006e667400";

const table = "vip";
const chain = { table, chain: "vip-0123" };
const prerouting = { table, chain: "prerouting" };
const output = { table, chain: "output" };
const ip = (text: string): IpAddress => text as IpAddress;

function plain(hex: string): string {
  return hex.replaceAll(/\s/g, "");
}

describe("requests", () => {
  const rows: readonly { readonly name: string; readonly request: NftRequest; readonly type: number; readonly flags: number; readonly hex: string }[] = [
    { name: "begin of a batch", request: batchBegin(), type: 0x10, flags: 0, hex: BEGIN },
    { name: "table", request: tablePut(table, "virtual IPs"), type: 0xa00, flags: 0x400, hex: TABLE },
    { name: "base chain, prerouting", request: baseChainPut(prerouting, "prerouting"), type: 0xa03, flags: 0x400, hex: PREROUTING },
    { name: "base chain, output", request: baseChainPut(output, "output"), type: 0xa03, flags: 0x400, hex: OUTPUT },
    { name: "chain", request: chainPut(chain, "eth0/192.0.2.10"), type: 0xa03, flags: 0x400, hex: CHAIN },
    { name: "flush of a chain", request: ruleRemoval(chain), type: 0xa08, flags: 0, hex: FLUSH },
    {
      name: "rule: tcp dport 80 numgen random mod 2 0 dnat ip to 10.0.0.1:8080",
      request: ruleAdd(chain, encodeExpressions([...dportIs("TCP", 80), ...oneOf(2), ...dnatTo(ip("10.0.0.1"), 8080)])),
      type: 0xa06,
      flags: 0xc00,
      hex: RULE4,
    },
    {
      name: "rule: udp dport 53 dnat ip6 to [2001:db8::1]:5353",
      request: ruleAdd(chain, encodeExpressions([...dportIs("UDP", 53), ...dnatTo(ip("2001:db8::1"), 5353)])),
      type: 0xa06,
      flags: 0xc00,
      hex: RULE6,
    },
    {
      name: 'rule: ip daddr 192.0.2.10 jump vip-0123 comment "eth0/192.0.2.10"',
      request: ruleAdd(prerouting, encodeExpressions([...daddrIs(ip("192.0.2.10")), jumpTo("vip-0123")]), "eth0/192.0.2.10"),
      type: 0xa06,
      flags: 0xc00,
      hex: JUMP4,
    },
    {
      name: 'rule: ip6 daddr 2001:db8::10 jump vip-0123 comment "eth0/2001:db8::10"',
      request: ruleAdd(output, encodeExpressions([...daddrIs(ip("2001:db8::10")), jumpTo("vip-0123")]), "eth0/2001:db8::10"),
      type: 0xa06,
      flags: 0xc00,
      hex: JUMP6,
    },
    { name: "removal of a rule", request: ruleRemoval(prerouting, fromHex("0000000000000007")), type: 0xa08, flags: 0, hex: DELETE_RULE },
    { name: "removal of a chain", request: chainRemoval(chain), type: 0xa05, flags: 0, hex: DELETE_CHAIN },
    { name: "end of a batch", request: batchEnd(), type: 0x11, flags: 0, hex: BEGIN },
    // Laid out by hand after nf_tables.h and nfnetlink.h; the tests in the lab show that the kernel takes them.
    { name: "begin of a batch for one generation", request: batchBegin(0x412b), type: 0x10, flags: 0, hex: "0000000a 08000100 0000412b" },
    { name: "removal of a table", request: tableRemoval(table), type: 0xa02, flags: 0, hex: "01000000 08000100 76697000" },
    { name: "question for the generation", request: generationGet(), type: 0xa10, flags: 0, hex: "00000000" },
    { name: "question for the rules of a chain", request: ruleDump(chain), type: 0xa07, flags: 0, hex: FLUSH },
  ];

  it.each(rows)("has the bytes that nft writes: $name", ({ request, type, flags, hex }) => {
    expect({ type: request.type, flags: request.flags, payload: toHex(request.payload) }).toEqual({ type, flags, payload: plain(hex) });
  });

  it("has the protocol numbers of TCP, UDP and SCTP", () => {
    const octets = (["TCP", "UDP", "SCTP"] as const).map((protocol) => dportIs(protocol, 1)[1]?.attributes.at(-4));
    expect(octets).toEqual([6, 17, 132]);
  });
});

describe("rules that the kernel shows", () => {
  it.each([
    { name: "IPv4 jump", hex: READ_JUMP4, chain: "prerouting", handle: 6, jump: "vip-0123", comment: "eth0/192.0.2.10", expressions: 5 },
    { name: "IPv6 jump", hex: READ_JUMP6, chain: "output", handle: 7, jump: "vip-0123", comment: "eth0/2001:db8::10", expressions: 5 },
    { name: "IPv4 target by chance", hex: READ_RULE4, chain: "vip-0123", handle: 4, jump: undefined, comment: undefined, expressions: 9 },
    { name: "IPv6 target", hex: READ_RULE6, chain: "vip-0123", handle: 5, jump: undefined, comment: undefined, expressions: 7 },
  ])("are read: $name", ({ hex, chain: where, handle, jump, comment, expressions }) => {
    const rule = decodeRule(fromHex(hex));
    expect(rule).toMatchObject({ table, chain: where, comment });
    expect(toHex(rule.handle)).toBe(handle.toString(16).padStart(16, "0"));
    expect(decodeExpressions(rule.list)).toHaveLength(expressions);
    expect(decodeExpressions(rule.list).flatMap((expression) => jumpTarget(expression) ?? [])).toEqual(jump === undefined ? [] : [jump]);
  });

  it("come back as they were written", () => {
    const written = [...daddrIs(ip("192.0.2.10")), jumpTo("vip-0123")];
    const rule = decodeRule(ruleAdd(prerouting, encodeExpressions(written), "x").payload);
    expect(rule).toMatchObject({ ...prerouting, handle: new Uint8Array(8), comment: "x" });
    expect(decodeExpressions(rule.list)).toEqual(written);
    expect(encodeExpressions(decodeExpressions(rule.list))).toEqual(encodeExpressions(written));
    expect(decodeExpressions(undefined)).toEqual([]);
  });

  it("throw nothing but DecodeError, whatever they hold", () => {
    const samples = [READ_JUMP4, READ_JUMP6, READ_RULE4, READ_RULE6].map(fromHex);
    const { decoded } = fuzzDecode(samples, (bytes) => decodeExpressions(decodeRule(bytes).list).map(jumpTarget));
    expect(decoded).toBeGreaterThan(100);
  });
});

describe("generation", () => {
  it("is read", () => {
    expect(decodeGeneration(fromHex(READ_GENERATION))).toBe(2);
    expect(decodeGeneration(fromHex("00000002"))).toBeUndefined();
  });

  it("throws nothing but DecodeError, whatever it holds", () => {
    expect(fuzzDecode([fromHex(READ_GENERATION)], decodeGeneration).decoded).toBeGreaterThan(100);
  });
});

describe("comments", () => {
  const read = (hex: string): string | undefined => commentOf({ type: 0, data: fromHex(hex), offset: 0 });

  it.each([
    { name: "as nft writes it", hex: "0004 61626300", comment: "abc" },
    { name: "without a NUL", hex: "0003 616263", comment: "abc" },
    { name: "after something else", hex: "0501ff 0002 6100", comment: "a" },
    { name: "nothing but something else", hex: "0501ff", comment: undefined },
    { name: "a length beyond the end", hex: "0009 6162", comment: undefined },
    { name: "one octet", hex: "00", comment: undefined },
    { name: "empty", hex: "", comment: undefined },
  ])("are read: $name", ({ hex, comment }) => {
    expect(read(hex)).toBe(comment);
  });

  it("have at most 127 octets", () => {
    expect(read(toHex(encodeComment("é".repeat(63))))).toBe("é".repeat(63));
    expect(() => encodeComment("é".repeat(64))).toThrow(RangeError);
  });
});
