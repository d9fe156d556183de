import { describe, expect, test } from "vitest";
import { vipKey } from "../../src/core/model.js";
import type { IpAddress } from "../../src/lib/ip.js";
import { decodeArp } from "../../src/wire/arp.js";
import { decodeNd } from "../../src/wire/ndp.js";
import { ArpBench } from "./arp-bench.js";
import { conforms } from "./conformance.js";
const signal = new AbortController().signal;

conforms("arp", () => new ArpBench());
conforms("arp, IPv6", () => new ArpBench("2001:db8::"));

describe("arp", () => {
  test("the address is a host address of scope host with a finite lifetime", async () => {
    await using bench = new ArpBench();
    await bench.mode.up(bench.want(1), signal);
    expect(bench.kernel.shown()).toEqual(["192.0.2.1/32 dev eth0 scope host"]);
    expect(await bench.kernel.addresses()).toMatchObject([{ mark: 118, validSeconds: 3 }]);
  });

  test("with the prefix of its subnet it stands beside the node's address; changed, the old one goes after the new one is there", async () => {
    await using bench = new ArpBench();
    const beside = { ...bench.want(1), prefix: 24, scope: "global" } as const;
    await bench.mode.up(beside, signal);
    expect(bench.kernel.shown()).toEqual(["192.0.2.1/24 dev eth0 scope global"]);
    await bench.mode.up(bench.want(1), signal);
    expect(bench.kernel.shown()).toEqual(["192.0.2.1/32 dev eth0 scope host"]);
    await bench.mode.up(beside, signal);
    await bench.mode.down(beside.key, "unwanted", signal);
    expect(bench.kernel.shown()).toEqual([]);
  });

  test.each([
    ["removed where nobody wants it", false, []],
    ["replaced where it is wanted with another", true, ["192.0.2.1/32 dev eth0 scope host"]],
  ])("an address that an earlier life left with the prefix of a subnet is %s", async (_name, wanted, left) => {
    await using bench = new ArpBench();
    const put = { linkIndex: 2, address: "192.0.2.1" as IpAddress, prefix: 24, scope: "global", mark: 118, validUntil: bench.clock.now() + 60_000 } as const;
    await bench.kernel.putAddress(put, signal);
    const [held] = await bench.mode.held(signal);
    expect(held?.describe).toBe("192.0.2.1/24 on eth0, 60 s left");
    await (wanted ? bench.mode.up(bench.want(1), signal) : bench.mode.down(bench.want(1).key, "leftover", signal));
    expect(bench.kernel.shown()).toEqual(left);
  });

  test("take-over is announced at once, by request and reply in turn", async () => {
    await using bench = new ArpBench();
    await bench.mode.up(bench.want(1), signal);
    await bench.clock.advance(300);
    const sent = bench.kernel.frames.map(({ at, bytes }) => ({ at: at - 1000, ...decodeArp(bytes) }));
    expect(sent.map(({ at, operation }) => [at, operation])).toEqual([[0, 1], [50, 2], [200, 1]]);
    for (const frame of sent) {
      expect(frame).toMatchObject({ destination: "ff:ff:ff:ff:ff:ff", senderMac: "02:00:00:00:00:02", senderIp: "192.0.2.1", targetIp: "192.0.2.1" });
    }
  });

  test("an IPv6 address is a host address too, announced by unsolicited advertisements with override", async () => {
    await using bench = new ArpBench();
    await bench.mode.up(bench.wantOf("2001:db8::10"), signal);
    await bench.clock.advance(60);
    expect(bench.kernel.shown()).toEqual(["2001:db8::10/128 dev eth0 scope global"]);
    const sent = bench.kernel.frames.map(({ bytes }) => decodeNd(bytes));
    expect(sent).toHaveLength(2);
    for (const frame of sent) expect(frame).toMatchObject({ target: "2001:db8::10", override: true, solicited: false, targetMac: "02:00:00:00:00:02" });
  });

  test("a healthy owner keeps 1,000 addresses for a minute with a put per address every two seconds", async () => {
    await using bench = new ArpBench();
    const wants = Array.from({ length: 1000 }, (_, i) => ({ ...bench.want(1), address: `10.0.${i >> 8}.${i & 255}` as IpAddress }));
    await Promise.all(wants.map(async (want) => bench.mode.up({ ...want, key: vipKey("eth0", want.address) }, signal)));
    const before = bench.kernel.puts;
    await bench.renewing(60);
    expect(bench.kernel.shown()).toHaveLength(1000);
    expect(bench.kernel.puts - before).toBe(30_000);
  });

  test("without a renew the addresses end by themselves, before anybody else may take over", async () => {
    await using bench = new ArpBench();
    await bench.mode.up(bench.want(1), signal);
    await bench.renewing(4);
    await bench.clock.advance(3300);
    expect(bench.kernel.shown()).toEqual([]);
  });

  test("a process that was frozen neither prolongs nor announces when it goes on", async () => {
    await using bench = new ArpBench();
    await bench.mode.up(bench.want(1), signal);
    await bench.renewing(2);
    const { puts, frames } = bench.kernel;
    const sent = frames.length;
    await bench.clock.freeze(10_000);
    await bench.clock.advance(5000);
    expect([bench.kernel.puts, bench.kernel.frames.length]).toEqual([puts, sent]);
  });

  test("a late renew is bridged by the guard", async () => {
    await using bench = new ArpBench();
    await bench.mode.up(bench.want(1), signal);
    await bench.renewing(1);
    await bench.clock.advance(2500);
    expect(bench.kernel.shown()).toHaveLength(1);
  });

  test("up is refused where this node may not hold, and where the link is not there", async () => {
    await using bench = new ArpBench();
    bench.fence.lose();
    await expect(bench.mode.up(bench.want(1), signal)).rejects.toMatchObject({ code: "ETIME" });
    bench.fence.renew();
    await expect(bench.mode.up({ ...bench.want(1), iface: "eth9" }, signal)).rejects.toThrow("hold 192.0.2.1 on eth9: there is no such link");
    await expect(bench.mode.up({ ...bench.want(1), iface: "lo" }, signal)).rejects.toThrow("expected an Ethernet link");
  });

  test("up waits for the next renew where no whole second is left, and gives up when it is called off or closed", async () => {
    await using bench = new ArpBench();
    await bench.clock.advance(2500);
    const up = bench.mode.up(bench.want(1), signal);
    await bench.clock.advance(100);
    expect(bench.kernel.shown()).toEqual([]);
    bench.fence.renew();
    await up;
    expect(bench.kernel.shown()).toHaveLength(1);

    await bench.clock.advance(2500);
    const abort = new AbortController();
    const called = bench.mode.up(bench.want(2), abort.signal).catch((error: unknown) => error);
    await bench.clock.advance(0);
    abort.abort(new Error("no longer wanted"));
    expect(await called).toMatchObject({ message: "no longer wanted" });
    const closed = bench.mode.up(bench.want(3), signal).catch((error: unknown) => error);
    await bench.clock.advance(0);
    await bench.mode[Symbol.asyncDispose]();
    expect(await closed).toMatchObject({ name: "AbortError" });
  });

  test("down while a lifetime is being set: the address is gone even where that takes effect after the removal", async () => {
    await using bench = new ArpBench();
    const want = bench.wantOf("192.0.2.1");
    await bench.mode.up(want, signal);
    await bench.renewing(1);
    let open: () => void = () => undefined;
    bench.kernel.gate = new Promise((resolve) => (open = resolve));
    await bench.renewing(1);
    const before = bench.kernel.puts;
    const down = bench.mode.down(want.key, "notOwner", signal);
    await bench.clock.advance(0);
    expect(bench.kernel.shown()).toEqual([]);
    open();
    await down;
    expect(bench.kernel.puts).toBe(before + 1);
    expect(bench.kernel.shown()).toEqual([]);
  });

  test("a lifetime that cannot be renewed asks for up again", async () => {
    await using bench = new ArpBench();
    await bench.mode.up(bench.want(1), signal);
    bench.kernel.refuse = new Error("EPERM");
    await bench.renewing(2);
    expect(bench.reports).toContain("eth0/192.0.2.1 refresh");
  });
});
