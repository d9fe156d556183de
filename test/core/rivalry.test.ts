import { describe, expect, test } from "vitest";
import { Rivalry } from "../../src/core/rivalry.js";
import { FakeClock } from "../fakes/clock.js";

interface Bench {
  readonly clock: FakeClock;
  readonly rivalry: Rivalry;
  /** What was told, in order. */
  readonly told: (readonly string[])[];
  /** Tries to write; says whether it was done. */
  readonly write: (uid: string, what?: string) => boolean;
}

function bench(): Bench {
  const clock = new FakeClock();
  const told: (readonly string[])[] = [];
  const rivalry = new Rivalry({ clock, changed: (rivals) => void told.push([...rivals]) });
  const write = (uid: string, what = "192.0.2.10"): boolean => {
    if (rivalry.lost(uid, what)) return false;
    rivalry.wrote(uid, what);
    return true;
  };
  return { clock, rivalry, told, write };
}

describe("a status that somebody else keeps replacing", () => {
  test("is written three times in a minute, then left alone for five minutes, then written again", async () => {
    const { clock, told, write } = bench();
    const done: boolean[] = [];
    for (let i = 0; i < 4; i += 1) {
      done.push(write("a"));
      await clock.advance(1000);
    }
    expect(done).toEqual([true, true, true, false]);
    expect(told).toEqual([["a"]]);
    await clock.advance(298_999);
    expect(told).toEqual([["a"]]);
    await clock.advance(1);
    expect(told).toEqual([["a"], []]);
    expect([write("a"), write("a"), write("a"), write("a")]).toEqual([true, true, true, false]);
    expect(told.at(-1)).toEqual(["a"]);
  });

  test.each<readonly [string, (of: Bench) => Promise<void>]>([
    ["three times in more than a minute", async ({ clock, write }) => {
      for (let i = 0; i < 20; i += 1) {
        expect(write("a")).toBe(true);
        await clock.advance(30_000);
      }
    }],
    ["with something else each time, as when its addresses change", async ({ write }) => {
      for (let i = 0; i < 20; i += 1) expect(write("a", `192.0.2.${i}`)).toBe(true);
    }],
    ["with the one and the other in turn: that is ours to change", async ({ write }) => {
      for (let i = 0; i < 20; i += 1) expect(write("a", i % 2 === 0 ? "x" : "y")).toBe(true);
    }],
    ["of many Services, a few times each", async ({ write }) => {
      for (let i = 0; i < 5000; i += 1) expect(write(`uid-${i % 2500}`)).toBe(true);
    }],
  ])("is no fight: written %s", async (_name, scene) => {
    const of = bench();
    await scene(of);
    expect(of.told).toEqual([]);
    expect(of.clock.pending).toBe(0);
  });

  test("of one Service says nothing about another; each has its own five minutes", async () => {
    const { clock, told, write } = bench();
    for (let i = 0; i < 4; i += 1) write("a");
    await clock.advance(100_000);
    for (let i = 0; i < 4; i += 1) write("b");
    expect(told).toEqual([["a"], ["a", "b"]]);
    await clock.advance(200_000);
    expect(told.at(-1)).toEqual(["b"]);
    await clock.advance(100_000);
    expect(told.at(-1)).toEqual([]);
  });

  test("is seen also among a thousand others that were written lately", () => {
    const { told, write } = bench();
    for (let round = 0; round < 4; round += 1) for (let i = 0; i < 1500; i += 1) if (i < 1400 || round === 0) write(`uid-${i}`, i === 7 ? "same" : `${round}`);
    expect(told).toEqual([["uid-7"]]);
  });
});

test("nothing waits any more at the end", () => {
  const { clock, rivalry, write } = bench();
  for (let i = 0; i < 4; i += 1) write("a");
  expect(clock.pending).toBe(1);
  rivalry[Symbol.dispose]();
  expect(clock.pending).toBe(0);
});
