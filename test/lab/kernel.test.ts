import { execFile, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import { BROADCAST_MAC, macToBytes, type MacAddress } from "../../src/lib/mac.js";
import { createClock } from "../../src/linux/clock.js";
import { KernelError } from "../../src/linux/errors.js";
import { createKernel } from "../../src/linux/kernel.js";
import { createNative } from "../../src/linux/native.js";
import type { AddressPut, Kernel, KernelEvent, Link } from "../../src/ports/kernel.js";
import type { Log } from "../../src/ports/log.js";
import { ARP_REPLY, ARP_REQUEST, decodeArp, encodeArp, type ArpFrame } from "../../src/wire/arp.js";

if (process.env["VIP_LAB"] !== "1") throw new Error("this file changes the network: run `npm test`, which gives it a network namespace of its own");

const run = promisify(execFile);
const clock = createClock();
const native = createNative();
const never = new AbortController().signal;
const MARK = 77;

const warnings: unknown[] = [];
const log: Log = {
  debug: () => {},
  info: () => {},
  warn: (...line) => warnings.push(line),
  error: (...line) => warnings.push(line),
  with: () => log,
};

let kernel: Kernel;
let a: Link;
let b: Link;

async function ip(...args: string[]): Promise<string> {
  return (await run("ip", args)).stdout;
}

async function linkNamed(name: string): Promise<Link> {
  const link = (await kernel.links(never)).find((one) => one.name === name);
  if (link === undefined) throw new Error(`no link ${name}`);
  return link;
}

function address(text: string): IpAddress {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(`${text} is no address`);
  return parsed;
}

function put(text: string, fields: Partial<AddressPut> = {}): AddressPut {
  const parsed = address(text);
  return { linkIndex: a.index, address: parsed, prefix: text.includes(":") ? 128 : 32, scope: "host", mark: MARK, validUntil: Infinity, ...fields };
}

function thousand(fields: Partial<AddressPut> = {}): readonly AddressPut[] {
  return Array.from({ length: 1000 }, (_, index) => put(`10.9.${index >> 8}.${index & 255}`, fields));
}

async function until(condition: () => boolean, ms: number): Promise<void> {
  const deadline = clock.now() + ms;
  while (!condition()) {
    if (clock.now() > deadline) throw new Error(`not within ${ms} ms`);
    await sleep(5);
  }
}

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** Measures by how much the loop is late at worst, until it is stopped. */
function watchLoop(): () => number {
  let worst = 0;
  let last = clock.now();
  const timer = setInterval(() => {
    worst = Math.max(worst, clock.now() - last - 5);
    last = clock.now();
  }, 5);
  return () => {
    clearInterval(timer);
    return Math.round(worst * 10) / 10;
  };
}

function figure(name: string, values: Readonly<Record<string, number | string>>): void {
  process.stdout.write(`${JSON.stringify({ figure: name, ...values })}\n`);
}

beforeAll(async () => {
  await ip("link", "add", "vka", "type", "veth", "peer", "name", "vkb");
  await ip("link", "set", "vka", "up");
  await ip("link", "set", "vkb", "up");
  kernel = createKernel({ log, clock, native });
  a = await linkNamed("vka");
  b = await linkNamed("vkb");
});

afterEach(async () => {
  const marked = (await kernel.addresses(never)).filter(({ mark }) => mark === MARK);
  await Promise.all(marked.map(async (one) => kernel.removeAddress(one, never)));
  expect(warnings.splice(0)).toEqual([]);
});

afterAll(async () => {
  await kernel[Symbol.asyncDispose]();
  await ip("link", "del", "vka");
});

describe("links and routes", () => {
  it("describes lo and a veth", async () => {
    const lo = await linkNamed("lo");
    expect(lo).toMatchObject({ index: 1, loopback: true, mac: undefined, kind: undefined });
    expect(a).toMatchObject({ loopback: false, up: true, carrier: true, kind: "veth", mtu: 1500 });
    expect(a.mac).toMatch(/^[0-9a-f:]{17}$/);
  });

  it("finds default routes of both families", async () => {
    await ip("addr", "add", "192.0.2.1/24", "dev", "vka");
    await ip("route", "add", "default", "via", "192.0.2.254", "metric", "7");
    await ip("-6", "route", "add", "default", "via", "fe80::1", "dev", "vka", "metric", "9");
    const routes = await kernel.routes(never);
    const defaults = routes.filter(({ destination }) => destination === undefined);
    expect(defaults).toContainEqual({
      family: 4,
      table: 254,
      destination: undefined,
      prefix: 0,
      gateway: "192.0.2.254",
      linkIndex: a.index,
      metric: 7,
    });
    expect(defaults).toContainEqual({ family: 6, table: 254, destination: undefined, prefix: 0, gateway: "fe80::1", linkIndex: a.index, metric: 9 });
    expect(routes).toContainEqual(expect.objectContaining({ destination: "192.0.2.0", prefix: 24, gateway: undefined }));
    await ip("addr", "del", "192.0.2.1/24", "dev", "vka");
    await ip("-6", "route", "del", "default");
  });

  it("gives one route for each next hop of a multipath route", async () => {
    await ip("addr", "add", "192.0.2.1/24", "dev", "vka");
    await ip("route", "add", "198.51.100.0/24", "nexthop", "via", "192.0.2.2", "nexthop", "via", "192.0.2.3");
    const routes = (await kernel.routes(never)).filter(({ destination }) => destination === "198.51.100.0");
    expect(routes.map(({ gateway }) => gateway)).toEqual(["192.0.2.2", "192.0.2.3"]);
    await ip("addr", "del", "192.0.2.1/24", "dev", "vka");
  });
});

describe("addresses", () => {
  it.each(["192.0.2.10", "2001:db8::10"])("puts %s with mark and lifetime, finds it in the dump, removes it", async (text) => {
    const now = clock.now();
    const endsAt = await kernel.putAddress(put(text, { validUntil: now + 20_500 }), never);
    expect(endsAt).toBeGreaterThan(now + 19_500);
    expect(endsAt).toBeLessThanOrEqual(now + 20_500);
    const found = (await kernel.addresses(never)).find((one) => one.address === text);
    expect(found).toMatchObject({ linkIndex: a.index, mark: MARK, preferredSeconds: 0, scope: text.includes(":") ? "global" : "host" });
    expect(found?.validSeconds).toBeGreaterThanOrEqual(19);
    expect(found?.validSeconds).toBeLessThanOrEqual(20);
    await expect(kernel.removeAddress(put(text), never)).resolves.toBe(true);
    await expect(kernel.removeAddress(put(text), never)).resolves.toBe(false);
    expect((await kernel.addresses(never)).some((one) => one.address === text)).toBe(false);
  });

  it("puts an address for ever, and twice is harmless", async () => {
    await expect(kernel.putAddress(put("192.0.2.11"), never)).resolves.toBe(Infinity);
    await kernel.putAddress(put("192.0.2.11"), never);
    const found = (await kernel.addresses(never)).filter((one) => one.address === "192.0.2.11");
    expect(found).toEqual([expect.objectContaining({ validSeconds: Infinity, scope: "host" })]);
  });

  it("makes an address of someone else ours: mark, scope and lifetime", async () => {
    await ip("addr", "add", "192.0.2.12/32", "dev", "vka");
    await kernel.putAddress(put("192.0.2.12", { validUntil: clock.now() + 30_500 }), never);
    const found = (await kernel.addresses(never)).filter((one) => one.address === "192.0.2.12");
    expect(found).toEqual([expect.objectContaining({ mark: MARK, scope: "host", preferredSeconds: 0 })]);
    expect(found[0]?.validSeconds).toBeLessThanOrEqual(30);
  });

  it("answers false for an address on a link that is gone", async () => {
    await expect(kernel.removeAddress(put("192.0.2.13", { linkIndex: 9999 }), never)).resolves.toBe(false);
    await expect(kernel.removeAddress(put("2001:db8::13", { linkIndex: 9999 }), never)).resolves.toBe(false);
  });

  it("refuses a lifetime under one second with ETIME and writes nothing", async () => {
    const error = await errorOf(kernel.putAddress(put("192.0.2.14", { validUntil: clock.now() + 900 }), never));
    expect(error).toMatchObject({ name: "KernelError", code: "ETIME" });
    expect((await kernel.addresses(never)).some((one) => one.address === "192.0.2.14")).toBe(false);
  });

  it("has the kernel's own text in the error", async () => {
    const error = await errorOf(kernel.putAddress(put("192.0.2.15", { linkIndex: 9999 }), never));
    expect(error).toBeInstanceOf(KernelError);
    expect(error).toMatchObject({ code: "ENODEV", errno: 19, message: "add 192.0.2.15/32 to link 9999: ENODEV: ipv4: Device not found" });
  });

  it("one bad address does not stop the others of its batch", async () => {
    const results = await Promise.allSettled([
      kernel.putAddress(put("192.0.2.16"), never),
      kernel.putAddress(put("192.0.2.17", { linkIndex: 9999 }), never),
      kernel.putAddress(put("192.0.2.18"), never),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  });

  it("puts, refreshes, lists and removes 1,000 addresses in batches", async () => {
    const wanted = thousand();
    const stopWatch = watchLoop();
    const times: number[] = [clock.now()];
    const steps = [
      async () => Promise.all(wanted.map(async (one) => kernel.putAddress(one, never))),
      async () => Promise.all(wanted.map(async (one) => kernel.putAddress({ ...one, validUntil: clock.now() + 60_000 }, never))),
      async () => kernel.addresses(never),
    ];
    for (const step of steps) {
      await step();
      times.push(clock.now());
    }
    expect((await kernel.addresses(never)).filter(({ mark }) => mark === MARK)).toHaveLength(1000);
    const removing = clock.now();
    const removed = await Promise.all(wanted.map(async (one) => kernel.removeAddress(one, never)));
    const [add, refresh, list] = times.slice(1).map((time, index) => Math.round((time - (times[index] ?? 0)) * 10) / 10);
    figure("kernel.1000", { addMs: add ?? 0, refreshMs: refresh ?? 0, listMs: list ?? 0, removeMs: Math.round((clock.now() - removing) * 10) / 10, loopLagMs: stopWatch() });
    expect(removed.every(Boolean)).toBe(true);
  });
});

describe("events", () => {
  it("tells of addresses and links that come and go", async () => {
    const events: KernelEvent[] = [];
    await using _listener = kernel.listen((event) => events.push(event));
    await kernel.putAddress(put("192.0.2.20"), never);
    await kernel.putAddress(put("2001:db8::20"), never);
    await kernel.removeAddress(put("192.0.2.20"), never);
    await ip("link", "add", "vkc", "type", "veth", "peer", "name", "vkd");
    await ip("link", "del", "vkc");
    await until(() => events.some((event) => event.type === "link" && event.gone && event.link.name === "vkd"), 2000);
    const told = events.flatMap((event) => (event.type === "address" ? [`${event.address.address} ${event.gone ? "gone" : "here"} ${event.address.mark}`] : []));
    expect(told).toEqual(expect.arrayContaining(["192.0.2.20 here 77", "2001:db8::20 here 77", "192.0.2.20 gone 77"]));
  });

  it("tells when the kernel ends a lifetime", async () => {
    const events: KernelEvent[] = [];
    await using _listener = kernel.listen((event) => events.push(event));
    const validUntil = clock.now() + 1500;
    await kernel.putAddress(put("192.0.2.21", { validUntil }), never);
    await until(() => events.some((event) => event.type === "address" && event.gone && event.address.address === "192.0.2.21"), 5000);
    figure("kernel.expiry", { afterValidUntilMs: Math.round(clock.now() - validUntil) });
    expect((await kernel.addresses(never)).some((one) => one.address === "192.0.2.21")).toBe(false);
  });

  it("says overrun when events were lost, and goes on", async () => {
    await using small = createKernel({ log, clock, native, eventBuffer: 4096 });
    const events: KernelEvent[] = [];
    await using _listener = small.listen((event) => events.push(event));
    const wanted = thousand();
    await Promise.all(wanted.map(async (one) => kernel.putAddress(one, never)));
    await until(() => events.some(({ type }) => type === "overrun"), 2000);
    events.length = 0;
    await kernel.putAddress(put("192.0.2.22"), never);
    await until(() => events.some((event) => event.type === "address" && event.address.address === "192.0.2.22"), 2000);
  });

  it("is silent after it is disposed", async () => {
    const events: KernelEvent[] = [];
    const listener = kernel.listen((event) => events.push(event));
    await listener[Symbol.asyncDispose]();
    await listener[Symbol.asyncDispose]();
    await kernel.putAddress(put("192.0.2.23"), never);
    await sleep(20);
    expect(events).toEqual([]);
  });
});

describe("arp sockets", () => {
  const foreign = "02:00:00:00:00:99" as MacAddress;

  function macOf(link: Link): MacAddress {
    if (link.mac === undefined) throw new Error(`${link.name} has no mac`);
    return link.mac;
  }

  function request(fields: Partial<ArpFrame> = {}): ArpFrame {
    const ours = macOf(a);
    const vip = address("192.0.2.30");
    return { destination: BROADCAST_MAC, source: ours, operation: ARP_REQUEST, senderMac: ours, senderIp: vip, targetMac: foreign, targetIp: vip, ...fields };
  }

  it("sends over the link, hears on the other end, and does not hear itself", async () => {
    const here: Uint8Array[] = [];
    const there: Uint8Array[] = [];
    await using sender = kernel.openArp(a.index, (frame) => here.push(frame));
    await using _other = kernel.openArp(b.index, (frame) => there.push(frame));
    sender.send(encodeArp(request()));
    await until(() => there.length > 0, 2000);
    expect(there.map(decodeArp)).toEqual([request()]);
    expect(here).toEqual([]);
  });

  it("hears only ARP, and only what is for this link", async () => {
    const there: ArpFrame[] = [];
    await using sender = kernel.openArp(a.index, undefined);
    await using _other = kernel.openArp(b.index, (frame) => there.push(decodeArp(frame)));
    sender.send(encodeArp(request({ destination: foreign })));
    const notArp = encodeArp(request());
    notArp.set([0x88, 0xb5], 12);
    sender.send(notArp);
    sender.send(encodeArp(request({ destination: macOf(b), operation: ARP_REPLY })));
    await until(() => there.length > 0, 2000);
    await sleep(20);
    expect(there.map(({ operation }) => operation)).toEqual([ARP_REPLY]);
  });

  it("gets the kernel's own answer for an address that is held", async () => {
    await kernel.putAddress(put("192.0.2.31", { linkIndex: b.index }), never);
    const here: ArpFrame[] = [];
    await using sender = kernel.openArp(a.index, (frame) => here.push(decodeArp(frame)));
    sender.send(encodeArp(request({ senderIp: address("0.0.0.0"), targetIp: address("192.0.2.31") })));
    await until(() => here.length > 0, 2000);
    expect(here[0]).toMatchObject({ operation: ARP_REPLY, senderIp: "192.0.2.31", senderMac: b.mac });
  });

  it("refuses while the link is down, and works again when it is up", async () => {
    await using sender = kernel.openArp(a.index, () => {});
    await ip("link", "set", "vka", "down");
    expect(() => sender.send(encodeArp(request()))).toThrow(/^send 42 octets on link \d+: ENETDOWN/);
    await ip("link", "set", "vka", "up");
    sender.send(encodeArp(request()));
  });

  it("refuses a link that does not exist and a socket that is closed", async () => {
    expect(() => kernel.openArp(9999, () => {})).toThrow(KernelError);
    const socket = kernel.openArp(a.index, () => {});
    await socket[Symbol.asyncDispose]();
    await socket[Symbol.asyncDispose]();
    expect(() => socket.send(macToBytes(BROADCAST_MAC))).toThrow(KernelError);
  });
});

describe("while others hold the rtnl lock", () => {
  const STORM = `i=0; while [ $i -lt 1000 ]; do ip link add vks$1$i type veth peer name vkt$1$i && ip link del vks$1$i; i=$((i+1)); done`;

  it("never blocks the loop, and every write completes", async () => {
    const storms = ["x", "y"].map((name) => spawn("sh", ["-c", STORM, "sh", name], { detached: true, stdio: "ignore" }));
    const wanted = thousand().slice(0, 300);
    const stopWatch = watchLoop();
    const waits: number[] = [];
    try {
      const end = clock.now() + 2000;
      while (clock.now() < end) {
        const start = clock.now();
        const puts = wanted.map(async (one) => kernel.putAddress({ ...one, validUntil: clock.now() + 60_000 }, never));
        await Promise.all(puts);
        waits.push(clock.now() - start);
        await kernel.addresses(never);
      }
    } finally {
      // Each storm is a process group of its own, so its children end with it.
      for (const storm of storms) if (storm.pid !== undefined) process.kill(-storm.pid, "SIGKILL");
    }
    figure("kernel.rtnlStorm", { rounds: waits.length, puts: wanted.length, worstRoundMs: Math.round(Math.max(...waits)), loopLagMs: stopWatch() });
    expect(waits.length).toBeGreaterThan(0);
    expect((await kernel.addresses(never)).filter(({ mark }) => mark === MARK)).toHaveLength(wanted.length);
  });
});

describe("behind one long holder of the rtnl lock", () => {
  it("never blocks the loop", async () => {
    const pairs = Array.from({ length: 400 }, (_, index) => `link add vkg${index} group 99 type veth peer name vkh${index} group 99`);
    const adding = run("ip", ["-batch", "-"]);
    adding.child.stdin?.end(pairs.join("\n"));
    await adding;
    const deleting = ip("link", "del", "group", "99");
    const stopWatch = watchLoop();
    const waits: number[] = [];
    let deleted = false;
    void deleting.finally(() => {
      deleted = true;
    });
    while (!deleted) {
      const start = clock.now();
      await kernel.putAddress(put("192.0.2.35", { validUntil: clock.now() + 60_000 }), never);
      waits.push(clock.now() - start);
      await kernel.links(never);
    }
    await deleting;
    figure("kernel.rtnlHeld", { puts: waits.length, longestPutMs: Math.round(Math.max(...waits)), loopLagMs: stopWatch() });
    expect((await kernel.addresses(never)).filter(({ mark }) => mark === MARK)).toHaveLength(1);
  });
});

describe("closing", () => {
  it("drops what was aborted before its turn", async () => {
    const controller = new AbortController();
    const reason = new Error("stop");
    const promise = kernel.putAddress(put("192.0.2.40"), controller.signal);
    controller.abort(reason);
    await expect(promise).rejects.toBe(reason);
    await expect(kernel.addresses(controller.signal)).rejects.toBe(reason);
  });

  it("rejects what is queued, closes what was given out, twice is fine", async () => {
    const other = createKernel({ log, clock, native });
    other.listen(() => {});
    other.openArp(a.index, () => {});
    const pending = errorOf(other.putAddress(put("192.0.2.41"), never));
    const dumping = errorOf(other.addresses(never));
    await other[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
    expect(await pending).toMatchObject({ code: "ECANCELED" });
    expect(await dumping).toMatchObject({ code: "ECANCELED" });
    expect(await errorOf(other.links(never))).toMatchObject({ code: "ECANCELED" });
    expect(() => other.listen(() => {})).toThrow(KernelError);
  });
});
