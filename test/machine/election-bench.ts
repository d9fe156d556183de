import type { LeaseRecord } from "../../src/lib/lease-record.js";
import { electionStart, type ElectionConfig, type ElectionState } from "../../src/machine/election-state.js";
import { electionStep, type ElectionAction, type ElectionEvent } from "../../src/machine/election.js";

export const config: ElectionConfig = {
  identity: "n1",
  leaseDurationMs: 5000,
  renewDeadlineMs: 3000,
  retryPeriodMs: 1000,
  drift: 0.01,
  kernelLatenessMs: 1600,
  handOverMs: 1000,
  heirMs: 80,
  patienceMs: 2000,
  offerAgainMs: 30_000,
  spareAgainMs: 600_000,
  modestyMs: 200,
};
export const WALL = Date.UTC(2026, 0, 2, 3, 4, 5);

type Draft<E> = E extends unknown ? Omit<E, "wallMs"> : never;

/** A machine with its clock: events in, the actions of the last one out. */
export class Bench {
  state: ElectionState = electionStart();
  wakeAt: number | undefined;
  actions: readonly ElectionAction[] = [];

  at(now: number, event: Draft<ElectionEvent>): readonly ElectionAction[] {
    const result = electionStep(this.state, { ...event, wallMs: WALL + now }, now, config);
    this.state = result.state;
    this.wakeAt = result.wakeAt;
    this.actions = result.actions;
    return result.actions;
  }

  /** n1 holds it since 1000, by version 7. */
  static holding(): Bench {
    const bench = new Bench();
    bench.at(1000, { type: "stance", stance: "run" });
    const [create] = bench.at(1000, { type: "seen", lease: undefined });
    bench.at(1010, { type: "written", id: 1, lease: { resourceVersion: "7", record: recordOf(create) } });
    return bench;
  }
}

export function recordOf(action: ElectionAction | undefined): LeaseRecord {
  if (action === undefined || action.type === "read") throw new Error(`expected a write, not ${JSON.stringify(action)}`);
  return action.record;
}

export function other(renewTime: string, seconds = 5, holder = "n2"): LeaseRecord {
  return { holderIdentity: holder, leaseDurationSeconds: seconds, acquireTime: renewTime, renewTime, leaseTransitions: 3 };
}
