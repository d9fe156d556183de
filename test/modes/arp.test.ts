import { describe, expect, test } from "vitest";
import type { ModeReport, VipMode } from "../../src/core/mode.js";
import { vipKey, type Vip, type VipKey } from "../../src/core/model.js";
import type { IpAddress } from "../../src/lib/ip.js";
import { createArpMode } from "../../src/modes/arp.js";
import { decodeArp } from "../../src/wire/arp.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeFence } from "../fakes/fence.js";
import { FakeKernel } from "../fakes/kernel.js";
import { FakeLog } from "../fakes/log.js";
import { conforms, type Bench } from "./conformance.js";

const signal = new AbortController().signal;
const announce = { burstMs: [0, 50, 200, 1000, 2000], refreshMs: 3000, packetsPerSecond: 500 };

class ArpBench implements Bench<"arp"> {
  readonly clock = new FakeClock();
  readonly fence = new FakeFence(this.clock);
  readonly kernel = new FakeKernel(this.clock);
  readonly log = new FakeLog();
  readonly reports: string[] = [];
  readonly mode = this.reborn();

  constructor() {
    this.fence.renew();
  }

  reborn(): VipMode<"arp"> {
    const { kernel, fence, clock, log } = this;
    const report = (key: VipKey, what: ModeReport): void => void this.reports.push(`${key} ${what.type}`);
    return createArpMode({ announce, marks: { services: 118, "control-plane": 119 }, serves: new Set(["services"]), duplicateCheck: true }, { kernel, fence, clock, log, links: () => kernel.linkList, report });
  }

  want(n: number): Vip {
    const address = `192.0.2.${n}` as IpAddress;
    return { key: vipKey("eth0", address), owners: [], iface: "eth0", address, prefix: 32, ports: [], ownership: "services", fresh: false };
  }

  async there(): Promise<readonly VipKey[]> {
    return this.kernel.shown().map((line) => vipKey("eth0", line.slice(0, line.indexOf("/")) as IpAddress));
  }

  open(): number {
    return this.kernel.openSockets + this.clock.pending + this.fence.listeners;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mode[Symbol.asyncDispose]();
  }

  /** A healthy owner: a renew every second, for so many seconds. */
  async renewing(seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i += 1) {
      await this.clock.advance(1000);
      this.fence.renew();
      await this.clock.advance(0);
    }
  }
}

conforms("arp", () => new ArpBench());

describe("arp", () => {
  test("the address is a host address of scope host with a finite lifetime", async () => {
    await using bench = new ArpBench();
    await bench.mode.up(bench.want(1), signal);
    expect(bench.kernel.shown()).toEqual(["192.0.2.1/32 dev eth0 scope host"]);
    expect(await bench.kernel.addresses()).toMatchObject([{ mark: 118, validSeconds: 3 }]);
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
    await bench.clock.advance(3650);
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

  test("a lifetime that cannot be renewed asks for up again", async () => {
    await using bench = new ArpBench();
    await bench.mode.up(bench.want(1), signal);
    bench.kernel.refuse = new Error("EPERM");
    await bench.renewing(2);
    expect(bench.reports).toContain("eth0/192.0.2.1 refresh");
  });
});
