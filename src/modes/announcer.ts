import { AnnounceSchedule, type AnnounceConfig } from "../machine/announce.js";
import type { Clock, Timer } from "../ports/clock.js";

export interface AnnouncerDeps<K> {
  readonly clock: Clock;
  /** Sends announcement number `step` (0 = the first after a take-over) of this key. Must not throw. */
  send(key: K, step: number): void;
}

/** After a wake-up the next is at least this much later, so that what becomes due meanwhile goes out together, ms. */
const GRANULARITY_MS = 20;

/** Runs the schedule of machine/announce.ts on a clock. */
export class Announcer<K> implements Disposable {
  readonly #schedule: AnnounceSchedule<K>;
  #timer: Timer | undefined;
  #timerAt = Infinity;
  #closed = false;

  constructor(
    config: AnnounceConfig,
    private readonly deps: AnnouncerDeps<K>,
  ) {
    this.#schedule = new AnnounceSchedule(config);
  }

  /** Starts the burst of this key, again where it is known already. */
  begin(key: K): void {
    const now = this.deps.clock.now();
    this.#schedule.begin(key, now);
    this.#arm(now);
  }

  /** Nothing is sent for this key from now on. */
  end(key: K): void {
    this.#schedule.end(key);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #run(): void {
    const now = this.deps.clock.now();
    for (const { key, step } of this.#schedule.due(now)) this.deps.send(key, step);
    const wakeAt = this.#schedule.wakeAt(now);
    if (wakeAt !== undefined) this.#arm(Math.max(wakeAt, now + GRANULARITY_MS));
  }

  #arm(at: number): void {
    if (this.#closed || at >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.deps.clock.after(Math.max(0, at - this.deps.clock.now()), () => {
      this.#timerAt = Infinity;
      this.#run();
    });
  }
}
