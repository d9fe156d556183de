import { describe, expect, test } from "vitest";
import { AddressInUse } from "../../src/core/mode.js";
import { vipKey, type OwnershipKey } from "../../src/core/model.js";
import { plan, type Plan, type PlanConfig } from "../../src/core/plan.js";
import { parsePools } from "../../src/core/pools.js";
import type { OwnershipState, World } from "../../src/core/world.js";
import type { MacAddress } from "../../src/lib/mac.js";
import type { EventDraft, Service } from "../../src/ports/kube.js";
import { fakeIngress, fakeService } from "../fakes/service.js";
import { ELSEWHERE, FREE, ip, MINE, NO_POOLS, owning, PLAN_CONFIG, READY, readyEndpoints, THEIRS, upOnEth0, worldWith } from "./given.js";

const A = "192.0.2.10";
const KEY: OwnershipKey = "romana/default/web";
const web = fakeService({ type: "ClusterIP", annotations: { romanaip: `{"ip":"${A}"}` } });
const LB: Service = { ...web, type: "LoadBalancer" };
const HEADLESS: Service = { ...web, clusterIP: "None" };
const TERMINATING = { ...READY, local: "terminating" } as const;
const LAST = { ...TERMINATING, readyElsewhere: false } as const;
const NONE = { serving: false, onNodes: false, local: "none", readyElsewhere: false, readyNodes: [], targets: [] } as const;
/** This node holds the VIP, another the Services: the common case. */
const HERE = owning({ services: THEIRS, [KEY]: MINE });
const THERE = owning({ services: MINE, [KEY]: THEIRS });

function planned(service: Service, part: Partial<World> = {}, config: Partial<PlanConfig> = {}): Plan {
  return plan(worldWith([service], part), { ...PLAN_CONFIG, ...config });
}

function told({ events }: Plan): readonly string[] {
  return [...events.values()].map(({ type, reason, message }: EventDraft) => `${type} ${reason}: ${message}`);
}

describe("how a node stands towards a Romana VIP", () => {
  const sick = { dataplane: new Map([[10_256, "notReady" as const]]) };
  test.each<readonly [string, Service, Partial<World>, Partial<PlanConfig>, string | undefined]>([
    ["a pod is here", web, {}, {}, "run"],
    ["pods are elsewhere", web, { endpoints: readyEndpoints([web], ELSEWHERE) }, {}, "out"],
    ["pods are elsewhere, and it is held here: handed over by plan", web, { ...HERE, endpoints: readyEndpoints([web], ELSEWHERE) }, {}, "out"],
    ["the last pod here is about to end: handed over by plan", web, { ...HERE, endpoints: readyEndpoints([web], TERMINATING) }, {}, "yield"],
    ["the last pod here is about to end, and it is not held here: better than nobody", web, { ...THERE, endpoints: readyEndpoints([web], TERMINATING) }, {}, "yield"],
    ["the last pod of all is about to end: kept to its end", web, { ...HERE, endpoints: readyEndpoints([web], LAST) }, {}, "run"],
    ["no pod anywhere: let go at once", web, { ...HERE, endpoints: readyEndpoints([web], NONE) }, {}, "drop"],
    ["endpoints made by hand are as far from every node", web, { endpoints: readyEndpoints([web], { ...NONE, serving: true }) }, {}, "run"],
    ["kube-proxy is not well: another node would be better", web, sick, {}, "yield"],
    ["kube-proxy is not well, and is not needed", HEADLESS, sick, {}, "run"],
    ["kube-proxy is not well, and is not asked to lead it", web, sick, { romanaByNft: true }, "run"],
    ["the link is bad", web, { badLinks: new Set(["eth0"]) }, {}, "drop"],
    ["the address is a gateway's", web, { gateways: new Set([ip(A)]) }, {}, "drop"],
    ["before the first complete list of endpoints", web, { endpoints: undefined }, {}, undefined],
    ["Services are not served here", web, {}, { services: false }, undefined],
    ["it is to be ignored", { ...web, annotations: { ...web.annotations, "kube-vip.io/ignore": "true" } }, {}, {}, undefined],
  ])("%s", (_name, service, part, config, stance) => {
    expect(planned(service, part, config).campaigns.get(KEY)).toBe(stance);
  });

  test("of two addresses, the one that cannot be served decides", () => {
    const both = { ...web, annotations: { romanavip: '{"auto":true}', "vip.internal/granted": `192.0.2.11,${A}` } };
    for (const bad of ["192.0.2.11", A]) expect(planned(both, { gateways: new Set([ip(bad)]) }).campaigns.get(KEY), bad).toBe("drop");
    expect(planned(both).campaigns.get(KEY)).toBe("run");
  });
});

describe("how its traffic reaches the pods", () => {
  const targets = [{ name: "http", protocol: "TCP", port: 8080, address: ip("10.0.0.1") }, { name: "http", protocol: "TCP", port: 8080, address: ip("2001:db8::1") }, { name: "admin", protocol: "TCP", port: 9, address: ip("10.0.0.1") }] as const;
  const held = { ...HERE, ...upOnEth0(A), endpoints: readyEndpoints([web], { ...READY, targets }) };
  const refused = { externalIPsRefused: new Map([["uid-web", "forbidden: by DenyServiceExternalIPs"]]) };
  const dnat = [{ key: `eth0/${A}`, owners: ["default/web"], iface: "eth0", address: A, ports: [{ protocol: "TCP", port: 80, targets: [{ address: "10.0.0.1", port: 8080 }] }] }];
  const said = (says: string): readonly string[] => [`Normal VipHeld: ${A} is held by node n1 (ARP on eth0); traffic is led to its pods ${says}`];

  test.each<readonly [string, Service, Partial<World>, Partial<PlanConfig>, { readonly says: string; readonly dnat: boolean; readonly record: string | undefined; readonly ingress: boolean }]>([
    ["type LoadBalancer: by its status", LB, {}, {}, { says: "by its status", dnat: false, record: undefined, ingress: true }],
    ["another type: by spec.externalIPs, which is recorded first", web, {}, {}, { says: "by spec.externalIPs", dnat: false, record: A, ingress: false }],
    ["spec.externalIPs was refused: by nftables", web, refused, {}, { says: "on this node by nftables (spec.externalIPs was refused: forbidden: by DenyServiceExternalIPs)", dnat: true, record: undefined, ingress: false }],
    ["headless: by nftables", HEADLESS, {}, {}, { says: "on this node by nftables (the Service is headless)", dnat: true, record: undefined, ingress: false }],
    ["as configured: by nftables", web, {}, { romanaByNft: true }, { says: "on this node by nftables (romana_datapath is nft)", dnat: true, record: undefined, ingress: false }],
    ["as configured, type LoadBalancer too", LB, {}, { romanaByNft: true }, { says: "on this node by nftables (romana_datapath is nft)", dnat: true, record: undefined, ingress: true }],
  ])("%s", (_name, service, part, config, expected) => {
    const result = planned(service, { ...held, ...part }, config);
    expect(told(result)).toEqual(said(expected.says));
    expect([...result.wants.dnat.values()]).toEqual(expected.dnat ? dnat : []);
    const [status] = result.statuses.values();
    expect(status?.annotations["vip.internal/external-ips"]).toBe(expected.record);
    expect(status?.ingress).toEqual(expected.ingress ? [{ ip: A }] : undefined);
    expect(status?.annotations).toMatchObject({ "vip.internal/announced": `{"addresses":["${A}"],"node":"n1"}`, "kube-vip.io/vipHost": "n1" });
    expect(result.changes.size).toBe(0);
  });

  test("the entry is added in the pass after its record was seen; nothing else is", () => {
    const recorded = { ...web, annotations: { ...web.annotations, "vip.internal/external-ips": A }, externalIPs: ["203.0.113.1"] };
    const [change] = planned(recorded, held).changes.values();
    expect(change?.operations.at(-1)).toEqual({ op: "add", path: "/spec/externalIPs/-", value: A });
    expect(planned({ ...recorded, externalIPs: ["203.0.113.1", A] }, held).changes.size).toBe(0);
  });

  test("once it is refused, what was recorded is forgotten", () => {
    const recorded = { ...web, annotations: { ...web.annotations, "vip.internal/external-ips": A } };
    expect([...planned(recorded, { ...held, ...refused }).statuses.values()]).toMatchObject([{ annotations: { "vip.internal/external-ips": null } }]);
  });

  test.each<readonly [string, Partial<World>, boolean]>([
    ["its rules are not put yet", {}, false],
    ["its rules are on their way", { observedDnat: new Map([[vipKey("eth0", ip(A)), { state: "pending" }]]) }, false],
    ["its rules are there", { observedDnat: new Map([[vipKey("eth0", ip(A)), { state: "up", result: undefined }]]) }, true],
    ["it is up, and its rules are put anew", { ...upOnEth0(A), observedDnat: new Map([[vipKey("eth0", ip(A)), { state: "pending" }]]) }, true],
    ["its rules were refused, which is told", { observedDnat: new Map([[vipKey("eth0", ip(A)), { state: "failed", error: new Error("nft: EPERM"), attempts: 1 }]]) }, true],
  ])("a VIP with rules of its own comes after them: %s", (_name, part, comes) => {
    const arp = planned(HEADLESS, { ...held, observed: new Map(), ...part });
    expect([...arp.wants.dnat.keys(), ...arp.wants.arp.keys()]).toEqual(comes ? [`eth0/${A}`, `eth0/${A}`] : [`eth0/${A}`]);
    const bgp = planned(HEADLESS, { ...held, observed: new Map(), ...part }, { iface: "eth0", bgp: { electControlPlane: true, attachServices: false } });
    expect([...bgp.wants.dnat.keys(), ...bgp.wants.bgp.keys()]).toEqual(comes ? [`eth0/${A}`, `${A}/32`] : [`eth0/${A}`]);
  });

  test("a data plane that the kernel refuses is told", () => {
    const failing = { ...held, observedDnat: new Map([[vipKey("eth0", ip(A)), { state: "failed", error: new Error("nft: EPERM"), attempts: 1 } as const]]) };
    expect(told(planned(HEADLESS, failing))).toContain(`Warning DatapathFailed: no traffic to ${A} reaches the pods: nft: EPERM`);
  });

  test("an address of its that another Service has is in no spec.externalIPs", () => {
    const older = fakeService({ name: "older", createdAt: -1, loadBalancerIP: "192.0.2.11" });
    const both = { ...web, annotations: { romanavip: '{"auto":true}', "vip.internal/granted": `${A},192.0.2.11` } };
    const result = plan(worldWith([older, both], { ...HERE, ...upOnEth0(A) }), PLAN_CONFIG);
    expect([...result.statuses.values()].map(({ annotations }) => annotations["vip.internal/external-ips"])).toEqual([A]);
  });
});

describe("what is told", () => {
  test("nothing, by the holder of the Services, of a VIP that another node holds because its pods are there", () => {
    const result = planned(web, { ...THERE, endpoints: readyEndpoints([web], ELSEWHERE) });
    expect(told(result)).toEqual([]);
    expect(result.skipped.get("default/web" as never)?.code).toBe("holderHasNoEndpoint");
  });

  test("by its holder, that a stranger has the address: nobody else could know", () => {
    const error = new AddressInUse(ip(A), "eth0", "02:00:00:00:00:99" as MacAddress, false);
    const result = planned(web, { ...HERE, observed: new Map([[vipKey("eth0", ip(A)), { state: "failed", error, attempts: 1 }]]) });
    expect(told(result)).toEqual([`Warning AddressInUse: ${A} is in use on eth0 by 02:00:00:00:00:99, not taken; looked at again every ten seconds`]);
  });

  test.each<readonly [string, Record<string, string>, string]>([
    ["bad JSON", { romanaip: "{" }, "InvalidRomana: romanaip has"],
    ["two keys that differ", { romanaip: `{"ip":"${A}"}`, romanavip: '{"ip":"192.0.2.11"}' }, "InvalidRomana: romanaip and romanavip ask for different things: expected one of them, or both the same"],
    ["an address that is none", { romanavip: '{"ip":"192.0.2.300"}' }, "InvalidRomana: romanavip has"],
  ])("once, by the holder of the Services: %s", (_name, annotations, text) => {
    const broken = { ...web, annotations };
    const result = planned(broken);
    expect(told(result)).toEqual([expect.stringContaining(`Warning ${text}`)]);
    expect([result.wants.arp.size, result.campaigns.size]).toEqual([0, 1]);
    expect(told(planned(broken, owning({ services: THEIRS })))).toEqual([]);
  });

  test("of two with one address, to the newer", () => {
    const newer = { ...web, name: "newer", uid: "uid-newer", createdAt: 1 };
    const result = plan(worldWith([web, newer], owning({ services: MINE, [KEY]: THEIRS })), PLAN_CONFIG);
    expect([...result.events.values()].map(({ service, reason }) => [service.name, reason])).toEqual([["newer", "AddressTaken"]]);
    expect(result.campaigns.get("romana/default/newer")).toBe("drop");
  });
});

describe("auto", () => {
  const auto = { ...web, annotations: { romanavip: '{"auto":true}' } };
  const pools = parsePools({ "range-global": `${A}-${A}` }, undefined).pools;

  test("is given the lowest free address by the holder of the Services, who writes it down for whoever will hold it", () => {
    const result = planned(auto, { pools });
    expect([...result.statuses.values()]).toEqual([{ service: auto, ingress: undefined, annotations: { "vip.internal/granted": A } }]);
    expect(result.campaigns.get(KEY)).toBe("run");
  });

  test("is held by the node with the pod, by what was written down", () => {
    const granted = { ...auto, annotations: { ...auto.annotations, "vip.internal/granted": A } };
    expect([...planned(granted, { ...HERE, pools: NO_POOLS }).wants.arp.keys()]).toEqual([`eth0/${A}`]);
    expect(planned(granted, { pools }).statuses.size).toBe(0);
  });

  test("without a pool, or with one that is empty, has no address, and says why", () => {
    expect(planned(auto).skipped.get("default/web" as never)?.code).toBe("noAddress");
    const other = fakeService({ name: "other", createdAt: 1, loadBalancerIP: A });
    expect([...plan(worldWith([other, auto], { pools }), PLAN_CONFIG).events.values()]).toMatchObject([{ reason: "PoolExhausted", service: { name: "web" } }]);
  });

  test("waits, on every other node, for the address, and says so", () => {
    const { skipped, campaigns } = planned(auto, owning({ services: THEIRS }));
    expect(skipped.get("default/web" as never)).toEqual({ code: "waiting", message: "an address is given to it by the node that holds the Services (n2)" });
    expect(campaigns.has(KEY)).toBe(false);
  });

  test("no more: what was written down goes", () => {
    const plain = { ...web, annotations: { "vip.internal/granted": A } };
    expect([...planned(plain).statuses.values()]).toMatchObject([{ annotations: { "vip.internal/granted": null } }]);
  });
});

describe("what is taken back", () => {
  const announced = { "vip.internal/announced": `{"addresses":["${A}"],"node":"n2"}`, "kube-vip.io/vipHost": "n2", "vip.internal/external-ips": A };
  const clean = { "vip.internal/announced": null, "kube-vip.io/vipHost": null };
  const before: Service = { ...web, externalIPs: ["203.0.113.1", A], annotations: { ...web.annotations, ...announced } };
  const removal = { op: "remove", path: "/spec/externalIPs/1" };

  test.each<readonly [string, Service]>([
    ["the annotation is gone", { ...before, annotations: announced }],
    ["the annotation is broken", { ...before, annotations: { ...announced, romanaip: "{" } }],
    ["it is to be ignored", { ...before, annotations: { ...before.annotations, "kube-vip.io/ignore": "true" } }],
  ])("%s: by the holder of the Services, our entry and record, and nothing of the user's", (_name, service) => {
    const result = planned(service);
    expect([...result.changes.values()][0]?.operations.at(-1)).toEqual(removal);
    expect([...result.statuses.values()]).toMatchObject([{ annotations: clean }]);
    expect(planned(service, HERE).changes.size).toBe(0);
  });

  test("it asks for an address that another Service has: nobody holds it any more, and it is taken back all the same", () => {
    const older = fakeService({ name: "older", createdAt: -1, loadBalancerIP: "192.0.2.11" });
    const moved = { ...before, annotations: { ...announced, romanaip: '{"ip":"192.0.2.11"}' } };
    const result = plan(worldWith([older, moved], owning({ services: MINE, [KEY]: FREE })), PLAN_CONFIG);
    expect([...result.changes.values()][0]?.operations.at(-1)).toEqual(removal);
    expect(result.statuses.get("default/web" as never)).toMatchObject({ annotations: clean });
  });

  test("another address is asked for: its holder replaces the entry", () => {
    const moved = { ...before, annotations: { ...announced, romanaip: '{"ip":"192.0.2.11"}' } };
    expect([...planned(moved, HERE).changes.values()][0]?.operations.at(-1)).toEqual(removal);
  });

  test("its last endpoint is gone: nothing, for the address comes back with the next one", () => {
    const result = planned(before, { ...owning({ services: MINE, [KEY]: FREE }), endpoints: readyEndpoints([before], NONE) });
    expect([result.changes.size, result.statuses.size, result.wants.arp.size]).toEqual([0, 0, 0]);
  });

  test("type LoadBalancer: its status names the node that holds it now", () => {
    const here = { ...LB, ingress: [fakeIngress(A)], annotations: { ...LB.annotations, ...announced } };
    expect([...planned(here, { ...HERE, ...upOnEth0(A) }).statuses.values()]).toMatchObject([{ ingress: [{ ip: A }], annotations: { "kube-vip.io/vipHost": "n1", "vip.internal/external-ips": null } }]);
  });
});

describe("leftovers are judged or not", () => {
  test.each<readonly [string, OwnershipState | undefined, World["endpoints"], boolean]>([
    ["nothing is known of its Lease", undefined, undefined, false],
    ["its Lease has not been seen", { ...FREE, view: "unknown" }, undefined, false],
    ["its Lease names this node from an earlier life, and it is about to be taken again", { ...MINE, held: false }, undefined, false],
    ["its Lease is free, and it is about to be taken", FREE, undefined, false],
    ["it is held here", MINE, undefined, true],
    ["it is held by another", THEIRS, undefined, true],
    ["its Lease is free, and no pod is here", FREE, readyEndpoints([web], ELSEWHERE), true],
    ["its Lease names this node from an earlier life, and no pod is anywhere", { ...MINE, held: false }, readyEndpoints([web], NONE), true],
    ["its Lease has not been seen, and no pod is here", { ...FREE, view: "unknown" }, readyEndpoints([web], ELSEWHERE), false],
  ])("%s", (_name, state, endpoints, settled) => {
    const ownership = owning({ services: THEIRS, ...(state === undefined ? {} : { [KEY]: state }) });
    expect(planned(web, { ...ownership, ...(endpoints === undefined ? {} : { endpoints }) }).settled).toBe(settled);
  });
});
