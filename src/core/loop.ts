import type { Clock, Timer } from "../ports/clock.js";

/** In a flood of changes, passes take a fifth of the time at the most ... */
const SHARE = 5;
/** ... but for the first so many milliseconds of them: what comes now and then is never put off. */
const BURST_MS = 50;
/** A pass that somebody waits for comes so long after the one before it at the latest, ms. */
const SOON_MS = 25;

/**
 * Runs `pass` some time after `wake`, once for all calls in between. A pass that throws is a bug: the error goes to whoever awaits `failed`.
 */
export class Loop {
  #timer: Timer | undefined;
  #timerAt = Infinity;
  /** When the passes made so far are paid for, each with SHARE times its duration. */
  #paidAt = 0;
  #endedAt = -Infinity;
  #stopped = false;
  readonly failed: Promise<never>;
  #fail: (error: unknown) => void = () => undefined;

  constructor(
    private readonly config: { readonly coalesceMs: number },
    /** `late`: told how late each pass came. */
    private readonly deps: { readonly clock: Clock; pass(): void; late?(ms: number): void },
  ) {
    this.failed = new Promise<never>((_resolve, reject) => {
      this.#fail = reject;
    });
  }

  wake(): void {
    if (this.#timer !== undefined) return;
    this.#arm(this.#paidAt - SHARE * BURST_MS);
  }

  /** As `wake`, for what must not wait for the passes made so far to be paid for: who owns what, for another node waits for it. */
  wakeSoon(): void {
    this.#arm(Math.min(this.#paidAt - SHARE * BURST_MS, this.#endedAt + SOON_MS));
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(earliest: number): void {
    const { clock } = this.deps;
    const at = Math.max(clock.now() + this.config.coalesceMs, earliest);
    if (this.#stopped || (this.#timer !== undefined && at >= this.#timerAt)) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = clock.after(at - clock.now(), () => {
      this.#timer = undefined;
      this.deps.late?.(clock.now() - at);
      this.#run();
    });
  }

  #run(): void {
    const { clock } = this.deps;
    const started = clock.now();
    try {
      this.deps.pass();
    } catch (error) {
      this.#fail(error);
    }
    this.#endedAt = clock.now();
    // What could not wait was not put off, and so does not put off the rest for any longer than one pass does.
    const debt = Math.max(0, Math.min(this.#paidAt - started, SHARE * BURST_MS));
    this.#paidAt = started + debt + SHARE * (this.#endedAt - started);
  }
}
