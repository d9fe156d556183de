/** Lets a few work at once; the others wait for their turn, first come first served. */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(private readonly atOnce: number) {}

  /** Runs `work` when it has its turn. Who gave up meanwhile is passed over: then it rejects with the reason of `signal`. */
  async run<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    // Who was let in has been counted already.
    if (this.#running >= this.atOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
