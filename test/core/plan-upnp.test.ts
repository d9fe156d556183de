import { describe, expect, test } from "vitest";
import { mappingKey, vipKey, type MappingKey, type MappingView, type Mapping } from "../../src/core/model.js";
import { plan, type PlanConfig } from "../../src/core/plan.js";
import type { World } from "../../src/core/world.js";
import type { Service } from "../../src/ports/kube.js";
import { fakeIngress, fakeService } from "../fakes/service.js";
import { ip, MINE, owning, PLAN_CONFIG, THEIRS, upOnEth0, worldWith } from "./given.js";

const VIP = "192.0.2.10";
const ROUTER = { name: "router", host: ip("192.0.2.1"), externalAddress: ip("198.51.100.1") };
const RECORD = { "vip.internal/announced": JSON.stringify({ addresses: [VIP], node: "n1" }), "kube-vip.io/vipHost": "n1" };
const LOADBALANCER_IPS = "kube-vip.io/loadbalancerIPs";
const EXTERNAL = "vip.internal/external";
const KEY = mappingKey(vipKey("eth0", ip(VIP)), { protocol: "TCP", port: 80 });

/** Up, said, and forwarded. */
function web(annotations: Readonly<Record<string, string>> = {}, part: Partial<Service> = {}): Service {
  return fakeService({ loadBalancerIP: VIP, ingress: [fakeIngress(VIP)], annotations: { ...RECORD, "kube-vip.io/forwardUPNP": "true", ...annotations }, ...part });
}

function wants(service: Service, part: Partial<World> = {}, config: Partial<PlanConfig> = {}): readonly Mapping[] {
  return [...plan(worldWith([service], { ...upOnEth0(VIP), ...part }), { ...PLAN_CONFIG, ...config }).wants.upnp.values()];
}

function mapped(view: Partial<MappingView> = {}, key: MappingKey = KEY): Pick<World, "mappings"> {
  return { mappings: new Map([[key, { status: { kind: "mapped", externalPort: 80, until: Infinity }, gateway: ROUTER, reason: undefined, ...view }]]) };
}

describe("which ports are asked for", () => {
  test("every TCP and UDP port of a Service that asks for it, once its address is up", () => {
    const ports = [{ name: "a", protocol: "TCP", port: 80 }, { name: "b", protocol: "UDP", port: 53 }, { name: "c", protocol: "SCTP", port: 9 }] as const;
    expect(wants(web({}, { ports }))).toEqual([
      { key: KEY, owners: ["default/web"], uid: "uid-web", iface: "eth0", address: VIP, protocol: "TCP", port: 80, leaseSeconds: 3600 },
      { key: "eth0/192.0.2.10 UDP/53", owners: ["default/web"], uid: "uid-web", iface: "eth0", address: VIP, protocol: "UDP", port: 53, leaseSeconds: 3600 },
    ]);
    expect(wants(web(), { observed: new Map() })).toEqual([]);
  });

  test("also of an IPv6 address, and said with brackets", () => {
    const SIX = ip("2001:db8::10");
    const service = web({ "vip.internal/announced": JSON.stringify({ addresses: [SIX], node: "n1" }) }, { loadBalancerIP: SIX, ingress: [fakeIngress(SIX)] });
    const [want] = wants(service, upOnEth0(SIX));
    expect(want).toMatchObject({ address: SIX, protocol: "TCP", port: 80 });
    const gateway = { ...ROUTER, externalAddress: SIX };
    const { statuses } = plan(worldWith([service], { ...upOnEth0(SIX), ...mapped({ gateway }, want?.key) }), { ...PLAN_CONFIG, upnpStatus: true });
    expect(JSON.stringify([...statuses.values()])).toContain("[2001:db8::10]:80/TCP");
  });

  test.each<readonly [string, Service, Partial<World>, Partial<PlanConfig>]>([
    ["the Service does not ask", web({ "kube-vip.io/forwardUPNP": "false" }), {}, {}],
    ["enable_upnp is false", web(), {}, { upnp: false }],
    ["another node holds it", web(), owning({ services: THEIRS }), {}],
    ["the process is stopping and nobody took over", web(), { stage: "leaving", ...owning({ services: { ...MINE, view: "free", holder: "" } }) }, {}],
  ])("none where %s", (_name, service, part, config) => {
    expect(wants(service, part, config)).toEqual([]);
  });

  test.each<readonly [string, Partial<World>]>([
    ["it is handed over to another node", { stage: "leaving", ...owning({ services: { ...MINE, view: "other", holder: "n2" } }) }],
    ["nobody took over yet", { stage: "running", ...owning({ services: { ...MINE, view: "free", holder: "" } }) }],
  ])("still where %s", (_name, part) => {
    expect(wants(web(), part)).toHaveLength(1);
  });

  test.each([["45s", 45], ["1h30m", 5400], ["0s", 0], ["1500ms", 2], ["-5s", 3600], ["100000h", 3600], ["soon", 3600], ["", 3600]] as const)("a lease of %j: %i s", (text, seconds) => {
    expect(wants(web({ "kube-vip.io/upnp-lease-duration": text }))[0]?.leaseSeconds).toBe(seconds);
  });
});

describe("what is said of them", () => {
  const statusOf = (service: Service, part: Partial<World>, config: Partial<PlanConfig> = {}): ReturnType<typeof plan>["statuses"] extends ReadonlyMap<unknown, infer S> ? S | undefined : never =>
    plan(worldWith([service], { ...upOnEth0(VIP), ...part }), { ...PLAN_CONFIG, ...config }).statuses.get("default/web" as never);
  const eventsOf = (service: Service, part: Partial<World>): readonly string[] =>
    [...plan(worldWith([service], { ...upOnEth0(VIP), ...part }), PLAN_CONFIG).events.values()].filter(({ reason }) => reason !== "VipHeld").map(({ type, reason, message }) => `${type} ${reason}: ${message}`);

  test("an open port goes to the annotation, and nothing else changes; said, nothing is left to do", () => {
    expect(statusOf(web(), mapped())).toMatchObject({ ingress: undefined, annotations: { [EXTERNAL]: "198.51.100.1:80/TCP" } });
    expect(statusOf(web({ [EXTERNAL]: "198.51.100.1:80/TCP" }), mapped())).toBeUndefined();
    expect(eventsOf(web(), mapped())).toEqual([`Normal PortOpened: 198.51.100.1:80/TCP leads to ${VIP}:80, opened at gateway router (192.0.2.1)`]);
  });

  test.each<readonly [string, Partial<MappingView>, string | null | undefined, string]>([
    ["refused", { status: { kind: "refused", conflict: true, code: 718, text: "ConflictInMappingEntry" } }, null, `Warning PortRefused: port 80/TCP for ${VIP} is refused by gateway router (192.0.2.1): 718 ConflictInMappingEntry`],
    ["without a gateway", { status: { kind: "noGateway" }, gateway: undefined, reason: "too deep" }, null, `Warning NoGateway: port 80/TCP for ${VIP} is not opened: no gateway that opens ports answers on eth0 (too deep)`],
    ["given another port", { status: { kind: "mapped", externalPort: 1025, until: 9 } }, "198.51.100.1:1025/TCP", `Normal PortOpened: 198.51.100.1:1025/TCP leads to ${VIP}:80, opened at gateway router (192.0.2.1); port 80 is taken there`],
    ["answered with nonsense", { status: { kind: "unreachable", reason: "no XML" } }, null, `Warning PortNotOpened: port 80/TCP for ${VIP} is not opened: gateway router (192.0.2.1) does not answer as it should: no XML`],
  ])("%s: the annotation and an Event", (_name, view, external, event) => {
    const said = statusOf(web({ [EXTERNAL]: "198.51.100.9:80/TCP" }), mapped(view));
    expect(said?.annotations[EXTERNAL]).toBe(external);
    expect(eventsOf(web(), mapped(view))).toEqual([event]);
  });

  test.each<readonly [string, string | undefined, string]>([
    ["a Service that has an IPv4 address, too", VIP, "Normal"],
    ["a Service of IPv6 only", undefined, "Warning"],
  ])("no gateway for IPv6, %s: told once for all of its ports", (_name, four, type) => {
    const SIX = "2001:db8::10";
    const addresses = [...(four === undefined ? [] : [four]), SIX];
    const ports = [{ name: "a", protocol: "TCP", port: 80 }, { name: "b", protocol: "TCP", port: 443 }] as const;
    const asked = { [LOADBALANCER_IPS]: addresses.join(","), "vip.internal/announced": JSON.stringify({ addresses, node: "n1" }) };
    const service = web(asked, { ports, loadBalancerIP: undefined, ingress: addresses.map((address) => fakeIngress(address)) });
    const observed = new Map(addresses.flatMap((address) => [...(upOnEth0(address).observed ?? [])]));
    const views = wants(service, { ...upOnEth0(VIP), observed }).map(({ key, address }): readonly [MappingKey, MappingView] =>
      address === SIX ? [key, { status: { kind: "noGateway" }, gateway: undefined, reason: undefined }] : [key, { status: { kind: "mapped", externalPort: 80, until: Infinity }, gateway: ROUTER, reason: undefined }],
    );
    expect(views).toHaveLength(2 * addresses.length);
    const told = eventsOf(service, { observed, mappings: new Map(views) }).filter((event) => event.includes("NoGateway"));
    expect(told).toEqual([`${type} NoGateway: the ports of ${SIX} are not opened: no gateway that opens ports for IPv6 answers on eth0; they are reached where no firewall is in the way`]);
  });

  test("what is not known yet leaves the annotation as it is", () => {
    const before = web({ [EXTERNAL]: "198.51.100.1:80/TCP" });
    expect(statusOf(before, {})).toBeUndefined();
    expect(statusOf(before, mapped({ status: { kind: "asking" } }))).toBeUndefined();
    expect(statusOf(before, { ...mapped(), observed: new Map() })).toBeUndefined();
  });

  test("asked for no more, the annotation goes; also with the Service's type", () => {
    const said = { [EXTERNAL]: "198.51.100.1:80/TCP" };
    expect(statusOf(web({ ...said, "kube-vip.io/forwardUPNP": "no" }), {})?.annotations).toEqual({ [EXTERNAL]: null });
    expect(statusOf(web(said, { type: "ClusterIP" }), {})?.annotations).toMatchObject({ [EXTERNAL]: null });
  });

  test("with upnp_status the gateway's address is in the status beside ours, never taken for a VIP, and goes again", () => {
    const on = { upnpStatus: true };
    const record = JSON.stringify({ addresses: [VIP], node: "n1", external: ["198.51.100.1"] });
    expect(statusOf(web(), mapped(), on)).toMatchObject({ ingress: [{ ip: VIP }, { ip: "198.51.100.1" }], annotations: { "vip.internal/announced": record } });
    const said = web({ [EXTERNAL]: "198.51.100.1:80/TCP", "vip.internal/announced": record }, { ingress: [fakeIngress(VIP), fakeIngress("198.51.100.1")], loadBalancerIP: undefined });
    const again = plan(worldWith([said], { ...upOnEth0(VIP), ...mapped() }), { ...PLAN_CONFIG, ...on });
    expect(again.statuses.size).toBe(0);
    expect([...again.wants.arp.keys()]).toEqual([`eth0/${VIP}`]);
    expect(statusOf(said, mapped())?.ingress).toEqual([{ ip: VIP }]);
    expect(statusOf({ ...said, type: "LoadBalancer", annotations: { ...said.annotations, "kube-vip.io/ignore": "true" } }, {}, on)?.ingress).toEqual([]);
  });
});
