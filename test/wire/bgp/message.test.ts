import { describe, expect, test } from "vitest";
import type { IpAddress } from "../../../src/lib/ip.js";
import type { UpdateContext } from "../../../src/wire/bgp/attribute.js";
import type { Capability } from "../../../src/wire/bgp/capability.js";
import { BgpError, notificationOf } from "../../../src/wire/bgp/error.js";
import { decodeMessage, encodeMessage, MAX_EXTENDED_MESSAGE, MAX_MESSAGE, type BgpMessage } from "../../../src/wire/bgp/message.js";
import { ceaseWithText, communicationOf, describeNotification, hardReset, hardResetContent } from "../../../src/wire/bgp/notification.js";
import { communityText, parseCommunity, parseLargeCommunity } from "../../../src/wire/bgp/community.js";
import { splitStream } from "../../../src/wire/bgp/stream.js";
import { fromHex, toHex } from "../hex.js";
import { allGolden } from "./golden.js";

const CONTEXT: UpdateContext = { asSize: 4, internal: false, addPath: [] };
const MARKER = "ff".repeat(16);
const KEEPALIVE = fromHex(`${MARKER} 0013 04`);

/** What the sender of these octets would be told. */
function toldFor(run: () => unknown): string {
  try {
    run();
    return "nothing";
  } catch (error) {
    if (!(error instanceof BgpError)) throw error;
    const { code, subcode, data } = error.notification;
    return `${code}/${subcode} ${toHex(data)}`.trim();
  }
}

function openWith(capabilities: readonly Capability[]): BgpMessage {
  return { type: "open", open: { as: 64_500, holdSeconds: 90, routerId: "10.0.0.1" as IpAddress, capabilities } };
}

describe("a header", () => {
  const rows: Readonly<Record<string, readonly [hex: string, told: string]>> = {
    "with a wrong marker": [`${"ff".repeat(15)}fe 0013 04`, "1/1"],
    "with a length of 18": [`${MARKER} 0012 04`, "1/2 0012"],
    "with a length of 4097 where 4096 was agreed on": [`${MARKER} 1001 02`, "1/2 1001"],
    "with type 0": [`${MARKER} 0013 00`, "1/3 00"],
    "with type 6": [`${MARKER} 0013 06`, "1/3 06"],
    "of an OPEN that is too short": [`${MARKER} 001c 01`, "1/2 001c"],
    "of an UPDATE that is too short": [`${MARKER} 0016 02`, "1/2 0016"],
    "of a NOTIFICATION that is too short": [`${MARKER} 0014 03`, "1/2 0014"],
    "of a KEEPALIVE with a body": [`${MARKER} 0014 04`, "1/2 0014"],
    "of a ROUTE-REFRESH that is too short": [`${MARKER} 0016 05`, "1/2 0016"],
  };
  test.each(Object.entries(rows))("%s is refused before its body is there", (_name, [hex, told]) => {
    const { messages, error } = splitStream(new Uint8Array(), Uint8Array.of(...KEEPALIVE, ...fromHex(hex)), MAX_MESSAGE);
    expect(messages.map((message) => toHex(message))).toEqual([toHex(KEEPALIVE)]);
    expect(toldFor(() => { throw error ?? new Error("accepted"); })).toBe(told);
  });

  test("of an extended OPEN is refused even where extended messages were agreed on (RFC 8654 4)", () => {
    const { error } = splitStream(new Uint8Array(), fromHex(`${MARKER} 1001 01`), MAX_EXTENDED_MESSAGE);
    expect(error?.notification).toEqual(notificationOf(1, 2, fromHex("1001")));
    expect(splitStream(new Uint8Array(), fromHex(`${MARKER} 1001 02`), MAX_EXTENDED_MESSAGE).error).toBeUndefined();
  });
});

describe("a stream", () => {
  const all = allGolden().map(({ octets }) => octets);
  const whole = Uint8Array.from(all.flatMap((octets) => [...octets]));

  test.each([1, 7, 18, 19, 4096, 100_000])("in pieces of %i octets gives the same messages", (size) => {
    let pending: Uint8Array = new Uint8Array();
    const found: string[] = [];
    for (let at = 0; at < whole.length; at += size) {
      const part = splitStream(pending, whole.subarray(at, at + size), MAX_MESSAGE);
      expect(part.error).toBeUndefined();
      expect(part.pending.length).toBeLessThan(MAX_MESSAGE);
      found.push(...part.messages.map((message) => toHex(message)));
      pending = part.pending;
    }
    expect([found, pending.length]).toEqual([all.map((octets) => toHex(octets)), 0]);
  });
});

describe("an OPEN", () => {
  const capabilities: readonly Capability[] = [
    { kind: "multiprotocol", afi: 25, safi: 70 },
    { kind: "routeRefresh" },
    { kind: "extendedNextHop", entries: [{ afi: 1, safi: 1, nextHopAfi: 2 }] },
    { kind: "extendedMessage" },
    { kind: "gracefulRestart", restarting: true, notification: true, seconds: 4095, families: [{ afi: 2, safi: 1, forwarding: true }] },
    { kind: "fourOctetAs", as: 4_294_967_295 },
    { kind: "addPath", entries: [{ afi: 1, safi: 1, mode: 3 }] },
    { kind: "enhancedRefresh" },
    { kind: "unknown", code: 200, value: fromHex("0102") },
  ];

  test("keeps every capability", () => {
    expect(decodeMessage(encodeMessage(openWith(capabilities), CONTEXT), CONTEXT)).toEqual(openWith(capabilities));
  });

  test("without capabilities has no parameters", () => {
    const octets = encodeMessage(openWith([]), CONTEXT);
    expect([octets.length, decodeMessage(octets, CONTEXT)]).toEqual([29, openWith([])]);
  });

  test("with more than 253 octets of them has the extended length (RFC 9072)", () => {
    const many = Array.from({ length: 4 }, (_, code): Capability => ({ kind: "unknown", code: 200 + code, value: new Uint8Array(100) }));
    const octets = encodeMessage(openWith(many), CONTEXT);
    expect(toHex(octets.slice(28, 35))).toBe("ffff019b020198");
    expect(decodeMessage(octets, CONTEXT)).toEqual(openWith(many));
  });

  const open = (parameters: string, head = "04 fbf4 005a 0a000001"): Uint8Array => {
    const octets = fromHex(`${MARKER} 0000 01 ${head} ${parameters}`);
    return octets.with(16, octets.length >> 8).with(17, octets.length & 255);
  };
  const rows: Readonly<Record<string, readonly [octets: Uint8Array, told: string]>> = {
    "version 3": [open("00", "03 fbf4 005a 0a000001"), "2/1 0004"],
    "version 5": [open("00", "05 fbf4 005a 0a000001"), "2/1 0004"],
    "an authentication parameter": [open("04 0102 0000"), "2/4"],
    "a parameter longer than all of them": [open("04 0208 0200"), "2/0"],
    "parameters longer than the message": [open("08 0202 0200"), "2/0"],
    "octets behind the parameters": [open("04 0202 0200 00"), "2/0"],
    "a capability longer than its parameter": [open("04 0202 0204"), "2/0"],
    "a multiprotocol capability of three octets": [open("07 0205 0103 000100"), "2/0"],
    "a multiprotocol capability of five octets": [open("09 0207 0105 0001000100"), "2/0"],
    "a route refresh capability with a value": [open("05 0203 020100"), "2/0"],
    "a graceful restart capability of three octets": [open("07 0205 4003 407800"), "2/0"],
    "an extended length that is too long": [open("ff ff 0010 02 0002 0200"), "2/0"],
  };
  test.each(Object.entries(rows))("with %s is refused", (_name, [octets, told]) => {
    expect(toldFor(() => decodeMessage(octets, CONTEXT))).toBe(told);
  });
});

describe("a NOTIFICATION", () => {
  test("has a reason of up to 255 octets, cut between characters (RFC 9003)", () => {
    const { data } = ceaseWithText(2, "é".repeat(200));
    expect([data.length, data[0], communicationOf(ceaseWithText(2, "é".repeat(200)))]).toEqual([255, 254, "é".repeat(127)]);
  });

  test("without a reason has no data", () => {
    expect([ceaseWithText(4, ""), communicationOf(ceaseWithText(4, ""))]).toEqual([notificationOf(6, 4), undefined]);
  });

  test("of another kind has no reason, whatever its data", () => {
    expect(communicationOf(notificationOf(6, 6, fromHex("0141")))).toBeUndefined();
    expect(communicationOf(notificationOf(2, 2, fromHex("0141")))).toBeUndefined();
  });

  test("with a reason longer than its data has none", () => {
    expect(communicationOf(notificationOf(6, 2, fromHex("0541")))).toBeUndefined();
  });

  test("of a hard reset holds another one (RFC 8538)", () => {
    const hard = hardReset(ceaseWithText(2, "rack 7"));
    expect(toHex(hard.data)).toBe("0602067261636b2037");
    expect(hardResetContent(hard)).toEqual(ceaseWithText(2, "rack 7"));
    expect(hardResetContent(notificationOf(6, 9, fromHex("06")))).toBeUndefined();
    expect(describeNotification(hard)).toBe('Cease/Hard Reset: Cease/Administrative Shutdown: "rack 7"');
  });

  test("is described by the names of the registry, with what the peer wrote made harmless", () => {
    expect(describeNotification(notificationOf(6, 10))).toBe("Cease/BFD Down");
    expect(describeNotification(notificationOf(4, 0))).toBe("Hold Timer Expired");
    expect(describeNotification(notificationOf(3, 99))).toBe("UPDATE Message Error/99");
    expect(describeNotification(notificationOf(77, 1))).toBe("code 77/1");
    expect(describeNotification(ceaseWithText(2, "a\nb\u001b[31m"))).toBe('Cease/Administrative Shutdown: "a\\nb\\u001b[31m"');
  });
});

describe("a ROUTE-REFRESH", () => {
  test("keeps filters behind a request, and refuses anything behind a mark (RFC 7313 5)", () => {
    const request = fromHex(`${MARKER} 0019 05 0001 00 01 0102`);
    expect(decodeMessage(request, CONTEXT)).toEqual({ type: "refresh", refresh: { afi: 1, safi: 1, subtype: 0, filters: fromHex("0102") } });
    expect(toHex(encodeMessage(decodeMessage(request, CONTEXT), CONTEXT))).toBe(toHex(request));
    const mark = fromHex(`${MARKER} 0019 05 0001 01 01 0102`);
    expect(toldFor(() => decodeMessage(mark, CONTEXT))).toBe(`7/1 ${toHex(mark)}`);
  });
});

describe("a community", () => {
  const rows: readonly (readonly [text: string, value: number | undefined])[] = [
    ["65000:100", 0xfde80064],
    ["65535:65535", 0xffffffff],
    ["graceful-shutdown", 0xffff0000],
    ["No-Export", 0xffffff01],
    ["65536:1", undefined],
    ["1", undefined],
    ["1:2:3", undefined],
    ["a:1", undefined],
    [":", undefined],
  ];
  test.each(rows)("%s", (text, value) => {
    expect(parseCommunity(text)).toBe(value);
    if (value !== undefined) expect(parseCommunity(communityText(value))).toBe(value);
  });

  test("of three numbers", () => {
    expect(parseLargeCommunity("4294967295:1:0")).toEqual({ global: 4_294_967_295, local1: 1, local2: 0 });
    expect(["1:2", "4294967296:1:1", "1:2:3:4", "x:1:1"].map((text) => parseLargeCommunity(text))).toEqual([undefined, undefined, undefined, undefined]);
  });
});
