import { describe, expect, test } from "vitest";
import { Lifetimes } from "../../src/modes/lifetimes.js";
import { FakeClock, flush } from "../fakes/clock.js";
import { FakeFence } from "../fakes/fence.js";

/** Lifetimes over a kernel that answers at once, later, or not well; the fence is 5/3/1 s, so that a full lifetime is 3 s. */
class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly fence = new FakeFence(this.clock);
  /** `ms since the start key`. */
  readonly puts: string[] = [];
  readonly failures: string[] = [];
  /** Waited for by the next puts while set. */
  gate: Promise<void> | undefined;
  refuse: boolean | Error = false;
  readonly lifetimes = new Lifetimes<string>({
    clock: this.clock,
    fence: this.fence,
    put: async (key, validUntil) => {
      this.puts.push(`${this.clock.now() - 1000} ${key}`);
      const now = this.clock.now();
      await this.gate;
      if (this.refuse !== false) throw this.refuse === true ? new Error("EPERM") : this.refuse;
      return now + Math.floor((validUntil - now) / 1000) * 1000;
    },
    failed: (key, error) => void this.failures.push(`${key} ${String(error)}`),
  });

  constructor() {
    this.fence.renew();
  }

  /** Keeps it from now on for a full lifetime. */
  keep(key: string): void {
    this.lifetimes.keep(key, "services", this.clock.now() + 3000);
  }

  async renewAfter(ms: number): Promise<void> {
    await this.clock.advance(ms);
    this.fence.renew();
    await flush();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lifetimes[Symbol.asyncDispose]();
    expect([this.clock.pending, this.fence.listeners]).toEqual([0, 0]);
  }
}

function gate(): { readonly promise: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { promise, open: resolve };
}

test("a renew that may have moved every key is for all of them; one of a single key for that one only", async () => {
  await using bench = new Bench();
  bench.keep("a");
  bench.lifetimes.keep("b", "svc/b", bench.clock.now() + 3000);
  await bench.clock.advance(1600);
  bench.fence.renew();
  await flush();
  expect(bench.puts).toEqual(["1600 a"]);
  bench.fence.renew({ moved: undefined });
  await flush();
  expect(bench.puts).toEqual(["1600 a", "1600 b"]);
  await bench.lifetimes.forget("a");
  await bench.lifetimes.forget("b");
  await bench.clock.advance(10_000);
});

describe("with every renew", () => {
  test("a lifetime is set anew once more than half of it is used up, not before", async () => {
    await using bench = new Bench();
    bench.keep("a");
    await bench.renewAfter(1000);
    expect(bench.puts).toEqual([]);
    await bench.renewAfter(1000);
    expect(bench.puts).toEqual(["2000 a"]);
    await bench.renewAfter(1000);
    expect(bench.puts).toEqual(["2000 a"]);
  });

  test("one that is just being set is not set twice", async () => {
    await using bench = new Bench();
    const { promise, open } = gate();
    bench.keep("a");
    bench.gate = promise;
    await bench.renewAfter(2000);
    await bench.renewAfter(100);
    expect(bench.puts).toEqual(["2000 a"]);
    open();
  });

  test("what stands behind a fence that was lost is left to end", async () => {
    await using bench = new Bench();
    bench.keep("a");
    bench.fence.lose();
    await bench.clock.advance(10_000);
    expect(bench.puts).toEqual([]);
  });
});

describe("without a renew", () => {
  test("the guard sets it anew shortly before it ends, where the fence makes it end later, and then lets it end", async () => {
    await using bench = new Bench();
    bench.lifetimes.keep("a", "services", bench.clock.now() + 2000);
    await bench.clock.advance(10_000);
    expect(bench.puts).toEqual(["1250 a"]);
  });

  test("each key has its own time", async () => {
    await using bench = new Bench();
    bench.lifetimes.keep("late", "services", bench.clock.now() + 2000);
    bench.lifetimes.keep("soon", "services", bench.clock.now() + 1000);
    await bench.clock.advance(1300);
    expect(bench.puts).toEqual(["250 soon", "1250 late"]);
  });

  test("a process that was held up until everything was over puts nothing", async () => {
    await using bench = new Bench();
    bench.keep("a");
    await bench.clock.freeze(20_000);
    await bench.clock.advance(5000);
    expect(bench.puts).toEqual([]);
  });
});

describe("more lifetimes than are set at a time", () => {
  const keys = Array.from({ length: 300 }, (_, n) => `k${n}`);

  /** 300 lifetimes are due at 2000 ms, and those under way wait for the gate. */
  async function due(bench: Bench): Promise<() => void> {
    const { promise, open } = gate();
    for (const key of keys) bench.keep(key);
    bench.gate = promise;
    await bench.renewAfter(2000);
    expect(bench.puts).toEqual(keys.slice(0, 128).map((key) => `2000 ${key}`));
    return open;
  }

  /** Lets all of them be set; each one's turn comes when one before it is over. */
  async function settle(): Promise<void> {
    for (let i = 0; i < 10; i += 1) await flush();
  }

  test("are all set, each once, whether those before them could be or not", async () => {
    await using bench = new Bench();
    const open = await due(bench);
    bench.refuse = true;
    open();
    await settle();
    expect(bench.puts).toEqual(keys.map((key) => `2000 ${key}`));
    expect(bench.failures).toHaveLength(keys.length);
  });

  test("wait in vain where their key was let go or the fence was lost meanwhile", async () => {
    await using bench = new Bench();
    const open = await due(bench);
    for (const key of keys.slice(200)) expect(bench.lifetimes.forget(key)).toBeUndefined();
    open();
    await settle();
    expect(bench.puts).toHaveLength(200);

    await using lost = new Bench();
    const openLost = await due(lost);
    lost.fence.lose();
    openLost();
    await settle();
    expect(lost.puts).toHaveLength(128);
  });

  test("end by the fence as it is when their turn comes", async () => {
    await using bench = new Bench();
    const open = await due(bench);
    await bench.clock.advance(500);
    bench.fence.renew();
    open();
    await settle();
    expect(bench.puts.slice(128)).toEqual(keys.slice(128).map((key) => `2500 ${key}`));
    // Set at 2500 to end 3 s later, by the renew of 2500: the one of 2000 would have allowed 2 s.
    const before = bench.puts.length;
    await bench.renewAfter(1400);
    expect(bench.puts.slice(before)).not.toContain("3900 k299");
  });

  test("are forgotten with everything else", async () => {
    const bench = new Bench();
    const open = await due(bench);
    const closing = bench[Symbol.asyncDispose]();
    open();
    await closing;
    await settle();
    expect(bench.puts).toHaveLength(128);
  });
});

describe("a lifetime that could not be set", () => {
  test("because no whole second was left is set as soon as there is one, and nobody is told", async () => {
    await using bench = new Bench();
    bench.keep("a");
    bench.refuse = Object.assign(new Error("add a: ETIME"), { code: "ETIME" });
    await bench.renewAfter(2000);
    expect([bench.puts, bench.failures]).toEqual([["2000 a"], []]);
    bench.refuse = false;
    await bench.renewAfter(500);
    expect(bench.puts).toEqual(["2000 a", "2250 a"]);
  });

  test("is told, and tried again with the next renew", async () => {
    await using bench = new Bench();
    bench.keep("a");
    bench.refuse = true;
    await bench.renewAfter(2000);
    expect(bench.failures).toEqual(["a Error: EPERM"]);
    bench.refuse = false;
    await bench.renewAfter(100);
    expect(bench.puts).toEqual(["2000 a", "2100 a"]);
  });

  test("is nobody's trouble where the key was let go, kept anew, or everything closed meanwhile", async () => {
    const ways: readonly ((bench: Bench) => unknown)[] = [(b) => b.lifetimes.forget("a"), (b) => b.keep("a"), (b) => b.lifetimes[Symbol.asyncDispose]()];
    for (const way of ways) {
      await using bench = new Bench();
      const { promise, open } = gate();
      bench.keep("a");
      bench.gate = promise;
      bench.refuse = true;
      await bench.renewAfter(2000);
      way(bench);
      open();
      await flush();
      expect(bench.failures).toEqual([]);
    }
  });
});

describe("a key that is let go", () => {
  test("is set no more", async () => {
    await using bench = new Bench();
    bench.keep("a");
    bench.keep("b");
    expect(bench.lifetimes.forget("a")).toBeUndefined();
    await bench.renewAfter(2000);
    expect(bench.puts).toEqual(["2000 b"]);
  });

  test.each<readonly [string, (bench: Bench) => void]>([
    ["while it is being set", () => undefined],
    ["while it is being set, although it was kept anew in between", (bench) => bench.keep("a")],
  ])("%s, has something to wait for", async (_name, between) => {
    await using bench = new Bench();
    const { promise, open } = gate();
    bench.keep("a");
    bench.gate = promise;
    await bench.renewAfter(2000);
    between(bench);
    let done = false;
    const running = bench.lifetimes.forget("a")?.then(() => (done = true));
    expect(running).toBeDefined();
    await flush();
    expect(done).toBe(false);
    open();
    await running;
  });
});

test("dispose waits for what is being set, and sets nothing afterwards", async () => {
  const bench = new Bench();
  const { promise, open } = gate();
  bench.keep("a");
  bench.gate = promise;
  await bench.renewAfter(2000);
  let closed = false;
  const closing = bench[Symbol.asyncDispose]().then(() => (closed = true));
  await flush();
  expect(closed).toBe(false);
  open();
  await closing;
  bench.keep("b");
  await bench.renewAfter(2500);
  expect(bench.puts).toEqual(["2000 a"]);
  expect(bench.clock.pending).toBe(0);
});
