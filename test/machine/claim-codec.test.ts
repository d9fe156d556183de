import { describe, expect, test } from "vitest";
import { isOlderVersion } from "../../src/lib/resource-version.js";
import { bytesOf, ClaimError, decodeMember, decodeShard, encodeMember, encodeShard, memberLease, type MemberRecord } from "../../src/machine/claim-codec.js";

const N1 = { node: "node-1", incarnation: 7 };
const N2 = { node: "node-2.example", incarnation: 1_700_000_000 };
const MEMBER: MemberRecord = { incarnation: 7, seq: 41, process: "a1b2", state: "live", drain: true, weight: 2, after: "fenced" };

describe("the annotation of a shard", () => {
  test("shows owner, heir and former owner, with keys in order, and comes back the same", () => {
    const claims = new Map([
      ["default/web", { owner: N1, heir: undefined, from: undefined }],
      ["default/api", { owner: N1, heir: N2, from: undefined }],
      ["default/db", { owner: N2, heir: undefined, from: N1 }],
    ]);
    const text = encodeShard({ claims, kept: new Map() });
    expect(text).toBe('{"default/api":"node-1#7>node-2.example#1700000000","default/db":"node-2.example#1700000000<node-1#7","default/web":"node-1#7"}');
    expect(decodeShard(text)).toEqual({ claims, kept: new Map() });
  });

  test("keeps entries that this version does not know, as they are", () => {
    const text = '{"a":"node-1#7","b":"node-1#7?node-2#8","c":{"owner":"x"}}';
    const content = decodeShard(text);
    expect([...content.claims.keys()]).toEqual(["a"]);
    expect([...content.kept.keys()]).toEqual(["b", "c"]);
    expect(encodeShard(content)).toBe(text);
  });

  test("no annotation: no claims", () => {
    expect(decodeShard(undefined).claims.size).toBe(0);
    expect(decodeShard("").claims.size).toBe(0);
  });

  test.each(["{", "[]", "3", "null"])("%s is refused", (text) => {
    expect(() => decodeShard(text)).toThrow(ClaimError);
  });

  test("keys are counted in bytes, as the API server does", () => {
    expect(bytesOf('{"dns/bücher.example":"n#1"}')).toBe(29);
  });
});

describe("the annotation of a member", () => {
  test("comes back the same", () => {
    expect(decodeMember(encodeMember(MEMBER))).toEqual(MEMBER);
  });

  test("what an older version does not write has a default", () => {
    expect(decodeMember('{"incarnation":1,"seq":2,"state":"live"}')).toEqual({ incarnation: 1, seq: 2, process: "", state: "live", drain: false, weight: 1, after: "nothing" });
  });

  test.each(['{"seq":1,"state":"live"}', '{"incarnation":1.5,"seq":1,"state":"live"}', '{"incarnation":1,"seq":1,"state":"resting"}', "", "[]"])("%s is refused", (text) => {
    expect(() => decodeMember(text)).toThrow(ClaimError);
  });

  test("the Lease has a holder while the member is live, for kubectl", () => {
    const write = { time: "2026-01-02T03:04:05.000006Z", leaseSeconds: 5 };
    expect(memberLease("node-1", MEMBER, write)).toMatchObject({ holderIdentity: "node-1", renewTime: write.time, leaseDurationSeconds: 5 });
    expect(memberLease("node-1", { ...MEMBER, state: "fenced" }, write).holderIdentity).toBe("");
  });
});

test.each([
  ["9", "10", true],
  ["10", "9", false],
  ["10", "10", false],
  ["99999999999999999998", "99999999999999999999", true],
  ["a", "b", false],
])("resourceVersion %s older than %s: %s", (a, b, older) => {
  expect(isOlderVersion(a, b)).toBe(older);
});
