import { describe, expect, test } from "vitest";
import { KernelTap } from "../../src/cli/kernel-tap.js";
import type { IpAddress } from "../../src/lib/ip.js";
import type { MacAddress } from "../../src/lib/mac.js";
import { protocolFor } from "../../src/modes/neighbour.js";
import type { FrameSocket } from "../../src/ports/kernel.js";
import { FakeClock, flush } from "../fakes/clock.js";

const MAC = "02:00:00:00:00:01" as MacAddress;
const V4 = "192.0.2.10" as IpAddress;
const V6 = "2001:db8::10" as IpAddress;
const id = { linkIndex: 2, address: V4, prefix: 32 };

/** Methods that need their own `this`, as those of the real ones do. */
class Target {
  readonly #frames: Uint8Array[] = [];
  answer: Promise<unknown> = Promise.resolve(5000);
  async putAddress(_put: typeof id): Promise<unknown> {
    return this.answer;
  }
  async removeAddress(_address: typeof id): Promise<boolean> {
    return true;
  }
  openArp(): FrameSocket {
    return this.#socket();
  }
  openNd(): FrameSocket {
    return this.#socket();
  }
  get frames(): number {
    return this.#frames.length;
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.#frames.length = 0;
  }
  #socket(): FrameSocket {
    return {
      send: (frame) => {
        if (frame.length === 0) throw Object.assign(new Error("send"), { code: "ENOBUFS" });
        this.#frames.push(frame);
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
  }
}

function tapped(): { readonly clock: FakeClock; readonly target: Target; readonly tap: KernelTap; readonly kernel: Target; readonly told: string[] } {
  const clock = new FakeClock();
  const told: string[] = [];
  const tap = new KernelTap({ clock, failed: (operation, code) => told.push(`${operation} ${code}`), sent: (protocol, kind) => told.push(`${protocol} ${kind}`) });
  const target = new Target();
  return { clock, target, tap, kernel: tap.tap(target), told };
}

describe("a request of the kernel", () => {
  test("is known while it waits, the oldest first", async () => {
    const { clock, target, tap, kernel } = tapped();
    let answer: (value: number) => void = () => undefined;
    target.answer = new Promise((resolve) => (answer = resolve));
    const put = kernel.putAddress(id);
    await clock.advance(1000);
    const removed = kernel.removeAddress(id);
    expect(tap.oldest()).toEqual({ operation: "putAddress", ms: 1000 });
    answer(9000);
    await Promise.all([put, removed]);
    expect(tap.oldest()).toBeUndefined();
  });

  test("that is refused is told by its code, and refused to who asked; one that was called off is not", async () => {
    const { target, kernel, told } = tapped();
    const error = Object.assign(new Error("add"), { code: "EPERM" });
    target.answer = Promise.reject(error);
    await expect(kernel.putAddress(id)).rejects.toBe(error);
    target.answer = Promise.reject(new DOMException("closing", "AbortError"));
    await expect(kernel.putAddress(id)).rejects.toThrow("closing");
    expect(told).toEqual(["putAddress EPERM"]);
  });

  test("tells when a lifetime ends, until the address is removed", async () => {
    const { tap, kernel } = tapped();
    await kernel.putAddress(id);
    expect([tap.endsAt(2, V4), tap.endsAt(3, V4)]).toEqual([5000, undefined]);
    await kernel.removeAddress(id);
    expect(tap.endsAt(2, V4)).toBeUndefined();
  });

  test("forgets a lifetime that ended long ago: its link is gone, and nobody removes it", async () => {
    const { clock, tap, kernel } = tapped();
    await kernel.putAddress(id);
    await clock.advance(700_000);
    await kernel.putAddress({ ...id, linkIndex: 3 });
    expect(tap.endsAt(2, V4)).toBeUndefined();
  });
});

test.each([V4, V6])("announcements and probes of %s are told apart", (address) => {
  const { kernel, told } = tapped();
  const protocol = protocolFor(address);
  const socket = address === V4 ? kernel.openArp() : kernel.openNd();
  for (const step of [0, 1]) socket.send(protocol.announcement(address, MAC, step));
  socket.send(protocol.question(address, MAC));
  const name = address === V4 ? "arp" : "ndp";
  expect(told).toEqual([`${name} announcement`, `${name} announcement`, `${name} probe`]);
  expect(kernel.frames).toBe(3);
});

test("a frame that cannot be sent is an error, and not sent", () => {
  const { kernel, told } = tapped();
  expect(() => kernel.openArp().send(new Uint8Array(0))).toThrow("send");
  expect(told).toEqual(["send arp ENOBUFS"]);
});

test("everything else is as it was", async () => {
  const { kernel, target } = tapped();
  kernel.openArp().send(protocolFor(V4).announcement(V4, MAC, 0));
  await kernel[Symbol.asyncDispose]();
  await flush();
  expect(target.frames).toBe(0);
});
