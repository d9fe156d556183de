import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { groupsOf, membersOf } from "../../src/core/groups.js";
import { askedOf } from "../../src/core/plan-service.js";
import type { Service } from "../../src/ports/kube.js";
import { fakeService } from "../fakes/service.js";
import { PLAN_CONFIG } from "./given.js";

function members(part: Partial<Service>): readonly string[] {
  const service = fakeService(part);
  return membersOf(service, askedOf(service, PLAN_CONFIG));
}

describe("what a Service declares", () => {
  test.each<readonly [string, Partial<Service>, readonly string[]]>([
    ["an address", { loadBalancerIP: "192.0.2.10" }, ["192.0.2.10"]],
    ["addresses of both families", { annotations: { "kube-vip.io/loadbalancerIPs": "192.0.2.10,2001:db8::10" } }, ["192.0.2.10", "2001:db8::10"]],
    ["a name, as it is written", { annotations: { "kube-vip.io/loadbalancerIPs": "Web.example.org" } }, ["web.example.org"]],
    ["a Lease in its own namespace", { loadBalancerIP: "192.0.2.10", annotations: { "kube-vip.io/leaseName": "common" } }, ["192.0.2.10", "lease/default/common"]],
    ["a Lease in another namespace", { loadBalancerIP: "192.0.2.10", annotations: { "kube-vip.io/leaseName": "lb/common" } }, ["192.0.2.10", "lease/lb/common"]],
    ["nothing yet", {}, []],
    ["what was given to it from a pool", { annotations: { "vip.internal/granted": "192.0.2.7" } }, ["192.0.2.7"]],
  ])("%s", (_name, part, expected) => {
    expect(members(part)).toEqual(expected);
  });
});

describe("groups", () => {
  test.each<readonly [string, readonly (readonly string[])[], Readonly<Record<string, string>>]>([
    ["Services with nothing in common are apart", [["a"], ["b"]], { a: "svc/a", b: "svc/b" }],
    ["one address, one group", [["a"], ["a"]], { a: "svc/a" }],
    ["both addresses of one Service are together", [["b", "a"]], { a: "svc/a", b: "svc/a" }],
    ["a Service joins two groups that were apart", [["c"], ["b", "d"], ["d", "c"]], { b: "svc/b", c: "svc/b", d: "svc/b" }],
    ["the smallest member gives the name, whoever comes first", [["z", "m"], ["m", "a"]], { z: "svc/a", m: "svc/a", a: "svc/a" }],
  ])("%s", (_name, sets, expected) => {
    expect(Object.fromEntries(groupsOf(sets))).toEqual(expected);
  });

  test("are the same in whatever order the Services are known, and join exactly what is connected", () => {
    const sets = fc.array(fc.array(fc.integer({ min: 0, max: 12 }).map(String), { minLength: 1, maxLength: 3 }), { maxLength: 12 });
    fc.assert(
      fc.property(sets, (given) => {
        const groups = groupsOf(given);
        expect(Object.fromEntries(groupsOf(given.toReversed()))).toEqual(Object.fromEntries(groups));
        for (const [member, group] of groups) expect(group).toBe(`svc/${[...reachable(member, given)].sort()[0] ?? ""}`);
      }),
    );
  });
});

/** By walking, as an oracle. */
function reachable(from: string, sets: readonly (readonly string[])[]): ReadonlySet<string> {
  const seen = new Set([from]);
  for (let size = 0; size !== seen.size; ) {
    size = seen.size;
    for (const set of sets) if (set.some((member) => seen.has(member))) for (const member of set) seen.add(member);
  }
  return seen;
}
