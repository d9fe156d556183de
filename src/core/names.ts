import { messageOf } from "../lib/errors.js";
import { familyOf, type Family, type IpAddress } from "../lib/ip.js";
import { Drive } from "../machine/drive.js";
import { nameStart, nameStep, type NameAction, type NameAnswer, type NameConfig, type NameEvent, type NameResult, type NameState } from "../machine/name.js";
import type { Clock } from "../ports/clock.js";
import type { Dns, DnsErrorShape } from "../ports/dns.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";

export type { NameResult } from "../machine/name.js";

export interface NamesDeps {
  readonly clock: Clock;
  readonly dns: Dns;
  readonly log: Log;
  readonly random: Random;
  /** What `results` says has changed. Never called from within `follow`. */
  changed(): void;
}

/** Which addresses of a name to hold: the first one, the first of one family, or the first of each. */
export type DnsMode = "first" | "ipv4" | "ipv6" | "dual";

/**
 * The addresses to hold, of those that a name has (in their order). One of `current`, the addresses in use, stays in use for as long as the name has
 * it: a name that gets one more address moves nothing.
 */
export function pickAddresses(addresses: readonly IpAddress[], mode: DnsMode, current: readonly IpAddress[] = []): readonly IpAddress[] {
  const first = (among: readonly IpAddress[]): readonly IpAddress[] => {
    const picked = among.find((address) => current.includes(address)) ?? among[0];
    return picked === undefined ? [] : [picked];
  };
  const of = (family: Family): readonly IpAddress[] => first(addresses.filter((address) => familyOf(address) === family));
  if (mode === "first") return first(addresses);
  return [...(mode === "ipv6" ? [] : of(4)), ...(mode === "ipv4" ? [] : of(6))];
}

/** Follows the addresses of DNS names; machine/name.ts has the rules (TTL, failures, names that are gone). */
export class Names implements AsyncDisposable {
  #followed: ReadonlySet<string> = new Set();
  readonly #names = new Map<string, FollowedName>();
  #results: ReadonlyMap<string, NameResult> | undefined = new Map();
  /** Names that are no longer followed and whose last question has not ended yet. */
  readonly #ending = new Set<Promise<void>>();

  constructor(
    private readonly config: NameConfig,
    private readonly deps: NamesDeps,
  ) {}

  /** These names from now on, as they are written; all others are forgotten. A new one is asked for at once. */
  follow(names: ReadonlySet<string>): void {
    if (sameNames(names, this.#followed)) return;
    // A copy: the set is its owner's, who may change it.
    this.#followed = new Set(names);
    for (const name of this.#names.keys()) if (!names.has(name)) this.#forget(name);
    for (const name of names) if (!this.#names.has(name)) this.#names.set(name, this.#begin(name));
  }

  /** By name; a name that has neither been answered nor failed yet is not in it. The same map for as long as nothing changes. */
  results(): ReadonlyMap<string, NameResult> {
    this.#results ??= new Map([...this.#names].flatMap(([name, { result }]) => (result === undefined ? [] : [[name, result] as const])));
    return this.#results;
  }

  /** Aborts what is under way and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.follow(new Set());
    await Promise.all(this.#ending);
  }

  #begin(name: string): FollowedName {
    const { clock, dns, log, random } = this.deps;
    const changed = (): void => {
      this.#results = undefined;
      this.deps.changed();
    };
    const followed = new FollowedName(name, this.config, { clock, dns, log: log.with({ name }), random, changed });
    followed.start();
    return followed;
  }

  #forget(name: string): void {
    const ended = this.#names.get(name)?.stop() ?? Promise.resolve();
    this.#names.delete(name);
    this.#results = undefined;
    const ending = ended.finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}

/** One name, its machine and its question. */
class FollowedName {
  readonly #machine: Drive<NameState, NameEvent, NameAction>;
  /** A question that was cancelled may take a moment to end. */
  readonly #questions = new Map<number, { readonly abort: AbortController; readonly done: Promise<void> }>();
  #shown: NameResult | undefined;

  constructor(
    private readonly name: string,
    config: NameConfig,
    private readonly deps: NamesDeps,
  ) {
    this.#machine = new Drive<NameState, NameEvent, NameAction>(
      {
        start: nameStart(),
        step: (state, event, now) => nameStep(state, event, now, config),
        tick: () => this.#tick(),
        act: (action) => this.#act(action),
        moved: ({ result }) => this.#moved(result),
      },
      deps.clock,
    );
  }

  get result(): NameResult | undefined {
    return this.#shown;
  }

  start(): void {
    this.#machine.send(this.#tick());
  }

  async stop(): Promise<void> {
    this.#machine.stop();
    for (const { abort } of this.#questions.values()) abort.abort(new DOMException("no longer followed", "AbortError"));
    await Promise.all([...this.#questions.values()].map(({ done }) => done));
  }

  #tick(): NameEvent {
    return { type: "tick", random: this.deps.random.float() };
  }

  #moved(result: NameResult | undefined): void {
    if (result === undefined || result === this.#shown) return;
    this.#shown = result;
    const { addresses, error } = result;
    if (error === undefined) this.deps.log.info("name resolved", { addresses });
    else this.deps.log.warn("name not resolved", { reason: error, addresses });
    this.deps.changed();
  }

  #act({ type, id }: NameAction): void {
    if (type === "cancel") {
      this.#questions.get(id)?.abort.abort(new DOMException("too late", "AbortError"));
      return;
    }
    const abort = new AbortController();
    const done = this.#ask(id, abort.signal).finally(() => this.#questions.delete(id));
    this.#questions.set(id, { abort, done });
  }

  async #ask(id: number, signal: AbortSignal): Promise<void> {
    const [ipv4, ipv6] = await Promise.all([this.#query(4, signal), this.#query(6, signal)]);
    if (signal.aborted) return; // Nobody waits for the answer any more.
    this.#machine.send({ type: "answer", id, answers: { ipv4, ipv6 }, random: this.deps.random.float() });
  }

  async #query(family: Family, signal: AbortSignal): Promise<NameAnswer> {
    try {
      const found = await this.deps.dns.resolve(this.name, family, signal);
      const ttlMs = Math.min(...found.map(({ ttlSeconds }) => ttlSeconds * 1000));
      return { kind: "addresses", addresses: found.map(({ address }) => address), ttlMs };
    } catch (error) {
      return (error as Partial<DnsErrorShape>).code === "ENOTFOUND" ? { kind: "absent" } : { kind: "failed", reason: messageOf(error) };
    }
  }
}

function sameNames(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((name) => b.has(name));
}
