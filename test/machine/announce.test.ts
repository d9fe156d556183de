import { describe, expect, test } from "vitest";
import { announceBegin, announceDue, announceEnd, announceStart, type AnnounceConfig, type AnnounceState } from "../../src/machine/announce.js";

const config: AnnounceConfig = { burstMs: [0, 50, 200, 1000, 2000], refreshMs: 3000, packetsPerSecond: 500 };

/** Runs the schedule by its own wake-up times; returns `time:key` of every announcement. */
function timeline(start: AnnounceState<string>, until: number): readonly string[] {
  let state = start;
  const sent: string[] = [];
  let now = 0;
  while (now <= until) {
    const result = announceDue(state, now, config);
    state = result.state;
    sent.push(...result.due.map(({ key }) => `${Math.round(now)}:${key}`));
    if (result.wakeAt === undefined) break;
    now = Math.max(result.wakeAt, now + 0.001);
  }
  return sent;
}

describe("announcements of one link", () => {
  test("a take-over is a burst at 0, 50, 200 ms, 1 s, 2 s, then the slow refresh", () => {
    const sent = timeline(announceBegin(announceStart(), ["a"], 0), 9000);
    expect(sent).toEqual(["0:a", "50:a", "200:a", "1000:a", "2000:a", "5000:a", "8000:a"]);
  });

  test("1,000 take-overs at once stay within the rate, every first announcement before any second", () => {
    const keys = Array.from({ length: 1000 }, (_, i) => `k${i}`);
    const sent = timeline(announceBegin(announceStart(), keys, 0), 2500);
    const firsts = sent.slice(0, 1000).map((line) => line.split(":")[1]);
    expect(new Set(firsts).size).toBe(1000);
    expect(Number(sent[999]?.split(":")[0])).toBeLessThan(2000);
    expect(sent.filter((line) => Number(line.split(":")[0]) <= 1000).length).toBeLessThanOrEqual(600);
  });

  test("the newest take-over goes first when the rate is used up", () => {
    let state = announceBegin(announceStart(), Array.from({ length: 150 }, (_, i) => `old${i}`), 0);
    state = announceDue(state, 0, config).state;
    state = announceBegin(state, ["new"], 10);
    expect(announceDue(state, 10, config).due[0]).toEqual({ key: "new", step: 0 });
  });

  test("what has ended is not announced any more", () => {
    expect(timeline(announceEnd(announceBegin(announceStart(), ["a"], 0), ["a"]), 5000)).toEqual([]);
  });

  test("a burst begun again starts over", () => {
    let state = announceBegin(announceStart(), ["a"], 0);
    state = announceDue(state, 0, config).state;
    expect(announceDue(announceBegin(state, ["a"], 30), 30, config).due).toEqual([{ key: "a", step: 0 }]);
  });
});
