import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { createClock } from "../../src/linux/clock.js";
import { errnoName, KernelError } from "../../src/linux/errors.js";
import { createRandom } from "../../src/linux/random.js";

describe("clock", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });

  it.each([1, 2.5, 60_000, 2 ** 31 - 1, 2 ** 31, 2 ** 33 + 17])("calls once after %d ms, never before", (ms) => {
    const clock = createClock();
    let calls = 0;
    clock.after(ms, () => (calls += 1));
    vi.advanceTimersByTime(Math.max(0, Math.ceil(ms) - 1));
    expect(calls).toBe(0);
    vi.advanceTimersByTime(2);
    expect(calls).toBe(1);
    vi.advanceTimersByTime(2 ** 34);
    expect(calls).toBe(1);
  });

  it("can be called off, also a long one in its second part, and twice", () => {
    const clock = createClock();
    const timer = clock.after(2 ** 32, () => expect.unreachable());
    vi.advanceTimersByTime(2 ** 31 + 5);
    timer.cancel();
    timer.cancel();
    vi.advanceTimersByTime(2 ** 33);
  });

  it("goes on by itself", () => {
    const clock = createClock();
    const [start, wall] = [clock.now(), clock.wallTime()];
    vi.advanceTimersByTime(250);
    expect([clock.now() - start, clock.wallTime() - wall]).toEqual([250, 250]);
  });
});

describe("random", () => {
  it("is in [0, 1)", () => {
    const random = createRandom();
    const values = Array.from({ length: 1000 }, () => random.float());
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    expect(new Set(values).size).toBeGreaterThan(990);
  });
});

describe("KernelError", () => {
  it.each([
    [1, "EPERM"],
    [11, "EAGAIN"],
    [62, "ETIME"],
    [105, "ENOBUFS"],
    [524, "E524"],
  ])("errno %d is %s", (errno, name) => expect(errnoName(errno)).toBe(name));

  it("says what was tried, the name, and the kernel's text", () => {
    expect(new KernelError("add a to b", 1, "text").message).toBe("add a to b: EPERM: text");
    expect(new KernelError("add a to b", 1).message).toBe("add a to b: EPERM");
  });
});
