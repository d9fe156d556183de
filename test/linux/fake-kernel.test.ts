import { expect, it } from "vitest";

import type { IpAddress } from "../../src/lib/ip.js";
import type { KernelEvent } from "../../src/ports/kernel.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKernel } from "../fakes/kernel.js";

it("the fake kernel keeps ARP and ND apart, by link, and delivers nothing to who is closed or does not listen", async () => {
  const kernel = new FakeKernel(new FakeClock(0));
  const heard: string[] = [];
  const hear = (name: string) => (frame: Uint8Array) => void heard.push(`${name} ${frame.join()}`);
  const arp = kernel.openArp(2, hear("arp"));
  const nd = kernel.openNd(2, hear("nd"));
  kernel.openNd(2, undefined);
  kernel.openNd(3, hear("other link"));
  expect([kernel.deliver(2, "nd", Uint8Array.of(1)), kernel.deliver(2, "arp", Uint8Array.of(2))]).toEqual([1, 1]);
  await nd[Symbol.asyncDispose]();
  await nd[Symbol.asyncDispose]();
  expect(kernel.deliver(2, "nd", Uint8Array.of(3))).toBe(0);
  expect(heard).toEqual(["nd 1", "arp 2"]);
  arp.send(Uint8Array.of(4));
  expect(kernel.frames).toEqual([{ linkIndex: 2, kind: "arp", at: 0, bytes: Uint8Array.of(4) }]);
  expect(kernel.openSockets).toBe(3);
});

it("the fake kernel has each name and each VLAN of a link once, and takes the addresses of a link away with it", async () => {
  const { signal } = new AbortController();
  const kernel = new FakeKernel(new FakeClock(0));
  const events: string[] = [];
  const tell = (event: KernelEvent) =>
    event.type === "overrun" ? event.type : `${event.type === "link" ? `${event.link.name} ${event.link.alias}` : event.address.address} ${event.gone ? "gone" : "here"}`;
  kernel.listen((event) => events.push(tell(event)));
  const put = { name: "eth0.200", parentIndex: 2, vlan: 200, alias: "ours" };
  await kernel.addVlan(put, signal);
  await expect(kernel.addVlan({ ...put, vlan: 201 }, signal)).rejects.toMatchObject({ code: "EEXIST" });
  await expect(kernel.addVlan({ ...put, name: "other" }, signal)).rejects.toMatchObject({ code: "EEXIST" });
  const [, , link] = await kernel.links();
  expect(link).toMatchObject({ index: 3, up: true, vlan: 200, alias: "ours" });
  await kernel.putAddress({ linkIndex: 3, address: "192.0.2.1" as IpAddress, prefix: 32, scope: "host", mark: 1, validUntil: 5000 }, signal);
  expect([await kernel.removeLink(3, signal), await kernel.removeLink(3, signal)]).toEqual([true, false]);
  expect(events).toEqual(["eth0.200 ours here", "192.0.2.1 gone", "eth0.200 ours gone"]);
  // No link gets the index of an older one.
  await kernel.addVlan(put, signal);
  expect(kernel.linkList.at(-1)?.index).toBe(4);
  await expect(kernel.setLinkUp(3, signal)).rejects.toMatchObject({ code: "ENODEV" });
});
