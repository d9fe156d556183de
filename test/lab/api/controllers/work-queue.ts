import { StatusError } from "../status.js";

/** Keys to look at, each once, as soon as what is written now is written: the queue of a controller, without its delays. */
export class WorkQueue {
  readonly #keys = new Set<string>();
  readonly #sync: (key: string) => void;
  #scheduled = false;

  constructor(sync: (key: string) => void) {
    this.#sync = sync;
  }

  /** Looks at a key later. Not at once: a watch must hear of the change that was the cause before it hears of its effects. */
  add(key: string): void {
    this.#keys.add(key);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#drain());
  }

  #drain(): void {
    this.#scheduled = false;
    for (const key of this.#keys) {
      this.#keys.delete(key);
      try {
        this.#sync(key);
      } catch (error) {
        // What the API refuses to a controller (a bad template, a namespace that ends) waits for the next change, as in a cluster.
        if (!(error instanceof StatusError)) throw error;
      }
    }
  }
}
