import { describe, expect, test } from "vitest";
import { ModeSync } from "../../src/core/mode-sync.js";
import type { DownReason, Held, VipMode } from "../../src/core/mode.js";
import type { LinkKey, LinkWant } from "../../src/core/model.js";
import { FakeClock, flush } from "../fakes/clock.js";
import { FakeLog } from "../fakes/log.js";

/** A mode that writes down what it is told, and has what an earlier life left. */
class Target implements VipMode<"link"> {
  readonly name = "link";
  readonly ops: string[] = [];
  readonly there: Set<string>;
  /** Refused with EBUSY while here. */
  readonly busy = new Set<string>();
  /** `held` fails so many times. */
  blind = 0;
  /** What `held` waits for. */
  gate: Promise<void> = Promise.resolve();
  disposed = 0;

  constructor(...left: readonly string[]) {
    this.there = new Set(left);
  }

  async up({ key }: LinkWant): Promise<void> {
    await this.#say("up", key);
    this.there.add(key);
  }

  async down(key: LinkKey, reason: DownReason): Promise<void> {
    await this.#say(`down ${reason}`, key);
    this.there.delete(key);
  }

  async held(signal: AbortSignal): Promise<readonly Held<"link">[]> {
    await this.gate;
    signal.throwIfAborted();
    this.blind -= 1;
    if (this.blind >= 0) throw new Error("dump: ENOBUFS");
    return [...this.there].map((key) => ({ key: key as LinkKey, describe: `${key} on eth0` }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed += 1;
  }

  async #say(verb: string, key: string): Promise<void> {
    this.ops.push(`${verb} ${key}`);
    await Promise.resolve();
    if (this.busy.has(key)) throw new Error(`${verb} ${key}: EBUSY`);
  }
}

interface Bench {
  readonly target: Target;
  readonly clock: FakeClock;
  readonly log: FakeLog;
  readonly sync: ModeSync<"link">;
}

function bench(...left: readonly string[]): Bench {
  return looking(undefined, ...left);
}

function looking(lookMs: number | undefined, ...left: readonly string[]): Bench {
  const target = new Target(...left);
  const clock = new FakeClock();
  const log = new FakeLog();
  const same = (a: LinkWant, b: LinkWant): boolean => a.vlan === b.vlan;
  const sync = new ModeSync<"link">(target, { noun: "link", concurrency: 8, same, ...(lookMs === undefined ? {} : { lookMs }) }, { clock, log, random: { float: () => 0.5 }, changed: () => undefined });
  return { target, clock, log, sync };
}

function wants(...keys: readonly string[]): ReadonlyMap<LinkKey, LinkWant> {
  return new Map(keys.map((key) => [key as LinkKey, { key: key as LinkKey, owners: [], parent: "eth0", vlan: 1 }]));
}

describe("a mode", () => {
  test("is told what is wanted from now on, and why the rest has to go; the same again tells it nothing", async () => {
    const { target, sync, log } = bench();
    sync.set(wants("a", "b"));
    await sync.settle();
    sync.set(wants("b"));
    sync.set(wants("b"));
    await sync.settle();
    expect(target.ops).toEqual(["up a", "up b", "down unwanted a"]);
    expect([...sync.observed()]).toEqual([["b", { state: "up", result: undefined }]]);
    expect(log.lines).toMatchObject([{ message: "link removed", link: "a", reason: "unwanted" }]);
  });

  test("that refuses one thing is asked for it again, and holds the others", async () => {
    const { target, sync, clock, log } = bench();
    target.busy.add("a");
    sync.set(wants("a", "b"));
    await clock.advance(1000);
    expect(sync.observed().get("b" as LinkKey)?.state).toBe("up");
    expect(sync.observed().get("a" as LinkKey)?.state).toBe("failed");
    expect(log.lines[0]).toMatchObject({ level: "warn", message: "not done, tried again", what: "link", key: "a", error: "up a: EBUSY" });
    target.busy.clear();
    await clock.advance(30_000);
    expect(sync.observed().get("a" as LinkKey)?.state).toBe("up");
  });

  test("is closed once, and nothing waits any more", async () => {
    const { target, sync, clock } = bench();
    target.busy.add("a");
    target.blind = 1;
    sync.set(wants("a"));
    sync.sweep();
    await flush();
    expect(clock.pending).toBe(2);
    await sync[Symbol.asyncDispose]();
    expect([clock.pending, target.disposed]).toEqual([0, 1]);
  });
});

describe("what nobody tells of", () => {
  test("is looked for while something is held, and put again where it is gone", async () => {
    const { target, sync, clock, log } = looking(5000);
    sync.set(wants("a", "b"));
    await sync.settle();
    target.there.delete("a");
    await clock.advance(4999);
    expect(target.ops).toEqual(["up a", "up b"]);
    await clock.advance(1);
    expect(target.ops).toEqual(["up a", "up b", "up a"]);
    expect(log.lines).toMatchObject([{ message: "link is gone, put again", link: "a" }]);
    target.blind = 1;
    target.there.delete("b");
    await clock.advance(5000);
    expect(target.ops).toHaveLength(3);
    await clock.advance(5000);
    expect(target.ops).toHaveLength(4);
    sync.set(wants());
    await clock.advance(5000);
    expect(clock.pending).toBe(0);
  });

  test("is not put again where it was refused: that is tried again by itself", async () => {
    const { target, sync, clock } = looking(20);
    target.busy.add("a");
    sync.set(wants("a"));
    await clock.advance(60);
    expect(target.ops).toEqual(["up a"]);
    await sync[Symbol.asyncDispose]();
    expect(clock.pending).toBe(0);
  });
});

describe("what an earlier life left", () => {
  test("goes, but for what is wanted; once", async () => {
    const { target, sync, log } = bench("old", "kept");
    sync.set(wants("kept", "new"));
    sync.sweep();
    await flush();
    expect([...target.there].sort()).toEqual(["kept", "new"]);
    expect(log.lines.filter(({ message }) => message === "leftover removed")).toMatchObject([{ link: "old", was: "old on eth0" }]);
    target.there.add("another's, with our mark");
    sync.sweep();
    await flush();
    expect(target.there.size).toBe(3);
  });

  test("stays until the sweep", async () => {
    const { target, sync } = bench("old");
    sync.set(wants("new"));
    await sync.settle();
    expect([...target.there]).toEqual(["old", "new"]);
  });

  test("and is wanted by the time that it is known what there is, stays", async () => {
    const { target, sync } = bench("old");
    let open: () => void = () => undefined;
    target.gate = new Promise((resolve) => (open = resolve));
    sync.sweep();
    sync.set(wants("old"));
    open();
    await flush();
    expect(target.ops).toEqual(["up old"]);
  });

  test("that cannot be listed is looked for again half a minute later", async () => {
    const { target, sync, clock } = bench("old");
    target.blind = 1;
    sync.sweep();
    await clock.advance(29_999);
    expect(target.there.size).toBe(1);
    await clock.advance(1);
    expect(target.there.size).toBe(0);
  });

  test("that will not go keeps nothing else from going, and is tried again", async () => {
    const { target, sync, clock, log } = bench("a", "stuck", "z");
    target.busy.add("stuck");
    sync.sweep();
    await flush();
    expect([...target.there]).toEqual(["stuck"]);
    expect(log.lines.filter(({ level }) => level === "warn")).toMatchObject([{ error: "down leftover stuck: EBUSY" }]);
    target.busy.clear();
    await clock.advance(30_000);
    expect([target.there.size, clock.pending]).toEqual([0, 0]);
  });

  test("that will not go, and is wanted meanwhile, stays", async () => {
    const { target, sync, clock } = bench("stuck");
    target.busy.add("stuck");
    sync.sweep();
    await flush();
    target.busy.clear();
    sync.set(wants("stuck"));
    await clock.advance(60_000);
    expect([...target.there]).toEqual(["stuck"]);
  });
});
