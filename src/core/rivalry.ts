import { exact } from "../lib/exact.js";
import type { Clock, Timer } from "../ports/clock.js";

export interface RivalryDeps {
  readonly clock: Clock;
  /** The uids of the Services whose status is left alone for now. */
  changed(rivals: ReadonlySet<string>): void;
}

/** So many times in a minute the same may be written; who replaces it then is left alone for five minutes. */
const WRITES = 3;
const WINDOW_MS = 60_000;
const LEFT_ALONE_MS = 300_000;

interface Written {
  readonly what: string;
  /** Monotonic ms. */
  readonly at: readonly number[];
}

/** Notices that somebody else keeps replacing what we write into a status: two controllers that fight are worse than one that is wrong. */
export class Rivalry implements Disposable {
  /** By uid; written last comes last. */
  readonly #written = new Map<string, Written>();
  #rivals: ReadonlyMap<string, Timer> = new Map();

  constructor(private readonly deps: RivalryDeps) {}

  wrote(uid: string, what: string): void {
    const before = this.#written.get(uid);
    const recent = before?.what === what ? this.#recent(before) : [];
    // What was written long ago is nobody's fight.
    this.#forgetOld();
    this.#written.delete(uid);
    this.#written.set(uid, { what, at: exact([...recent, this.deps.clock.now()]) });
  }

  /** True where this has been written, and lost, too often: from now on its status is left alone for some minutes. */
  lost(uid: string, what: string): boolean {
    const before = this.#written.get(uid);
    if (before?.what !== what || this.#recent(before).length < WRITES) return false;
    this.#written.delete(uid);
    const timer = this.deps.clock.after(LEFT_ALONE_MS, () => this.#set(new Map([...this.#rivals].filter(([other]) => other !== uid))));
    this.#set(new Map([...this.#rivals, [uid, timer]]));
    return true;
  }

  [Symbol.dispose](): void {
    for (const timer of this.#rivals.values()) timer.cancel();
  }

  #recent({ at }: Written): readonly number[] {
    return at.filter((time) => time > this.deps.clock.now() - WINDOW_MS);
  }

  /** Up to the first that was written within the last minute: all behind it were, too. */
  #forgetOld(): void {
    for (const [uid, written] of this.#written) {
      if (this.#recent(written).length > 0) return;
      this.#written.delete(uid);
    }
  }

  #set(rivals: ReadonlyMap<string, Timer>): void {
    this.#rivals = rivals;
    this.deps.changed(new Set(rivals.keys()));
  }
}
