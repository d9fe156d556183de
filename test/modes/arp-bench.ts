import type { ModeReport, VipMode } from "../../src/core/mode.js";
import { vipKey, type Vip, type VipKey } from "../../src/core/model.js";
import { hostPrefix, type IpAddress } from "../../src/lib/ip.js";
import { createArpMode } from "../../src/modes/arp.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeFence } from "../fakes/fence.js";
import { FakeKernel } from "../fakes/kernel.js";
import { FakeLog } from "../fakes/log.js";
import type { Bench } from "./conformance.js";

const announce = { burstMs: [0, 50, 200, 1000, 2000], refreshMs: 3000, packetsPerSecond: 500 };

/** ARP mode on `eth0` of a kernel in memory, behind a fence that was just renewed. */
export class ArpBench implements Bench<"arp"> {
  readonly clock = new FakeClock();
  readonly fence = new FakeFence(this.clock);
  readonly kernel = new FakeKernel(this.clock);
  readonly log = new FakeLog();
  readonly reports: string[] = [];
  readonly mode = this.reborn();

  constructor(private readonly prefix = "192.0.2.") {
    this.fence.renew();
  }

  reborn(): VipMode<"arp"> {
    const { kernel, fence, clock, log } = this;
    const report = (key: VipKey, what: ModeReport): void => void this.reports.push(`${key} ${what.type}`);
    return createArpMode({ announce, marks: { services: 118, "control-plane": 119 }, serves: new Set(["services"]), duplicateCheck: true }, { kernel, fence, clock, log, links: () => kernel.linkList, report });
  }

  want(n: number): Vip {
    return this.wantOf(`${this.prefix}${n}`);
  }

  wantOf(text: string, part: Partial<Vip> = {}): Vip {
    const address = text as IpAddress;
    return { ...part, key: vipKey("eth0", address), owners: [], iface: "eth0", address, prefix: hostPrefix(address), ports: [], ownership: "services", fresh: part.fresh ?? false };
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
      // Thousands of lifetimes are set some at a time.
      for (let before = -1; before !== this.kernel.puts; ) {
        before = this.kernel.puts;
        await this.clock.advance(0);
      }
    }
  }
}
