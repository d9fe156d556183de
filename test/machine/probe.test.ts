import { describe, expect, test } from "vitest";
import type { MacAddress } from "../../src/lib/mac.js";
import { PROBE, probeStart, probeStep, type ProbeAction, type ProbeEvent, type ProbeState } from "../../src/machine/probe.js";

const MAC = "02:00:00:00:00:99" as MacAddress;
const OTHER = "02:00:00:00:00:98" as MacAddress;

/** Runs a probe by its own wake-up times; `heard` are events by time. Returns `time action` lines. */
function run(heard: readonly (readonly [number, ProbeEvent])[] = []): readonly string[] {
  let state: ProbeState = probeStart();
  const lines: string[] = [];
  const events = [...heard];
  let wakeAt: number | undefined = 0;
  while (wakeAt !== undefined && lines.length < 20) {
    const [next] = events;
    const first: boolean = next !== undefined && next[0] < wakeAt;
    const now: number = first && next !== undefined ? next[0] : wakeAt;
    const event: ProbeEvent = first && next !== undefined ? next[1] : { type: "tick" };
    if (first) events.shift();
    const result = probeStep(state, event, now, PROBE);
    state = result.state;
    wakeAt = result.wakeAt;
    lines.push(...result.actions.map((action) => `${now} ${shown(action)}`));
  }
  return lines;
}

function shown(action: ProbeAction): string {
  if (action.type !== "done") return action.type;
  return action.outcome.type === "free" ? "free" : `inUse ${action.outcome.mac}${action.outcome.proxy ? " proxy" : ""}`;
}

describe("a duplicate-address probe", () => {
  test("asks at 0, 10 and 20 ms and finds silence at 35 ms", () => {
    expect(run()).toEqual(["0 ask", "10 ask", "20 ask", "35 free"]);
  });

  test("an answer ends the questions; who answers is asked for an impossible address too", () => {
    expect(run([[3, { type: "claimed", mac: MAC }]])).toEqual(["0 ask", "3 askCanary", `18 inUse ${MAC}`]);
  });

  test.each([1013.2739766601304, 1005.1174100504101])("each step is done at the time that it was due, where sums of times are rounded: started at %d", (startedAt) => {
    let step = probeStep(probeStart(), { type: "tick" }, startedAt, PROBE);
    const asked: number[] = [];
    for (let n = 1; n < 4 && step.wakeAt !== undefined; n += 1) {
      step = probeStep(step.state, { type: "tick" }, step.wakeAt, PROBE);
      asked.push(step.actions.length);
    }
    expect(asked).toEqual([1, 1, 1]);
    expect(step.state.done).toBe(true);
  });

  test("one that answers for the impossible address as well answers for everything", () => {
    expect(run([[3, { type: "claimed", mac: MAC }], [5, { type: "canaryClaimed", mac: MAC }]])).toEqual(["0 ask", "3 askCanary", `5 inUse ${MAC} proxy`]);
  });

  test("another host's answer for the impossible address says nothing about the holder", () => {
    expect(run([[3, { type: "claimed", mac: MAC }], [5, { type: "canaryClaimed", mac: OTHER }]]).at(-1)).toBe(`18 inUse ${MAC}`);
  });

  test("an answer in the last moment counts", () => {
    expect(run([[34.9, { type: "claimed", mac: MAC }]]).at(-1)).toBe(`49.9 inUse ${MAC}`);
  });

  test("a process that was held up still asks three times, and waits, before it believes the silence", () => {
    let state = probeStart();
    const lines: string[] = [];
    for (const now of [0, 100, 101, 102, 116]) {
      const result = probeStep(state, { type: "tick" }, now, PROBE);
      state = result.state;
      lines.push(...result.actions.map(shown));
    }
    expect(lines).toEqual(["ask", "ask", "ask", "free"]);
  });
});
