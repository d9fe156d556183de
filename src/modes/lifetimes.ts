import type { Fence } from "../core/mode.js";
import type { OwnershipKey } from "../core/model.js";
import type { Clock, Timer } from "../ports/clock.js";
import { isTooLate } from "./renewals.js";

export interface LifetimeDeps<K> {
  readonly clock: Clock;
  readonly fence: Fence;
  /** Sets the lifetime of this key's address to end at `validUntil` at the latest; resolves with when it does end (monotonic ms). */
  put(key: K, validUntil: number): Promise<number>;
  /** A lifetime could not be set; it is tried again while the fence allows it. */
  failed(key: K, error: unknown): void;
}

/** A lifetime is renewed when less than this is left although no renew came in time to do it, ms. */
const GUARD_MS = 750;

/** The guard looks again this much later where nothing could be done, ms. */
const GUARD_RETRY_MS = 100;

/**
 * So many are set at a time. What thousands at once leave behind outlives the young generation of the garbage
 * collector, which then takes more time than they do.
 */
const AT_ONCE = 128;

/** Lifetimes are whole seconds (struct ifa_cacheinfo). */
const SECOND = 1000;

interface Entry {
  readonly ownership: OwnershipKey;
  endsAt: number;
}

/**
 * The dead-man switch: keeps kernel lifetimes ahead of now for as long as the fence allows, and does nothing otherwise, so that the addresses of
 * a process that is cut off, frozen or dead end by themselves. Lifetimes are set anew after every second renew or so, all in one turn.
 */
export class Lifetimes<K> implements AsyncDisposable {
  readonly #entries = new Map<K, Entry>();
  /** Lifetimes that are just being set, also of keys that were let go or kept anew since. */
  readonly #putting = new Map<K, Promise<void>>();
  /** Due, and waiting for one of those to end. */
  readonly #waiting = new Set<K>();
  readonly #endMoved: () => void;
  #guard: Timer | undefined;
  #guardAt = Infinity;
  #closed = false;

  constructor(private readonly deps: LifetimeDeps<K>) {
    this.#endMoved = deps.fence.onMoved((ownership) => this.#moved(ownership));
  }

  /** From now on keeps this key alive; its present lifetime ends at `endsAt`. */
  keep(key: K, ownership: OwnershipKey, endsAt: number): void {
    this.#entries.set(key, { ownership, endsAt });
    this.#armGuard(endsAt - GUARD_MS);
  }

  /** Lets the key run out. Returns what to wait for where its lifetime is just being set: it may end up set after all. */
  forget(key: K): Promise<void> | undefined {
    this.#entries.delete(key);
    return this.#putting.get(key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#endMoved();
    this.#guard?.cancel();
    await Promise.allSettled(this.#putting.values());
  }

  /** After a renew: worth it where more than half of the lifetime is used up. When it is being given up: where it would last too long. */
  #moved(moved: OwnershipKey | undefined): void {
    const now = this.deps.clock.now();
    // Thousands of addresses may stand behind one key, or each behind one of its own.
    const deadlines = new Map<OwnershipKey, number>();
    for (const [key, entry] of this.#entries) {
      const { ownership, endsAt } = entry;
      if (moved !== undefined && ownership !== moved) continue;
      const validUntil = deadlines.get(ownership) ?? this.deps.fence.kernelDeadline(ownership);
      deadlines.set(ownership, validUntil);
      const full = Math.floor((validUntil - now) / SECOND) * SECOND;
      const due = endsAt - now < full / 2 || endsAt > validUntil;
      if (full >= SECOND && due) this.#put(key, entry, validUntil);
    }
  }

  /** No renew came in time: what is about to end is set anew where that makes it end later. */
  #guardTime(): void {
    const now = this.deps.clock.now();
    for (const [key, entry] of this.#entries) {
      if (entry.endsAt - now > GUARD_MS) continue;
      const validUntil = this.deps.fence.kernelDeadline(entry.ownership);
      const end = now + Math.floor((validUntil - now) / SECOND) * SECOND;
      if (end > now && end > entry.endsAt) this.#put(key, entry, validUntil);
    }
    let next = Infinity;
    for (const { endsAt } of this.#entries.values()) next = Math.min(next, endsAt - GUARD_MS);
    if (next < Infinity) this.#armGuard(Math.max(next, now + GUARD_RETRY_MS));
  }

  #put(key: K, entry: Entry, validUntil: number): void {
    if (this.#putting.has(key)) return;
    if (this.#putting.size >= AT_ONCE) {
      this.#waiting.add(key);
      return;
    }
    const work = this.deps
      .put(key, validUntil)
      .then((endsAt) => {
        entry.endsAt = endsAt;
      })
      .catch((error: unknown) => {
        // Too late by the last renew: the next one sets it, or the kernel has told by then that it is gone.
        if (!this.#closed && this.#entries.get(key) === entry && !isTooLate(error)) this.deps.failed(key, error);
      })
      .finally(() => {
        this.#putting.delete(key);
        this.#putNext();
      });
    this.#putting.set(key, work);
  }

  /** By the fence as it is now: it may have changed meanwhile. */
  #putNext(): void {
    for (const key of this.#waiting) {
      this.#waiting.delete(key);
      const entry = this.#entries.get(key);
      if (entry === undefined || this.#closed) continue;
      const validUntil = this.deps.fence.kernelDeadline(entry.ownership);
      if (validUntil - this.deps.clock.now() < SECOND) continue;
      this.#put(key, entry, validUntil);
      return;
    }
  }

  #armGuard(at: number): void {
    if (this.#closed || at >= this.#guardAt) return;
    this.#guard?.cancel();
    this.#guardAt = at;
    this.#guard = this.deps.clock.after(Math.max(0, at - this.deps.clock.now()), () => {
      this.#guardAt = Infinity;
      this.#guardTime();
    });
  }
}
