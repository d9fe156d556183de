/** When to announce which address: a burst on take-over, then a slow refresh, within a rate. */
export interface AnnounceConfig {
  /** Offsets of the burst from the take-over, ms, ascending, the first is 0. */
  readonly burstMs: readonly number[];
  /** Period of the refresh after the burst, ms. */
  readonly refreshMs: number;
  /** Announcements per second, at the most. */
  readonly packetsPerSecond: number;
}

export interface DueAnnouncement<K> {
  readonly key: K;
  /** 0 for the first after a take-over, and so on. */
  readonly step: number;
}

interface Entry {
  readonly startedAt: number;
  /** How many announcements of the burst are out. */
  step: number;
  dueAt: number;
}

/** How many announcements may go out at once after a quiet time. */
const BUCKET = 350;

/**
 * The schedule of one node. No clock and no socket: time is an argument. The one machine that is changed in place: it is asked fifty times a second
 * with a thousand entries, and copies of them were half of what an idle owner allocated.
 */
export class AnnounceSchedule<K> {
  readonly #entries = new Map<K, Entry>();
  #tokens = BUCKET;
  #filledAt = 0;

  constructor(private readonly config: AnnounceConfig) {}

  /** (Re)starts the burst of this key. */
  begin(key: K, now: number): void {
    this.#entries.set(key, { startedAt: now, step: 0, dueAt: now });
  }

  end(key: K): void {
    this.#entries.delete(key);
  }

  /**
   * What to announce now, most urgent first: first announcements, newest take-over first; then the rest of the bursts; then refreshes. What the
   * rate does not allow stays due.
   */
  due(now: number): readonly DueAnnouncement<K>[] {
    this.#tokens = Math.min(BUCKET, this.#tokens + ((now - this.#filledAt) / 1000) * this.config.packetsPerSecond);
    this.#filledAt = now;
    const waiting: [K, Entry][] = [];
    // Not `for ... of`, which makes an array and more for each entry, and there are thousands.
    this.#entries.forEach((entry, key) => {
      if (entry.dueAt <= now) waiting.push([key, entry]);
    });
    if (waiting.length > this.#tokens) waiting.sort(([, a], [, b]) => this.#urgency(a) - this.#urgency(b) || b.startedAt - a.startedAt);
    const sent = waiting.slice(0, Math.floor(this.#tokens));
    this.#tokens -= sent.length;
    return sent.map(([key, entry]) => ({ key, step: this.#advance(entry, now) }));
  }

  /** When `due` has something again; undefined where nothing is announced at all. */
  wakeAt(now: number): number | undefined {
    let first = Infinity;
    this.#entries.forEach(({ dueAt }) => {
      if (dueAt < first) first = dueAt;
    });
    if (first === Infinity) return undefined;
    const nextToken = this.#tokens >= 1 ? now : now + ((1 - this.#tokens) / this.config.packetsPerSecond) * 1000;
    return Math.max(first, nextToken);
  }

  #urgency({ step }: Entry): number {
    if (step === 0) return 0;
    return step < this.config.burstMs.length ? 1 : 2;
  }

  /** Moves an entry on; returns the step that goes out now. */
  #advance(entry: Entry, now: number): number {
    const { step } = entry;
    entry.step += 1;
    const offset = this.config.burstMs[entry.step];
    entry.dueAt = offset === undefined ? now + this.config.refreshMs : Math.max(now, entry.startedAt + offset);
    return step;
  }
}
