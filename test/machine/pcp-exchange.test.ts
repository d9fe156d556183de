import { expect, test } from "vitest";
import { NAT_PMP_PACE, PCP_PACE, pcpExchangeStart, pcpExchangeStep, type PcpPace } from "../../src/machine/pcp-exchange.js";

/** When an unanswered request is sent, and when it ends, ms. */
function timesOf(pace: PcpPace, random: number): readonly string[] {
  const times: string[] = [];
  let state = pcpExchangeStart();
  for (let now: number | undefined = 0; now !== undefined; ) {
    const step = pcpExchangeStep(state, { type: "tick", random }, now, pace);
    times.push(...step.actions.map(({ type }) => `${Math.round(now ?? 0)} ${type}`));
    state = step.state;
    now = step.wakeAt;
  }
  return times;
}

test("PCP: RFC 6887 8.1.1, IRT 3 s with a tenth more or less", () => {
  expect(timesOf(PCP_PACE, 0.5)).toEqual(["0 send", "3000 send", "9000 send", "21000 expired"]);
  expect(timesOf(PCP_PACE, 0)).toEqual(["0 send", "2700 send", "7560 send", "16308 expired"]);
  expect(timesOf(PCP_PACE, 1)).toEqual(["0 send", "3300 send", "10560 send", "26532 expired"]);
});

test("NAT-PMP: RFC 6886 3.1, 250 ms and doubled", () => {
  expect(timesOf(NAT_PMP_PACE, 0)).toEqual(["0 send", "250 send", "750 send", "1750 send", "3750 send", "7750 send", "15750 expired"]);
});

test("a tick before its time sends nothing", () => {
  const { state } = pcpExchangeStep(pcpExchangeStart(), { type: "tick", random: 0.5 }, 0, PCP_PACE);
  expect(pcpExchangeStep(state, { type: "tick", random: 0.5 }, 2999, PCP_PACE)).toEqual({ state, actions: [], wakeAt: 3000 });
});
