import type { Clock, Timer } from "../../src/ports/clock.js";

interface Pending {
  readonly at: number;
  readonly order: number;
  readonly fn: () => void;
}

/** No timer is shorter, as with a real clock: what waits until a time that it was rounded away from gets there. */
const GRAIN_MS = 1e-6;

/** Time that stands still until `advance` moves it; timers run in order, promises between them. */
export class FakeClock implements Clock {
  #now: number;
  #order = 0;
  readonly #pending = new Set<Pending>();

  constructor(
    start = 1000,
    private readonly wallOffset = Date.UTC(2026, 0, 2),
  ) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.wallOffset + this.#now;
  }

  after(ms: number, fn: () => void): Timer {
    const entry: Pending = { at: this.#now + (ms > 0 ? Math.max(GRAIN_MS, ms) : 0), order: this.#order++, fn };
    this.#pending.add(entry);
    return { cancel: () => void this.#pending.delete(entry) };
  }

  /** How many timers wait: 0 at the end of a test. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Moves time on by `ms`, running what becomes due, with promises settled before and after each timer. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await flush();
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#pending.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.fn();
      await flush();
    }
    this.#now = end;
  }

  /** As if the process had been stopped for `ms`: time goes on, timers run only afterwards. */
  async freeze(ms: number): Promise<void> {
    this.#now += ms;
    await this.advance(0);
  }

  #next(end: number): Pending | undefined {
    let first: Pending | undefined;
    for (const entry of this.#pending) {
      if (entry.at > end) continue;
      if (first === undefined || entry.at < first.at || (entry.at === first.at && entry.order < first.order)) first = entry;
    }
    return first;
  }
}

/** Lets promises settle that wait for nothing but each other. */
export async function flush(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}
