import type { Clock } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import type { Call, Client, Query } from "./client.js";
import { Delivery } from "./delivery.js";
import type { Pace } from "./delivery.js";
import { errorOfStatus, KubeError } from "./errors.js";
import { ObjectStore } from "./object-store.js";
import type { StoreOptions } from "./object-store.js";
import { fieldsOf, itemsOf, keyOf, textOf, versionOf } from "./raw.js";
import { Retry } from "./retry.js";
import { Deadline, nextTurn, pause } from "./wait.js";

/** A watch that was open this long, ms, was a good one. */
const GOOD_WATCH_MS = 5000;
/** A watch that ends sooner than this and brings nothing is a failure (client-go: "very short watch"). */
const SHORT_WATCH_MS = 1000;

/** After an outage of some length everybody knows the truth this much later at most; longer is kinder to the API server. */
const MAX_RETRY_MS = 10_000;
/** So many refusals in a row (about half a second) are no start of an API server. */
const UNREADABLE_AFTER = 3;

export interface ReflectOptions<T extends object> extends StoreOptions<T> {
  /** `services`, for logs and metrics. */
  readonly resource: string;
  /** `/api/v1/services` */
  readonly path: string;
  /** Selectors. */
  readonly query?: Query;
  /** Gets a new map after the first complete list and after every change. What it throws ends `reflect`. */
  readonly changed: (objects: ReadonlyMap<string, T>) => void;
  /** True: nothing can be served without it, so that a refusal is an error for a person, said again every few minutes. Default false: a warning, said once. */
  readonly needed?: boolean;
  /** Called once where the first list stays forbidden for longer than an API server takes to know its own access rules. */
  readonly unreadable?: () => void;
  /** Default `turn`. */
  readonly pace?: Pace;
  /** Objects per page of a list, default 500. */
  readonly pageSize?: number;
  /** Longest silence of a watch, ms, default 75,000: the server sends a bookmark about once a minute. */
  readonly silenceMs?: number;
  /** Time for one page, and for the head of a watch, ms, default 10,000. */
  readonly timeoutMs?: number;
  /** Longest wait between attempts, ms, default 10,000. */
  readonly maxRetryMs?: number;
}

export interface ReflectDeps {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
}

/**
 * Keeps a map of all objects of a collection up to date (key: `namespace/name`) by list and watch, until the signal aborts; resolves then.
 * Every failure of the API is logged and tried again; only a bug (`changed` or `decode` threw) rejects.
 */
export async function reflect<T extends object>(
  options: ReflectOptions<T>,
  deps: ReflectDeps,
  signal: AbortSignal,
): Promise<void> {
  const log = deps.log.with({ resource: options.resource });
  await new Reflector(options, { ...deps, log }).run(signal);
}

class Reflector<T extends object> {
  readonly #options: ReflectOptions<T>;
  readonly #deps: ReflectDeps;
  readonly #retry: Retry;
  readonly #delivery: Delivery;
  /** Aborts when a deferred listener throws. */
  readonly #bug = new AbortController();
  #store: ObjectStore<T>;
  /** Where the next watch starts; undefined: list first. */
  #version: string | undefined;
  #listed = false;
  #toldUnreadable = false;
  #over = false;

  constructor(options: ReflectOptions<T>, deps: ReflectDeps) {
    this.#options = options;
    this.#store = new ObjectStore(options);
    this.#deps = deps;
    this.#retry = new Retry({ maxMs: options.maxRetryMs ?? MAX_RETRY_MS, needed: options.needed ?? false }, deps);
    this.#delivery = new Delivery(options.pace ?? "turn", deps.clock, {
      deliver: () => {
        if (!this.#over) options.changed(this.#store.copy());
      },
      failed: (error) => {
        this.#bug.abort(error);
      },
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    const both = AbortSignal.any([signal, this.#bug.signal]);
    const over = (): void => {
      this.#over = true; // nothing is called after the abort, not even for a chunk that is being read
    };
    both.addEventListener("abort", over);
    try {
      while (!both.aborted) await this.#attempt(both);
    } finally {
      both.removeEventListener("abort", over);
      this.#delivery.cancel();
    }
    this.#bug.signal.throwIfAborted();
  }

  async #attempt(signal: AbortSignal): Promise<void> {
    try {
      this.#version ??= await this.#list(signal);
      await this.#watch(this.#version, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof KubeError)) throw error;
      const delay = this.#retry.failed(error, this.#version === undefined ? "list" : "watch");
      if (needsList(error)) this.#version = undefined;
      this.#tellUnreadable(error);
      await pause(this.#deps.clock, delay, signal);
    }
  }

  #tellUnreadable({ code }: KubeError): void {
    if (code !== "forbidden" || this.#listed || this.#toldUnreadable || this.#retry.failures < UNREADABLE_AFTER) return;
    this.#toldUnreadable = true;
    this.#options.unreadable?.();
  }

  /** Reads all pages, replaces the map, returns the version of the list. */
  async #list(signal: AbortSignal): Promise<string> {
    const next = new ObjectStore<T>(this.#options);
    let token: string | undefined;
    for (;;) {
      // No resourceVersion: the newest state, so that a list after a failure never goes back in time.
      const query = { ...this.#options.query, limit: this.#options.pageSize ?? 500, continue: token };
      const page = fieldsOf(await this.#deps.client.request(this.#call("list", query), signal));
      for (const raw of itemsOf(page["items"])) this.#put(next, raw);
      token = textOf(fieldsOf(page["metadata"])["continue"]);
      if (token === undefined) return this.#complete(next, page);
      await nextTurn();
      signal.throwIfAborted();
    }
  }

  #complete(next: ObjectStore<T>, page: Readonly<Record<string, unknown>>): string {
    const version = versionOf(page);
    if (version === undefined) throw new KubeError("protocol", `GET ${this.#options.path}: a list without resourceVersion`);
    const same = this.#listed && next.equals(this.#store);
    this.#store = next;
    if (same) return version;
    this.#listed = true;
    this.#delivery.now();
    return version;
  }

  async #watch(version: string, signal: AbortSignal): Promise<void> {
    const { clock, random, client } = this.#deps;
    const silenceMs = this.#options.silenceMs ?? 75_000;
    const late = (): Error => new KubeError("timeout", `GET ${this.#options.path}: watch silent for ${silenceMs} ms`);
    const quiet = new Deadline(clock, { ms: silenceMs, late }, [signal]);
    /** Since when the head of the answer is there: one that is slow to refuse has opened nothing. */
    let opened = Infinity;
    const call = this.#call("watch", {
      ...this.#options.query,
      watch: 1,
      allowWatchBookmarks: true,
      timeoutSeconds: 300 + Math.floor(300 * random.float()),
      resourceVersion: version,
    });
    let quietSoFar = true;
    try {
      for await (const events of client.stream(call, quiet.signal)) {
        quiet.touch();
        if (events.length === 0) {
          opened = clock.now();
          this.#retry.opened();
          continue;
        }
        this.#apply(events);
        quietSoFar = false;
        this.#retry.succeeded();
      }
    } catch (error) {
      if (clock.now() - opened >= GOOD_WATCH_MS) this.#retry.succeeded();
      throw error;
    } finally {
      quiet.cancel();
    }
    const ms = clock.now() - opened;
    if (quietSoFar && ms < SHORT_WATCH_MS) throw new KubeError("network", `GET ${this.#options.path}: watch ended at once`);
    this.#retry.succeeded();
  }

  #apply(events: readonly unknown[]): void {
    let dirty = false;
    try {
      for (const event of events) dirty = this.#event(fieldsOf(event)) || dirty;
    } finally {
      // Also where an ERROR event follows in the same chunk: what came before it counts.
      if (dirty) this.#delivery.mark();
    }
  }

  /** True where the map changed. */
  #event(event: Readonly<Record<string, unknown>>): boolean {
    const object = event["object"];
    switch (event["type"]) {
      case "ERROR":
        throw errorOfStatus(this.#options.path, object);
      case "ADDED":
      case "MODIFIED":
        this.#version = versionOf(object) ?? this.#version;
        return this.#put(this.#store, object);
      case "DELETED":
        this.#version = versionOf(object) ?? this.#version;
        return this.#store.remove(object);
      case "BOOKMARK":
        this.#version = versionOf(object) ?? this.#version;
        return false;
      default:
        throw new KubeError("protocol", `GET ${this.#options.path}: watch event of unknown type ${JSON.stringify(event["type"])}`);
    }
  }

  /** True where that changed what `into` holds. */
  #put(into: ObjectStore<T>, raw: unknown): boolean {
    const outcome = into.put(raw, this.#store);
    if (outcome === "broken") this.#deps.log.warn("broken object left out", { key: keyOf(raw) ?? "without a name" });
    return outcome === "changed";
  }

  #call(verb: "list" | "watch", query: Query): Call {
    return { verb, resource: this.#options.resource, path: this.#options.path, query, timeoutMs: this.#options.timeoutMs ?? 10_000 };
  }
}

/** Whether the last version is of no more use: too old, or the server does not like the watch for a reason that a list may show. */
function needsList(error: KubeError): boolean {
  switch (error.code) {
    case "network":
    case "timeout":
    case "tooManyRequests":
    case "config":
    case "unauthorized":
      return false;
    // May it not be watched, it can be listed again and again.
    case "forbidden":
      return true;
    case "server":
      return error.status !== 503;
    default:
      return true;
  }
}
