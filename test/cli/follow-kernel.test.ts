import { describe, expect, test } from "vitest";
import { followKernel, type Following } from "../../src/cli/follow-kernel.js";
import { emptyWorld, type World } from "../../src/core/world.js";
import type { Kernel, KernelEvent, Link } from "../../src/ports/kernel.js";
import { FakeClock, flush } from "../fakes/clock.js";
import { fakeLink, FakeKernel } from "../fakes/kernel.js";
import { FakeLog } from "../fakes/log.js";

/** A kernel whose links are read only when the test lets them, or never. */
class SlowKernel extends FakeKernel {
  readonly #asked: { readonly signal: AbortSignal; answer(error: Error | undefined): void }[] = [];
  readonly #told = new Set<(event: KernelEvent) => void>();
  reads = 0;

  override async links(signal = new AbortController().signal): Promise<readonly Link[]> {
    this.reads += 1;
    const links = [...this.linkList];
    await new Promise<void>((resolve, reject) => this.#asked.push({ signal, answer: (error) => (error === undefined ? resolve() : reject(error)) }));
    return links;
  }

  override listen(listener: (event: KernelEvent) => void): AsyncDisposable {
    this.#told.add(listener);
    return { [Symbol.asyncDispose]: async () => void this.#told.delete(listener) };
  }

  tell(event: KernelEvent): void {
    for (const listener of this.#told) listener(event);
  }

  /** Answers the oldest question. */
  async answer(error?: Error): Promise<void> {
    const first = this.#asked.shift();
    if (first === undefined) throw new Error("nobody asked");
    first.answer(error);
    await flush();
  }

  /** Questions whose answer somebody still waits for. */
  get waiting(): number {
    return this.#asked.filter(({ signal }) => !signal.aborted).length;
  }

  get listeners(): number {
    return this.#told.size;
  }
}

/** What the engine was told: `dump lo eth0`, `event 7`. */
class Bench implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly kernel = new SlowKernel(this.clock);
  readonly log = new FakeLog();
  readonly told: string[] = [];
  world: World = emptyWorld("n1");
  readonly following: Following;

  constructor(wantsDefaultLink = false) {
    const { clock, log } = this;
    const kernel: Kernel = this.kernel;
    this.following = followKernel({ wantsDefaultLink }, { kernel, clock, log, engine: this.#engine() });
  }

  #engine(): Parameters<typeof followKernel>[1]["engine"] {
    const world = (): World => this.world;
    return {
      kernelDump: (links) => void this.told.push(`dump ${links.map(({ name }) => name).join(" ")}`),
      kernelEvent: (event) => void this.told.push(event.type === "link" ? `event ${event.link.index}` : event.type),
      get world() {
        return world();
      },
    };
  }

  link(index: number): void {
    this.kernel.tell({ type: "link", link: fakeLink(index, `eth${index}`), gone: false });
  }

  overrun(): void {
    this.kernel.tell({ type: "overrun" });
  }

  get errors(): readonly unknown[] {
    return this.log.lines.filter(({ level }) => level === "error").map((line) => line["error"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.following[Symbol.asyncDispose]();
    expect([this.clock.pending, this.kernel.listeners]).toEqual([0, 0]);
  }
}

const DUMP = "dump lo eth0";

async function ready(wantsDefaultLink = false): Promise<Bench> {
  const bench = new Bench(wantsDefaultLink);
  await bench.kernel.answer();
  await bench.following.ready;
  expect(bench.told.splice(0)).toEqual([DUMP]);
  return bench;
}

describe("events", () => {
  test("are told as they come once the kernel has been read", async () => {
    await using bench = await ready();
    bench.link(7);
    bench.link(8);
    expect(bench.told).toEqual(["event 7", "event 8"]);
    expect(bench.kernel.reads).toBe(1);
  });

  test("of the time of the first reading are told after it, in their order", async () => {
    await using bench = new Bench();
    bench.link(7);
    bench.link(8);
    expect(bench.told).toEqual([]);
    await bench.kernel.answer();
    expect(bench.told).toEqual([DUMP, "event 7", "event 8"]);
    bench.link(9);
    expect(bench.told.at(-1)).toBe("event 9");
  });
});

describe("after events were lost", () => {
  test("everything is read again, once, and events of that time are told after it", async () => {
    await using bench = await ready();
    bench.overrun();
    bench.link(7);
    expect(bench.told).toEqual([]);
    bench.kernel.linkList.push(fakeLink(3, "eth1"));
    await bench.kernel.answer();
    expect(bench.told).toEqual([DUMP, "event 7"]);
    expect(bench.kernel.waiting).toBe(0);
  });

  test("however often during a reading, one more follows, and it shows what is there then", async () => {
    await using bench = await ready();
    bench.overrun();
    bench.overrun();
    bench.overrun();
    expect(bench.kernel.waiting).toBe(1);
    bench.kernel.linkList.push(fakeLink(3, "eth1"));
    await bench.kernel.answer();
    bench.link(7);
    expect(bench.kernel.waiting).toBe(1);
    await bench.kernel.answer();
    expect(bench.told).toEqual([DUMP, `${DUMP} eth1`, "event 7"]);
    expect(bench.kernel.waiting).toBe(0);
  });

  test("during the first reading: `ready` does not wait for the second", async () => {
    await using bench = new Bench();
    bench.overrun();
    await bench.kernel.answer();
    await bench.following.ready;
    await bench.kernel.answer();
    expect(bench.told).toEqual([DUMP, DUMP]);
  });

  test("a reading that fails is said and tried again every second; events are not held up by it", async () => {
    await using bench = await ready();
    bench.overrun();
    bench.link(7);
    await bench.kernel.answer(new Error("dump links: EBUSY"));
    expect(bench.errors).toEqual(["dump links: EBUSY"]);
    expect(bench.told).toEqual(["event 7"]);
    await bench.clock.advance(999);
    expect(bench.kernel.waiting).toBe(0);
    await bench.clock.advance(1);
    await bench.kernel.answer(new Error("dump links: EBUSY"));
    await bench.clock.advance(1000);
    await bench.kernel.answer();
    expect(bench.told).toEqual(["event 7", DUMP]);
    expect(bench.clock.pending).toBe(0);
  });
});

describe("the first reading", () => {
  test("that fails is the caller's: `ready` rejects with it, and nothing is tried again", async () => {
    await using bench = new Bench();
    await bench.kernel.answer(new Error("open socket: EPERM"));
    await expect(bench.following.ready).rejects.toThrow("open socket: EPERM");
    expect(bench.errors).toEqual([]);
    expect(bench.clock.pending).toBe(0);
  });

  test("without a default route, where one is needed, is done again every second until there is one", async () => {
    await using bench = await ready(true);
    for (let i = 0; i < 3; i += 1) {
      expect(bench.kernel.waiting).toBe(0);
      await bench.clock.advance(1000);
      if (i === 2) bench.world = { ...bench.world, defaultLink: "eth0" };
      await bench.kernel.answer();
    }
    expect(bench.told).toEqual([DUMP, DUMP, DUMP]);
    await bench.clock.advance(60_000);
    expect(bench.kernel.waiting).toBe(0);
  });

  test("without a default route that nobody needs is enough", async () => {
    await using bench = await ready();
    await bench.clock.advance(60_000);
    expect(bench.kernel.reads).toBe(1);
  });
});

describe("dispose", () => {
  test.each<readonly [string, Error | undefined]>([
    ["which then rejects, as the kernel does", new DOMException("closing", "AbortError")],
    ["which then ends well all the same", undefined],
  ])("in the middle of a reading, %s: waits for it, tells nothing, reads no more", async (_name, error) => {
    const bench = await ready(true);
    bench.world = { ...bench.world, defaultLink: undefined };
    bench.overrun();
    bench.overrun();
    bench.link(7);
    let closed = false;
    const closing = bench[Symbol.asyncDispose]().then(() => (closed = true));
    await flush();
    expect([closed, bench.kernel.waiting]).toEqual([false, 0]);
    await bench.kernel.answer(error);
    await closing;
    expect(bench.told).toEqual([]);
    expect(bench.kernel.reads).toBe(2);
    expect(bench.errors).toEqual([]);
  });

  test("while the next reading is waited for calls it off", async () => {
    const bench = await ready(true);
    expect(bench.clock.pending).toBe(1);
    await bench[Symbol.asyncDispose]();
    await bench.clock.advance(10_000);
    expect(bench.kernel.reads).toBe(1);
  });
});
