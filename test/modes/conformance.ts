import { expect, test } from "vitest";
import type { VipMode } from "../../src/core/mode.js";
import type { ModeName, WantOf } from "../../src/core/model.js";

/** One mode in a world of fakes. */
export interface Bench<M extends ModeName> extends AsyncDisposable {
  /** What it holds ends with the process, so that a new life finds nothing. */
  readonly leavesNothing?: true;
  readonly mode: VipMode<M>;
  /** A second life of the program in the same world. */
  reborn(): VipMode<M>;
  want(n: number): WantOf[M];
  /** Keys that the world really holds for us now. */
  there(): Promise<readonly WantOf[M]["key"][]>;
  /** Sockets, timers and the like that are open. */
  open(): number;
}

/** What every mode owes to its caller (core/mode.ts). */
export function conforms<M extends ModeName>(name: string, make: () => Bench<M>): void {
  const signal = new AbortController().signal;

  test(`${name}: up twice is one, down twice is none`, async () => {
    await using bench = make();
    const want = bench.want(1);
    await bench.mode.up(want, signal);
    await bench.mode.up(want, signal);
    expect(await bench.there()).toEqual([want.key]);
    await bench.mode.down(want.key, "unwanted", signal);
    await bench.mode.down(want.key, "unwanted", signal);
    expect(await bench.there()).toEqual([]);
  });

  test(`${name}: down of what never was is a success`, async () => {
    await using bench = make();
    await bench.mode.down(bench.want(1).key, "leftover", signal);
    expect(await bench.there()).toEqual([]);
  });

  test(`${name}: up that was aborted rejects with the reason and leaves nothing that down does not remove`, async () => {
    await using bench = make();
    const want = bench.want(1);
    const abort = new AbortController();
    const up = bench.mode.up(want, abort.signal);
    const reason = new DOMException("changed my mind", "AbortError");
    abort.abort(reason);
    await expect(up).rejects.toBe(reason);
    await bench.mode.down(want.key, "unwanted", signal);
    expect(await bench.there()).toEqual([]);
  });

  test(`${name}: a new life finds what an earlier one left, and takes it down by its key`, async () => {
    await using bench = make();
    const wants = [bench.want(1), bench.want(2)];
    for (const want of wants) await bench.mode.up(want, signal);
    const next = bench.reborn();
    const held = await next.held(signal);
    const left = bench.leavesNothing === true ? [] : wants;
    expect(held.map(({ key }) => key).sort()).toEqual(left.map(({ key }) => key).sort());
    for (const { key } of held) await next.down(key, "leftover", signal);
    expect(await next.held(signal)).toEqual([]);
    await next[Symbol.asyncDispose]();
  });

  test(`${name}: dispose twice is fine and leaves nothing open`, async () => {
    await using bench = make();
    await bench.mode.up(bench.want(1), signal);
    await bench.mode[Symbol.asyncDispose]();
    await bench.mode[Symbol.asyncDispose]();
    expect(bench.open()).toBe(0);
  });
}
