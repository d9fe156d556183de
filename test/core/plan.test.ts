import { describe, expect, test } from "vitest";
import { serviceKey, vipKey, type OwnershipKey, type ServiceKey } from "../../src/core/model.js";
import { plan, type Plan, type PlanConfig } from "../../src/core/plan.js";
import type { OwnershipState, World } from "../../src/core/world.js";
import { emptyWorld } from "../../src/core/world.js";
import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import type { Service } from "../../src/ports/kube.js";
import { fakeLink } from "../fakes/kernel.js";
import { fakeIngress, fakeService } from "../fakes/service.js";
import { NO_POOLS, PLAN_CONFIG, readyEndpoints } from "./given.js";

const config = PLAN_CONFIG;
const MINE: OwnershipState = { held: true, view: "mine", holder: "n1", created: false };
const THEIRS: OwnershipState = { held: false, view: "other", holder: "n2", created: false };

function ip(text: string): IpAddress {
  const address = parseIp(text);
  if (address === undefined) throw new Error(text);
  return address;
}

interface Given {
  readonly services?: readonly Service[];
  readonly ownership?: readonly (readonly [OwnershipKey, OwnershipState])[];
  readonly up?: readonly string[];
  readonly links?: readonly string[];
}

function world({ services, ownership = [["services", MINE]], up = [], links = ["lo", "eth0"] }: Given): World {
  return {
    ...emptyWorld("n1"),
    links: new Map(links.map((name, i) => [name, fakeLink(i + 1, name)])),
    services: services === undefined ? undefined : new Map(services.map((s): [ServiceKey, Service] => [serviceKey(s), s])),
    pools: NO_POOLS,
    endpoints: services === undefined ? undefined : readyEndpoints(services),
    ownership: new Map(ownership),
    observed: new Map(up.map((address) => [vipKey("eth0", ip(address)), { state: "up", result: undefined }])),
  };
}

function planned(given: Given, part: Partial<PlanConfig> = {}): Plan {
  return plan(world(given), { ...config, ...part });
}

const web = fakeService({ loadBalancerIP: "192.0.2.10" });

describe("what is wanted", () => {
  test("the holder of the Services wants the address of a Service, as a host address on the link", () => {
    expect([...planned({ services: [web] }).wants.arp.values()]).toEqual([
      {
        key: "eth0/192.0.2.10",
        owners: ["default/web"],
        iface: "eth0",
        address: "192.0.2.10",
        prefix: 32,
        ports: [{ protocol: "TCP", port: 80 }],
        ownership: "services",
        fresh: true,
      },
    ]);
  });

  test("the annotation comes before spec.loadBalancerIP and may name several", () => {
    const service = fakeService({ loadBalancerIP: "192.0.2.1", annotations: { "kube-vip.io/loadbalancerIPs": "192.0.2.10, 192.0.2.11" } });
    expect([...planned({ services: [service] }).wants.arp.keys()]).toEqual(["eth0/192.0.2.10", "eth0/192.0.2.11"]);
  });

  test("Services on one address are one VIP with all ports, the older owner first", () => {
    const newer = fakeService({ name: "a", createdAt: 2, loadBalancerIP: "192.0.2.10", ports: [{ name: "", protocol: "TCP", port: 81 }] });
    const [vip, ...more] = planned({ services: [newer, { ...web, createdAt: 1 }] }).wants.arp.values();
    expect(more).toEqual([]);
    expect(vip).toMatchObject({ owners: ["default/web", "default/a"], ports: [{ port: 80 }, { port: 81 }] });
  });

  test("of Services made in the same second, the one that is announced already keeps its port", () => {
    const alpha = fakeService({ name: "alpha", loadBalancerIP: "192.0.2.10" });
    const recorded = { "vip.internal/announced": JSON.stringify({ addresses: ["192.0.2.10"], node: "n1" }) };
    expect([...planned({ services: [alpha, web] }).skipped.keys()]).toContain("default/web");
    const skipped = planned({ services: [alpha, { ...web, annotations: { ...web.annotations, ...recorded } }] }).skipped;
    expect(skipped.get("default/alpha" as ServiceKey)?.code).toBe("portConflict");
    expect([...skipped.keys()]).not.toContain("default/web");
  });

  test("the control plane's address follows its own ownership, and so does a Service on it", () => {
    const given: Given = { services: [web], ownership: [["services", MINE], ["control-plane", THEIRS]] };
    expect(planned(given, { controlPlane: [ip("192.0.2.10")] }).wants.arp.size).toBe(0);
    const other: Given = { services: [web], ownership: [["services", THEIRS], ["control-plane", MINE]] };
    const [vip] = planned(other, { controlPlane: [ip("192.0.2.10")] }).wants.arp.values();
    expect(vip).toMatchObject({ ownership: "control-plane", owners: ["default/web"], ports: [{ port: 6443 }, { port: 80 }] });
  });
});

describe("an address that this node has for itself", () => {
  const subnets = new Map([["eth0", [{ address: ip("192.0.2.10"), prefix: 24 }, { address: ip("192.0.2.20"), prefix: 32 }]]]);
  const held: Given = { services: [web], ownership: [["services", MINE], ["control-plane", MINE]] };

  test("is never taken for a Service, and the Service is told", () => {
    const result = plan({ ...world(held), subnets }, config);
    expect(result.wants.arp.size).toBe(0);
    expect([...result.events.values()]).toMatchObject([{ reason: "AddressOfNode", message: "192.0.2.10/24 is configured on eth0 of node n1 by somebody else: not touched" }]);
  });

  test("unless it is a host address, and kube-vip says that it announced the Service from here", () => {
    const service = fakeService({ loadBalancerIP: "192.0.2.20" });
    const wants = (annotations: Record<string, string>) => plan({ ...world({ ...held, services: [{ ...service, annotations }] }), subnets }, config).wants.arp.size;
    expect([wants({}), wants({ "kube-vip.io/vipHost": "n2" }), wants({ "kube-vip.io/vipHost": "n1" })]).toEqual([0, 0, 1]);
  });

  test("is not taken for the control plane, unless it is a host address, as a kube-vip leaves behind that was killed", () => {
    const given = { ...world({ ...held, services: [] }), subnets };
    const taken = (address: string) => plan(given, { ...config, controlPlane: [ip(address)] });
    expect(taken("192.0.2.10").problems).toHaveLength(1);
    expect(taken("192.0.2.10").wants.arp.size).toBe(0);
    expect(taken("192.0.2.20").wants.arp.size).toBe(1);
  });
});

describe("why a Service is not served", () => {
  const rows: readonly [string, Given, { code: string; message: unknown }][] = [
    ["another type", { services: [{ ...web, type: "ClusterIP" }] }, { code: "notLoadBalancer", message: "its type is ClusterIP" }],
    ["ignored", { services: [{ ...web, annotations: { "kube-vip.io/ignore": "true" } }] }, { code: "ignored", message: expect.stringContaining("ignore") }],
    ["another class", { services: [{ ...web, loadBalancerClass: "x/y" }] }, { code: "otherClass", message: expect.stringContaining("x/y") }],
    ["no address", { services: [fakeService()] }, { code: "noAddress", message: expect.stringContaining("spec.loadBalancerIP") }],
    ["not an address", { services: [{ ...web, loadBalancerIP: "192.0.2.300" }] }, { code: "invalidAddress", message: 'spec.loadBalancerIP has "192.0.2.300": expected an IP address such as 192.0.2.10, or a DNS name' }],
    ["multicast", { services: [{ ...web, loadBalancerIP: "224.0.0.1" }] }, { code: "invalidAddress", message: expect.stringContaining("a multicast address") }],
    ["loopback", { services: [{ ...web, loadBalancerIP: "127.0.0.1" }] }, { code: "invalidAddress", message: expect.stringContaining("a loopback address") }],
    ["no such link", { services: [web], links: ["lo"] }, { code: "noInterface", message: "eth0 is not there" }],
    ["another holder", { services: [web], ownership: [["services", THEIRS]] }, { code: "notOwner", message: "held by n2" }],
    ["no holder", { services: [web], ownership: [] }, { code: "notOwner", message: "nobody holds it yet" }],
    ["another controller's status", { services: [{ ...web, ingress: [fakeIngress("203.0.113.1")] }], up: ["192.0.2.10"] }, { code: "foreignController", message: expect.stringContaining("203.0.113.1") }],
  ];
  test.each(rows)("%s", (_name, given, reason) => {
    const { skipped } = planned(given);
    expect([...skipped.values()]).toEqual([reason]);
  });

  test("a broken Service gets one Event, from the holder only, and harms no other", () => {
    const broken = fakeService({ name: "broken", loadBalancerIP: "no sense" });
    const mine = planned({ services: [broken, web] });
    expect([...mine.events.values()].map((e) => [e.type, e.reason, e.service.name])).toEqual([["Warning", "InvalidAddress", "broken"]]);
    expect(mine.wants.arp.size).toBe(1);
    expect(planned({ services: [broken, web], ownership: [["services", THEIRS]] }).events.size).toBe(0);
  });
});

describe("what is said", () => {
  const announced = { "vip.internal/announced": '{"addresses":["192.0.2.10"],"node":"n1"}', "kube-vip.io/vipHost": "n1" };
  const said = { ...web, ingress: [fakeIngress("192.0.2.10")], annotations: announced };

  test("once the address is up: status, host annotation and Event; not before", () => {
    expect(planned({ services: [web] }).statuses.size).toBe(0);
    const { statuses, events } = planned({ services: [web], up: ["192.0.2.10"] });
    expect([...statuses.values()]).toEqual([{ service: web, ingress: [{ ip: "192.0.2.10" }], annotations: announced }]);
    expect([...events.values()]).toMatchObject([{ type: "Normal", reason: "VipHeld", message: "192.0.2.10 is held by node n1 (ARP on eth0)" }]);
  });

  test("nothing is left to do once the watch has brought our own patch back", () => {
    expect(planned({ services: [said], up: ["192.0.2.10"] }).statuses.size).toBe(0);
  });

  test("a new holder puts its own name in", () => {
    const old = { ...said, annotations: { ...announced, "vip.internal/announced": '{"addresses":["192.0.2.10"],"node":"n2"}', "kube-vip.io/vipHost": "n2" } };
    expect([...planned({ services: [old], up: ["192.0.2.10"] }).statuses.values()]).toMatchObject([{ annotations: announced }]);
  });

  test("an address that is no longer asked for is taken back before the new one is up", () => {
    const changed = { ...said, loadBalancerIP: "192.0.2.11" };
    expect([...planned({ services: [changed] }).statuses.values()]).toEqual([
      { service: changed, ingress: [], annotations: { "vip.internal/announced": null, "kube-vip.io/vipHost": null } },
    ]);
  });

  test("a Service that is ignored from now on loses what we wrote, and only that", () => {
    const ignored = {
      ...said,
      ingress: [...said.ingress, fakeIngress("203.0.113.9")],
      annotations: { ...announced, "kube-vip.io/ignore": "true" },
    };
    expect([...planned({ services: [ignored] }).statuses.values()]).toMatchObject([{ ingress: [{ ip: "203.0.113.9" }] }]);
  });

  test("a status that kube-vip wrote is carried on", () => {
    const old = { ...web, ingress: [fakeIngress("192.0.2.99")], annotations: { "kube-vip.io/vipHost": "n3" } };
    expect([...planned({ services: [old], up: ["192.0.2.10"] }).statuses.values()]).toMatchObject([{ ingress: [{ ip: "192.0.2.10" }] }]);
  });
});

describe("when", () => {
  test("nobody campaigns for Services before their first full list, or without the link", () => {
    expect([...planned({}).campaigns]).toEqual([]);
    expect([...planned({ services: [], links: ["lo"] }).campaigns]).toEqual([["services", "drop"]]);
    expect([...planned({ services: [] }).campaigns]).toEqual([["services", "run"]]);
  });

  test.each<readonly [string, Given, boolean]>([
    ["no list yet", {}, false],
    ["the Lease not seen yet", { services: [], ownership: [] }, false],
    ["a Lease of an earlier life, not yet taken again", { services: [], ownership: [["services", { ...MINE, held: false }]] }, false],
    ["a Lease that is free", { services: [], ownership: [["services", { held: false, view: "free", holder: "", created: false }]] }, false],
    ["held", { services: [] }, true],
    ["held by another", { services: [], ownership: [["services", THEIRS]] }, true],
  ])("leftovers are judged or not: %s", (_name, given, settled) => {
    expect(planned(given).settled).toBe(settled);
  });

  test("the plan of 1,000 Services is the same twice, and changes nothing it was given", () => {
    const services = Array.from({ length: 1000 }, (_, i) => fakeService({ name: `s${i}`, loadBalancerIP: `10.1.${i >> 8}.${i & 255}` }));
    const given = Object.freeze(world({ services: services.slice(1) }));
    expect(plan(given, config)).toEqual(plan(given, config));
    expect(plan(given, config).wants.arp.size).toBe(999);
  });
});
