import { describe, expect, test } from "vitest";
import { READINESS_DEFAULTS, readinessStart, readinessStep, type Readiness, type ReadinessAction, type ReadinessAnswer, type ReadinessEvent, type ReadinessState } from "../../src/machine/readiness.js";

const ok: ReadinessAnswer = { status: 200 };
const refused: ReadinessAnswer = { failed: "ECONNREFUSED" };

class Bench {
  state: ReadinessState = readinessStart();
  wakeAt = 0;

  at(now: number, event: ReadinessEvent = { type: "tick" }): readonly ReadinessAction[] {
    const { state, actions, wakeAt } = readinessStep(this.state, event, now, READINESS_DEFAULTS);
    this.state = state;
    this.wakeAt = wakeAt ?? Infinity;
    return actions;
  }

  /** Waits until it asks, answers at once, and says what follows. */
  round(answer: ReadinessAnswer): Readiness {
    expect(this.at(this.wakeAt)).toMatchObject([{ type: "ask" }]);
    this.at(this.state.question?.startedAt ?? 0, { type: "answer", id: this.state.question?.id ?? -1, answer });
    return this.state.readiness;
  }

  rounds(...answers: readonly ReadinessAnswer[]): readonly Readiness[] {
    return answers.map((answer) => this.round(answer));
  }
}

describe("what a port says", () => {
  test.each<readonly [string, readonly ReadinessAnswer[], readonly Readiness[]]>([
    ["200 first is ready", [ok], ["ready"]],
    ["503 first is not", [{ status: 503 }], ["notReady"]],
    ["another good status is not", [{ status: 204 }], ["notReady"]],
    ["a redirect is not", [{ status: 302 }], ["notReady"]],
    ["404 is not", [{ status: 404 }], ["notReady"]],
    ["nothing, however often, is unknown", [refused, refused, refused, refused, refused], ["unknown", "unknown", "unknown", "unknown", "unknown"]],
    ["nothing, and then the first answer", [refused, refused, refused, refused, ok], ["unknown", "unknown", "unknown", "unknown", "ready"]],
    ["503 counts at once", [ok, { status: 503 }], ["ready", "notReady"]],
    ["200 counts at once", [{ status: 503 }, ok], ["notReady", "ready"]],
    ["no answer counts after three", [ok, refused, refused, refused], ["ready", "ready", "ready", "notReady"]],
    ["three not in a row are none", [ok, refused, refused, ok, refused, refused, ok], ["ready", "ready", "ready", "ready", "ready", "ready", "ready"]],
    ["failures before the first answer do not count after it", [refused, refused, ok, refused], ["unknown", "unknown", "ready", "ready"]],
    ["no answer while not ready is no news", [{ status: 503 }, refused], ["notReady", "notReady"]],
    ["one 200 is enough after no answers", [ok, refused, refused, refused, ok], ["ready", "ready", "ready", "notReady", "ready"]],
  ])("%s", (_name, answers, expected) => expect(new Bench().rounds(...answers)).toEqual(expected));
});

describe("when it is asked", () => {
  test.each<readonly [string, readonly ReadinessAnswer[], number]>([
    ["every second while ready", [ok], 1000],
    ["every second while unknown", [refused], 1000],
    ["every half second while not ready", [{ status: 503 }], 500],
    ["every second with failures that do not count yet", [ok, refused, refused], 1000],
    ["every half second once they do", [ok, refused, refused, refused], 500],
  ])("%s", (_name, answers, period) => {
    const bench = new Bench();
    bench.rounds(...answers.slice(0, -1));
    const now = bench.wakeAt;
    bench.rounds(...answers.slice(-1));
    expect(bench.wakeAt).toBe(now + period);
    expect(bench.at(now + period - 1)).toEqual([]);
    expect(bench.at(now + period)).toHaveLength(1);
  });

  test("the period counts from the start of a question, and one more is never asked meanwhile", () => {
    const bench = new Bench();
    bench.at(0);
    expect(bench.at(1500)).toEqual([]);
    bench.at(1900, { type: "answer", id: 1, answer: ok });
    expect(bench.wakeAt).toBe(1000);
    expect(bench.at(1900)).toEqual([{ type: "ask", id: 2 }]);
  });

  test("2 s without an answer are a failure; the tick that ends a question asks no new one", () => {
    const bench = new Bench();
    bench.round(ok);
    bench.at(1000);
    expect(bench.wakeAt).toBe(3000);
    expect(bench.at(2999)).toEqual([]);
    expect(bench.at(3000)).toEqual([{ type: "cancel", id: 2 }]);
    expect(bench.state).toMatchObject({ readiness: "ready", failures: 1, reason: "no answer within 2000 ms" });
    expect(bench.at(3000)).toEqual([{ type: "ask", id: 3 }]);
  });

  test("the answer to a question that is over is ignored", () => {
    const bench = new Bench();
    bench.round(ok);
    bench.at(1000);
    bench.at(3000);
    bench.at(3000);
    bench.at(3010, { type: "answer", id: 2, answer: { status: 503 } });
    expect(bench.state).toMatchObject({ readiness: "ready", question: { id: 3 } });
  });
});
