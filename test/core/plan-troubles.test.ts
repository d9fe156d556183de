import { describe, expect, test } from "vitest";
import { AddressInUse } from "../../src/core/mode.js";
import { serviceKey, vipKey, type OwnershipKey, type ServiceKey, type VipKey } from "../../src/core/model.js";
import { plan, type PlanConfig } from "../../src/core/plan.js";
import type { Observation } from "../../src/core/sync.js";
import { emptyWorld, type OwnershipState, type World } from "../../src/core/world.js";
import type { IpAddress } from "../../src/lib/ip.js";
import type { MacAddress } from "../../src/lib/mac.js";
import type { Service } from "../../src/ports/kube.js";
import { fakeLink } from "../fakes/kernel.js";
import { fakeService } from "../fakes/service.js";
import { PLAN_CONFIG, readyEndpoints } from "./given.js";

const config = PLAN_CONFIG;
const A = "192.0.2.10" as IpAddress;
const B = "192.0.2.11" as IpAddress;
const MINE: OwnershipState = { held: true, view: "mine", holder: "n1", created: false };
const MAC = "02:00:00:00:00:99" as MacAddress;
const web = fakeService({ loadBalancerIP: A });
const UP: Observation<void> = { state: "up", result: undefined };

/** This node holds the Services and has `lo`, `eth0` and `eth1`; changed by `part`. */
function world(part: Partial<World> = {}, services: readonly Service[] = [web]): World {
  return {
    ...emptyWorld("n1"),
    links: new Map([fakeLink(1, "lo"), fakeLink(2, "eth0"), fakeLink(3, "eth1")].map((link) => [link.name, link])),
    services: new Map(services.map((s): [ServiceKey, Service] => [serviceKey(s), s])),
    endpoints: readyEndpoints(services),
    ownership: new Map([["services", MINE]]),
    ...part,
  };
}

function ownership(part: Partial<Record<OwnershipKey, Partial<OwnershipState>>>): Pick<World, "ownership"> {
  return { ownership: new Map(Object.entries(part).map(([key, state]) => [key as OwnershipKey, { ...MINE, ...state }])) };
}

function observed(key: VipKey, what: Observation<void>): Pick<World, "observed"> {
  return { observed: new Map([[key, what]]) };
}

describe("how this node stands", () => {
  const both: Partial<PlanConfig> = { controlPlane: [B] };
  const bad = { badLinks: new Set(["eth0"]) };
  test.each<readonly [string, Partial<World>, Partial<PlanConfig>, Readonly<Record<string, string>>]>([
    ["both are good", {}, both, { services: "run", "control-plane": "run" }],
    ["the link is bad: nothing can be served", bad, both, { services: "drop", "control-plane": "drop" }],
    ["another link is bad", { badLinks: new Set(["eth1"]) }, both, { services: "run", "control-plane": "run" }],
    ["the link for Services is bad: the control plane stays", { badLinks: new Set(["eth1"]) }, { ...both, servicesIface: "eth1" }, { services: "drop", "control-plane": "run" }],
    ["the main link is bad: Services on another stay", bad, { ...both, servicesIface: "eth1" }, { services: "run", "control-plane": "drop" }],
    ["the API server is well", { controlPlaneHealth: "healthy" }, both, { services: "run", "control-plane": "run" }],
    ["the API server is sick: only the control plane is offered to others", { controlPlaneHealth: "sick" }, both, { services: "run", "control-plane": "yield" }],
    ["nothing is known of the API server yet", { controlPlaneHealth: "unknown" }, both, { services: "run", "control-plane": "out" }],
    ["sick, and the link is bad: the link counts for more", { ...bad, controlPlaneHealth: "sick" }, both, { services: "drop", "control-plane": "drop" }],
    ["no control plane here", { controlPlaneHealth: "sick" }, {}, { services: "run" }],
    ["only the control plane", {}, { ...both, services: false }, { "control-plane": "run" }],
    ["no list of Services yet", { services: undefined }, both, { "control-plane": "run" }],
    ["the link of the default route, which is not known yet", {}, { ...both, iface: undefined }, { services: "drop", "control-plane": "drop" }],
    ["the link of the default route", { defaultLink: "eth1" }, { ...both, iface: undefined }, { services: "run", "control-plane": "run" }],
  ])("%s", (_name, part, settings, stances) => {
    expect(Object.fromEntries(plan(world(part), { ...config, ...settings }).campaigns)).toEqual(stances);
  });
});

describe("on which link", () => {
  test("a Service's address is on vip_servicesinterface, the control plane's and a Service's on that one on the main link", () => {
    const onBoth = fakeService({ name: "both", loadBalancerIP: B });
    const given = world(ownership({ services: {}, "control-plane": {} }), [web, onBoth]);
    const { wants } = plan(given, { ...config, servicesIface: "eth1", controlPlane: [B] });
    expect([...wants.arp.values()].map(({ key, owners }) => [key, owners])).toEqual([[`eth0/${B}`, ["default/both"]], [`eth1/${A}`, ["default/web"]]]);
  });

  test("auto: each address of a Service goes to the link of its subnet; one without a subnet is said, and harms no other", () => {
    const service = fakeService({ annotations: { "kube-vip.io/loadbalancerIPs": `${A},198.51.100.10,203.0.113.1` } });
    const subnets = new Map([["eth0", [{ address: "192.0.2.1" as IpAddress, prefix: 24 }]], ["eth1", [{ address: "198.51.100.1" as IpAddress, prefix: 24 }]]]);
    const { wants, skipped } = plan(world({ subnets }, [service]), { ...config, servicesIface: "auto" });
    expect([...wants.arp.keys()]).toEqual([`eth0/${A}`, "eth1/198.51.100.10"]);
    expect([...skipped.values()]).toEqual([{ code: "noInterface", message: "no link of this node has a subnet that holds 203.0.113.1" }]);
  });

  test("a link that is bad: nothing is wanted there, without an Event", () => {
    const { wants, skipped, events } = plan(world({ badLinks: new Set(["eth0"]) }), config);
    expect([wants.arp.size, events.size]).toEqual([0, 0]);
    expect([...skipped.values()]).toEqual([{ code: "linkDown", message: "eth0 is down or has no carrier" }]);
  });
});

describe("whether one of our nodes has held an address before", () => {
  const record = (addresses: readonly string[]) => ({ "vip.internal/announced": JSON.stringify({ addresses, node: "n2" }) });
  const said = fakeService({ name: "said", loadBalancerIP: A, annotations: record([A]) });
  test.each<readonly [string, readonly Service[], boolean]>([
    ["no record", [web], true],
    ["in the record, of whichever node", [said], false],
    ["another address in the record", [fakeService({ loadBalancerIP: A, annotations: record([B]) })], true],
    ["one of two Services has it in its record", [web, said], false],
    ["the other of two Services has it in its record", [{ ...web, createdAt: 1 }, said], false],
  ])("a Service's: %s", (_name, services, fresh) => {
    const { wants } = plan(world({}, services), config);
    expect(wants.arp.get(vipKey("eth0", A))?.fresh).toBe(fresh);
  });

  test.each<readonly [string, boolean]>([
    ["this process made the Lease: nobody has", true],
    ["the Lease was there before: somebody may have", false],
  ])("the control plane's: %s", (_name, created) => {
    const given = world(ownership({ services: {}, "control-plane": { created } }));
    expect(plan(given, { ...config, controlPlane: [A] }).wants.arp.get(vipKey("eth0", A))?.fresh).toBe(created);
  });
});

describe("a stranger", () => {
  const key = vipKey("eth0", A);
  const inUse = (proxy: boolean): Observation<void> => ({ state: "failed", error: new AddressInUse(A, "eth0", MAC, proxy), attempts: 1 });

  test("that has the address: still wanted, so that it is tried again; the Service is told who it is", () => {
    const { wants, skipped, events, statuses } = plan(world(observed(key, inUse(false))), config);
    const message = `${A} is in use on eth0 by ${MAC}, not taken; looked at again every ten seconds`;
    expect([...wants.arp.keys()]).toEqual([key]);
    expect([...skipped.values()]).toEqual([{ code: "addressInUse", message }]);
    expect([...events.values()]).toEqual([{ service: web, type: "Warning", reason: "AddressInUse", message }]);
    expect(statuses.size).toBe(0);
  });

  test("that answers for everything is called what it is, with what to do", () => {
    const { skipped } = plan(world(observed(key, inUse(true))), config);
    expect([...skipped.values()][0]?.message).toMatch(/proxy ARP.*duplicate_check/);
  });

  test("is the same fact in the next pass, and another with another MAC", () => {
    const facts = (what: Observation<void>) => [...plan(world(observed(key, what)), config).events.keys()];
    const other = { state: "failed", error: new AddressInUse(A, "eth0", "02:00:00:00:00:98" as MacAddress, false), attempts: 1 } as const;
    expect(facts({ ...inUse(false), attempts: 7 } as Observation<void>)).toEqual(facts(inUse(false)));
    expect(facts(other)).not.toEqual(facts(inUse(false)));
  });

  test("another failure is no stranger: on its way, nothing is said", () => {
    const { skipped, events } = plan(world(observed(key, { state: "failed", error: new Error("EPERM"), attempts: 1 })), config);
    expect([skipped.size, events.size]).toEqual([0, 0]);
  });

  test("has one of two addresses: the other one is served and said", () => {
    const two = fakeService({ annotations: { "kube-vip.io/loadbalancerIPs": `${A},${B}` } });
    const seen = new Map([[key, inUse(false)], [vipKey("eth0", B), UP]]);
    const { statuses, skipped } = plan(world({ observed: seen }, [two]), config);
    expect([...skipped.values()][0]?.code).toBe("addressInUse");
    expect([...statuses.values()]).toMatchObject([{ ingress: [{ ip: B }] }]);
  });

  test("that announces an address that is up: kept, and the Service is told", () => {
    const given = world({ ...observed(key, UP), conflicts: new Map([[key, MAC]]) });
    const { wants, events, skipped } = plan(given, config);
    expect([wants.arp.size, skipped.size]).toEqual([1, 0]);
    expect([...events.values()].map(({ type, reason, message }) => [type, reason, message])).toEqual([
      ["Normal", "VipHeld", `${A} is held by node n1 (ARP on eth0)`],
      ["Warning", "AddressConflict", `${A} on eth0 is announced by ${MAC} too: kept and defended, every ten seconds at the most`],
    ]);
  });

  test("that announced an address that is not held here any more is not spoken of", () => {
    const given = world({ ...observed(key, UP), conflicts: new Map([[key, MAC]]), ...ownership({ services: { held: false, holder: "n2" } }) });
    expect(plan(given, config).events.size).toBe(0);
  });
});
