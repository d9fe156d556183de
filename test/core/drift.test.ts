import { expect, test } from "vitest";
import { driftOf } from "../../src/core/drift.js";
import { vipKey, type Vip } from "../../src/core/model.js";
import { hostPrefix, type IpAddress } from "../../src/lib/ip.js";
import type { KernelEvent, LinkAddress } from "../../src/ports/kernel.js";
import { fakeLink } from "../fakes/kernel.js";

const MARKS = { services: 118, "control-plane": 119 };
const LINKS = new Map([fakeLink(1, "lo"), fakeLink(2, "eth0"), fakeLink(3, "eth1")].map((link) => [link.name, link]));
const BESIDE: Vip = { ...want("192.0.2.12"), prefix: 24, scope: "global" };
const WANTS = new Map([want("192.0.2.10"), want("192.0.2.11", "control-plane"), want("2001:db8::10"), BESIDE].map((vip) => [vip.key, vip]));

function want(text: string, ownership: Vip["ownership"] = "services"): Vip {
  const address = text as IpAddress;
  return { key: vipKey("eth0", address), owners: [], iface: "eth0", address, prefix: hostPrefix(address), ports: [], ownership, fresh: false };
}

/** `192.0.2.10/32` on eth0 as it is wanted, changed by `part`. */
function seen(part: Partial<LinkAddress> = {}, gone = false): KernelEvent {
  const as = { linkIndex: 2, address: "192.0.2.10" as IpAddress, prefix: 32, scope: "host", mark: 118, validSeconds: 3, preferredSeconds: 0 } as const;
  return { type: "address", address: { ...as, ...part }, gone };
}

const V6 = { address: "2001:db8::10" as IpAddress, prefix: 128, scope: "global" } as const;
const VIP = "eth0/192.0.2.10";

test.each<readonly [string, KernelEvent, string | undefined]>([
  ["our own refresh", seen(), undefined],
  ["our own refresh, IPv6, which has the scope of its bits", seen(V6), undefined],
  ["gone", seen({}, true), VIP],
  ["gone, IPv6", seen(V6, true), "eth0/2001:db8::10"],
  ["gone, by somebody who had changed it before", seen({ mark: 0, scope: "global", validSeconds: Infinity }, true), VIP],
  ["for ever", seen({ validSeconds: Infinity }), VIP],
  ["for ever, IPv6", seen({ ...V6, validSeconds: Infinity }), "eth0/2001:db8::10"],
  ["of scope global, so that it may become a source address", seen({ scope: "global" }), VIP],
  ["of scope global, as wanted beside an address of the node", seen({ address: BESIDE.address, prefix: 24, scope: "global" }), undefined],
  ["of scope host where global is wanted", seen({ address: BESIDE.address, prefix: 24 }), "eth0/192.0.2.12"],
  ["of no mark", seen({ mark: 0 }), VIP],
  ["with the mark of the control plane on a VIP of Services", seen({ mark: 119 }), VIP],
  ["with the mark of the control plane on its VIP", seen({ address: "192.0.2.11" as IpAddress, mark: 119 }), undefined],
  ["with the mark of Services on the VIP of the control plane", seen({ address: "192.0.2.11" as IpAddress }), "eth0/192.0.2.11"],
  ["the same address with the prefix of a subnet, beside ours", seen({ prefix: 24, mark: 0 }), undefined],
  ["the same address with another prefix goes", seen({ prefix: 24 }, true), undefined],
  ["the same address on another link", seen({ linkIndex: 3 }, true), undefined],
  ["on a link that is not known", seen({ linkIndex: 77 }, true), undefined],
  ["an address that is not wanted", seen({ address: "192.0.2.66" as IpAddress }, true), undefined],
  ["a link", { type: "link", link: fakeLink(2, "eth0"), gone: true }, undefined],
  ["events were lost", { type: "overrun" }, undefined],
])("%s", (_name, event, drifted) => {
  expect(driftOf(event, WANTS, LINKS, { marks: MARKS, controlPlane: true })).toBe(drifted);
});

test("what another process took for the control plane is no drift, until that process lets go of it", () => {
  expect(driftOf(seen({ mark: 119 }), WANTS, LINKS, { marks: MARKS, controlPlane: false })).toBeUndefined();
  expect(driftOf(seen({ mark: 119 }, true), WANTS, LINKS, { marks: MARKS, controlPlane: false })).toBe(VIP);
});
