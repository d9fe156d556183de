import type { Clock, Timer } from "../ports/clock.js";

/** Waits `ms`, or less where the signal aborts (no error then: the caller looks at the signal). */
export async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      timer.cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.after(ms, done);
    signal.addEventListener("abort", done);
  });
}

/** Lets the event loop do other work. */
export async function nextTurn(): Promise<void> {
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
}

/** The result of `work`, or the reason of the signal where that aborts first. `work` goes on, its result is dropped. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let abort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => {
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", abort);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/**
 * A signal that aborts when one of its sources does (with the same reason) or when time is up (with the reason that `late` makes).
 * AbortSignal.any would keep a link in long-lived sources; this one lets go in `cancel`.
 */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #clock: Clock;
  readonly #late: () => Error;
  readonly #links: (() => void)[] = [];
  #timer: Timer | undefined;
  #at = 0;
  #ms: number;

  constructor(clock: Clock, limit: { readonly ms: number; readonly late: () => Error }, sources: readonly AbortSignal[]) {
    this.#clock = clock;
    this.#late = limit.late;
    this.#ms = limit.ms;
    for (const source of sources) this.#link(source);
    this.touch();
    if (!this.signal.aborted) this.#arm();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Time starts again from now. Costs no timer. */
  touch(): void {
    this.#at = this.#clock.now() + this.#ms;
  }

  /** No time limit from here on; the sources still count. */
  stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Lets go of timer and sources. */
  cancel(): void {
    this.stopTimer();
    for (const unlink of this.#links.splice(0)) unlink();
  }

  #link(source: AbortSignal): void {
    const abort = (): void => {
      this.stopTimer();
      this.#controller.abort(source.reason);
    };
    if (source.aborted) {
      abort();
      return;
    }
    source.addEventListener("abort", abort);
    this.#links.push(() => {
      source.removeEventListener("abort", abort);
    });
  }

  #arm(): void {
    const left = this.#at - this.#clock.now();
    this.#timer = this.#clock.after(Math.max(0, left), () => {
      if (this.#clock.now() < this.#at) this.#arm();
      else this.#controller.abort(this.#late());
    });
  }
}
