import { describe, expect, test } from "vitest";
import { AnnounceSchedule, type AnnounceConfig } from "../../src/machine/announce.js";

const config: AnnounceConfig = { burstMs: [0, 50, 200, 1000, 2000], refreshMs: 3000, packetsPerSecond: 500 };

function begun(keys: readonly string[]): AnnounceSchedule<string> {
  const schedule = new AnnounceSchedule<string>(config);
  for (const key of keys) schedule.begin(key, 0);
  return schedule;
}

/** Runs the schedule by its own wake-up times; returns `time:key` of every announcement. */
function timeline(schedule: AnnounceSchedule<string>, until: number): readonly string[] {
  const sent: string[] = [];
  let now = 0;
  while (now <= until) {
    sent.push(...schedule.due(now).map(({ key }) => `${Math.round(now)}:${key}`));
    const wakeAt = schedule.wakeAt(now);
    if (wakeAt === undefined) break;
    now = Math.max(wakeAt, now + 0.001);
  }
  return sent;
}

describe("announcements of one node", () => {
  test("a take-over is a burst at 0, 50, 200 ms, 1 s, 2 s, then the slow refresh", () => {
    expect(timeline(begun(["a"]), 9000)).toEqual(["0:a", "50:a", "200:a", "1000:a", "2000:a", "5000:a", "8000:a"]);
  });

  test("1,000 take-overs at once stay within the rate, every first announcement before any second", () => {
    const sent = timeline(begun(Array.from({ length: 1000 }, (_, i) => `k${i}`)), 2500);
    const firsts = sent.slice(0, 1000).map((line) => line.split(":")[1]);
    expect(new Set(firsts).size).toBe(1000);
    expect(Number(sent[999]?.split(":")[0])).toBeLessThan(1400);
    expect(sent.filter((line) => Number(line.split(":")[0]) <= 1000).length).toBeLessThanOrEqual(851);
  });

  test("the newest take-over goes first when the rate is used up", () => {
    const schedule = begun(Array.from({ length: 400 }, (_, i) => `old${i}`));
    schedule.due(0);
    schedule.begin("new", 10);
    expect(schedule.due(10)[0]).toEqual({ key: "new", step: 0 });
  });

  test("what has ended is not announced any more", () => {
    const schedule = begun(["a"]);
    schedule.end("a");
    expect(timeline(schedule, 5000)).toEqual([]);
  });

  test("a burst begun again starts over", () => {
    const schedule = begun(["a"]);
    schedule.due(0);
    schedule.begin("a", 30);
    expect(schedule.due(30)).toEqual([{ key: "a", step: 0 }]);
  });
});
