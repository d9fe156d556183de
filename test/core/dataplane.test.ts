import { describe, expect, test } from "vitest";
import { DataPlane, DATA_PLANE_PACE, KUBE_PROXY_HEALTH_PORT } from "../../src/core/dataplane.js";
import { READINESS_DEFAULTS } from "../../src/machine/readiness.js";
import type { HttpProbe } from "../../src/ports/http-probe.js";
import { FakeClock } from "../fakes/clock.js";
import { FakeLog } from "../fakes/log.js";

/** Ports that answer with a status, refuse (no entry), or say nothing until somebody aborts. */
class FakePorts implements HttpProbe {
  readonly answers = new Map<number, number | "silent">();
  /** Ports in the order in which they were asked, and when. */
  readonly asked: { readonly port: number; readonly at: number }[] = [];
  aborted = 0;

  constructor(private readonly clock: FakeClock) {}

  async status(port: number, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    this.asked.push({ port, at: this.clock.now() });
    const answer = this.answers.get(port);
    if (answer === undefined) throw new Error("ECONNREFUSED");
    if (answer !== "silent") return answer;
    return await new Promise((_resolve, reject) => {
      const end = (): void => {
        this.aborted += 1;
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", end, { once: true });
    });
  }
}

class Bench implements AsyncDisposable {
  readonly clock = new FakeClock(0);
  readonly ports = new FakePorts(this.clock);
  readonly log = new FakeLog();
  changes = 0;
  readonly plane: DataPlane;

  constructor() {
    const changed = (): void => void (this.changes += 1);
    this.plane = new DataPlane({ ...READINESS_DEFAULTS, ...DATA_PLANE_PACE }, { clock: this.clock, probe: this.ports, log: this.log, changed });
  }

  async watch(...ports: readonly number[]): Promise<void> {
    this.plane.watch(new Set(ports));
    await this.clock.advance(0);
  }

  get results(): readonly (readonly [number, string])[] {
    return [...this.plane.results()];
  }

  /** How often each port was asked since `since`. */
  counts(since: number): ReadonlyMap<number, number> {
    const counts = new Map<number, number>();
    for (const { port, at } of this.ports.asked) if (at >= since) counts.set(port, (counts.get(port) ?? 0) + 1);
    return counts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.plane[Symbol.asyncDispose]();
    expect(this.clock.pending).toBe(0);
  }
}

describe("watching", () => {
  test("a port is asked at once, and its first answer told", async () => {
    await using bench = new Bench();
    bench.ports.answers.set(10_256, 200);
    bench.plane.watch(new Set([10_256]));
    expect(bench.results).toEqual([[10_256, "unknown"]]);
    expect(bench.changes).toBe(0);
    await bench.clock.advance(0);
    expect(bench.results).toEqual([[10_256, "ready"]]);
    expect(bench.changes).toBe(1);
    expect(bench.log.lines).toEqual([{ level: "info", message: "data plane ready", port: 10_256 }]);
  });

  test("a port that never answers stays unknown and is never told", async () => {
    await using bench = new Bench();
    await bench.watch(10_256);
    await bench.clock.advance(60_000);
    expect(bench.results).toEqual([[10_256, "unknown"]]);
    expect(bench.ports.asked).toHaveLength(61);
    expect(bench.changes).toBe(0);
    expect(bench.log.lines).toEqual([]);
  });

  test("answers that say the same are told once, and the map stays the same", async () => {
    await using bench = new Bench();
    bench.ports.answers.set(30_000, 200);
    await bench.watch(30_000);
    const results = bench.plane.results();
    await bench.clock.advance(10_000);
    await bench.watch(30_000);
    expect(bench.ports.asked).toHaveLength(11);
    expect(bench.changes).toBe(1);
    expect(bench.plane.results()).toBe(results);
  });

  test("503 counts with the next question, and so does 200 after it", async () => {
    await using bench = new Bench();
    bench.ports.answers.set(30_000, 200);
    await bench.watch(30_000);
    bench.ports.answers.set(30_000, 503);
    await bench.clock.advance(1000);
    expect(bench.results).toEqual([[30_000, "notReady"]]);
    bench.ports.answers.set(30_000, 200);
    await bench.clock.advance(500);
    expect(bench.results).toEqual([[30_000, "ready"]]);
    expect(bench.changes).toBe(3);
    expect(bench.log.lines[1]).toEqual({ level: "warn", message: "data plane not ready", port: 30_000, reason: "503" });
  });

  test("a server that restarts within 3 s is not noticed; one that is gone is after the third refusal", async () => {
    await using bench = new Bench();
    bench.ports.answers.set(10_256, 200);
    await bench.watch(10_256);
    bench.ports.answers.delete(10_256);
    await bench.clock.advance(2500);
    bench.ports.answers.set(10_256, 200);
    await bench.clock.advance(500);
    bench.ports.answers.delete(10_256);
    await bench.clock.advance(2999);
    expect(bench.changes).toBe(1);
    await bench.clock.advance(1);
    expect(bench.results).toEqual([[10_256, "notReady"]]);
    expect(bench.log.lines.at(-1)).toMatchObject({ level: "warn", reason: "ECONNREFUSED" });
  });

  test("silence is a failure after 2 s, its question aborted and the next asked at once", async () => {
    await using bench = new Bench();
    bench.ports.answers.set(10_256, 200);
    await bench.watch(10_256);
    bench.ports.answers.set(10_256, "silent");
    await bench.clock.advance(6999);
    expect(bench.results).toEqual([[10_256, "ready"]]);
    await bench.clock.advance(1);
    expect(bench.results).toEqual([[10_256, "notReady"]]);
    expect(bench.ports.aborted).toBe(3);
  });
});

describe("forgetting", () => {
  test("a port that is no longer watched is gone, its question aborted; one that comes back is unknown", async () => {
    await using bench = new Bench();
    bench.ports.answers.set(30_000, 200);
    bench.ports.answers.set(30_001, 200);
    await bench.watch(30_000, 30_001);
    bench.ports.answers.set(30_000, "silent");
    await bench.clock.advance(1000);
    await bench.watch(30_001);
    expect(bench.ports.aborted).toBe(1);
    expect(bench.results).toEqual([[30_001, "ready"]]);
    await bench.watch(30_001, 30_000);
    await bench.clock.advance(30_000);
    expect(bench.results).toEqual([
      [30_001, "ready"],
      [30_000, "unknown"],
    ]);
    expect(bench.changes).toBe(2);
  });

  test("without ports there is no timer", async () => {
    await using bench = new Bench();
    bench.ports.answers.set(30_000, 200);
    await bench.watch(30_000);
    expect(bench.clock.pending).toBe(1);
    await bench.watch();
    expect(bench.clock.pending).toBe(0);
    expect(bench.results).toEqual([]);
  });

  test("closing waits for what is under way, and can be done twice", async () => {
    const bench = new Bench();
    bench.ports.answers.set(30_000, "silent");
    await bench.watch(30_000);
    await bench[Symbol.asyncDispose]();
    await bench[Symbol.asyncDispose]();
    expect(bench.ports.aborted).toBe(1);
  });
});

describe("many ports", () => {
  const many = Array.from({ length: 500 }, (_unused, index) => 30_000 + index);

  test.each<readonly [string, number | undefined]>([
    ["ready", 200],
    ["not ready", 503],
    ["without an answer", undefined],
  ])("500 that are %s are asked in turn, 25 a second, five at a time, each as often as the others", async (_name, status) => {
    await using bench = new Bench();
    if (status !== undefined) for (const port of many) bench.ports.answers.set(port, status);
    await bench.watch(...many);
    await bench.clock.advance(20_000);
    expect(new Set(bench.ports.asked.slice(0, 500).map(({ port }) => port)).size).toBe(500);
    const from = bench.clock.now();
    await bench.clock.advance(200_000);
    const counts = [...bench.counts(from + 1).values()];
    expect(counts).toHaveLength(500);
    expect(Math.min(...counts)).toBe(10);
    expect(Math.max(...counts)).toBe(10);
    const moments = new Map<number, number>();
    for (const { at } of bench.ports.asked) moments.set(at, (moments.get(at) ?? 0) + 1);
    expect(Math.max(...moments.values())).toBe(5);
    const times = [...moments.keys()];
    expect(Math.min(...times.slice(1).map((at, index) => at - (times[index] ?? 0)))).toBeGreaterThanOrEqual(200);
  });

  test("500 that say nothing end after 2 s each, whatever waits", async () => {
    await using bench = new Bench();
    for (const port of many) bench.ports.answers.set(port, "silent");
    await bench.watch(...many);
    await bench.clock.advance(30_000);
    expect(bench.ports.asked.length - bench.ports.aborted).toBeLessThanOrEqual(50);
    expect(bench.ports.asked).toHaveLength(755);
  });

  test("a question that is late gives those that wait no turn before theirs", async () => {
    await using bench = new Bench();
    bench.ports.answers.set(30_000, "silent");
    await bench.watch(30_000);
    await bench.clock.advance(1900);
    await bench.watch(...many.slice(0, 11));
    await bench.clock.advance(300);
    expect(bench.ports.aborted).toBe(1);
    expect(bench.ports.asked.map(({ at }) => at)).toEqual([0, ...Array.from({ length: 5 }, () => 1900), ...Array.from({ length: 5 }, () => 2100)]);
  });

  test("ports that are ready are still asked as often as they were among hundreds that are not", async () => {
    await using bench = new Bench();
    for (const port of many) bench.ports.answers.set(port, port === 30_250 ? 200 : 503);
    await bench.watch(...many);
    await bench.clock.advance(30_000);
    bench.ports.answers.set(30_250, 503);
    await bench.clock.advance(21_000);
    expect(bench.plane.results().get(30_250)).toBe("notReady");
  });

  test("kube-proxy's is asked every second all the same", async () => {
    await using bench = new Bench();
    for (const port of [...many, KUBE_PROXY_HEALTH_PORT]) bench.ports.answers.set(port, 200);
    await bench.watch(...many, KUBE_PROXY_HEALTH_PORT);
    await bench.clock.advance(60_000);
    expect(bench.counts(1).get(KUBE_PROXY_HEALTH_PORT)).toBe(60);
  });

  test("a few that are due together are asked together, so that a quiet node wakes up once a second", async () => {
    await using bench = new Bench();
    for (const port of many.slice(0, 5)) bench.ports.answers.set(port, 200);
    await bench.watch(...many.slice(0, 5));
    await bench.clock.advance(10_000);
    expect(new Set(bench.ports.asked.map(({ at }) => at))).toEqual(new Set([0, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000]));
  });
});
