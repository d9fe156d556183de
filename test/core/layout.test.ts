import { describe, expect, test } from "vitest";
import { layOut, type Layout, type LayoutConfig, type LayoutWorld, type Placed } from "../../src/core/layout.js";
import type { NameResult } from "../../src/core/names.js";
import { PlanMemo } from "../../src/core/plan-memo.js";
import { parsePools, type Pools } from "../../src/core/pools.js";
import { serviceKey, type ServiceKey } from "../../src/core/model.js";
import type { Service } from "../../src/ports/kube.js";
import { fakeIngress, fakeService } from "../fakes/service.js";
import { ip, NO_POOLS, PLAN_CONFIG } from "./given.js";

const A = "192.0.2.10";
const ROMANA = { romanaip: `{"ip":"${A}"}` };

function world(part: Partial<LayoutWorld> = {}): LayoutWorld {
  return { names: new Map(), leases: new Map(), pools: NO_POOLS, grants: new Map(), inUse: new Set(), reserved: new Set(), allocates: true, ...part };
}

/** As a pass does it: sorted, each with what follows from it alone. */
function layout(services: readonly Service[], given: LayoutWorld = world(), config: Partial<LayoutConfig> = {}): Layout {
  return new PlanMemo().layout(new Map(services.map((service): [ServiceKey, Service] => [serviceKey(service), service])), given, { ...PLAN_CONFIG, ...config });
}

/** A Service on 192.0.2.10 with this port, so many ms old. */
function on(name: string, port: string, part: Partial<Service> = {}): Service {
  const [protocol = "TCP", number] = port.split("/");
  return fakeService({ name, loadBalancerIP: A, ports: [{ name: "", protocol: protocol as "TCP", port: Number(number) }], ...part });
}

/** `a 192.0.2.10 services`, or with why not. */
function shown({ placed }: Layout): readonly string[] {
  return placed.map(({ service, addresses, reason }: Placed) => {
    const each = addresses.map(({ address, ownership, refused, mixedWith }) => [address, ownership, ...(refused === undefined ? [] : [refused.code]), ...(mixedWith === undefined ? [] : [`mixed with ${mixedWith}`])].join(" "));
    return [service.name, ...each, ...(reason === undefined ? [] : [reason.code])].join(" ");
  });
}

function messages({ placed }: Layout): readonly string[] {
  return placed.flatMap(({ addresses, reason }) => [...addresses.flatMap(({ refused }) => refused?.message ?? []), ...(reason === undefined ? [] : [reason.message])]);
}

describe("Services on one address", () => {
  const [first, second, third] = [1, 2, 3].map((createdAt) => ({ createdAt }));
  test.each<readonly [string, readonly Service[], readonly string[]]>([
    ["with different ports share it", [on("a", "TCP/80"), on("b", "TCP/81")], [`a ${A} services`, `b ${A} services`]],
    ["with one port by two protocols share it", [on("a", "TCP/53"), on("b", "UDP/53")], [`a ${A} services`, `b ${A} services`]],
    ["with one port: the older has it, whatever their names", [on("a", "TCP/80", second), on("b", "TCP/80", first)], [`b ${A} services`, `a ${A} services portConflict`]],
    ["of one age: by name", [on("b", "TCP/80"), on("a", "TCP/80")], [`a ${A} services`, `b ${A} services portConflict`]],
    ["a port of one that does not get the address is free for a third", [on("a", "TCP/80", first), fakeService({ name: "b", ...second, loadBalancerIP: A, ports: [{ name: "x", protocol: "TCP", port: 80 }, { name: "y", protocol: "TCP", port: 81 }] }), on("c", "TCP/81", third)], [`a ${A} services`, `b ${A} services portConflict`, `c ${A} services`]],
    ["mixed policies: the newer is told, and gets it", [on("a", "TCP/80"), on("b", "TCP/81", { externalTrafficPolicy: "Local" })], [`a ${A} services`, `b ${A} services mixed with default/a`]],
    ["a Romana VIP is alone: an older one", [on("a", "TCP/80", { annotations: ROMANA }), on("b", "TCP/81")], [`a ${A} romana/default/a`, `b ${A} romana/default/a addressTaken`]],
    ["a Romana VIP is alone: a newer one", [on("a", "TCP/80"), on("b", "TCP/81", { annotations: ROMANA })], [`a ${A} services`, `b ${A} services addressTaken`]],
    ["two Romana VIPs: the older", [on("a", "TCP/80", { annotations: ROMANA, ...second }), on("b", "TCP/81", { annotations: ROMANA, ...first })], [`b ${A} romana/default/b`, `a ${A} romana/default/b addressTaken`]],
    ["in two namespaces are two Services", [on("a", "TCP/80"), on("a", "TCP/80", { namespace: "shop", uid: "other" })], [`a ${A} services`, `a ${A} services portConflict`]],
    ["one that is none of ours takes nothing", [on("a", "TCP/80", { type: "ClusterIP" }), on("b", "TCP/80")], ["a notLoadBalancer", `b ${A} services`]],
    ["one that goes takes nothing", [on("a", "TCP/80", { deleting: true }), on("b", "TCP/80")], ["a ignored", `b ${A} services`]],
  ])("%s", (_name, services, expected) => {
    expect(shown(layout(services))).toEqual(expected);
  });

  test("a port that is taken is named, and who has it", () => {
    expect(messages(layout([on("a", "TCP/80"), on("b", "TCP/80")]))).toEqual([`TCP/80 of ${A} is taken by Service default/a, which had it first: expected another port, or another address`]);
    expect(messages(layout([on("a", "TCP/80"), on("b", "TCP/81", { annotations: ROMANA })]))).toEqual([`${A} belongs to Service default/a, and a Romana VIP is never shared: expected an address of its own`]);
  });

  test("each address of a Service is decided for itself", () => {
    const two = fakeService({ name: "b", createdAt: 1, annotations: { "kube-vip.io/loadbalancerIPs": `${A},192.0.2.11` } });
    expect(shown(layout([on("a", "TCP/80"), two]))).toEqual([`a ${A} services`, `b ${A} services portConflict 192.0.2.11 services`]);
  });
});

describe("the control plane's address", () => {
  const config = { controlPlane: [ip(A)] };
  test("is shared by a Service with another port, under the control plane's ownership; whatever its policy", () => {
    expect(shown(layout([on("a", "TCP/80"), on("b", "UDP/6443", { externalTrafficPolicy: "Local" })], world(), config))).toEqual([`a ${A} control-plane`, `b ${A} control-plane`]);
  });

  test("but never the API server's port, nor by a Romana VIP", () => {
    const found = layout([on("a", "TCP/6443"), on("b", "TCP/80", { annotations: ROMANA })], world(), config);
    expect(shown(found)).toEqual([`a ${A} control-plane portConflict`, `b ${A} control-plane addressTaken`]);
    expect(messages(found)[0]).toBe(`TCP/6443 of ${A} is the API server's: expected another port, or another address`);
    expect(messages(found)[1]).toContain("belongs to the control plane");
    expect(shown(layout([on("a", "TCP/6443")], world(), { ...config, controlPlanePort: 443 }))).toEqual([`a ${A} control-plane`]);
  });
});

describe("a name", () => {
  const named = fakeService({ annotations: { "kube-vip.io/loadbalancerIPs": `www.example.org,${A}` } });
  const recorded = { ...named, annotations: { ...named.annotations, "vip.internal/announced": `{"addresses":["192.0.2.20","${A}"],"node":"n2"}` } };
  const answer = (addresses: readonly string[], error?: string): ReadonlyMap<string, NameResult> => new Map([["www.example.org", { addresses: addresses.map(ip), error, resolvedAt: undefined }]]);

  test.each<readonly [string, Service, LayoutWorld["names"], string]>([
    ["not asked yet: the rest is served", named, new Map(), `web ${A} services waiting`],
    ["not asked here yet: what it stood for before", recorded, new Map(), `web 192.0.2.20 services ${A} services`],
    ["no answer, but an error", named, answer([], "no such name"), `web ${A} services unresolvedName`],
    ["no answer, although it had an address: that is gone", recorded, answer([], "no such name"), `web ${A} services unresolvedName`],
    ["an answer", named, answer(["192.0.2.30"]), `web 192.0.2.30 services ${A} services`],
    ["an old answer and an error: the answer is kept", named, answer(["192.0.2.30"], "timeout"), `web 192.0.2.30 services ${A} services`],
    ["another answer than before", recorded, answer(["192.0.2.30"]), `web 192.0.2.30 services ${A} services`],
    ["several, one of which was held before: that one", recorded, answer(["192.0.2.30", "192.0.2.20"]), `web 192.0.2.20 services ${A} services`],
    ["the very address that is there already", named, answer([A]), `web ${A} services`],
  ])("%s", (_name, service, names, expected) => {
    expect(shown(layout([service], world({ names })))).toEqual([expected]);
  });

  test("is followed, in lower case, for as long as a Service has it", () => {
    expect(layout([{ ...named, annotations: { "kube-vip.io/loadbalancerIPs": "WWW.example.org,b.example" } }]).placed[0]?.names).toEqual(["www.example.org", "b.example"]);
    expect(layout([{ ...named, deleting: true }]).placed[0]?.names).toEqual([]);
  });
});

describe("an address from the pool", () => {
  const POOLS: Pools = parsePools({ "range-global": "192.0.2.10-192.0.2.12" }, undefined).pools;
  const bare = (name: string, createdAt: number, part: Partial<Service> = {}): Service => fakeService({ name, createdAt, ...part });
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name, i) => bare(name, i)) as [Service, Service, Service, Service];
  const pooled = (part: Partial<LayoutWorld> = {}): LayoutWorld => world({ pools: POOLS, ...part });

  test.each<readonly [string, readonly Service[], LayoutWorld, readonly string[]]>([
    ["the older first, until there is none", [d, c, b, a], pooled(), ["a 192.0.2.10 services", "b 192.0.2.11 services", "c 192.0.2.12 services", "d poolExhausted"]],
    ["not one that a newer Service asks for by name", [a, bare("z", 9, { loadBalancerIP: A })], pooled(), ["a 192.0.2.11 services", `z ${A} services`]],
    ["not one that stands in a status of ours", [a, bare("z", 9, { annotations: { "vip.internal/announced": `{"addresses":["${A}"],"node":"n2"}` }, ingress: [fakeIngress(A)] })], pooled(), ["a 192.0.2.11 services", `z ${A} services`]],
    ["not one at which a stranger answered", [a], pooled({ inUse: new Set([ip(A)]) }), ["a 192.0.2.11 services"]],
    ["not one of a node or a gateway", [a], pooled({ reserved: new Set([ip(A)]) }), ["a 192.0.2.11 services"]],
    ["what it was given before", [b, a], pooled({ grants: new Map([["uid-b", [ip(A)]]]) }), ["a 192.0.2.11 services", `b ${A} services`]],
    ["a Romana VIP's too, under a key of its own", [bare("r", 1, { type: "ClusterIP", annotations: { romanaip: '{"auto":true}' } })], pooled(), ["r 192.0.2.10 romana/default/r"]],
    ["none where there are no pools", [a], world(), ["a noAddress"]],
    ["none before the pools are known", [a], world({ pools: undefined }), ["a waiting"]],
    ["none from a node that does not own the Services", [a], pooled({ allocates: false }), ["a"]],
    ["none where a DHCP server is to give it", [a], world({ pools: parsePools({ "cidr-global": "0.0.0.0/32" }, undefined).pools }), ["a dhcpPending"]],
    ["none to a Romana VIP where a DHCP server is to give it", [bare("r", 1, { type: "ClusterIP", annotations: { romanaip: '{"auto":true}' } })], world({ pools: parsePools({ "cidr-global": "0.0.0.0/32" }, undefined).pools }), ["r dhcpNotSupported"]],
  ])("%s", (_name, services, given, expected) => {
    expect(shown(layout(services, given))).toEqual(expected);
  });

  test("stays the same from pass to pass, as the very same map, until it is in a status; then it stands there", () => {
    const first = layout([a, b], pooled());
    expect([...first.grants]).toEqual([["uid-a", [A]], ["uid-b", ["192.0.2.11"]]]);
    const second = layout([a, b], pooled({ grants: first.grants }));
    expect(second.grants).toBe(first.grants);
    const said = { ...a, annotations: { "vip.internal/announced": `{"addresses":["${A}"],"node":"n1"}` } };
    const third = layout([said, b], pooled({ grants: second.grants }));
    expect([...third.grants]).toEqual([["uid-b", ["192.0.2.11"]]]);
    expect(shown(third)).toEqual(shown(first));
  });

  describe("of a dual-stack Service whose status has only the family that was up first", () => {
    const both = parsePools({ "cidr-global": "192.0.2.8/29,2001:db8::/120" }, undefined).pools;
    const dual: Partial<Service> = { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "RequireDualStack" };
    const said = (annotations: Readonly<Record<string, string>> = {}, part = dual): Service => bare("a", 0, { ...part, annotations: { "vip.internal/announced": `{"addresses":["192.0.2.9"],"node":"n1"}`, ...annotations } });
    const given = new Map([["uid-a", [ip("192.0.2.9"), ip("2001:db8::7")]]]);

    test.each<readonly [string, Service, LayoutWorld, readonly string[]]>([
      ["the other one stays", said(), world({ pools: both, grants: given }), ["a 192.0.2.9 services 2001:db8::7 services"]],
      ["the next free one is given, where nobody knows of another", said(), world({ pools: both }), ["a 192.0.2.9 services 2001:db8::1 services"]],
      ["another one is given, where a stranger has it", said(), world({ pools: both, grants: given, inUse: new Set([ip("2001:db8::7")]) }), ["a 192.0.2.9 services 2001:db8::1 services"]],
      ["that one serves, where the pools have no other", said(), pooled(), ["a 192.0.2.9 services"]],
      ["that one serves, on a node that does not own the Services", said(), world({ pools: both, allocates: false }), ["a 192.0.2.9 services"]],
      ["both, where it is written down what was given", said({ "vip.internal/granted": "192.0.2.9,2001:db8::7" }), world({ pools: both, allocates: false }), ["a 192.0.2.9 services 2001:db8::7 services"]],
      ["that one, for a Service that asks for no more", said({}, { ipFamilies: ["IPv4"], ipFamilyPolicy: "PreferDualStack" }), world({ pools: both, grants: given }), ["a 192.0.2.9 services"]],
    ])("%s", (_name, service, at, expected) => {
      expect(shown(layout([service], at))).toEqual(expected);
    });
  });

  test("of a Service that went is given to the next, and nobody else moves", () => {
    const { grants } = layout([a, b, c], pooled());
    const found = layout([b, c, d], pooled({ grants }));
    expect(shown(found)).toEqual(["b 192.0.2.11 services", "c 192.0.2.12 services", "d 192.0.2.10 services"]);
  });

  test("is given up by whoever no longer owns the Services, and found in the status by who does", () => {
    const { grants } = layout([a], pooled());
    expect(layout([a], pooled({ grants, allocates: false })).grants.size).toBe(0);
  });
});

test("a layout is made anew only when something that it comes from has changed", () => {
  const memo = new PlanMemo();
  const services = new Map([["default/web" as ServiceKey, fakeService({ loadBalancerIP: A })]]);
  const given = world();
  const before = memo.layout(services, given, PLAN_CONFIG);
  expect(memo.layout(services, { ...given }, PLAN_CONFIG)).toBe(before);
  for (const part of [{ names: new Map() }, { pools: parsePools({}, undefined).pools }, { grants: new Map() }, { inUse: new Set<never>() }, { reserved: new Set<never>() }, { allocates: false }]) {
    expect(memo.layout(services, { ...given, ...part }, PLAN_CONFIG), Object.keys(part).join()).not.toBe(before);
    memo.layout(services, given, PLAN_CONFIG);
  }
  expect(memo.layout(new Map(services), given, PLAN_CONFIG)).not.toBe(before);
});

test("layOut alone changes nothing it was given", () => {
  const grants = Object.freeze(new Map());
  layOut(Object.freeze([]), Object.freeze(world({ grants })), PLAN_CONFIG);
  expect(grants.size).toBe(0);
});
