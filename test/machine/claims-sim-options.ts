import type { ClaimantConfig } from "../../src/machine/claimant.js";

export interface SimOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly keys: number;
  readonly seconds: number;
  /** Faults end so many seconds before the end. */
  readonly calmSeconds: number;
  /** Which of FAULTS; empty: none, and no slow or lost requests. */
  readonly faults: readonly Fault[];
  readonly stalls: boolean;
  /** Share of the requests that may hang for up to 10 s; 0.02 by default. */
  readonly hanging?: number;
  /** Longest time between two faults, ms. */
  readonly faultMs?: number;
  /** Count what is not held during faults, too. */
  readonly strict?: boolean;
  /** Every fifth key prefers a node. */
  readonly preferred?: boolean;
  /** The nodes start so far apart, ms. */
  readonly startMs?: number;
  /** Fences go through whatever the member has written since. */
  readonly blindFence?: boolean;
  readonly config?: Partial<ClaimantConfig>;
}

export const FAULTS = ["freeze", "cut", "watchSlow", "watchDead", "kill", "outage", "leave", "drain", "unfit", "suspect", "service"] as const;
export type Fault = (typeof FAULTS)[number];

/** Hand-overs of all kinds while many requests hang and watches are slow or dead: what is in the air matters. */
export const STORM = {
  stalls: true,
  hanging: 0.09,
  faultMs: 3000,
  faults: ["leave", "drain", "unfit", "unfit", "kill", "watchDead", "watchSlow", "suspect"],
} as const satisfies Partial<SimOptions>;

export interface SimResult {
  /** Longest time two kernels held a key that is not being handed over, ms. */
  readonly overlapMs: number;
  readonly overlapText: string;
  /** Longest overlap of a hand-over between two that run, ms; of all, the median. */
  readonly handOverMs: number;
  readonly handOverMedianMs: number;
  /** Longest time nobody held a key that somebody could have, ms. */
  readonly gapMs: number;
  readonly gapText: string;
  /** Times a key came to another node. */
  readonly moves: number;
  readonly handOvers: number;
  /** Moves whose reason the model does not know. */
  readonly needless: readonly string[];
  readonly broken: readonly string[];
  /** Writes to shards in the last third of the calm, without those that clear away keys that are gone. */
  readonly restlessWrites: number;
  readonly memberWritesPerSecond: number;
  /** Of the members that live at the end: fewest and most keys. */
  readonly spread: readonly [number, number];
  readonly unheld: number;
  /** Members that were fenced although their process ran, not frozen and not cut off, for the last two lease times. */
  readonly fencedAlive: number;
  readonly events: number;
}

export const SIM_CONFIG: Omit<ClaimantConfig, "node" | "process"> = {
  weight: 1,
  leaseDurationMs: 5000,
  renewDeadlineMs: 3000,
  retryPeriodMs: 1000,
  drift: 0.01,
  kernelLatenessMs: 1600,
  fenceTurnMs: 50,
  echoMs: 900,
  collectMs: 30_000,
  handOverMs: 1000,
  heirMs: 80,
  dropMs: 50,
  turnMs: 100,
  patienceMs: 1000,
  offerAgainMs: 5000,
  steadyMs: 5000,
  returnedMs: 20_000,
  rebalanceRate: 0,
  shardLimitBytes: 200 * 1024,
  giveAtOnce: 4,
  leaveMs: 5000,
  leaveAllMs: 20_000,
};
