import { describe, expect, test } from "vitest";
import { vipKey, type Part, type Vip, type VipKey } from "../../src/core/model.js";
import { hostPrefix, type IpAddress } from "../../src/lib/ip.js";
import { createAddressMode, type AddressesOfRoutes } from "../../src/modes/address.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeKernel } from "../fakes/kernel.js";
import { FakeLog } from "../fakes/log.js";
import { conforms, type Bench } from "./conformance.js";

const signal = new AbortController().signal;

class AddressBench implements Bench<"arp"> {
  readonly clock = new FakeClock();
  readonly kernel = new FakeKernel(this.clock);
  readonly mode = this.reborn();

  constructor(private readonly prefix = "192.0.2.") {}

  reborn(serves: readonly Part[] = ["services"]): AddressesOfRoutes {
    const { kernel, clock } = this;
    return createAddressMode({ marks: { services: 118, "control-plane": 119 }, serves: new Set(serves) }, { kernel, clock, log: new FakeLog(), links: () => kernel.linkList });
  }

  want(n: number): Vip {
    const address = `${this.prefix}${n}` as IpAddress;
    return { key: vipKey("lo", address), owners: [], iface: "lo", address, prefix: hostPrefix(address), ports: [], ownership: "services", fresh: true, anycast: true };
  }

  async there(): Promise<readonly VipKey[]> {
    return this.kernel.shown().map((line) => vipKey("lo", line.slice(0, line.indexOf("/")) as IpAddress));
  }

  open(): number {
    return this.kernel.openSockets + this.clock.pending;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mode[Symbol.asyncDispose]();
  }
}

conforms("address", () => new AddressBench());
conforms("address, IPv6", () => new AddressBench("2001:db8::"));

describe("an address that routes lead to", () => {
  test("is a host address on lo that is never a source address, for ten years, and no packet is sent for it", async () => {
    await using bench = new AddressBench();
    await bench.mode.up(bench.want(1), signal);
    expect(bench.kernel.shown()).toEqual(["192.0.2.1/32 dev lo scope host"]);
    expect(await bench.kernel.addresses()).toMatchObject([{ mark: 118, validSeconds: 315_360_000 }]);
    await bench.clock.advance(60_000);
    expect([bench.kernel.frames.length, bench.kernel.puts]).toEqual([0, 1]);
  });

  test("that another process holds for the control plane is no leftover of one that serves Services", async () => {
    await using bench = new AddressBench();
    await bench.mode.up({ ...bench.want(1), ownership: "control-plane" }, signal);
    expect(await bench.mode.held(signal)).toEqual([]);
    expect(await bench.reborn(["control-plane"]).held(signal)).toEqual([{ key: "lo/192.0.2.1", describe: "192.0.2.1/32 on lo" }]);
  });

  test("with the prefix that ARP mode gave it goes, too", async () => {
    await using bench = new AddressBench();
    await bench.kernel.putAddress({ linkIndex: 1, address: "192.0.2.1" as IpAddress, prefix: 24, scope: "global", mark: 118, validUntil: bench.clock.now() + 60_000 }, signal);
    await bench.mode.down(bench.want(1).key, "leftover", signal);
    expect(bench.kernel.shown()).toEqual([]);
  });

  test("ends by itself where a process may follow, also what is put after that was said, and has ten years again with the next", async () => {
    await using bench = new AddressBench();
    await bench.mode.up(bench.want(1), signal);
    await bench.mode.endBy(bench.clock.now() + 60_999, signal);
    await bench.mode.up(bench.want(2), signal);
    expect((await bench.kernel.addresses()).map(({ address, validSeconds, scope, mark }) => [address, validSeconds, scope, mark])).toEqual([["192.0.2.1", 60, "host", 118], ["192.0.2.2", 60, "host", 118]]);
    await bench.reborn().up(bench.want(1), signal);
    expect((await bench.kernel.addresses()).map(({ validSeconds }) => validSeconds)).toEqual([315_360_000, 60]);
    await bench.clock.advance(61_000);
    expect(bench.kernel.shown()).toEqual(["192.0.2.1/32 dev lo scope host"]);
  });

  test("on a link that is not there is an error that names both", async () => {
    await using bench = new AddressBench();
    await expect(bench.mode.up({ ...bench.want(1), key: vipKey("eth9", bench.want(1).address), iface: "eth9" }, signal)).rejects.toThrow("hold 192.0.2.1 on eth9: there is no such link");
  });
});
