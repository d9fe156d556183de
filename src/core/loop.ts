import type { Clock, Timer } from "../ports/clock.js";

/** In a flood of changes, passes take a fifth of the time at the most ... */
const SHARE = 5;
/** ... but for the first so many milliseconds of them: what comes now and then is never put off. */
const BURST_MS = 50;

/**
 * Runs `pass` some time after `wake`, once for all calls in between. A pass that throws is a bug: the error goes to whoever awaits `failed`.
 */
export class Loop {
  #timer: Timer | undefined;
  /** When the passes made so far are paid for, each with SHARE times its duration. */
  #paidAt = 0;
  #stopped = false;
  readonly failed: Promise<never>;
  #fail: (error: unknown) => void = () => undefined;

  constructor(
    private readonly config: { readonly coalesceMs: number },
    private readonly deps: { readonly clock: Clock; pass(): void },
  ) {
    this.failed = new Promise<never>((_resolve, reject) => {
      this.#fail = reject;
    });
  }

  wake(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    const { clock } = this.deps;
    const rest = this.#paidAt - SHARE * BURST_MS - clock.now();
    this.#timer = clock.after(Math.max(this.config.coalesceMs, rest), () => {
      this.#timer = undefined;
      this.#run();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #run(): void {
    const { clock } = this.deps;
    const started = clock.now();
    try {
      this.deps.pass();
    } catch (error) {
      this.#fail(error);
    }
    const ended = clock.now();
    this.#paidAt = Math.max(this.#paidAt, started) + SHARE * (ended - started);
  }
}
