import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allocate, allocateFrom, assign, FreeAddresses, type AddressRequest, type Assigned, type AssignInput, type Wanting } from "../../src/core/allocate.js";
import { parsePools, poolOf, type Pools } from "../../src/core/pools.js";
import { familyOf, parseIp, type Family, type IpAddress } from "../../src/lib/ip.js";
import { inRanges, ipToNumber } from "../../src/lib/ip-range.js";
import { runsOf } from "../runs.js";

type Data = Readonly<Record<string, string>>;

function ip(text: string): IpAddress {
  const address = parseIp(text);
  if (address === undefined) throw new Error(text);
  return address;
}

const ips = (...texts: readonly string[]): ReadonlySet<IpAddress> => new Set(texts.map(ip));
const poolsOf = (data: Data): Pools => parsePools(data, undefined).pools;

function request(families: readonly Family[], policy: AddressRequest["policy"] = "SingleStack"): AddressRequest {
  return { namespace: "default", families, policy };
}

function wanting(uid: string, asked: Partial<AddressRequest> = {}): Wanting {
  return { uid, namespace: "default", families: [4], policy: "SingleStack", ...asked };
}

/** `assign` with a name per Service and its earlier addresses, as texts; the result as texts. */
function assigned(data: Data, services: readonly (Wanting | string)[], given: { readonly previous?: Readonly<Record<string, readonly string[]>>; readonly taken?: readonly string[]; readonly excluded?: readonly string[] } = {}): unknown {
  const { grants, refused } = assign({
    pools: poolsOf(data),
    wanting: services.map((service) => (typeof service === "string" ? wanting(service) : service)),
    previous: new Map(Object.entries(given.previous ?? {}).map(([uid, texts]) => [uid, texts.map(ip)])),
    taken: ips(...(given.taken ?? [])),
    excluded: ips(...(given.excluded ?? [])),
  });
  return { ...Object.fromEntries([...refused].map(([uid, { code }]) => [uid, code])), ...Object.fromEntries([...grants].map(([uid, { addresses }]) => [uid, addresses.join(",")])) };
}

const DUAL: Data = { "cidr-default": "192.0.2.0/29,2001:db8::/64" };
const FOUR: Data = { "range-default": "192.0.2.1-192.0.2.4" };
const SIX: Data = { "cidr-global": "2001:db8::/64" };

describe("one request", () => {
  const rows: readonly [string, Data, AddressRequest, readonly string[], unknown][] = [
    ["gets the lowest free address", FOUR, request([4]), ["192.0.2.1", "192.0.2.3"], ["192.0.2.2"]],
    ["gets the highest where that is asked for", { ...FOUR, "search-order": "desc" }, request([4]), ["192.0.2.4", "192.0.2.2"], ["192.0.2.3"]],
    ["goes on in the next range", { "range-default": "192.0.2.9,192.0.2.1" }, request([4]), ["192.0.2.1"], ["192.0.2.9"]],
    ["goes back to the range before, highest first", { "range-default": "192.0.2.9,192.0.2.1", "search-order": "desc" }, request([4]), ["192.0.2.9"], ["192.0.2.1"]],
    ["for both gets them in its own order", DUAL, request([6, 4], "RequireDualStack"), ["2001:db8::1"], ["2001:db8::2", "192.0.2.1"]],
    ["for both that names one family gets both", DUAL, request([6], "RequireDualStack"), [], ["2001:db8::1", "192.0.2.1"]],
    ["that prefers both gets both", DUAL, request([4, 6], "PreferDualStack"), [], ["192.0.2.1", "2001:db8::1"]],
    ["that prefers both gets the one that the pool has", SIX, request([4, 6], "PreferDualStack"), [], ["2001:db8::1"]],
    ["that prefers both gets the one that is left", { "range-default": "192.0.2.1,2001:db8::1" }, request([4, 6], "PreferDualStack"), ["192.0.2.1"], ["2001:db8::1"]],
    ["that prefers both in a cluster of one family gets that family", DUAL, request([4], "PreferDualStack"), [], ["192.0.2.1"]],
    ["for one gets the first that it names", DUAL, request([6, 4]), [], ["2001:db8::1"]],
    ["that names no family gets IPv4", DUAL, request([]), [], ["192.0.2.1"]],
    ["that names no family gets what there is", SIX, request([]), [], ["2001:db8::1"]],
    ["that names no family and prefers both gets both", DUAL, request([], "PreferDualStack"), [], ["192.0.2.1", "2001:db8::1"]],
    ["is refused where there is no pool", {}, request([4]), [], { code: "noPool", message: "there is no pool for namespace default: expected cidr-default, range-default, cidr-global or range-global in the ConfigMap, or svc_addresses" }],
    ["is refused where the pool has only the other family", SIX, request([4]), [], { code: "noPool", message: "cidr-global has no IPv4 addresses, only IPv6" }],
    ["for both is refused where the pool has one", SIX, request([4, 6], "RequireDualStack"), [], { code: "noPool", message: "cidr-global has no IPv4 addresses, only IPv6" }],
    ["is refused where all are taken", FOUR, request([4]), ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"], { code: "exhausted", message: "all 4 IPv4 addresses of range-default are taken" }],
    ["for both is refused where one is left", { "range-default": "192.0.2.1,2001:db8::1" }, request([4, 6], "RequireDualStack"), ["2001:db8::1"], { code: "exhausted", message: "all 1 IPv6 addresses of range-default are taken" }],
    ["that prefers both is refused where none is left", { "range-default": "192.0.2.1,2001:db8::1" }, request([4, 6], "PreferDualStack"), ["192.0.2.1", "2001:db8::1"], { code: "exhausted", message: "all 1 IPv4 addresses of range-default are taken; all 1 IPv6 addresses of range-default are taken" }],
    ["that prefers both is refused where the one family there is is taken", { "range-default": "192.0.2.1" }, request([4, 6], "PreferDualStack"), ["192.0.2.1"], { code: "exhausted", message: "all 1 IPv4 addresses of range-default are taken; range-default has no IPv6 addresses, only IPv4" }],
    ["is sent to DHCP", { "cidr-default": "0.0.0.0/32" }, request([4]), [], { code: "dhcp", message: "cidr-default is 0.0.0.0/32: the address is to come from a DHCP server" }],
    ["that prefers both is sent to DHCP", { "cidr-default": "0.0.0.0/32" }, request([4, 6], "PreferDualStack"), [], { code: "dhcp", message: "cidr-default is 0.0.0.0/32: the address is to come from a DHCP server" }],
    ["for IPv6 is not sent to DHCP", { "cidr-default": "0.0.0.0/32" }, request([6]), [], { code: "noPool", message: "cidr-default is 0.0.0.0/32 (DHCP), which gives one IPv4 address only" }],
    ["for both is not sent to DHCP", { "cidr-default": "0.0.0.0/32" }, request([4, 6], "RequireDualStack"), [], { code: "noPool", message: "cidr-default is 0.0.0.0/32 (DHCP), which gives one IPv4 address only" }],
    ["is told that the pool is damaged", { "cidr-default": "10.0.0.0/33" }, request([4]), [], { code: "noPool", message: "cidr-default has no IPv4 addresses, and a part of it does not parse" }],
  ];
  test.each(rows)("%s", (_name, data, asked, taken, outcome) => {
    const grant = allocate(asked, poolsOf(data), ips(...taken));
    expect(grant).toEqual(Array.isArray(outcome) ? { type: "granted", addresses: outcome, iface: undefined } : { type: "refused", ...(outcome as object) });
  });

  test("is told the interface of its namespace", () => {
    expect(allocate(request([4]), poolsOf({ ...FOUR, "interface-default": "eth3" }), new Set())).toMatchObject({ iface: "eth3" });
  });

  test("looks at no more addresses than are taken, however large the pool, from both ends", () => {
    for (const order of ["asc", "desc"]) {
      const pools = poolsOf({ "cidr-global": "10.0.0.0/8,2001:db8::/64", "search-order": order });
      const taken = new Set<IpAddress>();
      for (let i = 0; i < 50; i++) {
        const grant = allocate(request([4, 6], "RequireDualStack"), pools, taken);
        if (grant.type === "granted") for (const address of grant.addresses) taken.add(address);
      }
      expect(taken.size).toBe(100);
      let looks = 0;
      allocate(request([4, 6], "RequireDualStack"), pools, (address) => ++looks > 0 && taken.has(address));
      expect(looks).toBe(102);
    }
  });

  test("and ten thousand in one pass look at each address once or twice", () => {
    const pools = poolsOf({ "cidr-global": "10.0.0.0/16" });
    let looks = 0;
    const free = new FreeAddresses(pools, () => ++looks === 0);
    const last = [...Array(10_000).keys()].map(() => allocateFrom(request([4]), free)).at(-1);
    expect(last).toEqual({ type: "granted", addresses: ["10.0.39.16"], iface: undefined });
    expect(looks).toBeLessThanOrEqual(20_000);
  });
});

describe("all that want one", () => {
  test("get theirs in their order, and the last ones are refused", () => {
    expect(assigned(FOUR, ["a", "b", "c", "d", "e"], { taken: ["192.0.2.2"] })).toEqual({ a: "192.0.2.1", b: "192.0.2.3", c: "192.0.2.4", d: "exhausted", e: "exhausted" });
  });

  const rows: readonly [string, Data, readonly (Wanting | string)[], Parameters<typeof assigned>[2], unknown][] = [
    ["who has one keeps it, although an older one wants it too", FOUR, ["a", "b"], { previous: { b: ["192.0.2.1"] } }, { a: "192.0.2.2", b: "192.0.2.1" }],
    ["who has one keeps it although a lower one is free", FOUR, ["a"], { previous: { a: ["192.0.2.3"] } }, { a: "192.0.2.3" }],
    ["one that somebody asks for by name is lost", FOUR, ["a"], { previous: { a: ["192.0.2.1"] }, taken: ["192.0.2.1"] }, { a: "192.0.2.2" }],
    ["one that left the pool is lost", FOUR, ["a"], { previous: { a: ["198.51.100.1"] } }, { a: "192.0.2.1" }],
    ["one that left the pool stays while a part of the pool does not parse", { "range-default": "192.0.2.1-192.0.2.4,198.51.10.1-" }, ["a", "b"], { previous: { a: ["198.51.100.1"] } }, { a: "198.51.100.1", b: "192.0.2.1" }],
    ["one for which there is no pool any more is lost", {}, ["a"], { previous: { a: ["192.0.2.1"] } }, { a: "noPool" }],
    ["one of a pool that is DHCP now is lost", { "cidr-default": "0.0.0.0/32" }, ["a"], { previous: { a: ["192.0.2.1"] } }, { a: "dhcp" }],
    ["two that had the same: the older one keeps it", FOUR, ["a", "b"], { previous: { a: ["192.0.2.1"], b: ["192.0.2.1"] } }, { a: "192.0.2.1", b: "192.0.2.2" }],
    ["what one had that is no longer there is free", FOUR, ["b"], { previous: { a: ["192.0.2.1"] } }, { b: "192.0.2.1" }],
    ["excluded ones are not given", FOUR, ["a", "b"], { excluded: ["192.0.2.1", "192.0.2.3"] }, { a: "192.0.2.2", b: "192.0.2.4" }],
    ["excluded ones are kept", FOUR, ["a", "b"], { excluded: ["192.0.2.1", "192.0.2.2"], previous: { b: ["192.0.2.2"] } }, { a: "192.0.2.3", b: "192.0.2.2" }],
    ["of another family than wanted now is lost", DUAL, ["a"], { previous: { a: ["2001:db8::7"] } }, { a: "192.0.2.1" }],
    ["two of a Service that is of one family now: the one of its family stays", DUAL, ["a"], { previous: { a: ["2001:db8::7", "192.0.2.3"] } }, { a: "192.0.2.3" }],
    ["the second family is added when there is one", DUAL, [wanting("a", request([6, 4], "PreferDualStack"))], { previous: { a: ["192.0.2.3"] } }, { a: "2001:db8::1,192.0.2.3" }],
    ["who names no family stays with the one that it has", DUAL, [wanting("a", { families: [] })], { previous: { a: ["2001:db8::7"] } }, { a: "2001:db8::7" }],
    ["a pair that is refused holds nothing back", { "range-default": "192.0.2.1" }, [wanting("a", request([4, 6], "RequireDualStack")), "b"], {}, { a: "noPool", b: "192.0.2.1" }],
    ["namespaces whose pools overlap do not collide", { "range-default": "192.0.2.1-192.0.2.4", "range-global": "192.0.2.1-192.0.2.2" }, ["a", wanting("b", { namespace: "other" }), "c", wanting("d", { namespace: "other" })], {}, { a: "192.0.2.1", b: "192.0.2.2", c: "192.0.2.3", d: "exhausted" }],
  ];
  test.each(rows)("%s", (_name, data, services, given, outcome) => expect(assigned(data, services, given)).toEqual(outcome));

  test("a pair that lost one keeps the other, and is told what it lacks", () => {
    const asked = wanting("a", request([4, 6], "RequireDualStack"));
    const { grants, refused } = assign({ pools: poolsOf(FOUR), wanting: [asked], previous: new Map([["a", [ip("192.0.2.3"), ip("2001:db8::1")]]]), taken: new Set() });
    expect(grants.get("a")?.addresses).toEqual(["192.0.2.3"]);
    expect(refused.get("a")).toEqual({ code: "noPool", message: "range-default has no IPv6 addresses, only IPv4" });
  });

  test("nobody: nothing is made anew", () => {
    const none = (): Assigned => assign({ pools: poolsOf(FOUR), wanting: [], previous: new Map([["a", [ip("192.0.2.1")]]]), taken: new Set() });
    expect(none()).toEqual({ grants: new Map(), refused: new Map() });
    expect(none()).toBe(none());
  });
});

// Few addresses and many Services, so that pools run out, overlap and are fought for.
const v4 = fc.nat(15).map((n) => ip(`192.0.2.${n + 1}`));
const v6 = fc.nat(15).map((n) => ip(`2001:db8::${(n + 1).toString(16)}`));
const some = fc.uniqueArray(fc.oneof(v4, v6), { maxLength: 8 });
const entry = fc.constantFrom("192.0.2.0/29", "192.0.2.4-192.0.2.9", "2001:db8::/126", "2001:db8::3-2001:db8::8", "192.0.2.1-192.0.2.3,2001:db8::1-2001:db8::3", "0.0.0.0/32", "oops,192.0.2.14");
const data: fc.Arbitrary<Data> = fc.tuple(fc.dictionary(fc.constantFrom("cidr-a", "range-a", "cidr-b", "range-global"), entry), fc.constantFrom("asc", "desc")).map(([keys, order]) => ({ ...keys, "search-order": order }));
const asking: fc.Arbitrary<AddressRequest> = fc.record({
  namespace: fc.constantFrom("a", "b", "c"),
  families: fc.constantFrom<readonly Family[]>([], [4], [6], [4, 6], [6, 4]),
  policy: fc.constantFrom<AddressRequest["policy"]>("SingleStack", "PreferDualStack", "RequireDualStack"),
});
const services = fc.array(asking, { maxLength: 12 }).map((all) => all.map((one, i): Wanting => ({ uid: `s${i}`, ...one })));
const input: fc.Arbitrary<AssignInput> = fc
  .tuple(data, services, fc.array(fc.uniqueArray(fc.oneof(v4, v6), { maxLength: 2 }), { maxLength: 14 }), some, some)
  .map(([keys, wants, had, taken, excluded]) => ({ pools: poolsOf(keys), wanting: wants, previous: new Map(had.map((addresses, i) => [`s${i}`, addresses])), taken: new Set(taken), excluded: new Set(excluded) }));

const previousOf = (result: Assigned): AssignInput["previous"] => new Map([...result.grants].map(([uid, { addresses }]) => [uid, addresses]));

function inPool(pools: Pools, namespace: string, address: IpAddress): boolean {
  const pool = poolOf(pools, namespace);
  return pool !== undefined && (pool.damaged || inRanges(pool.ranges[familyOf(address)], ipToNumber(address)));
}

describe("whatever is wanted", () => {
  const holds = (property: (given: AssignInput, result: Assigned) => void) => (): void => {
    fc.assert(fc.property(input, (given) => property(given, assign(given))), { seed: 1, numRuns: runsOf(2000) });
  };

  test("no address is given twice, none of the taken, and of the excluded only those that were had", holds((given, result) => {
    const all = [...result.grants.values()].flatMap(({ addresses }) => addresses);
    expect(new Set(all).size).toBe(all.length);
    expect(all.filter((address) => given.taken.has(address))).toEqual([]);
    for (const [uid, { addresses }] of result.grants) {
      expect(addresses.filter((address) => given.excluded?.has(address) === true && given.previous.get(uid)?.includes(address) !== true)).toEqual([]);
    }
  }));

  test("each address is of the pool of its namespace and of a family that the Service wants, one per family", holds((given, result) => {
    for (const { uid, namespace, families, policy } of given.wanting) {
      const addresses = result.grants.get(uid)?.addresses ?? [];
      expect(addresses.every((address) => inPool(given.pools, namespace, address))).toBe(true);
      const got = addresses.map(familyOf);
      expect(new Set(got).size).toBe(got.length);
      if (policy === "SingleStack") expect(got.length).toBeLessThanOrEqual(1);
      if (families.length > 0 && policy !== "RequireDualStack") expect(got).toEqual(families.filter((family) => got.includes(family)));
    }
  }));

  test("each gets an answer, and only one with an earlier address gets half of a pair", holds((given, result) => {
    for (const { uid, policy } of given.wanting) {
      const [grant, refusal] = [result.grants.get(uid), result.refused.get(uid)];
      expect(grant ?? refusal).toBeDefined();
      if (grant === undefined) continue;
      if (policy === "RequireDualStack") expect(refusal === undefined).toBe(grant.addresses.length === 2);
      else expect(refusal).toBeUndefined();
      if (refusal !== undefined) expect(grant.addresses.every((address) => given.previous.get(uid)?.includes(address))).toBe(true);
    }
    expect(new Set([...result.grants.keys(), ...result.refused.keys()]).size).toBe(given.wanting.length);
  }));

  test("with the result as what was had, the result is the same", holds((given, result) => {
    const again = assign({ ...given, previous: previousOf(result) });
    expect(again.grants).toEqual(result.grants);
    // Not the texts: that of a pair names the families that ran out, and a later Service may have had the last of the other.
    expect([...again.refused].map(([uid, { code }]) => [uid, code])).toEqual([...result.refused].map(([uid, { code }]) => [uid, code]));
  }));

  test("an earlier address is kept while its pool has it and nobody else is to have it", holds((given, result) => {
    for (const { uid, namespace, families, policy } of given.wanting) {
      if (policy === "SingleStack" && families.length !== 1) continue;
      const wantedFamilies = policy === "RequireDualStack" || families.length === 0 ? [4, 6] : families;
      for (const address of given.previous.get(uid) ?? []) {
        const rivals = given.wanting.filter((other) => given.previous.get(other.uid)?.includes(address));
        const first = given.previous.get(uid)?.find((other) => familyOf(other) === familyOf(address)) === address;
        if (rivals.length > 1 || !first || !wantedFamilies.includes(familyOf(address)) || given.taken.has(address) || !inPool(given.pools, namespace, address)) continue;
        expect(result.grants.get(uid)?.addresses).toContain(address);
      }
    }
  }));

  test("one more Service changes nothing for those that have theirs, wherever it stands in the order", () => {
    fc.assert(
      fc.property(input, asking, fc.nat(), (given, more, at) => {
        const before = assign(given);
        const holders = given.wanting.filter(({ uid }) => before.grants.has(uid));
        const place = at % (holders.length + 1);
        const after = assign({ ...given, wanting: [...holders.slice(0, place), { uid: "new", ...more }, ...holders.slice(place)], previous: previousOf(before) });
        for (const [uid, { addresses }] of before.grants) expect(after.grants.get(uid)?.addresses).toEqual(expect.arrayContaining([...addresses]));
      }),
      { seed: 1, numRuns: runsOf(2000) },
    );
  });

  test("one more at the end changes nothing at all for those before it", () => {
    fc.assert(
      fc.property(input, asking, (given, more) => {
        const [before, after] = [assign(given), assign({ ...given, wanting: [...given.wanting, { uid: "new", ...more }] })];
        for (const { uid } of given.wanting) expect(after.grants.get(uid)).toEqual(before.grants.get(uid));
      }),
      { seed: 1, numRuns: runsOf(2000) },
    );
  });

  test("without pools nobody gets or keeps anything", holds((given) => {
    const result = assign({ ...given, pools: poolsOf({}) });
    expect(result.grants.size).toBe(0);
    expect([...result.refused.values()].every(({ code }) => code === "noPool")).toBe(true);
    expect(result.refused.size).toBe(given.wanting.length);
  }));

  test("who is refused as exhausted finds no free address: all are taken, excluded or given", holds((given, result) => {
    const gone = new Set([...given.taken, ...(given.excluded ?? []), ...[...result.grants.values()].flatMap(({ addresses }) => addresses)]);
    for (const { uid, namespace, families, policy } of given.wanting) {
      if (result.refused.get(uid)?.code !== "exhausted" || policy === "RequireDualStack") continue;
      expect(allocate({ namespace, families, policy }, given.pools, gone)).toMatchObject({ code: "exhausted" });
    }
  }));
});
