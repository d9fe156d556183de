/** What goes on in the background, and has to have ended before its owner has. */
export class Work {
  readonly #running = new Set<Promise<void>>();

  /** A rejection goes to `failed`; without it, it is one that nobody handles. */
  constructor(private readonly failed?: (error: unknown) => void) {}

  add(work: Promise<void>): void {
    const { failed } = this;
    const running = (failed === undefined ? work : work.catch((error: unknown) => failed(error))).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Resolves when all that was added until now has ended, one way or the other. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#running);
  }
}
