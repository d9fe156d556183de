import { describe, expect, test } from "vitest";
import { Drive } from "../../src/machine/drive.js";
import { FakeClock } from "../fakes/clock.js";

type Event = "tick" | "go" | "quiet" | "twice" | "again";

interface State {
  readonly seen: readonly string[];
}

/** A machine that wants a tick 100 ms after every event but `quiet`, and writes down what happens in which order. */
class Bench {
  readonly clock = new FakeClock(0);
  readonly log: string[] = [];
  onAct: (action: string) => void = () => undefined;
  wakeIn = 100;
  readonly drive = new Drive<State, Event, string>(
    {
      start: { seen: [] },
      step: (state, event, now) => ({
        state: { seen: [...state.seen, event] },
        actions: event === "twice" ? ["a", "b"] : event === "go" ? ["a"] : [],
        wakeAt: event === "quiet" ? undefined : now + this.wakeIn,
      }),
      tick: () => "tick",
      act: (action) => {
        this.log.push(`${this.clock.now()} act ${action}`);
        this.onAct(action);
      },
      moved: ({ seen }) => void this.log.push(`${this.clock.now()} moved ${seen.at(-1)}`),
    },
    this.clock,
  );
}

describe("Drive", () => {
  test("nothing happens before the first event", async () => {
    const { drive, clock, log } = new Bench();
    await clock.advance(1000);
    expect([drive.state.seen, log, clock.pending]).toEqual([[], [], 0]);
  });

  test("the state moves, is told, and only then are the actions carried out, in their order", () => {
    const bench = new Bench();
    bench.onAct = () => expect(bench.drive.state.seen).toEqual(["twice"]);
    bench.drive.send("twice");
    expect(bench.log).toEqual(["0 moved twice", "0 act a", "0 act b"]);
  });

  test("ticks when the machine wants to, and again as long as it does", async () => {
    const bench = new Bench();
    bench.drive.send("go");
    await bench.clock.advance(250);
    expect(bench.log).toEqual(["0 moved go", "0 act a", "100 moved tick", "200 moved tick"]);
    expect(bench.clock.pending).toBe(1);
  });

  test("an event puts the tick off, or calls it off: there is one timer", async () => {
    const bench = new Bench();
    bench.drive.send("go");
    await bench.clock.advance(60);
    bench.drive.send("go");
    expect(bench.clock.pending).toBe(1);
    await bench.clock.advance(60);
    expect(bench.drive.state.seen).toEqual(["go", "go"]);
    bench.drive.send("quiet");
    expect(bench.clock.pending).toBe(0);
  });

  test("a wake-up time in the past is now", async () => {
    const bench = new Bench();
    bench.wakeIn = -500;
    bench.drive.send("go");
    bench.wakeIn = 100;
    await bench.clock.advance(0);
    expect(bench.log.at(-1)).toBe("0 moved tick");
  });

  test("an action may send an event: it is taken at once, the wish of the newest state counts", async () => {
    const bench = new Bench();
    bench.onAct = (action) => {
      if (action === "a") bench.drive.send("quiet");
    };
    bench.drive.send("twice");
    expect(bench.log).toEqual(["0 moved twice", "0 act a", "0 moved quiet", "0 act b"]);
    expect(bench.clock.pending).toBe(0);
  });

  test("stopped: no timer, no step, the last state stays", async () => {
    const bench = new Bench();
    bench.drive.send("go");
    bench.drive.stop();
    bench.drive.stop();
    bench.drive.send("again");
    await bench.clock.advance(1000);
    expect([bench.drive.state.seen, bench.clock.pending]).toEqual([["go"], 0]);
  });
});
