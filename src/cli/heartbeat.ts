import type { Clock, Timer } from "../ports/clock.js";

export interface HeartbeatDeps {
  readonly clock: Clock;
  /** Asks for a pass of the planning loop, which then calls `beat`. */
  wake(): void;
}

/** Sends a beat through the planning loop again and again; how old the last one is tells whether the loop still goes round. */
export class Heartbeat implements Disposable {
  #beatAt: number;
  #timer: Timer | undefined;

  /** Starts at once. */
  constructor(
    private readonly config: { readonly everyMs: number },
    private readonly deps: HeartbeatDeps,
  ) {
    this.#beatAt = deps.clock.now();
    this.#arm();
  }

  /** A pass was made. */
  beat(): void {
    this.#beatAt = this.deps.clock.now();
  }

  /** Since the last pass, ms. */
  get ageMs(): number {
    return this.deps.clock.now() - this.#beatAt;
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
  }

  #arm(): void {
    this.#timer = this.deps.clock.after(this.config.everyMs, () => {
      // A pass for another reason is a beat as well.
      if (this.ageMs >= this.config.everyMs / 2) this.deps.wake();
      this.#arm();
    });
  }
}
