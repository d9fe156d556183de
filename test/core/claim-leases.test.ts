import { describe, expect, test } from "vitest";
import { memberName, partOfLease, shardName } from "../../src/core/claim-leases.js";
import type { Lease } from "../../src/ports/kube.js";
import { ClaimsBench, keysOf, shared, wishesOf } from "./claims-bench.js";

const LONG = `${"a".repeat(60)}.`.repeat(4).slice(0, 243);

function lease(name: string, annotations: Readonly<Record<string, string>> = {}): Lease {
  const record = { holderIdentity: "", leaseDurationSeconds: 5, acquireTime: undefined, renewTime: undefined, leaseTransitions: 0 };
  return { id: { namespace: "kube-system", name }, uid: "u", resourceVersion: "1", record, annotations };
}

describe("names of Leases", () => {
  test.each([
    ["node-1.example.com", "vip-member-node-1.example.com"],
    [LONG.slice(0, 242), `vip-member-${LONG.slice(0, 242)}`],
  ])("a node's name follows the prefix: %s", (node, name) => {
    expect(memberName(node)).toBe(name);
    expect(partOfLease(lease(name))).toEqual({ node });
  });

  test.each([243, 244, 253])("one of %i characters is cut to what the API takes, and different ones stay different", (length) => {
    const node = `${LONG}${"b".repeat(10)}`.slice(0, length);
    const name = memberName(node);
    expect(name.length).toBeLessThanOrEqual(253);
    expect(name).toMatch(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
    expect(memberName(`${node.slice(0, -1)}c`)).not.toBe(name);
    expect(partOfLease(lease(name, { "vip.internal/node": node }))).toEqual({ node });
  });

  test.each([
    ["vip-claims-0", { shard: 0 }],
    ["vip-claims-15", { shard: 15 }],
    ["vip-claims-16", undefined],
    ["vip-claims-", undefined],
    ["vip-claims-01", undefined],
    ["plndr-svcs-lock", undefined],
  ])("%s", (name, part) => {
    expect(partOfLease(lease(name))).toEqual(part);
    if (part !== undefined) expect(shardName(part.shard)).toBe(name);
  });

  test("a copy of a member's Lease under another name is nobody's", () => {
    expect(partOfLease(lease("vip-member-n9", { "vip.internal/node": "n1" }))).toBeUndefined();
  });
});

/** Writes into a Lease as somebody with `kubectl edit` would. */
async function spoil(bench: ClaimsBench, name: string, annotations: Readonly<Record<string, string>>): Promise<void> {
  const known = bench.kube.lease(name);
  if (known === undefined) throw new Error(`no lease ${name}`);
  await bench.kube.leases.replace(known, { ...known.record, annotations }, 1000, new AbortController().signal);
}

describe("what somebody else does to the Leases", () => {
  test("a member whose own Lease is not readable any more begins a new life, and everything is held again", async () => {
    await using bench = await shared(keysOf(12));
    const { incarnation } = bench.member("n1");
    await spoil(bench, "vip-member-n1", { "vip.internal/member": "oops" });
    await bench.clock.advance(8000);
    expect(bench.member("n1")).toMatchObject({ state: "live" });
    expect(bench.member("n1")["incarnation"]).toBeGreaterThan(incarnation as number);
    expect(bench.holders().size).toBe(12);
    expect(bench.at("n2").log.lines).toContainEqual(expect.objectContaining({ level: "warn", lease: "vip-member-n1", message: "lease of a member is not readable, what was known of it stays" }));
  });

  test("a shard that is not readable is said to be unknown, its keys stay where they are, and it is used again once it is readable", async () => {
    await using bench = await shared(keysOf(12));
    const [name = ""] = bench.kube.leasesOf("vip-claims-").map(({ id }) => id.name);
    const text = bench.kube.lease(name)?.annotations["vip.internal/claims"] ?? "";
    const [key] = Object.keys(JSON.parse(text) as object);
    const before = bench.holders();
    await spoil(bench, name, { "vip.internal/claims": "[" });
    await bench.clock.advance(3000);
    expect(bench.at("n1").claims.states().get(key as "services")?.view).toBe("unknown");
    expect(bench.holders()).toEqual(before);
    await spoil(bench, name, { "vip.internal/claims": text });
    await bench.clock.advance(3000);
    expect(bench.at("n1").claims.states().get(key as "services")?.view).not.toBe("unknown");
    expect(bench.holders()).toEqual(before);
  });

  test.each(["vip-claims-", "vip-member-"])("all Leases %s… are deleted: they are made again, and everything is held by one within a lease time and a second", async (prefix) => {
    await using bench = await shared(keysOf(12));
    for (const { id } of bench.kube.leasesOf(prefix)) bench.kube.removeLease(id.name);
    await bench.clock.advance(6000);
    expect(bench.kube.leasesOf(prefix).length).toBeGreaterThan(0);
    expect([...bench.holders().values()].filter((holder) => /^n\d$/.test(holder))).toHaveLength(12);
  });

  test("a node with a name of 253 characters takes part like any other", async () => {
    const bench = new ClaimsBench();
    await using _ = bench;
    const long = `${LONG}${"b".repeat(10)}`;
    for (const name of ["n1", long]) bench.start(name);
    bench.wish(wishesOf(keysOf(12)));
    await bench.clock.advance(40_000);
    expect(bench.holders().size).toBe(12);
    expect(bench.counts()[long]).toBeGreaterThan(3);
    await bench.kill(long);
    await bench.clock.advance(6000);
    expect(bench.counts()["n1"]).toBe(12);
    expect(bench.kube.lease(memberName(long))?.annotations["vip.internal/node"]).toBe(long);
  });
});
