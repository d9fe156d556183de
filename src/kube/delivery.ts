import type { Clock, Timer } from "../ports/clock.js";

/** Making the new map, and what the listener does with it, may take at most one part in this many of the time. */
const SHARE = 10;
/** With pace `calm` a much smaller part, as long as nobody waits longer than this for it: what a big map leaves to the garbage collector costs twice the copy. */
const CALM_SHARE = 200;
const CALM_MS = 100;

/** When a change is handed to the listener: with the chunk that brought it, once per turn of the event loop, or that with longer pauses in a burst. */
export type Pace = "chunk" | "turn" | "calm";

/**
 * Calls `deliver` soon after `mark`. With pace `turn` all chunks of one turn of the event loop share one call, and a burst is thinned out further: after a
 * call that took 1 ms the next one comes 10 ms later at the earliest (`calm`: 100 ms). A change after a quiet time is never delayed.
 */
export class Delivery {
  readonly #deliver: () => void;
  readonly #failed: (error: unknown) => void;
  readonly #clock: Clock;
  readonly #pace: Pace;
  #immediate: NodeJS.Immediate | undefined;
  #timer: Timer | undefined;
  #notBefore = 0;

  /** `failed` gets what a deferred `deliver` throws; with pace `chunk` it is thrown by `mark`. */
  constructor(pace: Pace, clock: Clock, calls: { readonly deliver: () => void; readonly failed: (error: unknown) => void }) {
    this.#pace = pace;
    this.#clock = clock;
    this.#deliver = calls.deliver;
    this.#failed = calls.failed;
  }

  mark(): void {
    if (this.#pace === "chunk") {
      this.#deliver();
      return;
    }
    if (this.#immediate !== undefined || this.#timer !== undefined) return;
    const wait = this.#notBefore - this.#clock.now();
    if (wait <= 0) this.#immediate = setImmediate(this.#run);
    else this.#timer = this.#clock.after(wait, this.#run);
  }

  /** Now, and in place of what is pending. Throws what the listener throws. */
  now(): void {
    this.cancel();
    this.#deliver();
  }

  cancel(): void {
    clearImmediate(this.#immediate);
    this.#timer?.cancel();
    this.#immediate = undefined;
    this.#timer = undefined;
  }

  readonly #run = (): void => {
    this.cancel();
    const started = this.#clock.now();
    try {
      this.#deliver();
    } catch (error) {
      this.#failed(error);
    }
    const ended = this.#clock.now();
    const cost = ended - started;
    const calm = this.#pace === "calm" ? Math.min(cost * CALM_SHARE, CALM_MS) : 0;
    this.#notBefore = ended + Math.max(cost * SHARE, calm);
  };
}
