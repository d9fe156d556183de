import { messageOf } from "../lib/errors.js";
import type { Clock } from "../ports/clock.js";
import type { Log, LogFields } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import type { KubeError } from "./errors.js";

const FIRST_MS = 100;
/** A kubeconfig that is not there yet costs one look at a few files. */
const CONFIG_MS = 1000;
/** A server that says that a version is too old works: the next list is not put off for long. */
const GONE_MS = 1500;
/** Nor does a server that opens a watch need to be spared for long where that breaks: the next wait is that of the failure after so many, 0.8 s at most. */
const OPENED_FAILURES = 3;
const RETRY_AFTER_LIMIT_MS = 120_000;
/** The same failure again is logged at counts 1, 2, 4, 8 … and at least this often; but `forbidden` only once ... */
const SAY_AGAIN_MS = 60_000;
/** ... or this often where nothing goes on without. */
const SAY_FORBIDDEN_AGAIN_MS = 300_000;

export interface RetryConfig {
  /** Longest wait between attempts, ms. */
  readonly maxMs: number;
  /** Nothing can be served without what is read here. */
  readonly needed: boolean;
}

export interface RetryDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
}

/** Counts failures in a row, logs them, and says how long to wait: 100 ms, doubled up to `maxMs`, half of it random. */
export class Retry {
  readonly #deps: RetryDeps;
  readonly #config: RetryConfig;
  #failures = 0;
  /** Failures since the last success that count for the delay. */
  #weight = 0;
  #same = 0;
  #last = "";
  #saidAt = 0;

  constructor(config: RetryConfig, deps: RetryDeps) {
    this.#config = config;
    this.#deps = deps;
  }

  /** Failures since the last success. */
  get failures(): number {
    return this.#failures;
  }

  /** Logs the failure; the delay in ms before the next attempt. */
  failed(error: KubeError, verb: "list" | "watch"): number {
    const delay = this.#delay(error);
    this.#failures += 1;
    this.#weight += 1;
    const reason = messageOf(error);
    this.#same = reason === this.#last ? this.#same + 1 : 1;
    this.#last = reason;
    if (this.#worthSaying(error)) {
      this.#saidAt = this.#deps.clock.now();
      this.#say(verb, error, { reason, code: error.code, repeated: this.#same, retryMs: Math.round(delay) });
    }
    return delay;
  }

  /** A watch is open, which is not yet to say that it works. */
  opened(): void {
    this.#weight = Math.min(this.#weight, OPENED_FAILURES);
  }

  /** It works: the next failure starts at the shortest delay again. */
  succeeded(): void {
    if (this.#failures > 0) this.#deps.log.info("list and watch work again", { failures: this.#failures });
    this.#failures = 0;
    this.#weight = 0;
    this.#same = 0;
    this.#last = "";
  }

  #say(verb: "list" | "watch", { code }: KubeError, fields: LogFields): void {
    const { log } = this.#deps;
    if (code === "forbidden" && this.#config.needed) log.error("not allowed to read what is needed to serve, trying again", { verb, ...fields });
    else log.warn("list and watch failed, trying again", { verb, ...fields });
  }

  #delay(error: KubeError): number {
    const limit = Math.min(limitOf(error), this.#config.maxMs);
    const full = Math.min(limit, FIRST_MS * 2 ** Math.min(this.#weight, 30));
    const asked = Math.min(error.retryAfterMs ?? 0, RETRY_AFTER_LIMIT_MS);
    // The random part comes on top of Retry-After, so that all who were sent away do not come back together.
    return asked > 0 ? asked + (full / 2) * this.#deps.random.float() : full / 2 + (full / 2) * this.#deps.random.float();
  }

  #worthSaying(error: KubeError): boolean {
    const since = this.#deps.clock.now() - this.#saidAt;
    // Access rules stay as they are until somebody changes them: not said every minute.
    if (error.code === "forbidden") return this.#same === 1 || (this.#config.needed && since >= SAY_FORBIDDEN_AGAIN_MS);
    const power = (this.#same & (this.#same - 1)) === 0;
    return power || since >= SAY_AGAIN_MS;
  }
}

function limitOf({ code }: KubeError): number {
  if (code === "config") return CONFIG_MS;
  return code === "gone" ? GONE_MS : Infinity;
}
