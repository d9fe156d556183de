import { describe, expect, it } from "vitest";

import { KernelError } from "../../src/linux/errors.js";
import { createKernel } from "../../src/linux/kernel.js";
import { clock, errorOf, ip, linkNamed, log, MARK, native, never, put, useKernelLab } from "./kernel-fixture.js";

const lab = useKernelLab();
const kernel = () => lab().kernel;
const a = () => lab().a;

describe("links and routes", () => {
  it("describes lo and a veth", async () => {
    const lo = await linkNamed(kernel(), "lo");
    expect(lo).toMatchObject({ index: 1, loopback: true, mac: undefined, kind: undefined });
    expect(a()).toMatchObject({ loopback: false, up: true, carrier: true, kind: "veth", mtu: 1500 });
    expect(a().mac).toMatch(/^[0-9a-f:]{17}$/);
  });

  it("finds default routes of both families", async () => {
    await ip("addr", "add", "192.0.2.1/24", "dev", "vka");
    await ip("route", "add", "default", "via", "192.0.2.254", "metric", "7");
    await ip("-6", "route", "add", "default", "via", "fe80::1", "dev", "vka", "metric", "9");
    const routes = await kernel().routes(never);
    const defaults = routes.filter(({ destination }) => destination === undefined);
    expect(defaults).toContainEqual({
      family: 4,
      table: 254,
      destination: undefined,
      prefix: 0,
      gateway: "192.0.2.254",
      linkIndex: a().index,
      metric: 7,
    });
    expect(defaults).toContainEqual({ family: 6, table: 254, destination: undefined, prefix: 0, gateway: "fe80::1", linkIndex: a().index, metric: 9 });
    expect(routes).toContainEqual(expect.objectContaining({ destination: "192.0.2.0", prefix: 24, gateway: undefined }));
    await ip("addr", "del", "192.0.2.1/24", "dev", "vka");
    await ip("-6", "route", "del", "default");
  });

  it("gives one route for each next hop of a multipath route", async () => {
    await ip("addr", "add", "192.0.2.1/24", "dev", "vka");
    await ip("route", "add", "198.51.100.0/24", "nexthop", "via", "192.0.2.2", "nexthop", "via", "192.0.2.3");
    const routes = (await kernel().routes(never)).filter(({ destination }) => destination === "198.51.100.0");
    expect(routes.map(({ gateway }) => gateway)).toEqual(["192.0.2.2", "192.0.2.3"]);
    await ip("addr", "del", "192.0.2.1/24", "dev", "vka");
  });
});

describe("addresses", () => {
  it.each(["192.0.2.10", "2001:db8::10"])("puts %s with mark and lifetime, finds it in the dump, removes it", async (text) => {
    const now = clock.now();
    const endsAt = await kernel().putAddress(put(a(), text, { validUntil: now + 20_500 }), never);
    expect(endsAt).toBeGreaterThan(now + 19_500);
    expect(endsAt).toBeLessThanOrEqual(now + 20_500);
    const found = (await kernel().addresses(never)).find((one) => one.address === text);
    expect(found).toMatchObject({ linkIndex: a().index, mark: MARK, preferredSeconds: 0, scope: text.includes(":") ? "global" : "host" });
    expect(found?.validSeconds).toBeGreaterThanOrEqual(19);
    expect(found?.validSeconds).toBeLessThanOrEqual(20);
    await expect(kernel().removeAddress(put(a(), text), never)).resolves.toBe(true);
    await expect(kernel().removeAddress(put(a(), text), never)).resolves.toBe(false);
    expect((await kernel().addresses(never)).some((one) => one.address === text)).toBe(false);
  });

  it("puts an address for ever, and twice is harmless", async () => {
    await expect(kernel().putAddress(put(a(), "192.0.2.11"), never)).resolves.toBe(Infinity);
    await kernel().putAddress(put(a(), "192.0.2.11"), never);
    const found = (await kernel().addresses(never)).filter((one) => one.address === "192.0.2.11");
    expect(found).toEqual([expect.objectContaining({ validSeconds: Infinity, scope: "host" })]);
  });

  it("makes an address of someone else ours: mark, scope and lifetime", async () => {
    await ip("addr", "add", "192.0.2.12/32", "dev", "vka");
    await kernel().putAddress(put(a(), "192.0.2.12", { validUntil: clock.now() + 30_500 }), never);
    const found = (await kernel().addresses(never)).filter((one) => one.address === "192.0.2.12");
    expect(found).toEqual([expect.objectContaining({ mark: MARK, scope: "host", preferredSeconds: 0 })]);
    expect(found[0]?.validSeconds).toBeLessThanOrEqual(30);
  });

  it("answers false for an address on a link that is gone", async () => {
    await expect(kernel().removeAddress(put(a(), "192.0.2.13", { linkIndex: 9999 }), never)).resolves.toBe(false);
    await expect(kernel().removeAddress(put(a(), "2001:db8::13", { linkIndex: 9999 }), never)).resolves.toBe(false);
  });

  it("refuses a lifetime under one second with ETIME and writes nothing", async () => {
    const error = await errorOf(kernel().putAddress(put(a(), "192.0.2.14", { validUntil: clock.now() + 900 }), never));
    expect(error).toMatchObject({ name: "KernelError", code: "ETIME" });
    expect((await kernel().addresses(never)).some((one) => one.address === "192.0.2.14")).toBe(false);
  });

  it("has the kernel's own text in the error", async () => {
    const error = await errorOf(kernel().putAddress(put(a(), "192.0.2.15", { linkIndex: 9999 }), never));
    expect(error).toBeInstanceOf(KernelError);
    expect(error).toMatchObject({ code: "ENODEV", errno: 19, message: "add 192.0.2.15/32 to link 9999: ENODEV: ipv4: Device not found" });
  });

  it("one bad address does not stop the others of its batch", async () => {
    const results = await Promise.allSettled([
      kernel().putAddress(put(a(), "192.0.2.16"), never),
      kernel().putAddress(put(a(), "192.0.2.17", { linkIndex: 9999 }), never),
      kernel().putAddress(put(a(), "192.0.2.18"), never),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  });

});

describe("closing", () => {
  it("drops what was aborted before its turn", async () => {
    const controller = new AbortController();
    const reason = new Error("stop");
    const promise = kernel().putAddress(put(a(), "192.0.2.40"), controller.signal);
    controller.abort(reason);
    await expect(promise).rejects.toBe(reason);
    await expect(kernel().addresses(controller.signal)).rejects.toBe(reason);
  });

  it("rejects what is queued, closes what was given out, twice is fine", async () => {
    const other = createKernel({ log, clock, native });
    other.listen(() => {});
    other.openArp(a().index, () => {});
    const pending = errorOf(other.putAddress(put(a(), "192.0.2.41"), never));
    const dumping = errorOf(other.addresses(never));
    await other[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
    expect(await pending).toMatchObject({ code: "ECANCELED" });
    expect(await dumping).toMatchObject({ code: "ECANCELED" });
    expect(await errorOf(other.links(never))).toMatchObject({ code: "ECANCELED" });
    expect(() => other.listen(() => {})).toThrow(KernelError);
  });
});
