import { backoffMs } from "../machine/backoff.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { Random } from "../ports/random.js";

/** What is known of one key: on its way, there, or failing (and tried again). */
export type Observation<O> =
  | { readonly state: "pending" }
  | { readonly state: "up"; readonly result: O }
  | { readonly state: "failed"; readonly error: unknown; readonly attempts: number };

/** Of thousands of keys nothing else is known than these. */
const UP: Observation<undefined> = { state: "up", result: undefined };
const PENDING: Observation<never> = { state: "pending" };

export interface SyncVerbs<K, V, O> {
  up(key: K, value: V, signal: AbortSignal): Promise<O>;
  down(key: K, signal: AbortSignal): Promise<void>;
}

export interface SyncConfig<V> {
  /** How many verbs may run at once. */
  readonly concurrency: number;
  readonly firstRetryMs: number;
  readonly lastRetryMs: number;
  /** A changed value does not cut a pending retry short: for what is written to a place where many write. */
  readonly paced?: boolean;
  /** Goes before the others that wait. Default: none does. */
  readonly urgent?: (value: V) => boolean;
  /** True where the second value asks for nothing that the first has not done. */
  same(a: V, b: V): boolean;
}

export interface SyncDeps<K> {
  readonly clock: Clock;
  readonly random: Random;
  /** Some observation changed. */
  changed(): void;
  /** A verb failed; it will be tried again in `retryMs`. */
  failed(key: K, verb: "up" | "down", error: unknown, retryMs: number): void;
}

interface Entry<V, O> {
  desired: V | undefined;
  dirty: boolean;
  running: AbortController | undefined;
  retry: Timer | undefined;
  attempts: number;
  observation: Observation<O>;
}

/**
 * Moves actual towards desired, key by key: at most one verb of a key at a time, failures retried with back-off, a change of desire takes
 * effect at once. One bad key never holds up the others.
 */
export class KeyedSync<K, V, O> {
  readonly #entries = new Map<K, Entry<V, O>>();
  readonly #queue = new Set<K>();
  /** Comes before `#queue`. */
  readonly #urgent = new Set<K>();
  #shown: ReadonlyMap<K, Observation<O>> | undefined;
  #running = 0;
  #idle: (() => void)[] = [];
  readonly #waiting = new Set<{ readonly busy: Set<K>; readonly resolve: () => void }>();
  #stopped = false;

  constructor(
    private readonly config: SyncConfig<V>,
    private readonly verbs: SyncVerbs<K, V, O>,
    private readonly deps: SyncDeps<K>,
  ) {}

  /** From now on exactly these keys are desired. */
  set(desired: ReadonlyMap<K, V>): void {
    for (const [key, value] of desired) this.#want(key, value);
    for (const [key, entry] of this.#entries) if (!desired.has(key)) this.#unwant(key, entry);
    this.#pump();
  }

  /** Runs `up` of this key again although nothing changed here: it was seen to be wrong. Unknown or unwanted keys are left alone. */
  refresh(key: K): void {
    const entry = this.#entries.get(key);
    if (entry?.desired === undefined) return;
    this.#mark(key, entry);
    this.#pump();
  }

  /** The same map for as long as nothing changes. */
  observed(): ReadonlyMap<K, Observation<O>> {
    if (this.#shown === undefined) {
      const shown = new Map<K, Observation<O>>();
      for (const [key, entry] of this.#entries) if (entry.desired !== undefined) shown.set(key, entry.observation);
      this.#shown = shown;
    }
    return this.#shown;
  }

  /** Resolves when nothing runs and nothing waits to run; what waits for a retry does not count. */
  async settle(): Promise<void> {
    if (this.#running === 0 && this.#queued === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Resolves when each key that matches has rested once; what waits for a retry rests. */
  async rested(matches: (key: K) => boolean): Promise<void> {
    const busy = new Set<K>();
    for (const [key, { running, dirty }] of this.#entries) if ((running !== undefined || dirty) && matches(key)) busy.add(key);
    if (busy.size > 0 && !this.#stopped) await new Promise<void>((resolve) => this.#waiting.add({ busy, resolve }));
  }

  #want(key: K, value: V): void {
    const entry = this.#entries.get(key);
    if (entry?.desired === value) return;
    if (entry?.desired === undefined) this.#shown = undefined;
    if (entry === undefined) {
      const fresh: Entry<V, O> = {
        desired: value,
        dirty: false,
        running: undefined,
        retry: undefined,
        attempts: 0,
        observation: PENDING,
      };
      this.#entries.set(key, fresh);
      this.#mark(key, fresh);
      return;
    }
    const before = entry.desired;
    entry.desired = value;
    if (before === undefined) entry.observation = PENDING;
    if (before !== undefined && (this.config.same(before, value) || (this.config.paced === true && entry.retry !== undefined))) return;
    this.#mark(key, entry);
  }

  #unwant(key: K, entry: Entry<V, O>): void {
    if (entry.desired === undefined) return;
    this.#shown = undefined;
    entry.desired = undefined;
    entry.running?.abort(new DOMException("no longer wanted", "AbortError"));
    this.#mark(key, entry);
  }

  #mark(key: K, entry: Entry<V, O>): void {
    entry.dirty = true;
    entry.attempts = 0;
    entry.retry?.cancel();
    entry.retry = undefined;
    if (entry.running === undefined) this.#enqueue(key, entry);
  }

  #enqueue(key: K, { desired }: Entry<V, O>): void {
    const urgent = desired !== undefined && this.config.urgent?.(desired) === true;
    (urgent ? this.#urgent : this.#queue).add(key);
  }

  #clear(): void {
    this.#urgent.clear();
    this.#queue.clear();
  }

  get #queued(): number {
    return this.#urgent.size + this.#queue.size;
  }

  #pump(): void {
    if (this.#stopped) this.#clear();
    while (this.#running < this.config.concurrency) {
      const from = this.#urgent.size > 0 ? this.#urgent : this.#queue;
      const { value: key, done } = from.values().next();
      if (done === true) return;
      from.delete(key);
      const entry = this.#entries.get(key);
      if (entry === undefined) continue;
      this.#running += 1;
      void this.#run(key, entry).finally(() => this.#ran(key, entry));
    }
  }

  #ran(key: K, entry: Entry<V, O>): void {
    this.#running -= 1;
    entry.running = undefined;
    if (entry.dirty) this.#enqueue(key, entry);
    else {
      if (entry.desired === undefined && entry.retry === undefined) this.#entries.delete(key);
      this.#rests(key);
    }
    this.#pump();
    if (this.#running > 0 || this.#queued > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #rests(key: K): void {
    for (const waiter of this.#waiting) {
      if (!waiter.busy.delete(key) || waiter.busy.size > 0) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }

  async #run(key: K, entry: Entry<V, O>): Promise<void> {
    const value = entry.desired;
    const abort = new AbortController();
    entry.running = abort;
    entry.dirty = false;
    try {
      if (value === undefined) {
        await this.verbs.down(key, abort.signal);
      } else {
        const result = await this.verbs.up(key, value, abort.signal);
        this.#observe(entry, result === undefined ? (UP as Observation<O>) : { state: "up", result });
      }
      entry.attempts = 0;
    } catch (error) {
      if (abort.signal.aborted) return;
      this.#failed(key, entry, value === undefined ? "down" : "up", error);
    }
  }

  #failed(key: K, entry: Entry<V, O>, verb: "up" | "down", error: unknown): void {
    const retryMs = askedRetry(error) ?? backoffMs(entry.attempts, this.config.firstRetryMs, this.config.lastRetryMs, this.deps.random.float());
    entry.attempts += 1;
    this.#observe(entry, { state: "failed", error, attempts: entry.attempts });
    this.deps.failed(key, verb, error, retryMs);
    const paced = this.config.paced === true && entry.desired !== undefined;
    if (this.#stopped || (entry.dirty && !paced)) return;
    entry.dirty = false;
    entry.retry = this.deps.clock.after(retryMs, () => {
      entry.retry = undefined;
      entry.dirty = true;
      this.#enqueue(key, entry);
      this.#pump();
    });
  }

  #observe(entry: Entry<V, O>, observation: Observation<O>): void {
    if (entry.observation === observation) return;
    const again = entry.observation.state === "up" && observation.state === "up";
    entry.observation = observation;
    this.#shown = undefined;
    if (!again) this.deps.changed();
  }

  /** Calls off every retry. Desired state is left as it is; nothing runs from now on but what runs already. */
  stop(): void {
    this.#stopped = true;
    this.#clear();
    for (const entry of this.#entries.values()) {
      entry.retry?.cancel();
      entry.retry = undefined;
    }
    for (const { resolve } of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

/** An error may know best when to try again. */
function askedRetry(error: unknown): number | undefined {
  const ms = error instanceof Error && "retryAfterMs" in error ? error.retryAfterMs : undefined;
  return typeof ms === "number" ? ms : undefined;
}
