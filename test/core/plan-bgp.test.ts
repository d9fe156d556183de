import { describe, expect, test } from "vitest";
import { routeKey, vipKey, type OwnershipKey, type ServiceKey } from "../../src/core/model.js";
import type { BgpPlanConfig } from "../../src/core/plan-bgp.js";
import { plan, type Plan, type PlanConfig } from "../../src/core/plan.js";
import { PlanMemo } from "../../src/core/plan-memo.js";
import type { Observation } from "../../src/core/sync.js";
import type { World } from "../../src/core/world.js";
import type { Service } from "../../src/ports/kube.js";
import { fakeIngress, fakeService } from "../fakes/service.js";
import { ELSEWHERE, ip, MINE, owning, PLAN_CONFIG, READY, readyEndpoints, THEIRS, worldWith } from "./given.js";

const BGP: BgpPlanConfig = { electControlPlane: false, attachServices: false };
const UP: Observation<void> = { state: "up", result: undefined };
const NOT_MINE = owning({ services: THEIRS });
const web = fakeService({ loadBalancerIP: "192.0.2.10" });
const local = fakeService({ loadBalancerIP: "192.0.2.10", externalTrafficPolicy: "Local" });
const KEY = "default/web" as ServiceKey;
const NONE = { serving: false, onNodes: false, local: "none", readyElsewhere: false, readyNodes: [], targets: [] } as const;
const GONE = { ...NONE, serving: true, onNodes: true } as const;

function planned(services: readonly Service[], part: Partial<World> = {}, config: Partial<PlanConfig> = {}): Plan {
  return plan(worldWith(services, part), { ...PLAN_CONFIG, iface: "lo", bgp: BGP, ...config });
}

function on(key: string, ...addresses: readonly string[]): Pick<World, "observed"> {
  return { observed: new Map(addresses.map((address) => [vipKey(key, ip(address)), UP])) };
}

describe("a Service is announced", () => {
  test("by a node that owns nothing, as a host route, without an address on any link", () => {
    const { wants, skipped } = planned([web], NOT_MINE, { prefixes: { 4: "auto", 6: "auto" } });
    expect([...wants.bgp.values()]).toEqual([{ key: "192.0.2.10/32", owners: [KEY], address: "192.0.2.10", length: 32, policy: {} }]);
    expect([wants.arp.size, skipped.size]).toEqual([0, 0]);
  });

  test.each<readonly [string, Service, World["endpoints"], string | undefined]>([
    ["policy Cluster, endpoints elsewhere", web, readyEndpoints([web], ELSEWHERE), undefined],
    ["policy Cluster, no endpoint", web, readyEndpoints([web], NONE), "noEndpoints"],
    ["policy Local, an endpoint here", local, readyEndpoints([local]), undefined],
    ["policy Local, endpoints elsewhere", local, readyEndpoints([local], ELSEWHERE), "noLocalEndpoint"],
    ["policy Local, no endpoint", local, readyEndpoints([local], NONE), "noEndpoints"],
    ["policy Local, the one here ends and others are ready", local, readyEndpoints([local], { ...READY, local: "terminating" }), "noLocalEndpoint"],
    ["policy Local, the one here ends and is the last", local, readyEndpoints([local], { ...GONE, local: "terminating" }), undefined],
  ])("or not, and why: %s", (_name, service, endpoints, code) => {
    const { wants, skipped } = planned([service], { ...NOT_MINE, endpoints });
    expect([wants.bgp.size, skipped.get(KEY)?.code]).toEqual([code === undefined ? 1 : 0, code]);
  });

  test("nowhere where kube-proxy says that nothing would arrive, and not before the first full lists", () => {
    expect(planned([web], { dataplane: new Map([[10_256, "notReady"]]) }).skipped.get(KEY)?.code).toBe("dataplaneNotReady");
    expect(planned([web], { endpoints: undefined }).wants.bgp.size).toBe(0);
  });

  test("with the policy that its annotations ask for; what cannot be read is told by the holder, once", () => {
    const service = { ...web, annotations: { "vip.internal/bgp-med": "5", "vip.internal/bgp-peers": "tor1, tor2", "vip.internal/bgp-local-pref": "high" } };
    const { wants, events } = planned([service]);
    expect([...wants.bgp.values()]).toMatchObject([{ policy: { med: 5 }, peers: ["tor1", "tor2"] }]);
    expect([...events.values()].map(({ reason }) => reason)).toEqual(["InvalidBgpAnnotation", "VipAnnounced"]);
    expect(planned([service], NOT_MINE).events.size).toBe(0);
  });

  test("no more by a process that is stopping", () => {
    expect(planned([web], { stage: "ending" }).wants.bgp.size).toBe(0);
  });

  test("no more by a node that is drained or cordoned, while another is better; policy Local only where others have endpoints", () => {
    const node = { name: "n1", addresses: [], ready: true, cordoned: true, excluded: false, controlPlane: false, annotations: {} };
    const nodes = new Map([["n1", node], ["n2", { ...node, name: "n2", cordoned: false }]]);
    const reason = (service: Service, part: Partial<World>) => planned([service], { ...NOT_MINE, ...part }).skipped.get(KEY);
    expect(reason(web, { nodes })).toEqual({ code: "nodeStandsBack", message: "node n1 is cordoned: others announce it" });
    expect(reason(web, { nodes: new Map([["n1", node]]) })).toBeUndefined();
    expect(reason(web, { drained: true })).toMatchObject({ code: "nodeStandsBack" });
    expect(reason(local, { nodes })?.code).toBe("nodeStandsBack");
    expect(reason(local, { nodes, endpoints: readyEndpoints([local], { ...READY, readyElsewhere: false, readyNodes: ["n1"] }) })).toBeUndefined();
  });

  test("together with others on its address, the older one's first, while any of them can be served", () => {
    const other = fakeService({ name: "other", uid: "other", createdAt: 5, loadBalancerIP: "192.0.2.10", ports: [{ name: "", protocol: "TCP", port: 81 }] });
    const all = [other, web];
    expect(planned(all).wants.bgp.get(routeKey(ip("192.0.2.10"), 32))?.owners).toEqual([KEY, "default/other"]);
    const endpoints = new Map([[KEY, NONE], ["default/other" as ServiceKey, READY]]);
    expect(planned(all, { endpoints }).wants.bgp.get(routeKey(ip("192.0.2.10"), 32))?.owners).toEqual(["default/other"]);
  });

  test("with bgp_attach_ip_to_interface once its address is on the link", () => {
    const config = { bgp: { ...BGP, attachServices: true } };
    const before = planned([web], NOT_MINE, config);
    expect([...before.wants.arp.values()]).toMatchObject([{ key: "lo/192.0.2.10", prefix: 32, anycast: true, ownership: "services" }]);
    expect(before.wants.bgp.size).toBe(0);
    expect(planned([web], { ...NOT_MINE, ...on("lo", "192.0.2.10") }, config).wants.bgp.size).toBe(1);
  });

  test("with svc_election by the node that has its key, and the route says so", () => {
    const key = "svc/192.0.2.10" as OwnershipKey;
    const config = { election: true };
    expect(planned([web], owning({ services: MINE, [key]: THEIRS }), config).wants.bgp.size).toBe(0);
    expect([...planned([web], owning({ services: THEIRS, [key]: MINE }), config).wants.bgp.values()]).toMatchObject([{ ownership: key }]);
  });

  test("from a memory that sees a route come up", () => {
    const memo = new PlanMemo();
    const world = worldWith([web], owning({ services: THEIRS }));
    const config = { ...PLAN_CONFIG, election: false, iface: "lo", bgp: BGP };
    expect(plan(world, config, memo).wants.bgp.size).toBe(1);
    expect(plan({ ...world, endpoints: readyEndpoints([web], NONE) }, config, memo).wants.bgp.size).toBe(0);
  });
});

describe("what is said of a Service that many announce", () => {
  const announced = (node: string, ...addresses: readonly string[]) => ({ "vip.internal/announced": JSON.stringify({ addresses, node }), "kube-vip.io/vipHost": node });

  test("is written by the holder of the Services alone, which names itself, or else a node that announces it", () => {
    expect(planned([web], NOT_MINE).statuses.size).toBe(0);
    expect(planned([web]).statuses.get(KEY)).toMatchObject({ ingress: [{ ip: "192.0.2.10" }], annotations: announced("n1", "192.0.2.10") });
    expect(planned([local], { endpoints: readyEndpoints([local], ELSEWHERE) }).statuses.get(KEY)).toMatchObject({ annotations: announced("n2", "192.0.2.10") });
  });

  test("needs no second patch", () => {
    const said = { ...web, ingress: [fakeIngress("192.0.2.10")], annotations: announced("n1", "192.0.2.10") };
    expect(planned([said]).statuses.size).toBe(0);
  });

  test("stays while no endpoint serves, as the address does; an address that is asked for no more goes", () => {
    const said = { ...web, ingress: [fakeIngress("192.0.2.10")], annotations: announced("n1", "192.0.2.10") };
    const endpoints = readyEndpoints([web], NONE);
    expect(planned([said], { endpoints }).statuses.size).toBe(0);
    expect(planned([{ ...said, loadBalancerIP: "192.0.2.11" }], { endpoints }).statuses.get(KEY)).toMatchObject({ ingress: [] });
  });

  test("is told once, with from where", () => {
    expect([...planned([local], NOT_MINE).events.values()]).toEqual([]);
    expect([...planned([local]).events.values()]).toMatchObject([{ type: "Normal", reason: "VipAnnounced", message: "192.0.2.10 is announced by BGP from the nodes that have an endpoint of it" }]);
  });

  test("with svc_election is written by the owner, once its route is up", () => {
    const key = "svc/192.0.2.10" as OwnershipKey;
    const mine = owning({ services: THEIRS, [key]: MINE });
    const observedRoutes = new Map([[routeKey(ip("192.0.2.10"), 32), UP]]);
    expect(planned([web], mine, { election: true }).statuses.size).toBe(0);
    expect(planned([web], { ...mine, observedRoutes }, { election: true }).statuses.get(KEY)).toMatchObject({ ingress: [{ ip: "192.0.2.10" }] });
  });
});

describe("the control plane is announced", () => {
  const config = { services: false, controlPlane: [ip("192.0.2.1")] };
  const there = on("lo", "192.0.2.1");
  const routes = (part: Partial<World>, more: Partial<PlanConfig> = {}) => [...planned([], { ...there, ...part }, { ...config, ...more }).wants.bgp.keys()];

  test.each<readonly [World["controlPlaneHealth"], boolean]>([
    ["unknown", false],
    ["healthy", true],
    ["sick", false],
    [undefined, true],
  ])("by every node whose API server is %s: %s", (controlPlaneHealth, announced) => {
    const { wants, campaigns, settled } = planned([], { controlPlaneHealth, ...there, ownership: new Map() }, config);
    expect([...wants.bgp.keys()]).toEqual(announced ? ["192.0.2.1/32"] : []);
    expect([...wants.arp.keys()]).toEqual(announced ? ["lo/192.0.2.1"] : []);
    expect(campaigns.size).toBe(0);
    expect(settled).toBe(controlPlaneHealth !== "unknown");
  });

  test("once the address is there, and not by a process that is stopping", () => {
    expect(routes({ controlPlaneHealth: "healthy", observed: new Map() })).toEqual([]);
    expect(routes({ controlPlaneHealth: "healthy", stage: "ending" })).toEqual([]);
  });

  test("with vip_leaderelection by the holder of its Lease alone", () => {
    const elected = { bgp: { ...BGP, electControlPlane: true } };
    expect(routes({ controlPlaneHealth: "healthy", ...owning({ "control-plane": THEIRS }) }, elected)).toEqual([]);
    expect(routes({ controlPlaneHealth: "sick", ...owning({ "control-plane": MINE }) }, elected)).toEqual(["192.0.2.1/32"]);
    expect([...planned([], {}, { ...config, ...elected }).campaigns.keys()]).toEqual(["control-plane"]);
  });

  test("and a Service on its address with it, by one route", () => {
    const both = { services: true, controlPlane: [ip("192.0.2.10")] };
    const { wants, statuses } = planned([web], { controlPlaneHealth: "healthy", ...on("lo", "192.0.2.10") }, both);
    expect([...wants.bgp.values()]).toMatchObject([{ key: "192.0.2.10/32", owners: [KEY] }]);
    expect([...wants.arp.values()]).toMatchObject([{ ownership: "control-plane", ports: [{ port: 6443 }, { port: 80 }] }]);
    expect(statuses.size).toBe(1);
    expect(planned([web], { controlPlaneHealth: "sick" }, both).skipped.get(KEY)).toMatchObject({ code: "notOwner", message: "announced by the nodes whose API server is well; that of n1 is sick" });
  });
});

test("1,000 Services in ARP mode announce no route, and nobody serves them without the Lease", () => {
  const services = Array.from({ length: 1000 }, (_, i) => fakeService({ name: `s${i}`, uid: `u${i}`, loadBalancerIP: `10.1.${i >> 8}.${i & 255}` }));
  const { wants } = planned(services, NOT_MINE, { iface: "eth0", bgp: undefined });
  expect([wants.bgp.size, wants.arp.size]).toEqual([0, 0]);
});
