import { announceBegin, announceDue, announceEnd, announceStart, type AnnounceConfig, type AnnounceState } from "../machine/announce.js";
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
  #state: AnnounceState<K> = announceStart();
  readonly #begun = new Set<K>();
  #timer: Timer | undefined;
  #timerAt = Infinity;
  #closed = false;

  constructor(
    private readonly config: AnnounceConfig,
    private readonly deps: AnnouncerDeps<K>,
  ) {}

  /** Starts the burst of this key, again where it is known already. */
  begin(key: K): void {
    this.#begun.add(key);
    this.#arm(this.deps.clock.now());
  }

  /** Nothing is sent for this key from now on. */
  end(key: K): void {
    this.#begun.delete(key);
    this.#state = announceEnd(this.#state, [key]);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #run(): void {
    const now = this.deps.clock.now();
    const { state, due, wakeAt } = announceDue(announceBegin(this.#state, this.#begun, now), now, this.config);
    this.#begun.clear();
    this.#state = state;
    for (const { key, step } of due) this.deps.send(key, step);
    if (wakeAt !== undefined) this.#arm(Math.max(wakeAt, now + GRANULARITY_MS));
  }

  #arm(at: number): void {
    if (this.#closed || at >= this.#timerAt) return;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = this.deps.clock.after(at - this.deps.clock.now(), () => {
      this.#timerAt = Infinity;
      this.#run();
    });
  }
}
