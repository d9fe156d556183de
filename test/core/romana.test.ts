import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { romanaOf, type RomanaVip } from "../../src/core/romana.js";

const A = "192.168.99.101";
const EXPECTED = `expected {"auto": false, "ip": "192.0.2.10"} or {"auto": true}`;

function address(text: string, from = "romanaip"): unknown {
  return { type: "address", address: text, from };
}

describe("a Romana VIP is read from an annotation", () => {
  // Read by Romana v2.0.1 (romanaip) and v2.0.2 (romanavip) with Go's encoding/json.
  test.each<readonly [string, Readonly<Record<string, string>>, unknown]>([
    ["as the documentation of v2.0.1 has it", { romanaip: `{"auto": false, "ip": "${A}"}` }, address(A)],
    ["as the documentation of v2.0.2 has it", { romanavip: `{"auto": false, "ip": "${A}"}` }, address(A, "romanavip")],
    ["without auto, which is false where it is not said", { romanaip: `{"ip":"${A}"}` }, address(A)],
    ["with keys in other cases", { romanaip: `{"Auto":false,"IP":"${A}"}` }, address(A)],
    ["with fields that mean nothing", { romanaip: `{"ip":"${A}","comment":[1]}` }, address(A)],
    ["with a field twice: the last counts", { romanaip: `{"ip":"192.0.2.1","ip":"${A}"}` }, address(A)],
    ["with null, which is as good as nothing", { romanaip: `{"auto":null,"ip":"${A}"}` }, address(A)],
    ["with white space around the JSON and the address", { romanaip: `\n {"ip":" ${A} "} ` }, address(A)],
    ["with an IPv6 address, which gets its one spelling", { romanaip: '{"ip":"2001:DB8:0::10"}' }, address("2001:db8::10")],
    ["auto", { romanavip: '{"auto":true}' }, { type: "auto", from: "romanavip" }],
    ["auto counts for more than an ip, which is not looked at", { romanaip: '{"auto":true,"ip":"nonsense"}' }, { type: "auto", from: "romanaip" }],
    ["both keys, the same", { romanaip: `{"ip":"${A}"}`, romanavip: `{"auto":false,"ip":"${A}"}` }, address(A)],
    ["both keys, both auto", { romanaip: '{"auto":true}', romanavip: '{"AUTO":true}' }, { type: "auto", from: "romanaip" }],
    ["no such annotation", { romanaIP: `{"ip":"${A}"}`, "kube-vip.io/loadbalancerIPs": A }, { type: "none" }],
  ])("%s", (_name, annotations, expected) => {
    expect(romanaOf(annotations)).toEqual(expected);
  });

  test.each<readonly [string, Readonly<Record<string, string>>, string]>([
    ["no JSON", { romanaip: A }, `romanaip has "${A}", which is no JSON object: ${EXPECTED}`],
    ["nothing at all", { romanavip: "" }, `romanavip has "", which is no JSON object: ${EXPECTED}`],
    ["JSON with a comma too much", { romanaip: `{"ip":"${A}",}` }, "no JSON object"],
    ["a list", { romanaip: `["${A}"]` }, "no JSON object"],
    ["a text", { romanaip: `"${A}"` }, "no JSON object"],
    ["null", { romanaip: "null" }, "no JSON object"],
    ["auto as a text", { romanaip: '{"auto":"false"}' }, `romanaip has auto "false", which is neither true nor false: ${EXPECTED}`],
    ["auto as a number", { romanaip: `{"auto":0,"ip":"${A}"}` }, "auto 0, which is neither"],
    ["ip as a number", { romanaip: '{"ip":1}' }, `romanaip has ip 1, which is no text: ${EXPECTED}`],
    ["a wrong type counts, although auto is true", { romanaip: '{"auto":true,"ip":7}' }, "ip 7, which is no text"],
    ["no ip", { romanaip: '{"auto":false}' }, `romanaip has no ip: ${EXPECTED}`],
    ["an empty object", { romanaip: "{}" }, "no ip"],
    ["an ip that is none", { romanaip: '{"ip":"192.168.99.256"}' }, `romanaip has ip "192.168.99.256", which is no IP address: ${EXPECTED}`],
    ["a name", { romanaip: '{"ip":"web.example.org"}' }, "no IP address"],
    ["a prefix length", { romanaip: `{"ip":"${A}/32"}` }, "no IP address"],
    ["a multicast address", { romanaip: '{"ip":"224.0.0.1"}' }, "ip 224.0.0.1, a multicast address"],
    ["the address that asks for DHCP elsewhere", { romanaip: '{"ip":"0.0.0.0"}' }, "ip 0.0.0.0, an address of 0.0.0.0/8"],
    ["a link-local IPv6 address", { romanaip: '{"ip":"fe80::1"}' }, "a link-local address"],
    ["both keys, different addresses", { romanaip: `{"ip":"${A}"}`, romanavip: '{"ip":"192.168.99.102"}' }, "romanaip and romanavip ask for different things"],
    ["both keys, one auto", { romanaip: `{"ip":"${A}"}`, romanavip: '{"auto":true}' }, "romanaip and romanavip ask for different things"],
    ["both keys, the second broken", { romanaip: `{"ip":"${A}"}`, romanavip: "{" }, 'romanavip has "{"'],
    ["both keys, the first broken", { romanaip: "{", romanavip: `{"ip":"${A}"}` }, 'romanaip has "{"'],
  ])("or told to be wrong: %s", (_name, annotations, message) => {
    const found = romanaOf(annotations);
    expect(found).toMatchObject({ type: "invalid", message: expect.stringContaining(message) as unknown });
  });

  test("whatever it says, nothing is thrown, and an address has one spelling", () => {
    const value = fc.oneof(fc.string(), fc.json(), fc.record({ auto: fc.oneof(fc.boolean(), fc.string()), ip: fc.oneof(fc.ipV4(), fc.ipV6(), fc.integer()) }, { requiredKeys: [] }).map((it) => JSON.stringify(it)));
    const types = new Map<RomanaVip["type"], number>();
    fc.assert(
      fc.property(value, (text) => {
        const found = romanaOf({ romanaip: text });
        types.set(found.type, (types.get(found.type) ?? 0) + 1);
        if (found.type === "address") expect(romanaOf({ romanaip: JSON.stringify({ ip: found.address }) })).toEqual(found);
      }),
      { numRuns: 500, seed: 4 },
    );
    expect([...types.keys()].sort()).toEqual(["address", "auto", "invalid"]);
  });
});
