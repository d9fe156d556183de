import { expect, it } from "vitest";

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
