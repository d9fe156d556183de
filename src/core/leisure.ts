import type { Clock } from "../ports/clock.js";

/** A timer that comes so late says that the process has more to do than it can, ms. */
const LATE_MS = 20;
/** How often is looked whether that is over, and how long it is waited for at the most, ms. */
const LOOK_MS = 5;
const LONGEST_MS = 250;

/**
 * For work that others need not wait for, such as writing statuses: while timers come late, Leases, lifetimes and hand-overs come first. It is put off, never
 * called off.
 */
export class Leisure {
  #late = false;

  constructor(private readonly clock: Clock) {}

  /** Some timer came so late. */
  seen(lateMs: number): void {
    this.#late = lateMs >= LATE_MS;
  }

  /** Resolves at once, or when timers come in time again, or after a quarter of a second. Rejects with `signal.reason`. */
  async turn(signal: AbortSignal): Promise<void> {
    const end = this.clock.now() + LONGEST_MS;
    while (this.#late && this.clock.now() < end) {
      const due = this.clock.now() + LOOK_MS;
      await new Promise<void>((resolve) => this.clock.after(LOOK_MS, resolve));
      signal.throwIfAborted();
      this.seen(this.clock.now() - due);
    }
  }
}
