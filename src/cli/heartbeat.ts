import type { Clock } from "../ports/clock.js";

export interface HeartbeatDeps {
  readonly clock: Pick<Clock, "now">;
  /** Asks for a pass of the planning loop, which then calls `beat`. */
  wake(): void;
}

/**
 * Whether the planning loop still goes round: whoever wants to know asks for a pass, and is told how long the oldest such wish has waited. Without a timer of
 * its own: a pass over 1,000 Services each second, for nobody, would be half a percent of a core.
 */
export class Heartbeat {
  #askedAt: number | undefined;

  constructor(private readonly deps: HeartbeatDeps) {}

  /** Asks for a beat. Returns how long one has been waited for, ms; 0 where every one came. */
  ask(): number {
    const now = this.deps.clock.now();
    this.#askedAt ??= now;
    this.deps.wake();
    return now - this.#askedAt;
  }

  /** A pass was made. */
  beat(): void {
    this.#askedAt = undefined;
  }
}
