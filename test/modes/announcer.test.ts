import { describe, expect, test } from "vitest";
import { Announcer } from "../../src/modes/announcer.js";
import { FakeClock } from "../fakes/clock.js";

/** What was sent: `ms since the start key step`. */
class Bench implements Disposable {
  readonly clock = new FakeClock();
  readonly sent: string[] = [];
  onSend: (key: string) => void = () => undefined;
  readonly announcer: Announcer<string>;

  constructor(burstMs: readonly number[] = [0, 50, 200]) {
    this.announcer = new Announcer({ burstMs, refreshMs: 3000, packetsPerSecond: 500 }, { clock: this.clock, send: (key, step) => this.#send(key, step) });
  }

  [Symbol.dispose](): void {
    this.announcer[Symbol.dispose]();
    expect(this.clock.pending).toBe(0);
  }

  #send(key: string, step: number): void {
    this.sent.push(`${this.clock.now() - 1000} ${key} ${step}`);
    this.onSend(key);
  }
}

describe("announcer", () => {
  test("sends the first of a burst in the next turn, then the rest, then refreshes", async () => {
    using bench = new Bench();
    bench.announcer.begin("a");
    expect(bench.sent).toEqual([]);
    await bench.clock.advance(3300);
    expect(bench.sent).toEqual(["0 a 0", "50 a 1", "200 a 2", "3200 a 3"]);
  });

  test("all that begin in one turn go out together, by one timer", async () => {
    using bench = new Bench();
    for (const key of ["a", "b", "c"]) bench.announcer.begin(key);
    expect(bench.clock.pending).toBe(1);
    await bench.clock.advance(0);
    expect([...bench.sent].sort()).toEqual(["0 a 0", "0 b 0", "0 c 0"]);
  });

  test("a take-over does not wait for what is due together with others a little later", async () => {
    using bench = new Bench();
    bench.announcer.begin("a");
    await bench.clock.advance(45);
    bench.announcer.begin("b");
    await bench.clock.advance(30);
    expect(bench.sent.slice(0, 3)).toEqual(["0 a 0", "45 b 0", "65 a 1"]);
  });

  test("one that begins again starts over; one that has ended is sent no more", async () => {
    using bench = new Bench();
    bench.announcer.begin("a");
    bench.announcer.begin("b");
    await bench.clock.advance(100);
    bench.sent.length = 0;
    bench.announcer.end("b");
    bench.announcer.begin("a");
    await bench.clock.advance(60);
    expect(bench.sent).toEqual(["100 a 0", "150 a 1"]);
  });

  test("one that ends before its first announcement is never sent", async () => {
    using bench = new Bench();
    bench.announcer.begin("a");
    bench.announcer.end("a");
    await bench.clock.advance(5000);
    expect(bench.sent).toEqual([]);
    expect(bench.clock.pending).toBe(0);
  });

  test("the sending of one may end another: that one is at the most in the round that goes out", async () => {
    using bench = new Bench();
    bench.onSend = () => bench.announcer.end("b");
    bench.announcer.begin("a");
    bench.announcer.begin("b");
    await bench.clock.advance(5000);
    expect(bench.sent.filter((line) => line.includes(" b ") && !line.endsWith(" 0"))).toEqual([]);
  });

  test("a process that was held up sends what is due once, not for each time it missed", async () => {
    using bench = new Bench();
    bench.announcer.begin("a");
    await bench.clock.advance(0);
    await bench.clock.freeze(60_000);
    await bench.clock.advance(10);
    expect(bench.sent).toEqual(["0 a 0", "60000 a 1"]);
  });

  test("after dispose nothing is sent, and nothing begins", async () => {
    const bench = new Bench();
    bench.announcer.begin("a");
    bench[Symbol.dispose]();
    bench.announcer.begin("b");
    await bench.clock.advance(5000);
    expect([bench.sent, bench.clock.pending]).toEqual([[], 0]);
  });
});
