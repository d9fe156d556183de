import type { Clock, Timer } from "../ports/clock.js";

/**
 * Runs `pass` some time after `wake`, once for all calls in between. A pass that throws is a bug: the error goes to whoever awaits `failed`.
 */
export class Loop {
  #timer: Timer | undefined;
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
    this.#timer = this.deps.clock.after(this.config.coalesceMs, () => {
      this.#timer = undefined;
      try {
        this.deps.pass();
      } catch (error) {
        this.#fail(error);
      }
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
