import { describe, expect, test } from "vitest";
import { controlPlaneDhcp, macOf } from "../../src/core/dhcp.js";
import type { LeaseKey, LeaseSeen } from "../../src/core/model.js";
import { plan, type Plan } from "../../src/core/plan.js";
import type { World } from "../../src/core/world.js";
import type { Service } from "../../src/ports/kube.js";
import { fakeLink } from "../fakes/kernel.js";
import { fakeService } from "../fakes/service.js";
import { ip, MINE, owning, PLAN_CONFIG, THEIRS, worldWith } from "./given.js";

const ASKED = controlPlaneDhcp("vip.example.org", [4, 6]);
const [FOUR, SIX] = ["dhcp4/control-plane", "dhcp6/control-plane"] as [LeaseKey, LeaseKey];
const ADDRESS = ip("192.0.2.150");
const MAC = macOf("control-plane/vip.example.org");
const ETH0 = fakeLink(2, "eth0");

function made(part: Partial<World>, services: readonly Service[] = []): Plan {
  return plan(worldWith(services, { ...owning({ services: MINE, "control-plane": MINE }), ...part }), { ...PLAN_CONFIG, controlPlane: [], controlPlaneDhcp: ASKED });
}

const THERE: Partial<World> = { links: new Map([["eth0", ETH0], ["vip-cp", { ...fakeLink(9, "vip-cp"), kind: "macvlan", parentIndex: 2, mac: MAC }]]) };

function leased(part: Partial<LeaseSeen> = {}): Partial<World> {
  const lease = { address: ADDRESS, server: ip("192.0.2.1"), renewAt: 1000, rebindAt: 2000, expiresAt: 3000 };
  return { ...THERE, leases: new Map([[FOUR, { phase: "bound", mac: MAC, lease, sends: 0, seekingSince: undefined, trouble: undefined, ...part }]]) };
}

describe("a control-plane VIP from DHCP servers", () => {
  test("first needs its link, which is made of the name and so the same on every node", () => {
    const { wants, asks, campaigns } = made({});
    expect([...wants.link.values()]).toEqual([{ key: "vip-cp", parent: "eth0", mac: MAC, rpFilter: 2, owners: [] }]);
    expect([...asks]).toEqual([FOUR, SIX]);
    expect(wants.dhcp.size).toBe(0);
    expect(campaigns.has("control-plane")).toBe(true);
    expect(controlPlaneDhcp("other.example.org", [4])[0]?.mac).not.toBe(MAC);
  });

  test("is asked for under the first label, and whoever answers for it may be a node of ours", () => {
    expect([...made(THERE).wants.dhcp.values()]).toMatchObject([
      { key: FOUR, family: 4, hostname: "vip", known: undefined, owners: [], linkIndex: 9 },
      { key: SIX, family: 6, hostname: "vip", known: undefined, owners: [], linkIndex: 9 },
    ]);
  });

  test("is held until its lease ends, behind the fence of the control plane", () => {
    expect([...made(leased()).wants.arp.values()]).toMatchObject([{ key: `vip-cp/${ADDRESS}`, ownership: "control-plane", owners: [], until: 3000, ports: [{ protocol: "TCP", port: 6443 }] }]);
  });

  test("is not asked for where another node has it, and not given back either", () => {
    const { wants, asks } = made({ ...leased(), ...owning({ services: MINE, "control-plane": THEIRS }) });
    expect([wants.link.size, wants.dhcp.size, wants.arp.size]).toEqual([0, 0, 0]);
    expect([...asks]).toEqual([FOUR, SIX]);
  });

  test("that nobody gives is a problem that is told", () => {
    const { problems } = made(leased({ phase: "selecting", lease: undefined, sends: 4 }));
    expect(problems).toEqual([expect.stringContaining("control plane: no DHCP server has answered")]);
  });

  test("is shared by a Service that names the address, but not the port of the API server", () => {
    const service = fakeService({ loadBalancerIP: ADDRESS, ports: [{ name: "a", protocol: "TCP", port: 6443 }] });
    const { skipped } = made(leased(), [service]);
    expect([...skipped.values()]).toMatchObject([{ code: "portConflict" }]);
  });
});
