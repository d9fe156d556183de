import { describe, expect, test } from "vitest";
import { plan, type Plan } from "../../src/core/plan.js";
import type { Service } from "../../src/ports/kube.js";
import { fakeLink } from "../fakes/kernel.js";
import { fakeService } from "../fakes/service.js";
import { PLAN_CONFIG, worldWith } from "./given.js";

const A = "192.0.2.10";
const ON_ETH1 = { "kube-vip.io/serviceInterface": "eth1" };
const links = new Map(["lo", "eth0", "eth1"].map((name, i) => [name, fakeLink(i + 1, name)]));

function on(name: string, port: number, part: Partial<Service> = {}): Service {
  return fakeService({ name, createdAt: port, loadBalancerIP: A, ports: [{ name: "", protocol: "TCP", port }], ...part });
}

function planned(...services: readonly Service[]): Plan {
  return plan(worldWith(services, { links }), PLAN_CONFIG);
}

function told({ events }: Plan): readonly string[] {
  return [...events.values()].map(({ service, type, reason, message }) => `${service.name}: ${type} ${reason}: ${message}`);
}

describe("Services that share an address and name different links", () => {
  test.each<readonly [string, Service, Service, string, readonly string[]]>([
    ["only the newer one names one", on("old", 80), on("new", 81, { annotations: ON_ETH1 }), "eth0", [`new: Warning OtherInterface: ${A} is shared with default/old, which had it first: it stands on eth0, as for that one, and not on eth1`]],
    ["only the older one names one", on("old", 80, { annotations: ON_ETH1 }), on("new", 81), "eth1", []],
    ["both name the same", on("old", 80, { annotations: ON_ETH1 }), on("new", 81, { annotations: ON_ETH1 }), "eth1", []],
  ])("have it on that of the older one: %s", (_name, old, newer, iface, events) => {
    const result = planned(old, newer);
    expect([...result.wants.arp.values()].map(({ key, owners }) => [key, owners])).toEqual([[`${iface}/${A}`, ["default/old", "default/new"]]]);
    expect(told(result)).toEqual(events);
  });

  test("where the older one names a link that is not there, the newer one is served on its own", () => {
    const result = planned(on("old", 80, { annotations: { "kube-vip.io/serviceInterface": "eth9" } }), on("new", 81));
    expect([...result.wants.arp.values()].map(({ key, owners }) => [key, owners])).toEqual([[`eth0/${A}`, ["default/new"]]]);
    expect(told(result)).toEqual([expect.stringContaining("old: Warning InvalidInterface")]);
  });
});

describe("an address of a family that the Service does not have", () => {
  const says = (result: Plan): readonly string[] => told(result).filter((line) => line.includes("OtherIpFamily"));
  const annotations = { "kube-vip.io/loadbalancerIPs": `${A},2001:db8::10` };

  test("is held, and told", () => {
    const result = planned(fakeService({ annotations }));
    expect(result.wants.arp.size).toBe(2);
    expect(says(result)).toEqual(["web: Warning OtherIpFamily: 2001:db8::10 is IPv6, and spec.ipFamilies of the Service has IPv4 only: kube-proxy forwards nothing to it; expected another address, or spec.ipFamilyPolicy PreferDualStack"]);
  });

  test.each<readonly [string, Partial<Service>]>([
    ["it has both", { ipFamilies: ["IPv4", "IPv6"] }],
    ["it does not say", { ipFamilies: [] }],
  ])("is not told where %s", (_name, part) => {
    expect(says(planned(fakeService({ annotations, ...part })))).toEqual([]);
  });
});
