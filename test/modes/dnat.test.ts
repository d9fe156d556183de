import { describe, expect, test } from "vitest";

import type { VipMode } from "../../src/core/mode.js";
import { vipKey, type Dnat, type DnatPort, type VipKey } from "../../src/core/model.js";
import type { IpAddress } from "../../src/lib/ip.js";
import { createDnatMode } from "../../src/modes/dnat.js";
import { FakeNft } from "../fakes/nft.js";
import { conforms, type Bench } from "./conformance.js";

const signal = new AbortController().signal;

/** The mode on a table in memory. */
class DnatBench implements Bench<"dnat"> {
  readonly nft = new FakeNft();
  readonly mode = this.reborn();

  reborn(): VipMode<"dnat"> {
    return createDnatMode({ nft: this.nft });
  }

  want(n: number, ports: readonly DnatPort[] = [http(`10.244.1.${n}`)]): Dnat {
    const address = `192.0.2.${n}` as IpAddress;
    return { key: vipKey("eth0", address), owners: [], iface: "eth0", address, ports };
  }

  async there(): Promise<readonly VipKey[]> {
    return [...this.nft.table.keys()].map((key) => key as VipKey);
  }

  open(): number {
    return 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mode[Symbol.asyncDispose]();
  }
}

function http(...targets: readonly string[]): DnatPort {
  return { protocol: "TCP", port: 80, targets: targets.map((address) => ({ address: address as IpAddress, port: 8080 })) };
}

conforms("dnat", () => new DnatBench());

describe("dnat", () => {
  test("a change of the endpoints replaces the rules of that VIP only", async () => {
    await using bench = new DnatBench();
    await bench.mode.up(bench.want(1), signal);
    await bench.mode.up(bench.want(2), signal);
    await bench.mode.up(bench.want(1, [http("10.244.1.8", "10.244.1.9")]), signal);
    expect(bench.nft.shown()).toEqual(["TCP 192.0.2.1:80 -> 10.244.1.8:8080, 10.244.1.9:8080", "TCP 192.0.2.2:80 -> 10.244.1.2:8080"]);
  });

  test("a port without targets has no rule, and the VIP is held", async () => {
    await using bench = new DnatBench();
    await bench.mode.up(bench.want(1, [http(), { ...http("10.244.1.1"), protocol: "UDP" }]), signal);
    expect(bench.nft.shown()).toEqual(["UDP 192.0.2.1:80 -> 10.244.1.1:8080"]);
    expect((await bench.mode.held(signal)).map(({ key }) => key)).toEqual([bench.want(1).key]);
  });

  test("rules that somebody removed come back with the next up of the same want", async () => {
    await using bench = new DnatBench();
    await bench.mode.up(bench.want(1), signal);
    bench.nft.table.clear();
    await bench.mode.up(bench.want(1), signal);
    expect(bench.nft.shown()).toEqual(["TCP 192.0.2.1:80 -> 10.244.1.1:8080"]);
  });

  test("the rules of a life that ended go by their key alone", async () => {
    await using bench = new DnatBench();
    await bench.mode.up(bench.want(1), signal);
    await bench.mode[Symbol.asyncDispose]();
    expect(bench.nft.shown()).toHaveLength(1);
    await bench.reborn().down(bench.want(1).key, "leftover", signal);
    expect(bench.nft.shown()).toEqual([]);
  });

  test("what the kernel refuses is thrown as it is", async () => {
    await using bench = new DnatBench();
    bench.nft.refuse = new Error("EPERM");
    await expect(bench.mode.up(bench.want(1), signal)).rejects.toBe(bench.nft.refuse);
    await expect(bench.mode.held(signal)).rejects.toBe(bench.nft.refuse);
  });
});
