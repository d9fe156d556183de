import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EndpointIndex, mergeSlices, NO_ENDPOINTS, type ServiceEndpoints } from "../../src/core/endpoints.js";
import type { ServiceKey } from "../../src/core/model.js";
import type { EndpointSlice } from "../../src/ports/kube.js";
import { fakeSlice } from "./given.js";

const KEY = "default/web" as ServiceKey;

function slices(...all: readonly EndpointSlice[]): ReadonlyMap<string, EndpointSlice> {
  return new Map(all.map((slice) => [`${slice.namespace}/${slice.name}`, slice]));
}

/** What counts, in short. */
function shown({ serving, onNodes, local, readyElsewhere, targets }: ServiceEndpoints): string {
  return [serving ? "serving" : "none serves", ...(onNodes ? ["on nodes"] : []), `here: ${local}`, ...(readyElsewhere ? ["ready elsewhere"] : []), ...targets.map(({ name, address, port }) => `${name} ${address}:${port}`)].join(", ");
}

describe("what counts of the endpoints, seen from n1", () => {
  const here = "http 10.0.0.1:8080";
  // ready, serving and terminating as the EndpointSlice API defines them (KEP-1672).
  test.each<readonly [string, readonly string[], string]>([
    ["none at all", [], "none serves, here: none"],
    ["one here", ["n1"], `serving, on nodes, here: ready, ${here}`],
    ["one here, the node's name in capitals", ["N1"], `serving, on nodes, here: ready, ${here}`],
    ["one elsewhere", ["n2"], "serving, on nodes, here: none, ready elsewhere"],
    ["one here that is not ready", ["n1 unready"], "none serves, here: none"],
    ["one here that is about to end, and serves to the end", ["n1 terminating"], `serving, on nodes, here: terminating, ${here}`],
    ["one elsewhere that is about to end", ["n2 terminating"], "serving, on nodes, here: none"],
    ["one here that is about to end, one here that is ready", ["n1 terminating", "n1"], "serving, on nodes, here: ready, http 10.0.0.2:8080"],
    ["one here that is ready, one here that is about to end", ["n1", "n1 terminating"], `serving, on nodes, here: ready, ${here}`],
    ["one here that is about to end, one elsewhere that is ready", ["n1 terminating", "n2"], `serving, on nodes, here: terminating, ready elsewhere, ${here}`],
    ["one here that is not ready, one elsewhere that is", ["n1 unready", "n2"], "serving, on nodes, here: none, ready elsewhere"],
    ["one on no node", [""], "serving, here: none"],
    ["one on no node, one elsewhere", ["", "n2"], "serving, on nodes, here: none, ready elsewhere"],
    ["one elsewhere that is not ready, one on no node", ["n2 unready", ""], "serving, here: none"],
  ])("%s", (_name, endpoints, expected) => {
    expect(shown(mergeSlices([fakeSlice("a", endpoints)], "n1"))).toBe(expected);
  });

  test("all slices count together: of both families, of several ports, of more than 100 endpoints", () => {
    const big = Array.from({ length: 3 }, (_, i) => fakeSlice(`big-${i}`, Array.from({ length: 100 }, () => "n2")));
    const last = fakeSlice("last", ["n1"], { ports: [{ name: "a", protocol: "TCP", port: 1 }, { name: "b", protocol: "UDP", port: 2 }] });
    const six = fakeSlice("six", [], { family: "IPv6", endpoints: [{ address: "2001:DB8::1", nodeName: "n1", ready: true, serving: true, terminating: false }] });
    const before = new EndpointIndex("n1").update(slices(...big)).get(KEY);
    expect(before === undefined ? "" : shown(before)).toBe("serving, on nodes, here: none, ready elsewhere");
    expect(shown(mergeSlices([...big, last, six], "n1"))).toBe("serving, on nodes, here: ready, ready elsewhere, a 10.0.0.1:1, b 10.0.0.1:2, http 2001:db8::1:8080");
  });

  test("an address that is none is no target, and harms no other", () => {
    const odd = { ...fakeSlice("a", ["n1", "n1"]), endpoints: [{ address: "nonsense", nodeName: "n1", ready: true, serving: true, terminating: false }, ...fakeSlice("a", ["n1"]).endpoints] };
    expect(mergeSlices([odd], "n1").targets).toMatchObject([{ address: "10.0.0.1" }]);
  });
});

describe("as slices come and go", () => {
  test("a Service is what its slices add up to, and nothing once the last is gone", () => {
    const index = new EndpointIndex("n1");
    const of = (...all: readonly EndpointSlice[]): string => shown(index.update(slices(...all)).get(KEY) ?? NO_ENDPOINTS);
    const [near, far] = [fakeSlice("near", ["n1"]), fakeSlice("far", ["n2"])];
    expect(of(near, far)).toBe("serving, on nodes, here: ready, ready elsewhere, http 10.0.0.1:8080");
    expect(of(far)).toBe("serving, on nodes, here: none, ready elsewhere");
    expect(of(fakeSlice("far", []))).toBe("none serves, here: none");
    expect(index.update(slices()).has(KEY)).toBe(false);
    expect(of(near)).toBe("serving, on nodes, here: ready, http 10.0.0.1:8080");
  });

  test("a slice that becomes another Service's leaves the first without it", () => {
    const index = new EndpointIndex("n1");
    index.update(slices(fakeSlice("a", ["n1"])));
    expect([...index.update(slices(fakeSlice("a", ["n1"], { service: "other" }))).keys()]).toEqual(["default/other"]);
  });

  test("Services of the same name in two namespaces are two", () => {
    const both = new EndpointIndex("n1").update(slices(fakeSlice("a", ["n1"]), fakeSlice("a", ["n2"], { namespace: "shop" })));
    expect([...both].map(([key, { local }]) => [key, local])).toEqual([[KEY, "ready"], ["shop/web", "none"]]);
  });

  const near = fakeSlice("near", ["n1"]);
  const also = fakeSlice("also", ["n1"], { ports: [{ name: "admin", protocol: "TCP", port: 9090 }] });
  const far = fakeSlice("far", ["n2"]);
  const farther = fakeSlice("farther", ["n3"]);
  test.each<readonly [string, readonly EndpointSlice[]]>([
    ["the same slices", [near, also, far, farther]],
    ["a slice anew, with the same in it", [near, also, fakeSlice("far", ["n2"]), farther]],
    ["one more endpoint elsewhere", [near, also, fakeSlice("far", ["n2", "n3"])]],
    ["an endpoint elsewhere that comes, not ready yet", [near, also, fakeSlice("far", ["n2", "n2 unready"]), farther]],
    ["an endpoint elsewhere in a slice that has one here, too", [fakeSlice("near", ["n1", "n3"]), also, far, farther]],
    ["a slice with nothing in it", [near, also, far, farther, fakeSlice("empty", [])]],
    ["a slice that is not needed goes", [near, also, fakeSlice("far", ["n2", "n3"])]],
  ])("the map is the very same where nothing that counts changes: %s", (_name, after) => {
    const index = new EndpointIndex("n1");
    const before = index.update(slices(near, also, far, farther));
    expect(index.update(slices(...after))).toBe(before);
  });

  test.each<readonly [string, readonly EndpointSlice[]]>([
    ["the port of a target", [fakeSlice("near", ["n1"], { ports: [{ name: "http", protocol: "TCP", port: 8081 }] }), far]],
    ["the protocol of a target", [fakeSlice("near", ["n1"], { ports: [{ name: "http", protocol: "UDP", port: 8080 }] }), far]],
    ["the name of a port", [fakeSlice("near", ["n1"], { ports: [{ name: "web", protocol: "TCP", port: 8080 }] }), far]],
    ["one more target", [fakeSlice("near", ["n1", "n1"]), far]],
    ["the last one here is about to end", [fakeSlice("near", ["n1 terminating"]), far]],
  ])("another map where something counts: %s", (_name, after) => {
    const index = new EndpointIndex("n1");
    const before = index.update(slices(near, far));
    const then = index.update(slices(...after));
    expect(then).not.toBe(before);
    expect(then.get(KEY)).not.toEqual(before.get(KEY));
  });

  test("after any 100 updates it is what a look at all slices says", () => {
    const endpoint = fc.constantFrom("n1", "n2", "", "n1 terminating", "n2 unready", "n1 unready");
    const slice = fc.record({ name: fc.constantFrom("a", "b", "c", "d", "e"), service: fc.constantFrom("web", "other"), endpoints: fc.array(endpoint, { maxLength: 3 }), gone: fc.boolean() });
    let compared = 0;
    fc.assert(
      fc.property(fc.array(slice, { minLength: 100, maxLength: 100 }), (updates) => {
        const index = new EndpointIndex("n1");
        const now = new Map<string, EndpointSlice>();
        for (const { name, service, endpoints, gone } of updates) {
          if (gone) now.delete(name);
          else now.set(name, fakeSlice(name, endpoints, { service }));
          expect(sorted(index.update(new Map(now)))).toEqual(sorted(fromScratch(now)));
          compared += 1;
        }
      }),
      { numRuns: 20, seed: 6 },
    );
    expect(compared).toBe(2000);
  });
});

function fromScratch(all: ReadonlyMap<string, EndpointSlice>): ReadonlyMap<ServiceKey, ServiceEndpoints> {
  const services = new Set([...all.values()].map(({ namespace, service }) => `${namespace}/${service}` as ServiceKey));
  return new Map([...services].map((key) => [key, mergeSlices([...all.values()].filter(({ namespace, service }) => `${namespace}/${service}` === key), "n1")]));
}

/** The order of targets means nothing. */
function sorted(of: ReadonlyMap<ServiceKey, ServiceEndpoints>): unknown {
  return Object.fromEntries([...of].map(([key, { targets, ...rest }]) => [key, { ...rest, targets: targets.map((target) => JSON.stringify(target)).sort() }]));
}
