import { expect, it, test } from "vitest";
import type { ServiceKey } from "../../src/core/model.js";
import { HAS_IP, isLabelOf, labelsOf, PROVIDES } from "../../src/core/node-labels.js";
import { parseIp, type IpAddress } from "../../src/lib/ip.js";

/** As the API server checks them: name of a label behind its prefix, and value. */
const LEGAL = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;

function ip(text: string): IpAddress {
  const address = parseIp(text);
  if (address === undefined) throw new Error(text);
  return address;
}

function held(address: string, ...owners: readonly string[]): { readonly address: IpAddress; readonly owners: readonly ServiceKey[] } {
  return { address: ip(address), owners: owners as readonly ServiceKey[] };
}

it.each([
  { name: "the control plane", of: [held("192.0.2.1")], labels: { [HAS_IP]: "192.0.2.1" } },
  { name: "IPv6 as kube-vip writes it", of: [held("2001:db8::1")], labels: { [HAS_IP]: "20010db8000000000000000000000001" } },
  { name: "both families, IPv4 first", of: [held("2001:db8::1", "a/web"), held("192.0.2.1", "a/web")], labels: { [`${PROVIDES}web.a`]: "192.0.2.1_20010db8000000000000000000000001" } },
  { name: "an address that two Services share", of: [held("192.0.2.1", "a/web", "b/dns")], labels: { [`${PROVIDES}web.a`]: "192.0.2.1", [`${PROVIDES}dns.b`]: "192.0.2.1" } },
  { name: "one address on two links", of: [held("192.0.2.1", "a/web"), held("192.0.2.1", "a/web")], labels: { [`${PROVIDES}web.a`]: "192.0.2.1" } },
  { name: "nothing", of: [], labels: {} },
])("labels say $name", ({ of, labels }) => {
  expect(Object.fromEntries(labelsOf(of))).toEqual(labels);
});

test("every label is legal, also of long names and of more addresses than fit, and long names stay apart", () => {
  const name = "a".repeat(63);
  const many = Array.from({ length: 9 }, (_, i) => held(`2001:db8::${i + 1}`, `ns/${name}`));
  const cut = `ns-${"x".repeat(40)}/${"b".repeat(51)}`;
  const labels = labelsOf([...many, held("192.0.2.1", cut), held("192.0.2.2", `${cut}-2`), held("192.0.2.3", `${"n".repeat(63)}/${"s".repeat(53)}`)]);
  expect(labels.size).toBe(4);
  for (const [label, value] of labels) {
    expect(label.slice(PROVIDES.length)).toMatch(LEGAL);
    expect(value).toMatch(LEGAL);
  }
});

it.each([
  { label: HAS_IP, parts: ["control-plane"], is: true },
  { label: HAS_IP, parts: ["services"], is: false },
  { label: `${PROVIDES}web.a`, parts: ["services"], is: true },
  { label: `${PROVIDES}web.a`, parts: ["control-plane"], is: false },
  { label: "kubernetes.io/hostname", parts: ["control-plane", "services"], is: false },
] as const)("$label of a process for $parts: $is", ({ label, parts, is }) => {
  expect(isLabelOf(label, parts)).toBe(is);
});
