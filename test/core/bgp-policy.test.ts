import { describe, expect, test } from "vitest";
import { bgpPolicyOf } from "../../src/core/bgp-policy.js";

const of = (annotations: Readonly<Record<string, string>>) => bgpPolicyOf(Object.fromEntries(Object.entries(annotations).map(([name, text]) => [`vip.internal/bgp-${name}`, text])));

describe("the policy of a Service's routes", () => {
  test("is empty without annotations", () => {
    expect(bgpPolicyOf({ "kube-vip.io/loadbalancerIPs": "192.0.2.1" })).toEqual({ policy: {}, peers: undefined, problems: [] });
  });

  test("has all that a route can say", () => {
    expect(of({ communities: "65000:100, no-export,64496:1:2, large:64496:1:3,65000:100", "local-pref": "0", med: "4294967295", prepend: "3", peers: "tor-a, tor-b" })).toEqual({
      policy: { communities: [0xfde80064, 0xffffff01], largeCommunities: [{ global: 64_496, local1: 1, local2: 2 }, { global: 64_496, local1: 1, local2: 3 }], localPref: 0, med: 4_294_967_295, prepend: 3 },
      peers: ["tor-a", "tor-b"],
      problems: [],
    });
  });

  test.each<readonly [string, Readonly<Record<string, string>>, string]>([
    ["a community that is none", { communities: "65536:1,65000:1", med: "5" }, 'vip.internal/bgp-communities has "65536:1": expected communities such as'],
    ["the name of something else", { communities: "constructor", med: "5" }, 'vip.internal/bgp-communities has "constructor": expected'],
    ["a number out of range", { "local-pref": "4294967296", med: "5" }, 'vip.internal/bgp-local-pref is "4294967296": expected a whole number from 0 to 4294967295'],
    ["no number", { prepend: "twice", med: "5" }, 'vip.internal/bgp-prepend is "twice": expected a whole number from 0 to 32'],
    ["nothing", { prepend: "", med: "5" }, 'vip.internal/bgp-prepend is "": expected a whole number from 0 to 32'],
  ])("%s is told, and the rest counts", (_name, annotations, problem) => {
    const { policy, problems } = of(annotations);
    expect(problems).toEqual([expect.stringContaining(problem)]);
    expect(policy).toMatchObject({ med: 5 });
    expect(policy).not.toHaveProperty("prepend");
  });

  test("with an empty list of peers goes to none, which is said", () => {
    expect(of({ peers: " , " })).toMatchObject({ peers: [], problems: [expect.stringContaining("vip.internal/bgp-peers is empty: expected names of peers")] });
  });
});
