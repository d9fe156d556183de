import { describe, expect, test } from "vitest";
import { askedOf, type Asked, type ServicePlanConfig } from "../../src/core/plan-service.js";
import type { Service } from "../../src/ports/kube.js";
import { fakeIngress, fakeService } from "../fakes/service.js";
import { PLAN_CONFIG } from "./given.js";

const CLASS = "kube-vip.io/kube-vip-class";
const LEGACY: ServicePlanConfig = { loadBalancerClass: CLASS, legacyClasses: true, classOnly: false, dhcpFamilies: [4] };
const ONLY: ServicePlanConfig = { ...LEGACY, classOnly: true };
const STRICT: ServicePlanConfig = { ...LEGACY, legacyClasses: false };

/** `192.0.2.10 www.example.org from annotation`, `any`, or `code: message`. */
function shown(asked: Asked): string {
  if (asked.type === "skip") return `${asked.reason.code}: ${asked.reason.message}`;
  const romana = asked.romana ? "romana " : "";
  if (asked.type === "any") return `${romana}any`;
  return `${romana}${asked.entries.map((entry) => ("address" in entry ? entry.address : "dhcp" in entry ? `${entry.dhcp.key} on ${entry.dhcp.link}` : `name ${entry.name}`)).join(" ")} from ${asked.from}`;
}

function asks(part: Partial<Service>, config: ServicePlanConfig = PLAN_CONFIG): string {
  return shown(askedOf(fakeService(part), config));
}

const IPS = "kube-vip.io/loadbalancerIPs";
const METALLB = "metallb.io/loadBalancerIPs";

/** What we write into a Service that is announced. */
function announced(...addresses: readonly string[]): Pick<Service, "annotations" | "ingress"> {
  return {
    annotations: { "vip.internal/announced": JSON.stringify({ addresses, node: "n1" }), "kube-vip.io/vipHost": "n1" },
    ingress: addresses.map(fakeIngress),
  };
}

describe("load-balancer class", () => {
  const none = "spec.loadBalancerClass is not set";
  test.each<readonly [string, ServicePlanConfig, string | undefined, string]>([
    ["legacy handling: without a class, served", LEGACY, undefined, "any"],
    ["legacy handling: of the name, served", LEGACY, CLASS, "any"],
    ["legacy handling: of another, not", LEGACY, "x/y", `otherClass: spec.loadBalancerClass is x/y, served are ${CLASS} and none`],
    ["class only: without a class, not", ONLY, undefined, `otherClass: ${none}, served is ${CLASS} only (lb_class_only is true)`],
    ["class only: of the name, served", ONLY, CLASS, "any"],
    ["class only: of another, not", ONLY, "x/y", `otherClass: spec.loadBalancerClass is x/y, served are ${CLASS}`],
    ["strict handling: without a class, not", STRICT, undefined, `otherClass: ${none}, served is ${CLASS} only (lb_class_legacy_handling is false)`],
    ["strict handling: of the name, served", STRICT, CLASS, "any"],
    ["strict handling: of another, not", STRICT, "x/y", `otherClass: spec.loadBalancerClass is x/y, served is ${CLASS} only (lb_class_legacy_handling is false)`],
    ["strict handling counts for more than class only", { ...STRICT, classOnly: true }, CLASS, "any"],
    ["strict handling, empty name: without a class, served", { ...STRICT, loadBalancerClass: "" }, undefined, "any"],
    ["strict handling, empty name: with a class, not", { ...STRICT, loadBalancerClass: "" }, CLASS, `otherClass: spec.loadBalancerClass is ${CLASS}, served is none (lb_class_legacy_handling is false)`],
    ["another name, legacy handling", { ...LEGACY, loadBalancerClass: "x/y" }, "x/y", "any"],
  ])("%s", (_name, config, loadBalancerClass, expected) => {
    expect(asks({ loadBalancerClass }, config)).toBe(expected);
  });

  test("a Romana VIP has none: its annotation says who serves it", () => {
    expect(asks({ loadBalancerClass: "x/y", annotations: { romanaip: '{"ip":"192.0.2.10"}' } }, STRICT)).toBe("romana 192.0.2.10 from romanaip");
  });
});

describe("which Services", () => {
  test.each<readonly [string, Partial<Service>, string]>([
    ["is on its way out", { deleting: true, loadBalancerIP: "192.0.2.10" }, "ignored: it is being deleted"],
    ["is on its way out, Romana's", { deleting: true, annotations: { romanaip: '{"ip":"192.0.2.10"}' } }, "ignored: it is being deleted"],
    ["is to be ignored", { annotations: { "kube-vip.io/ignore": "true", [IPS]: "192.0.2.10" } }, 'ignored: kube-vip.io/ignore is "true"'],
    ["is to be ignored, Romana's", { annotations: { "kube-vip.io/ignore": "true", romanaip: '{"ip":"192.0.2.10"}' } }, 'ignored: kube-vip.io/ignore is "true"'],
    ["is not to be ignored: kube-vip wants the exact text", { annotations: { "kube-vip.io/ignore": "True", [IPS]: "192.0.2.10" } }, `192.0.2.10 from ${IPS}`],
    ["has another type", { type: "NodePort", loadBalancerIP: "192.0.2.10" }, "notLoadBalancer: its type is NodePort"],
    ["has another type, and a Romana VIP", { type: "ClusterIP", annotations: { romanavip: '{"ip":"192.0.2.10"}' } }, "romana 192.0.2.10 from romanavip"],
    ["has another type, and a Romana VIP from the pool", { type: "ClusterIP", annotations: { romanavip: '{"auto":true}' } }, "romana any"],
    ["has a Romana VIP from the pool, which it was given", { annotations: { romanavip: '{"auto":true}', "vip.internal/granted": "192.0.2.10,2001:db8::10" } }, "romana 192.0.2.10 2001:db8::10 from vip.internal/granted"],
    ["has a Romana VIP from the pool, and a record that nobody can read", { annotations: { romanavip: '{"auto":true}', "vip.internal/granted": "nonsense" } }, "romana any"],
    ["was given an address from a pool, as a Romana VIP or not", { annotations: { "vip.internal/granted": "192.0.2.10" } }, "192.0.2.10 from vip.internal/granted"],
    ["has a Romana VIP that is wrong: nothing else is tried", { loadBalancerIP: "192.0.2.10", annotations: { romanaip: "{" } }, 'invalidRomana: romanaip has "{", which is no JSON object: expected {"auto": false, "ip": "192.0.2.10"} or {"auto": true}'],
  ])("one that %s", (_name, part, expected) => {
    expect(asks(part)).toBe(expected);
  });
});

describe("where the addresses come from", () => {
  const said = announced("192.0.2.10", "2001:db8::10");
  test.each<readonly [string, Partial<Service>, string]>([
    ["the annotation before all else", { ...said, loadBalancerIP: "192.0.2.1", annotations: { ...said.annotations, [IPS]: "192.0.2.2", [METALLB]: "192.0.2.3" } }, `192.0.2.2 from ${IPS}`],
    ["MetalLB's annotation before the spec", { loadBalancerIP: "192.0.2.1", annotations: { [METALLB]: "192.0.2.3, 2001:db8::3" } }, `192.0.2.3 2001:db8::3 from ${METALLB}`],
    ["an empty annotation is none", { loadBalancerIP: "192.0.2.1", annotations: { [IPS]: " ", [METALLB]: "" } }, "192.0.2.1 from spec.loadBalancerIP"],
    ["the spec where nothing is announced", { loadBalancerIP: " 192.0.2.1 " }, "192.0.2.1 from spec.loadBalancerIP"],
    ["the status where the spec says nothing", said, "192.0.2.10 2001:db8::10 from status"],
    ["the status where the spec says the same", { ...announced("192.0.2.10"), loadBalancerIP: "192.0.2.10" }, "192.0.2.10 from spec.loadBalancerIP"],
    ["the spec where it differs in the same family; the other family stays", { ...said, loadBalancerIP: "192.0.2.1" }, "192.0.2.1 2001:db8::10 from spec.loadBalancerIP"],
    ["the spec where it differs in the same family, IPv6", { ...said, loadBalancerIP: "2001:db8::1" }, "2001:db8::1 192.0.2.10 from spec.loadBalancerIP"],
    ["a spec in the other family adds to the status", { ...announced("192.0.2.10"), loadBalancerIP: "2001:db8::1" }, "2001:db8::1 192.0.2.10 from spec.loadBalancerIP"],
    ["a name in the spec may stand for either family: nothing of the status stays beside it", { ...said, loadBalancerIP: "www.example.org" }, "name www.example.org from spec.loadBalancerIP"],
    ["DHCPv6 in the spec; the other family stays", { ...said, loadBalancerIP: "::" }, "dhcp6/uid-web on vip-uidweb 192.0.2.10 from spec.loadBalancerIP"],
    ["our record, although somebody emptied the status", { ...said, ingress: [] }, "192.0.2.10 2001:db8::10 from status"],
    ["our record, not what somebody added to the status", { ...said, ingress: [...said.ingress, fakeIngress("203.0.113.1")] }, "192.0.2.10 2001:db8::10 from status"],
    ["the status that kube-vip wrote", { annotations: { "kube-vip.io/vipHost": "n2" }, ingress: [fakeIngress("192.0.2.10")] }, "192.0.2.10 from status"],
    ["the pool where nothing names one", {}, "any"],
    ["the pool, although kube-vip names a host, where the status is empty", { annotations: { "kube-vip.io/vipHost": "n2" } }, "any"],
    ["what we announced only as far as it can be a VIP", announced("0.0.0.0", "nonsense", "192.0.2.10"), "192.0.2.10 from status"],
    ["DHCP where the pools said so, also once there was an address", { annotations: { "vip.internal/granted": "0.0.0.0", ...announced("192.0.2.10").annotations } }, "dhcp4/uid-web on vip-uidweb from vip.internal/granted"],
    ["the spec, although the pools once said DHCP", { loadBalancerIP: "192.0.2.1", annotations: { "vip.internal/granted": "0.0.0.0" } }, "192.0.2.1 from spec.loadBalancerIP"],
    ["nobody's: the status is another's", { ingress: [fakeIngress("203.0.113.1")], statusManager: "metallb" }, "foreignController: the status holds 203.0.113.1, written by metallb, and no address is asked for: left alone"],
    ["nobody's: the status is somebody's, a name", { ingress: [{ ip: undefined, hostname: "lb.example.org", raw: {} }] }, "foreignController: the status holds lb.example.org, written by another controller, and no address is asked for: left alone"],
    ["the spec, although the status is another's", { loadBalancerIP: "192.0.2.1", ingress: [fakeIngress("203.0.113.1")] }, "192.0.2.1 from spec.loadBalancerIP"],
  ])("%s", (_name, part, expected) => {
    expect(asks(part)).toBe(expected);
  });
});

describe("a list of addresses", () => {
  const expected = "expected an IP address such as 192.0.2.10, or a DNS name";
  test.each<readonly [string, string, string]>([
    ["of both families, with blanks", "192.0.2.10 , 2001:DB8::10", `192.0.2.10 2001:db8::10 from ${IPS}`],
    ["with the same twice, in two spellings", "2001:db8::10,2001:db8:0::10", `2001:db8::10 from ${IPS}`],
    ["with names, in any case", "WWW.Example.org,192.0.2.10,www.example.org", `name www.example.org 192.0.2.10 from ${IPS}`],
    ["with an address that is none", "192.0.2.10,192.0.2.300", `invalidAddress: ${IPS} has "192.0.2.300": ${expected}`],
    ["with a prefix length", "192.0.2.10/32", `invalidAddress: ${IPS} has "192.0.2.10/32": ${expected}`],
    ["with a comma too much", "192.0.2.10,", `invalidAddress: ${IPS} has "": ${expected}`],
    ["with a multicast address", "224.0.0.1", `invalidAddress: ${IPS} has 224.0.0.1, a multicast address: expected a unicast address of the network`],
    ["with DHCP for IPv4", "0.0.0.0", `dhcp4/uid-web on vip-uidweb from ${IPS}`],
    ["with DHCP for IPv6 beside an address", "192.0.2.10,::", `192.0.2.10 dhcp6/uid-web on vip-uidweb from ${IPS}`],
    ["with DHCP for both, on one link", "0.0.0.0, 0::0", `dhcp4/uid-web on vip-uidweb dhcp6/uid-web on vip-uidweb from ${IPS}`],
  ])("%s", (_name, text, result) => {
    expect(asks({ annotations: { [IPS]: text } })).toBe(result);
  });

  test("with a name under which an address is asked for by DHCP: the server is told its first label, unless another name is given", () => {
    const entriesOf = (annotations: Readonly<Record<string, string>>): unknown => {
      const asked = askedOf(fakeService({ annotations: { [IPS]: "Web.example.org", ...annotations } }), { ...LEGACY, dhcpFamilies: [4, 6] });
      return asked.type === "entries" ? asked.entries.map((entry) => ("dhcp" in entry ? [entry.dhcp.key, entry.dhcp.hostname] : entry)) : asked;
    };
    expect(entriesOf({ "kube-vip.io/ddns": "true" })).toEqual([["dhcp4/uid-web", "web"], ["dhcp6/uid-web", "web"]]);
    expect(entriesOf({ "kube-vip.io/ddns": "true", "kube-vip.io/loadbalancerHostname": "other" })).toEqual([["dhcp4/uid-web", "other"], ["dhcp6/uid-web", "other"]]);
    expect(entriesOf({ "kube-vip.io/ddns": "false" })).toEqual([{ name: "web.example.org" }]);
  });
});
