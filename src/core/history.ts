import type { LeaseKey, OwnershipKey, RouteKey, ServiceKey, VipKey } from "./model.js";

/** What is remembered of: a Service, an ownership key, an address on a link, a route, or a lease. */
export type Subject = `service ${string}` | `ownership ${string}` | `vip ${string}` | `route ${string}` | `lease ${string}`;

/** The same moment on two clocks: monotonic ms for durations, ms since 1970 for people. */
export interface Moment {
  readonly now: number;
  readonly wallMs: number;
}

/** A subject came into a state. */
export interface Transition {
  /** One or two words, `up`, `held by n2`, `noAddress`. */
  readonly state: string;
  /** The rest of the story; empty where there is none. */
  readonly detail: string;
  readonly at: Moment;
}

/** Something went wrong. It stays known after it went right again. */
export interface Failure {
  /** What we tried and on what. */
  readonly text: string;
  /** The first and the newest time that it failed with this text. */
  readonly first: Moment;
  readonly last: Moment;
  readonly times: number;
  /** When it went right again; undefined while it is wrong. */
  readonly cleared: Moment | undefined;
}

/** What is remembered of one subject, oldest transition first. */
export interface Past {
  readonly transitions: readonly Transition[];
  readonly failure: Failure | undefined;
}

export interface HistoryLimits {
  /** Transitions per subject. Default 20. */
  readonly transitions?: number;
  /** Ownership keys, and as many of all else; those that changed longest ago are forgotten first. Default 2,000. */
  readonly subjects?: number;
}

const NOTHING: Past = { transitions: [], failure: undefined };

/** Bounded memory of what happened. Only changes are recorded: a state that is recorded again keeps the moment at which it began. */
export class History {
  // In the order of the last change, for the first key of a map is the one that was put longest ago. A storm of Services does not drive out who owns them.
  readonly #ownership = new Map<Subject, Past>();
  readonly #others = new Map<Subject, Past>();
  readonly #transitions: number;
  readonly #subjects: number;

  constructor({ transitions = 20, subjects = 2000 }: HistoryLimits = {}) {
    this.#transitions = transitions;
    this.#subjects = subjects;
  }

  get size(): number {
    return this.#ownership.size + this.#others.size;
  }

  past(subject: Subject): Past {
    return this.#mapOf(subject).get(subject) ?? NOTHING;
  }

  /** The state that the subject is in, with its beginning; undefined where nothing is known (any more). */
  current(subject: Subject): Transition | undefined {
    return this.past(subject).transitions.at(-1);
  }

  /** The subject is in this state. */
  record(subject: Subject, transition: Transition): void {
    const past = this.past(subject);
    const last = past.transitions.at(-1);
    if (last?.state === transition.state && last.detail === transition.detail) return;
    // Only the detail differs: it is the same state, which began when it began.
    const same = last?.state === transition.state;
    const before = same ? past.transitions.slice(0, -1) : past.transitions;
    const next = same ? { ...transition, at: last.at } : transition;
    this.#put(subject, { ...past, transitions: [...before, next].slice(-this.#transitions) });
  }

  /** An attempt failed. */
  failed(subject: Subject, text: string, at: Moment): void {
    const past = this.past(subject);
    const { failure } = past;
    const again = failure?.text === text && failure.cleared === undefined;
    const next: Failure = { text, first: again ? failure.first : at, last: at, times: again ? failure.times + 1 : 1, cleared: undefined };
    this.#put(subject, { ...past, failure: next });
  }

  /** What had failed works. */
  cleared(subject: Subject, at: Moment): void {
    const past = this.past(subject);
    if (past.failure === undefined || past.failure.cleared !== undefined) return;
    this.#put(subject, { ...past, failure: { ...past.failure, cleared: at } });
  }

  #mapOf(subject: Subject): Map<Subject, Past> {
    return subject.startsWith("ownership ") ? this.#ownership : this.#others;
  }

  #put(subject: Subject, past: Past): void {
    const pasts = this.#mapOf(subject);
    pasts.delete(subject);
    pasts.set(subject, past);
    for (const oldest of pasts.keys()) {
      if (pasts.size <= this.#subjects) return;
      pasts.delete(oldest);
    }
  }
}

export function serviceSubject(key: ServiceKey): Subject {
  return `service ${key}`;
}

export function ownershipSubject(key: OwnershipKey): Subject {
  return `ownership ${key}`;
}

export function vipSubject(key: VipKey): Subject {
  return `vip ${key}`;
}

export function routeSubject(key: RouteKey): Subject {
  return `route ${key}`;
}

export function leaseSubject(key: LeaseKey): Subject {
  return `lease ${key}`;
}
