import { describe, expect, test } from "vitest";
import { announceStatus, clearStatus, recordedAddresses, sameStatusPatch, type StatusDecision, type StatusPatch } from "../../src/core/status.js";
import type { IpAddress } from "../../src/lib/ip.js";
import type { IngressAddress, Service } from "../../src/ports/kube.js";
import { fakeIngress, fakeService } from "../fakes/service.js";

const A = "192.0.2.10" as IpAddress;
const B = "2001:db8::10" as IpAddress;
const OURS = "vip.internal/announced";
const HOST = "kube-vip.io/vipHost";
const FOREIGN = "203.0.113.9";

/** An entry as another controller, or a newer API server, writes it. */
function entry(raw: { readonly ip?: string; readonly hostname?: string; readonly ipMode?: string; readonly ports?: readonly unknown[] }): IngressAddress {
  return { ip: raw.ip, hostname: raw.hostname, raw };
}

function service(ingress: readonly IngressAddress[], annotations: Readonly<Record<string, string>> = {}): Service {
  return fakeService({ ingress, annotations });
}

function record(addresses: readonly string[], node = "n1"): Readonly<Record<string, string>> {
  return { [OURS]: JSON.stringify({ addresses, node }), [HOST]: node };
}

/** The Service after the API server has taken the patch. */
function patched(before: Service, decision: StatusDecision): Service {
  if (decision.type !== "patch") throw new Error(`expected a patch, got ${decision.type}`);
  const { ingress, annotations } = decision.patch;
  const kept = Object.entries({ ...before.annotations, ...annotations }).filter((pair): pair is [string, string] => pair[1] !== null);
  const entries = (ingress ?? before.ingress.map(({ raw }) => raw)).map((raw) => entry(raw as Parameters<typeof entry>[0]));
  return { ...before, resourceVersion: "2", ingress: entries, annotations: Object.fromEntries(kept) };
}

/** What is decided, without the Service: the entries after the patch, the foreign entries, or nothing. */
function shown(decision: StatusDecision): unknown {
  if (decision.type === "patch") return decision.patch.ingress;
  return decision.type === "foreign" ? `foreign ${decision.entries.join(" ")}` : "none";
}

describe("saying that addresses are announced", () => {
  test.each<readonly [string, Service, readonly IpAddress[], unknown]>([
    ["an empty status", service([]), [A], [{ ip: A }]],
    ["both families, in the order they are given", service([]), [B, A], [{ ip: B }, { ip: A }]],
    ["said already", service([fakeIngress(A)], record([A])), [A], "none"],
    ["said already, and the API server has added ipMode", service([entry({ ip: A, ipMode: "VIP" })], record([A])), [A], "none"],
    ["said by an earlier holder", service([fakeIngress(A)], record([A], "n2")), [A], [{ ip: A }]],
    ["the record is there, the entry is not", service([], record([A])), [A], [{ ip: A }]],
    ["the entry is there, the record is not", service([fakeIngress(A)]), [A], [{ ip: A }]],
    ["one more address", service([fakeIngress(A)], record([A])), [A, B], [{ ip: A }, { ip: B }]],
    ["one address less", service([fakeIngress(A), fakeIngress(B)], record([A, B])), [B], [{ ip: B }]],
    ["another order", service([fakeIngress(A), fakeIngress(B)], record([A, B])), [B, A], [{ ip: B }, { ip: A }]],
    ["written by kube-vip, whatever it is", service([fakeIngress("192.0.2.99")], { [HOST]: "n3" }), [A], [{ ip: A }]],
    ["a foreign address and no record", service([fakeIngress(FOREIGN)]), [A], `foreign ${FOREIGN}`],
    ["a foreign address beside ours", service([fakeIngress(A), fakeIngress(FOREIGN)], record([A])), [A], `foreign ${FOREIGN}`],
    ["a foreign hostname beside ours", service([entry({ hostname: "lb.example" }), fakeIngress(A)], record([A])), [A], "foreign lb.example"],
    ["a damaged record over our own entry: written anew", service([fakeIngress(A)], { [OURS]: "{", [HOST]: "n1" }), [A], [{ ip: A }]],
    ["a damaged record over another entry: not ours to remove", service([fakeIngress(B)], { [OURS]: "{", [HOST]: "n1" }), [A], `foreign ${B}`],
  ])("%s", (_name, before, addresses, expected) => {
    expect(shown(announceStatus(before, { addresses }, "n1"))).toEqual(expected);
  });

  test("the patch names the node and what was written; applied, nothing is left to do", () => {
    const before = service([fakeIngress(A)], record([A], "n2"));
    const decision = announceStatus(before, { addresses: [A, B] }, "n1");
    expect(decision).toMatchObject({ patch: { service: before, annotations: record([A, B]) } });
    const after = patched(before, decision);
    expect(announceStatus(after, { addresses: [A, B] }, "n1")).toEqual({ type: "none" });
  });
});

describe("taking back what was written", () => {
  const foreign = { hostname: "lb.example", ports: [{ port: 80, protocol: "TCP" }] };
  const proxied = { ip: FOREIGN, ipMode: "Proxy", ports: [{ port: 443, protocol: "TCP", error: "x/y" }] };
  test.each<readonly [string, Service, unknown]>([
    ["nothing was written", service([fakeIngress(A)]), "none"],
    ["written by kube-vip, not by us", service([fakeIngress(A)], { [HOST]: "n1" }), "none"],
    ["ours go", service([fakeIngress(A), fakeIngress(B)], record([A, B])), []],
    ["ours go with what the API server added to them", service([entry({ ip: A, ipMode: "VIP" })], record([A])), []],
    ["a hostname without an address stays as it is", service([entry(foreign), fakeIngress(A)], record([A])), [foreign]],
    ["ipMode and ports of a foreign entry stay as they are", service([fakeIngress(A), entry(proxied)], record([A])), [proxied]],
    ["an address that is not in the record stays", service([fakeIngress(A), fakeIngress(B)], record([A])), [{ ip: B }]],
    ["a damaged record removes no entry", service([fakeIngress(A)], { [OURS]: "nonsense", [HOST]: "n1" }), [{ ip: A }]],
  ])("%s", (_name, before, expected) => {
    expect(shown(clearStatus(before))).toEqual(expected);
  });

  test("the annotations go too; applied, nothing is left to do", () => {
    const before = service([fakeIngress(A), entry(foreign)], { ...record([A]), "kube-vip.io/ignore": "true" });
    const after = patched(before, clearStatus(before));
    expect(after.annotations).toEqual({ "kube-vip.io/ignore": "true" });
    expect(clearStatus(after)).toEqual({ type: "none" });
  });
});

test.each<readonly [string, string | undefined, readonly string[] | undefined]>([
  ["none", undefined, undefined],
  ["ours", '{"addresses":["192.0.2.10","2001:db8::10"],"node":"n1"}', [A, B]],
  ["no JSON", "{", []],
  ["empty text", "", []],
  ["null", "null", []],
  ["a list", "[]", []],
  ["no addresses", '{"node":"n1"}', []],
  ["addresses that are no list", '{"addresses":"192.0.2.10"}', []],
  ["some that are no texts", '{"addresses":["192.0.2.10",7,null]}', [A]],
])("the record: %s", (_name, text, expected) => {
  expect(recordedAddresses(service([], text === undefined ? {} : { [OURS]: text }))).toEqual(expected);
});

test("a patch is the same as another where the API would do the same by it, and a newer version of the Service is another", () => {
  const patch: StatusPatch = { service: service([]), ingress: [{ ip: A }], annotations: record([A]) };
  expect(sameStatusPatch(patch, { ...patch, service: { ...patch.service } })).toBe(true);
  expect(sameStatusPatch(patch, { ...patch, service: { ...patch.service, resourceVersion: "9" } })).toBe(false);
  expect(sameStatusPatch(patch, { ...patch, service: { ...patch.service, uid: "another" } })).toBe(false);
  expect(sameStatusPatch(patch, { ...patch, ingress: [{ ip: B }] })).toBe(false);
  expect(sameStatusPatch(patch, { ...patch, annotations: record([A], "n2") })).toBe(false);
});
