import { describe, expect, test } from "vitest";
import { AddressInUse } from "../../src/core/mode.js";
import type { IpAddress } from "../../src/lib/ip.js";
import { BROADCAST_MAC, type MacAddress } from "../../src/lib/mac.js";
import { ARP_REPLY, ARP_REQUEST, decodeArp, encodeArp } from "../../src/wire/arp.js";
import { encodeNa, unsolicitedNa } from "../../src/wire/ndp.js";
import { ArpBench } from "./arp-bench.js";

const signal = new AbortController().signal;
const ETH0 = 2;
const STRANGER = "02:00:00:00:00:99" as MacAddress;
const HELD = ["192.0.2.1/32 dev eth0 scope host"];

/** The stranger answers for, or announces, an address. */
function claims(bench: ArpBench, address: string, operation: number = ARP_REPLY): void {
  const ip = address as IpAddress;
  const frame = { destination: BROADCAST_MAC, source: STRANGER, operation, senderMac: STRANGER, senderIp: ip, targetMac: STRANGER, targetIp: ip };
  bench.kernel.deliver(ETH0, "arp", encodeArp(frame));
}

/** What was asked and announced so far: `ms operation target`. */
function sent(bench: ArpBench): readonly string[] {
  return bench.kernel.frames.map(({ at, bytes }) => {
    const { operation, senderIp, targetIp } = decodeArp(bytes);
    const what = senderIp === "0.0.0.0" ? "ask" : operation === ARP_REQUEST ? "announce" : "announce by reply";
    return `${at - 1000} ${what} ${targetIp}`;
  });
}

describe("before an address is claimed for the first time", () => {
  test("the link is asked three times; silence, and it is taken 35 ms later", async () => {
    await using bench = new ArpBench();
    const up = bench.mode.up(bench.wantOf("192.0.2.1", { fresh: true }), signal);
    await bench.clock.advance(34);
    expect(bench.kernel.shown()).toEqual([]);
    await bench.clock.advance(2);
    await up;
    expect(bench.kernel.shown()).toEqual(HELD);
    expect(sent(bench)).toEqual(["0 ask 192.0.2.1", "10 ask 192.0.2.1", "20 ask 192.0.2.1", "35 announce 192.0.2.1"]);
  });

  test.each<readonly [string, boolean]>([
    ["a stranger that has it keeps it, and is named", false],
    ["a stranger that answers for everything is told apart", true],
  ])("%s", async (_name, proxy) => {
    await using bench = new ArpBench();
    const up = bench.mode.up(bench.wantOf("192.0.2.1", { fresh: true }), signal).catch((error: unknown) => error);
    await bench.clock.advance(5);
    claims(bench, "192.0.2.1");
    if (proxy) claims(bench, "192.0.2.254");
    await bench.clock.advance(50);
    const error = await up;
    expect(error).toBeInstanceOf(AddressInUse);
    // It may be a node of ours that is about to let go: once, it is looked at again soon.
    expect(error).toMatchObject({ mac: STRANGER, proxy, retryAfterMs: 1000 });
    const again = bench.mode.up(bench.wantOf("192.0.2.1", { fresh: true }), signal).catch((reason: unknown) => reason);
    await bench.clock.advance(5);
    claims(bench, "192.0.2.1");
    await bench.clock.advance(50);
    expect(await again).toMatchObject({ retryAfterMs: 10_000 });
    expect(bench.kernel.shown()).toEqual([]);
  });

  test("an address that our nodes have held before is not asked for: its last owner may still answer", async () => {
    await using bench = new ArpBench();
    await bench.mode.up(bench.wantOf("192.0.2.1"), signal);
    await bench.clock.advance(1);
    expect(sent(bench)).toEqual(["0 announce 192.0.2.1"]);
  });

  test("an abort ends the questions", async () => {
    await using bench = new ArpBench();
    const abort = new AbortController();
    const up = bench.mode.up(bench.wantOf("192.0.2.1", { fresh: true }), abort.signal);
    await bench.clock.advance(5);
    const reason = new DOMException("gone", "AbortError");
    abort.abort(reason);
    await expect(up).rejects.toBe(reason);
    await bench.clock.advance(100);
    expect(sent(bench)).toEqual(["0 ask 192.0.2.1"]);
    expect(bench.clock.pending).toBe(0);
  });

  test("one bad neighbour does not hold up the others", async () => {
    await using bench = new ArpBench();
    const wants = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map((text) => bench.wantOf(text, { fresh: true }));
    const ups = wants.map(async (want) => bench.mode.up(want, signal).then(() => "up", () => "in use"));
    await bench.clock.advance(5);
    claims(bench, "192.0.2.2");
    await bench.clock.advance(50);
    expect(await Promise.all(ups)).toEqual(["up", "in use", "up"]);
  });
});

describe("a stranger that announces an address which is held", () => {
  test("and one that only asks whether somebody has it: the address stays, the kernel answers", async () => {
    await using bench = new ArpBench();
    await bench.mode.up(bench.wantOf("192.0.2.1"), signal);
    const probe = { destination: BROADCAST_MAC, source: STRANGER, operation: ARP_REQUEST, senderMac: STRANGER, senderIp: "0.0.0.0" as IpAddress, targetMac: STRANGER, targetIp: "192.0.2.1" as IpAddress };
    bench.kernel.deliver(ETH0, "arp", encodeArp(probe));
    await bench.clock.advance(10);
    expect([bench.kernel.shown(), bench.fence.asked, bench.reports]).toEqual([HELD, 0, []]);
  });

  test("takes it off until the API has confirmed it; then it is put back, told and defended", async () => {
    await using bench = new ArpBench();
    const want = bench.wantOf("192.0.2.1");
    await bench.mode.up(want, signal);
    await bench.clock.advance(5000);
    let confirm: (ours: boolean) => void = () => undefined;
    bench.fence.renew();
    bench.fence.verdict = new Promise((resolve) => (confirm = resolve));
    claims(bench, "192.0.2.1", ARP_REQUEST);
    await bench.clock.advance(0);
    expect(bench.kernel.shown()).toEqual([]);
    expect(bench.fence.asked).toBe(1);
    confirm(true);
    await bench.clock.advance(0);
    expect(bench.reports).toEqual(["eth0/192.0.2.1 suspended", "eth0/192.0.2.1 conflict", "eth0/192.0.2.1 refresh"]);
    await bench.mode.up(want, signal);
    await bench.clock.advance(0);
    expect(bench.kernel.shown()).toEqual(HELD);
    expect(sent(bench).at(-1)).toBe("5000 announce 192.0.2.1");
  });

  test("is answered once in ten seconds, whatever it sends", async () => {
    await using bench = new ArpBench();
    const want = bench.wantOf("192.0.2.1");
    await bench.mode.up(want, signal);
    for (let i = 0; i < 9; i += 1) {
      claims(bench, "192.0.2.1");
      await bench.clock.advance(0);
      if (bench.kernel.shown().length === 0) await bench.mode.up(want, signal);
      await bench.renewing(1);
    }
    expect(bench.fence.asked).toBe(1);
    expect(bench.kernel.shown()).toEqual(HELD);
  });

  test("is the new owner where the API says so: the address stays off", async () => {
    await using bench = new ArpBench();
    const want = bench.wantOf("192.0.2.1");
    await bench.mode.up(want, signal);
    bench.fence.verdict = Promise.resolve(false);
    claims(bench, "192.0.2.1");
    await bench.clock.advance(0);
    await bench.mode.up(want, signal);
    await bench.renewing(3);
    expect(bench.kernel.shown()).toEqual([]);
    expect(bench.reports).toEqual(["eth0/192.0.2.1 suspended"]);
    await bench.mode.down(want.key, "notOwner", signal);
  });

  test("is the heir while this node hands over: let go at once, and nobody is asked", async () => {
    await using bench = new ArpBench();
    await bench.mode.up(bench.wantOf("192.0.2.1"), signal);
    bench.fence.leaving = true;
    claims(bench, "192.0.2.1");
    await bench.clock.advance(0);
    expect(bench.kernel.shown()).toEqual([]);
    expect(bench.fence.asked).toBe(0);
  });

  test("may have it soon: what is not held yet is not taken up while this node hands over; what is held is kept", async () => {
    await using bench = new ArpBench();
    const [held, late] = [bench.wantOf("192.0.2.1"), bench.wantOf("192.0.2.2")];
    await bench.mode.up(held, signal);
    bench.fence.leaving = true;
    await bench.mode.up(held, signal);
    await expect(bench.mode.up(late, signal)).rejects.toThrow("hold 192.0.2.2 on eth0: it is being handed over");
    expect(bench.kernel.shown()).toHaveLength(1);
    bench.fence.leaving = false;
    await bench.mode.up(late, signal);
    expect(bench.kernel.shown()).toHaveLength(2);
  });

  test("IPv6: the same by an unsolicited advertisement", async () => {
    await using bench = new ArpBench();
    await bench.mode.up(bench.wantOf("2001:db8::10"), signal);
    bench.fence.verdict = Promise.resolve(false);
    await bench.clock.advance(1);
    bench.kernel.deliver(ETH0, "nd", encodeNa(unsolicitedNa(STRANGER, "2001:db8::10" as IpAddress, { router: false })));
    await bench.clock.advance(0);
    expect(bench.kernel.shown()).toEqual([]);
  });

  test("frames that are damaged, our own, or about other addresses change nothing", async () => {
    await using bench = new ArpBench();
    await bench.mode.up(bench.wantOf("192.0.2.1"), signal);
    await bench.clock.advance(1);
    claims(bench, "192.0.2.77");
    bench.kernel.deliver(ETH0, "arp", new Uint8Array(10));
    bench.kernel.deliver(ETH0, "arp", bench.kernel.frames[0]?.bytes ?? new Uint8Array());
    await bench.clock.advance(0);
    expect(bench.kernel.shown()).toEqual(HELD);
    expect(bench.fence.asked).toBe(0);
  });
});
