import { describe, expect, it } from "vitest";

import type { IpAddress } from "../../src/lib/ip.js";
import { KernelError } from "../../src/linux/errors.js";
import { createNft } from "../../src/linux/nft.js";
import { chainOf } from "../../src/linux/nft-rules.js";
import type { NftVip } from "../../src/ports/nft.js";
import { FakeNative } from "./fake-native.js";
import { FakeNftKernel } from "./fake-nft-kernel.js";

const never = new AbortController().signal;
const EINTR = 4;
const EPERM = 1;
const EINVAL = 22;
const EPROTONOSUPPORT = 93;
const EOPNOTSUPP = 95;

function bench() {
  const kernel = new FakeNftKernel();
  const native = new FakeNative(kernel.answer);
  return { kernel, native, nft: createNft({ native }) };
}

function vip(n: number, ...targets: readonly string[]): NftVip {
  const address = `192.0.2.${n}` as IpAddress;
  return { key: `eth0/${address}`, address, ports: [{ protocol: "TCP", port: 80, targets: targets.map((target) => ({ address: target as IpAddress, port: 8080 })) }] };
}

async function errorOf(promise: Promise<unknown>): Promise<KernelError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof KernelError) return error;
  throw new Error(`KernelError wanted, not ${String(error)}`);
}

describe("createNft", () => {
  it("replaces the rules of a VIP in one transaction, and leaves others alone", async () => {
    const { kernel, nft } = bench();
    await nft.putVip(vip(1, "10.0.0.1", "10.0.0.2"), never);
    await nft.putVip(vip(2, "10.0.0.3"), never);
    expect([kernel.count(chainOf("vip", "eth0/192.0.2.1").chain), kernel.count("vips")]).toEqual([2, 2]);
    await nft.putVip(vip(1, "10.0.0.4"), never);
    expect(kernel.batches).toBe(3);
    expect([kernel.count(chainOf("vip", "eth0/192.0.2.1").chain), kernel.count(chainOf("vip", "eth0/192.0.2.2").chain)]).toEqual([1, 1]);
    expect([kernel.count("vips"), kernel.count("prerouting"), kernel.count("output")]).toEqual([2, 1, 1]);
  });

  it("lists the VIPs, removes them, and with the last one the table", async () => {
    const { kernel, nft } = bench();
    await nft.putVip(vip(1, "10.0.0.1"), never);
    await nft.putVip(vip(2, "10.0.0.1"), never);
    expect((await nft.vips(never)).map(({ key }) => key)).toEqual(["eth0/192.0.2.1", "eth0/192.0.2.2"]);
    expect(await nft.removeVip("eth0/192.0.2.1", never)).toBe(true);
    expect(await nft.removeVip("eth0/192.0.2.1", never)).toBe(false);
    expect((await nft.vips(never)).map(({ key }) => key)).toEqual(["eth0/192.0.2.2"]);
    expect(await nft.removeVip("eth0/192.0.2.2", never)).toBe(true);
    expect(kernel.rules).toEqual([]);
  });

  it("looks again where somebody else replaced the rules between look and write", async () => {
    const { kernel, nft } = bench();
    await nft.putVip(vip(1, "10.0.0.1"), never);
    let others = 2;
    kernel.before = () => {
      if ((others -= 1) >= 0) kernel.renumber();
    };
    await nft.putVip(vip(1, "10.0.0.2"), never);
    expect(others).toBe(-1);
    expect(kernel.count("vips")).toBe(1);
  });

  it("does not remove the table where somebody else changed rules since it looked", async () => {
    const { kernel, nft } = bench();
    await nft.putVip(vip(1, "10.0.0.1"), never);
    let once = false;
    kernel.before = () => {
      if (once) return;
      once = true;
      kernel.rules = [...kernel.rules, { handle: 9999, chain: "vips", payload: new Uint8Array(4) }];
      kernel.generation += 1;
    };
    expect(await nft.removeVip("eth0/192.0.2.1", never)).toBe(true);
    // What it found then was not the last.
    expect(kernel.rules.filter(({ chain }) => chain === "vips").map(({ handle }) => handle)).toEqual([9999]);
  });

  it("gives up where the rules change all the time", async () => {
    const { kernel, nft } = bench();
    await nft.putVip(vip(1, "10.0.0.1"), never);
    kernel.before = () => kernel.renumber();
    expect((await errorOf(nft.putVip(vip(1, "10.0.0.2"), never))).errno).toBe(2);
    kernel.interrupted = 100;
    expect((await errorOf(nft.vips(never))).errno).toBe(EINTR);
    expect(kernel.interrupted).toBe(80);
  });

  it("dumps again while the kernel says that the rules changed meanwhile", async () => {
    const { kernel, nft } = bench();
    await nft.putVip(vip(1, "10.0.0.1"), never);
    kernel.interrupted = 3;
    expect(await nft.vips(never)).toHaveLength(1);
  });

  it("says what was tried and what the kernel refused, and the next call is not harmed", async () => {
    const { kernel, nft } = bench();
    kernel.refusals.push(EPERM);
    const error = await errorOf(nft.putVip(vip(1, "10.0.0.1"), never));
    expect(error.code).toBe("EPERM");
    expect(error.message).toContain("eth0/192.0.2.1");
    await nft.putVip(vip(1, "10.0.0.1"), never);
    expect(kernel.count("vips")).toBe(1);
  });

  it.each([
    { name: "no nfnetlink", fail: (native: FakeNative) => void (native.socket = () => -EPROTONOSUPPORT), errno: EPROTONOSUPPORT },
    { name: "no nf_tables, asked", fail: (native: FakeNative) => void (native.writeErrno = EINVAL), errno: EINVAL },
    { name: "no nf_tables, told", fail: (_: FakeNative, kernel: FakeNftKernel) => void kernel.refusals.push(EOPNOTSUPP), errno: EOPNOTSUPP },
    { name: "no chain type nat", fail: (_: FakeNative, kernel: FakeNftKernel) => void kernel.refusals.push(...Array.from({ length: 20 }, () => 2)), errno: 2 },
  ])("names nf_tables where the kernel lacks it: $name", async ({ fail, errno }) => {
    const { kernel, native, nft } = bench();
    fail(native, kernel);
    const error = await errorOf(nft.putVip(vip(1, "10.0.0.1"), never));
    expect(error.errno).toBe(errno);
    expect(error.message).toContain("nf_tables");
  });

  it("ends where the answer is lost", async () => {
    const { kernel, nft } = bench();
    kernel.deaf = true;
    expect((await errorOf(nft.vips(never))).code).toBe("ENOBUFS");
    kernel.deaf = false;
    expect(await nft.vips(never)).toEqual([]);
  });

  it("throws for a target of another family, and writes nothing", async () => {
    const { kernel, nft } = bench();
    await expect(nft.putVip(vip(1, "2001:db8::1"), never)).rejects.toThrow(RangeError);
    expect(kernel.batches).toBe(0);
  });

  it("rejects with the reason what was given up before its turn, and writes nothing", async () => {
    const { kernel, nft } = bench();
    const abort = new AbortController();
    const reason = new DOMException("changed my mind", "AbortError");
    const first = nft.putVip(vip(1, "10.0.0.1"), never);
    const second = nft.putVip(vip(2, "10.0.0.1"), abort.signal);
    abort.abort(reason);
    await expect(second).rejects.toBe(reason);
    await first;
    expect(kernel.count("vips")).toBe(1);
  });

  it("opens its socket when it is first used, closes it once, and then refuses", async () => {
    const { native, nft } = bench();
    expect(native.openSockets).toBe(0);
    await nft.putVip(vip(1, "10.0.0.1"), never);
    await nft.putVip(vip(2, "10.0.0.1"), never);
    expect(native.openSockets).toBe(1);
    await nft[Symbol.asyncDispose]();
    await nft[Symbol.asyncDispose]();
    expect(native.openSockets).toBe(0);
    expect((await errorOf(nft.vips(never))).code).toBe("ECANCELED");
  });
});
