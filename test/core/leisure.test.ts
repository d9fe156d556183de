import { describe, expect, test } from "vitest";
import { Leisure } from "../../src/core/leisure.js";
import { FakeClock } from "../fakes/clock.js";

const { signal } = new AbortController();

/** Whether this has resolved by now. */
function watched(promise: Promise<void>): { done: boolean } {
  const seen = { done: false };
  void promise.then(() => (seen.done = true));
  return seen;
}

describe("leisure", () => {
  test("there is some as long as timers come in time", async () => {
    const clock = new FakeClock();
    const leisure = new Leisure(clock);
    await leisure.turn(signal);
    leisure.seen(10);
    await leisure.turn(signal);
    expect(clock.pending).toBe(0);
  });

  test("where one came late, it comes with the next that is in time", async () => {
    const clock = new FakeClock();
    const leisure = new Leisure(clock);
    leisure.seen(30);
    const turn = watched(leisure.turn(signal));
    await clock.advance(4);
    expect(turn.done).toBe(false);
    await clock.advance(1);
    expect(turn.done).toBe(true);
  });

  test("where all of them come late, it comes after a quarter of a second", async () => {
    const clock = new FakeClock();
    const leisure = new Leisure(clock);
    leisure.seen(30);
    const turn = watched(leisure.turn(signal));
    for (let i = 0; i < 7; i += 1) {
      await clock.freeze(35);
      await clock.advance(0);
    }
    expect(turn.done).toBe(false);
    await clock.freeze(35);
    await clock.advance(0);
    expect(turn.done).toBe(true);
  });

  test("nobody waits for it any longer who is called off", async () => {
    const clock = new FakeClock();
    const leisure = new Leisure(clock);
    const abort = new AbortController();
    leisure.seen(30);
    const turn = leisure.turn(abort.signal).catch((error: unknown) => error);
    abort.abort(new Error("called off"));
    await clock.advance(5);
    expect(await turn).toMatchObject({ message: "called off" });
  });
});
