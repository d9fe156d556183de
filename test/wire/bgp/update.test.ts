import { describe, expect, test } from "vitest";
import type { IpAddress } from "../../../src/lib/ip.js";
import type { PathAttributes, UpdateContext } from "../../../src/wire/bgp/attribute.js";
import { BgpError } from "../../../src/wire/bgp/error.js";
import { decodeMessage, encodeMessage, framed } from "../../../src/wire/bgp/message.js";
import { endOfRib, routeChanges, type ReceivedUpdate } from "../../../src/wire/bgp/update.js";
import { fromHex, toHex } from "../hex.js";

const EBGP: UpdateContext = { asSize: 4, internal: false, addPath: [] };
const IBGP: UpdateContext = { ...EBGP, internal: true };
const OLD: UpdateContext = { ...EBGP, asSize: 2 };
const ip = (text: string): IpAddress => text as IpAddress;

const ORIGIN = "400101 00";
const AS_PATH = "400206 0201 0000fbf4";
const NEXT_HOP = "400304 0a4d0001";
const NLRI = "18 c00002";
const REACH6 = "800e 2b 0002 01 10 fd770000000000000000000000000001 00 80 20010db8000000000000000000000001 20 20010db8";

/** The body of an UPDATE: lengths are filled in. */
function body({ withdrawn = "", attributes = `${ORIGIN} ${AS_PATH} ${NEXT_HOP}`, nlri = NLRI }: { readonly withdrawn?: string; readonly attributes?: string; readonly nlri?: string }): Uint8Array {
  const [gone, list, reached] = [fromHex(withdrawn), fromHex(attributes), fromHex(nlri)];
  return Uint8Array.of(gone.length >> 8, gone.length & 255, ...gone, list.length >> 8, list.length & 255, ...list, ...reached);
}

function decode(octets: Uint8Array, context: UpdateContext = EBGP): ReceivedUpdate {
  const message = decodeMessage(framed(2, octets), context);
  if (message.type !== "update") throw new Error(message.type);
  return message.update;
}

/** What the peer would be told: code/subcode data. */
function resetBy(octets: Uint8Array, context: UpdateContext = EBGP): string {
  try {
    decode(octets, context);
    return "no reset";
  } catch (error) {
    if (!(error instanceof BgpError)) throw error;
    const { code, subcode, data } = error.notification;
    return `${code}/${subcode} ${toHex(data)}`.trim();
  }
}

const clean = { origin: "igp", asPath: [{ kind: "sequence", as: [64_500] }], nextHop: ip("10.77.0.1") } as const;

describe("an attribute that is wrong (RFC 7606)", () => {
  const withdraw = (attributes: string, subcode: number, data: string, context?: UpdateContext) => ({ attributes, approach: "withdraw", told: `3/${subcode} ${data}`.trim(), context });
  const discard = (attributes: string, subcode: number, data: string, context?: UpdateContext) => ({ attributes, approach: "discard", told: `3/${subcode} ${data}`.trim(), context });
  const base = `${ORIGIN} ${AS_PATH} ${NEXT_HOP}`;
  const ibgp = `${base} 400504 00000064`;
  const rows: Readonly<Record<string, ReturnType<typeof withdraw>>> = {
    "ORIGIN of two octets": withdraw(`400102 0000 ${AS_PATH} ${NEXT_HOP}`, 5, "4001020000"),
    "ORIGIN that is empty": withdraw(`400100 ${AS_PATH} ${NEXT_HOP}`, 5, "400100"),
    "ORIGIN 3": withdraw(`400101 03 ${AS_PATH} ${NEXT_HOP}`, 6, "40010103"),
    "AS_PATH with a segment of type 5": withdraw(`${ORIGIN} 400206 0501 0000fbf4 ${NEXT_HOP}`, 11, "40020605010000fbf4"),
    "AS_PATH with the segment of a confederation": withdraw(`${ORIGIN} 400206 0301 0000fbf4 ${NEXT_HOP}`, 11, "40020603010000fbf4"),
    "AS_PATH with an empty segment": withdraw(`${ORIGIN} 400202 0200 ${NEXT_HOP}`, 11, "4002020200"),
    "AS_PATH that ends too early": withdraw(`${ORIGIN} 400206 0202 0000fbf4 ${NEXT_HOP}`, 11, "40020602020000fbf4"),
    "AS_PATH with one octet too many": withdraw(`${ORIGIN} 400207 0201 0000fbf4 00 ${NEXT_HOP}`, 11, "40020702010000fbf400"),
    "AS_PATH of two-octet numbers where four were agreed on": withdraw(`${ORIGIN} 400204 0201 fbf4 ${NEXT_HOP}`, 11, "4002040201fbf4"),
    "NEXT_HOP 127.0.0.1": withdraw(`${ORIGIN} ${AS_PATH} 400304 7f000001`, 8, "4003047f000001"),
    "NEXT_HOP 0.0.0.0": withdraw(`${ORIGIN} ${AS_PATH} 400304 00000000`, 8, "40030400000000"),
    "NEXT_HOP 224.0.0.5": withdraw(`${ORIGIN} ${AS_PATH} 400304 e0000005`, 8, "400304e0000005"),
    "NEXT_HOP of five octets": withdraw(`${ORIGIN} ${AS_PATH} 400305 0a4d000100`, 5, "4003050a4d000100"),
    "MULTI_EXIT_DISC of three octets": withdraw(`${base} 800403 000001`, 5, "800403000001"),
    "LOCAL_PREF of two octets": withdraw(`${base} 400502 0064`, 5, "4005020064", IBGP),
    "LOCAL_PREF of an external peer": discard(`${base} 400504 00000064`, 9, "40050400000064"),
    "ATOMIC_AGGREGATE with a value": discard(`${base} 400601 00`, 5, "40060100"),
    "AGGREGATOR of six octets": discard(`${base} c00706 fbf40a000001`, 5, "c00706fbf40a000001"),
    "COMMUNITIES that are empty": withdraw(`${base} c00800`, 9, "c00800"),
    "COMMUNITIES of six octets": withdraw(`${base} c00806 fbf400640000`, 9, "c00806fbf400640000"),
    "ORIGINATOR_ID of an external peer": discard(`${base} 800904 0a000001`, 9, "8009040a000001"),
    "ORIGINATOR_ID of five octets": withdraw(`${ibgp} 800905 0a00000100`, 9, "8009050a00000100", IBGP),
    "CLUSTER_LIST of an external peer": discard(`${base} 800a04 0a000001`, 9, "800a040a000001"),
    "CLUSTER_LIST that is empty": withdraw(`${ibgp} 800a00`, 9, "800a00", IBGP),
    "EXTENDED_COMMUNITIES of seven octets": withdraw(`${base} c01007 00020000000000`, 9, "c0100700020000000000"),
    "AS4_PATH with an empty segment": discard(`${base.replace("0201 0000fbf4", "0202 5ba05ba0")} c01102 0200`, 9, "c011020200", OLD),
    "AS4_AGGREGATOR of four octets": discard(`${base.replace("0201 0000fbf4", "0202 5ba05ba0")} c01204 0a000001`, 9, "c012040a000001", OLD),
    "LARGE_COMMUNITY of eleven octets": withdraw(`${base} c0200b 0000000000000000000000`, 9, "c0200b0000000000000000000000"),
    "ORIGIN that is optional": withdraw(`c00101 00 ${AS_PATH} ${NEXT_HOP}`, 4, "c0010100"),
    "COMMUNITIES that are not transitive": withdraw(`${base} 800804 fbf40064`, 4, "800804fbf40064"),
    "no ORIGIN": withdraw(`${AS_PATH} ${NEXT_HOP}`, 3, "01"),
    "no AS_PATH": withdraw(`${ORIGIN} ${NEXT_HOP}`, 3, "02"),
    "no NEXT_HOP": withdraw(`${ORIGIN} ${AS_PATH}`, 3, "03"),
    "no LOCAL_PREF of an internal peer": withdraw(base, 3, "05", IBGP),
    "COMMUNITIES twice": discard(`${base} c00804 fbf40064 c00804 fbf40065`, 1, ""),
    "an attribute longer than all of them together": withdraw(`${base} c00810 fbf40064`, 1, ""),
    "a last attribute of one octet": withdraw(`${base} c0`, 1, ""),
  };

  test.each(Object.entries(rows))("%s", (_name, { attributes, approach, told, context }) => {
    const update = decode(body({ attributes }), context);
    expect(update.faults.map((fault) => fault.approach)).toEqual([approach]);
    const [{ notification } = { notification: { code: 0, subcode: 0, data: new Uint8Array() } }] = update.faults;
    expect(`${notification.code}/${notification.subcode} ${toHex(notification.data)}`.trim()).toBe(told);
    const prefix = [{ address: "192.0.2.0", length: 24 }];
    expect(routeChanges(update)).toEqual([{ family: 4, announced: approach === "withdraw" ? [] : prefix, withdrawn: approach === "withdraw" ? prefix : [] }]);
  });

  test("the first of two COMMUNITIES counts", () => {
    const { attributes } = decode(body({ attributes: `${base} c00804 fbf40064 c00804 fbf40065` }));
    expect(attributes.communities).toEqual([0xfbf40064]);
  });

  test("thousands of repetitions are one fault", () => {
    expect(decode(body({ attributes: `${base} ${"c00804fbf40064".repeat(500)}` })).faults).toHaveLength(1);
  });

  test("of several errors the strongest wins", () => {
    const update = decode(body({ attributes: `${base} 400601 00 c00800` }));
    expect(update.faults.map(({ approach }) => approach)).toEqual(["discard", "withdraw"]);
    expect(routeChanges(update)[0]?.announced).toEqual([]);
  });

  test("without any route to withdraw instead, the session is reset", () => {
    expect(resetBy(body({ attributes: "c00800", nlri: "" }))).toBe("3/9 c00800");
    expect(resetBy(body({ attributes: "400601 00", nlri: "" }))).toBe("no reset");
  });
});

describe("a session is reset by", () => {
  const rows: Readonly<Record<string, readonly [octets: Uint8Array, told: string]>> = {
    "withdrawn routes longer than the message": [fromHex("0010 18c00002 0000"), "3/1"],
    "attributes longer than the message": [fromHex("0000 0010 40010100"), "3/1"],
    "an IPv4 prefix of 33 bits": [body({ nlri: "21 c000020000" }), "3/10"],
    "a prefix that is cut short": [body({ nlri: "18 c000" }), "3/10"],
    "a withdrawn prefix of 33 bits": [body({ withdrawn: "21 c000020000" }), "3/10"],
    "an unknown well-known attribute": [body({ attributes: `${ORIGIN} 406301 00` }), "3/2 40630100"],
    "MP_REACH_NLRI twice": [body({ attributes: `${REACH6} ${REACH6}`, nlri: "" }), "3/1"],
    "MP_UNREACH_NLRI twice": [body({ attributes: "800f03 000201 800f03 000201", nlri: "" }), "3/1"],
    "MP_REACH_NLRI without a family": [body({ attributes: "800e02 0002", nlri: "" }), "3/9 800e020002"],
  };
  test.each(Object.entries(rows))("%s", (_name, [octets, told]) => {
    expect(resetBy(octets)).toBe(told);
  });
});

describe("a family is disabled by", () => {
  const rows: Readonly<Record<string, string>> = {
    "an IPv6 prefix of 129 bits": "800f05 000201 81 00",
    "an IPv6 next hop of 4 octets": "800e09 000201 04 0a4d0001 00",
    "a next hop that is cut short": "800e08 000201 10 fd770000",
    "an IPv6 prefix that is cut short": "800e16 000201 10 fd770000000000000000000000000001 00 40",
  };
  test.each(Object.entries(rows))("%s, and IPv4 goes on", (_name, attribute) => {
    const update = decode(body({ attributes: `${attribute} ${ORIGIN} ${AS_PATH} ${NEXT_HOP}` }));
    expect(update.faults.map(({ approach, family }) => [approach, family])).toEqual([["disable", 6]]);
    expect(routeChanges(update).map(({ family }) => family)).toEqual([4]);
  });
});

describe("IPv6 routes", () => {
  test("are read and written, first of all attributes (RFC 7606 5.1)", () => {
    const hex = toHex(body({ attributes: `${REACH6} ${ORIGIN} ${AS_PATH}`, nlri: "" }));
    const update = decode(fromHex(hex));
    expect(update.attributes.reach).toEqual({
      family: 6,
      nextHop: "fd77::1",
      prefixes: [
        { address: "2001:db8::1", length: 128 },
        { address: "2001:db8::", length: 32 },
      ],
    });
    expect(toHex(encodeMessage({ type: "update", update }, EBGP)).slice(38)).toBe(hex);
  });

  test("IPv4 routes with an IPv6 next hop (RFC 8950 6.1)", () => {
    const attributes = `800e 19 0001 01 10 fd770000000000000000000000000001 00 18 c00002 ${ORIGIN} ${AS_PATH}`;
    const update = decode(body({ attributes, nlri: "" }));
    expect(update.faults).toEqual([]);
    expect(routeChanges(update)).toEqual([{ family: 4, announced: [{ address: "192.0.2.0", length: 24 }], withdrawn: [] }]);
  });

  test("other families are kept as they are", () => {
    // L2VPN EVPN.
    const update = decode(body({ attributes: "800f04 001946 00", nlri: "" }));
    expect([update.attributes.unknown, update.faults]).toEqual([[{ flags: 0x80, code: 15, value: fromHex("00194600") }], []]);
    expect(endOfRib(update)).toBeUndefined();
  });
});

describe("path identifiers (RFC 7911)", () => {
  test("are read and written where they were agreed on", () => {
    const hex = toHex(body({ withdrawn: "00000007 20 c6336401", nlri: "00000001 18 c00002" }));
    const context = { ...EBGP, addPath: [4] } as const;
    const update = decode(fromHex(hex), context);
    expect([update.withdrawn, update.nlri]).toEqual([[{ address: "198.51.100.1", length: 32, pathId: 7 }], [{ address: "192.0.2.0", length: 24, pathId: 1 }]]);
    expect(toHex(encodeMessage({ type: "update", update }, context)).slice(38)).toBe(hex);
  });
});

describe("what an encoder must not lose", () => {
  const rows: Readonly<Record<string, PathAttributes>> = {
    "a path of 300 AS numbers is split into segments": { ...clean, asPath: [{ kind: "sequence", as: Array.from({ length: 300 }, (_, n) => n + 1) }] },
    "more than 255 octets": { ...clean, communities: Array.from({ length: 100 }, (_, n) => n) },
    "all 32 bits": { ...clean, med: 0xffffffff, communities: [0xffffffff], largeCommunities: [{ global: 0xffffffff, local1: 0x80000000, local2: 1 }], extendedCommunities: ["ffffffff80000000"] },
    "an aggregator and a path in four octets": { ...clean, as4Path: [{ kind: "set", as: [4_200_000_000] }], as4Aggregator: { as: 4_200_000_000, routerId: ip("10.0.0.1") } },
  };
  test.each(Object.entries(rows))("%s", (_name, attributes) => {
    const update = { withdrawn: [], attributes, nlri: [{ address: ip("192.0.2.0"), length: 24 }], faults: [] };
    const again = decodeMessage(encodeMessage({ type: "update", update }, EBGP), EBGP);
    const flat = (path: PathAttributes["asPath"]) => path?.flatMap(({ as }) => as);
    if (again.type !== "update") throw new Error(again.type);
    expect(flat(again.update.attributes.asPath)).toEqual(flat(attributes.asPath));
    expect({ ...again.update.attributes, asPath: [] }).toEqual({ ...attributes, asPath: [] });
  });

  test("bits behind the prefix length are sent as zeros, and not read", () => {
    const update = decode(body({ nlri: "11 c000ff" }));
    expect(update.nlri).toEqual([{ address: "192.0.128.0", length: 17 }]);
    const sent = { ...update, nlri: [{ address: ip("192.0.255.0"), length: 17 }] };
    expect(toHex(encodeMessage({ type: "update", update: sent }, EBGP)).slice(-8)).toBe("11c00080");
  });
});
