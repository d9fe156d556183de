import { messageOf } from "../lib/errors.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import type { DownReason, VipMode } from "./mode.js";
import type { ModeName, WantOf } from "./model.js";
import { KeyedSync, type Observation } from "./sync.js";

type KeyOf<M extends ModeName> = WantOf[M]["key"];

export interface ModeSyncConfig<M extends ModeName> {
  /** What the log calls a thing that this mode holds. */
  readonly noun: string;
  /** How many verbs may run at once. */
  readonly concurrency: number;
  /** Nobody tells of what goes missing: so often it is looked for, while something is held. Default: never. */
  readonly lookMs?: number;
  /** True where the second want asks the mode for nothing new. */
  same(a: WantOf[M], b: WantOf[M]): boolean;
}

export interface ModeSyncDeps<M extends ModeName> {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  /** Some observation changed. */
  changed(): void;
  failed?(key: KeyOf<M>, error: unknown): void;
  /** Why a key that is no longer wanted has to go. */
  reason?(key: KeyOf<M>): DownReason;
  /** Awaited before a key that is no longer wanted goes. */
  before?(key: KeyOf<M>, reason: DownReason): Promise<void>;
}

const BACKOFF = { firstRetryMs: 200, lastRetryMs: 30_000 };

/** Moves one mode towards what is wanted of it, and, once, sweeps what an earlier life of this program left. */
export class ModeSync<M extends ModeName> implements AsyncDisposable {
  readonly #sync: KeyedSync<KeyOf<M>, WantOf[M], void>;
  readonly #closing = new AbortController();
  #wants: ReadonlyMap<KeyOf<M>, WantOf[M]> = new Map();
  #swept = false;
  #sweepAgain: Timer | undefined;
  #lookAgain: Timer | undefined;

  constructor(
    private readonly mode: VipMode<M>,
    private readonly config: ModeSyncConfig<M>,
    private readonly deps: ModeSyncDeps<M>,
  ) {
    const verbs = {
      up: async (_key: KeyOf<M>, want: WantOf[M], signal: AbortSignal): Promise<void> => mode.up(want, signal),
      down: async (key: KeyOf<M>, signal: AbortSignal): Promise<void> => this.#down(key, signal),
    };
    this.#sync = new KeyedSync({ ...BACKOFF, ...config }, verbs, {
      ...deps,
      failed: (key, verb, error, retryMs) => {
        if (this.#closing.signal.aborted) return;
        deps.log.warn("not done, tried again", { what: config.noun, key, verb, error: messageOf(error), retryMs: Math.round(retryMs) });
        deps.failed?.(key, error);
      },
    });
  }

  /** Exactly these from now on. */
  set(wants: ReadonlyMap<KeyOf<M>, WantOf[M]>): void {
    this.#wants = wants;
    this.#sync.set(wants);
    this.#lookLater();
  }

  refresh(key: KeyOf<M>): void {
    this.#sync.refresh(key);
  }

  observed(): ReadonlyMap<KeyOf<M>, Observation<void>> {
    return this.#sync.observed();
  }

  async settle(): Promise<void> {
    await this.#sync.settle();
  }

  /** Waits until each key that matches is as wanted, or has failed. */
  async rested(matches: (key: KeyOf<M>) => boolean): Promise<void> {
    await this.#sync.rested(matches);
  }

  /** What is there by our mark and is not wanted goes; once, when it is first known what is wanted. */
  sweep(): void {
    if (this.#swept) return;
    this.#swept = true;
    void this.#sweep();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sweepAgain?.cancel();
    this.#lookAgain?.cancel();
    this.#closing.abort(new DOMException("closing", "AbortError"));
    this.#sync.stop();
    await this.mode[Symbol.asyncDispose]();
  }

  #lookLater(): void {
    const { lookMs } = this.config;
    if (lookMs === undefined || this.#wants.size === 0 || this.#lookAgain !== undefined || this.#closing.signal.aborted) return;
    this.#lookAgain = this.deps.clock.after(lookMs, () => {
      this.#lookAgain = undefined;
      void this.#look().finally(() => this.#lookLater());
    });
  }

  /** What was put and is no longer there is put again. */
  async #look(): Promise<void> {
    const before = this.#sync.observed();
    const there = await this.mode.held(this.#closing.signal).catch(() => undefined);
    if (there === undefined) return;
    const keys = new Set(there.map(({ key }) => key));
    for (const key of this.#wants.keys()) {
      if (keys.has(key) || before.get(key)?.state !== "up") continue;
      this.deps.log.info(`${this.config.noun} is gone, put again`, { [this.config.noun]: key });
      this.#sync.refresh(key);
    }
  }

  async #down(key: KeyOf<M>, signal: AbortSignal): Promise<void> {
    const reason = this.deps.reason?.(key) ?? "unwanted";
    await this.deps.before?.(key, reason);
    await this.mode.down(key, reason, signal);
    this.deps.log.info(`${this.config.noun} removed`, { [this.config.noun]: key, reason });
  }

  async #sweep(): Promise<void> {
    const errors: unknown[] = [];
    try {
      for (const { key, describe } of await this.mode.held(this.#closing.signal)) {
        if (this.#wants.has(key)) continue;
        await this.#removeLeftover(key, describe).catch((error: unknown) => void errors.push(error));
      }
    } catch (error) {
      errors.push(error);
    }
    if (errors.length === 0 || this.#closing.signal.aborted) return;
    const [first] = errors;
    this.deps.log.warn("leftovers not removed, tried again", { what: this.config.noun, error: messageOf(first), failed: errors.length });
    this.#sweepAgain = this.deps.clock.after(BACKOFF.lastRetryMs, () => void this.#sweep());
  }

  async #removeLeftover(key: KeyOf<M>, describe: string): Promise<void> {
    await this.mode.down(key, "leftover", this.#closing.signal);
    this.deps.log.info("leftover removed", { [this.config.noun]: key, was: describe });
  }
}
