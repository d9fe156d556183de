import type { Described } from "./request.js";

/** Which requests a fault meets; every given field must match. userAgent is part of the text, the others are the whole. */
export type Filter = {
  readonly userAgent?: string;
  readonly user?: string;
  readonly remote?: string;
  /** One verb or several; a watch is "watch", not "list". */
  readonly verb?: string | readonly string[];
  /** Plural, like "services". */
  readonly resource?: string | readonly string[];
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
};

/** What goes wrong. */
export type Effect =
  /** Waits minMs to maxMs (default minMs), the share before the operation (default 0.5), the rest after it. */
  | { readonly kind: "latency"; readonly minMs: number; readonly maxMs?: number; readonly shareBefore?: number }
  /** Answers with a Status of this code instead of doing anything. */
  | { readonly kind: "fail"; readonly code: number; readonly reason?: string; readonly message?: string; readonly retryAfterSeconds?: number }
  /** Never answers and does nothing. */
  | { readonly kind: "hang" }
  /** Does the operation, then destroys the connection instead of answering. */
  | { readonly kind: "lose" }
  /** Destroys the connection without doing anything. */
  | { readonly kind: "reset" }
  /** Watches stay open but silent, bookmarks too; what they missed comes once the fault is cleared. */
  | { readonly kind: "freeze" };

/** A fault: its effect on the requests which match. */
export type Fault = {
  readonly effect: Effect;
  readonly match?: Filter;
  /** Chance for each request, 0 to 1, default 1. */
  readonly probability?: number;
  /** How many requests are hit before the fault clears itself, default no limit. */
  readonly count?: number;
};

/** What the faults in force do to one request. */
export type Verdict = {
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly fail: Extract<Effect, { kind: "fail" }> | undefined;
  readonly hang: boolean;
  readonly lose: boolean;
  readonly reset: boolean;
};

const among = (wanted: string | readonly string[] | undefined, value: string): boolean => wanted === undefined || (typeof wanted === "string" ? wanted === value : wanted.includes(value));

/** Whether the filter matches. */
export function matches(filter: Filter | undefined, described: Described): boolean {
  if (filter === undefined) return true;
  if (filter.userAgent !== undefined && !described.userAgent.includes(filter.userAgent)) return false;
  const { user, remote, namespace, name, subresource } = filter;
  return among(filter.verb, described.verb) && among(filter.resource, described.resource) && among(user, described.user) && among(remote, described.remote) && among(namespace, described.namespace) && among(name, described.name) && among(subresource, described.subresource);
}

/** The faults in force. */
export class Faults {
  #next = 1;
  readonly #active = new Map<string, { readonly fault: Fault; left: number }>();

  /** Puts a fault in force and returns its id. */
  add(fault: Fault): string {
    const id = `fault-${this.#next}`;
    this.#next += 1;
    this.#active.set(id, { fault, left: fault.count ?? Number.POSITIVE_INFINITY });
    return id;
  }

  /** Ends one fault, or all; returns how many ended. */
  clear(id?: string): number {
    if (id !== undefined) return this.#active.delete(id) ? 1 : 0;
    const { size } = this.#active;
    this.#active.clear();
    return size;
  }

  /** Whether watches of this kind are silent. */
  frozen(described: Described): boolean {
    return [...this.#active.values()].some(({ fault }) => fault.effect.kind === "freeze" && matches(fault.match, described));
  }

  /** Draws what happens to a request; counts it against the faults that hit. */
  judge(described: Described): Verdict {
    let verdict: Verdict = { beforeMs: 0, afterMs: 0, fail: undefined, hang: false, lose: false, reset: false };
    for (const [id, active] of this.#active) {
      const { fault } = active;
      if (fault.effect.kind === "freeze" || !matches(fault.match, described) || Math.random() >= (fault.probability ?? 1)) continue;
      active.left -= 1;
      if (active.left <= 0) this.#active.delete(id);
      verdict = merge(verdict, fault.effect);
    }
    return verdict;
  }
}

function merge(verdict: Verdict, effect: Effect): Verdict {
  switch (effect.kind) {
    case "latency": {
      const total = effect.minMs + Math.random() * ((effect.maxMs ?? effect.minMs) - effect.minMs);
      const before = total * (effect.shareBefore ?? 0.5);
      return { ...verdict, beforeMs: verdict.beforeMs + before, afterMs: verdict.afterMs + total - before };
    }
    case "fail":
      return { ...verdict, fail: verdict.fail ?? effect };
    case "hang":
      return { ...verdict, hang: true };
    case "lose":
      return { ...verdict, lose: true };
    case "reset":
      return { ...verdict, reset: true };
    case "freeze":
      return verdict;
  }
}
