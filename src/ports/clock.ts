/** A timer that can be called off; calling it off twice is fine. */
export interface Timer {
  cancel(): void;
}

/** Time as an argument. */
export interface Clock {
  /** Milliseconds of CLOCK_MONOTONIC, with fractions. Never goes back; counts nothing while the machine is suspended. */
  now(): number;
  /** Milliseconds since 1970 by the wall clock. Only for texts and timestamps in objects, never for a decision. */
  wallTime(): number;
  /** Calls `fn` once, `ms` from now; a delay above 2^31-1 ms is split. */
  after(ms: number, fn: () => void): Timer;
}
