import type { Clock } from "../ports/clock.js";
import type { Leases } from "../ports/kube.js";
import type { RequestSeen } from "../kube/client.js";

/** Codes of requests that nobody answered, or nobody who knows us. */
const UNANSWERED: ReadonlySet<string> = new Set(["network", "timeout", "config", "protocol", "401"]);

/** What a code does not say by itself. */
const WORDS: Readonly<Record<string, string>> = { config: "no usable kubeconfig or credentials", "401": "401, the credentials are not taken" };

/** Whether the API answers, as the requests and watches of this process see it. */
export class ApiReach {
  #heardAt: number | undefined;
  #failure: { readonly at: number; readonly what: string } | undefined;

  constructor(private readonly clock: Pick<Clock, "now">) {}

  /** One finished request. */
  requested({ verb, resource, code }: RequestSeen): void {
    if (!UNANSWERED.has(code) && !/^5\d\d$/.test(code)) this.heard();
    else this.#failure = { at: this.clock.now(), what: `${verb} ${resource}: ${WORDS[code] ?? code}` };
  }

  /** The API sent something, asked or not. */
  heard(): void {
    this.#heardAt = this.clock.now();
    this.#failure = undefined;
  }

  /** Since the API was last heard, ms; undefined where it never was. */
  get silentMs(): number | undefined {
    return this.#heardAt === undefined ? undefined : this.clock.now() - this.#heardAt;
  }

  /** Why the API does not seem to answer; undefined where it does. */
  problem(): string | undefined {
    const silent = this.silentMs;
    if (this.#failure !== undefined) {
      const since = silent === undefined ? "never heard" : `heard ${seconds(silent)} ago`;
      return `the API does not answer: ${this.#failure.what}; ${since}`;
    }
    return silent === undefined ? "the API has not answered yet" : undefined;
  }

  /**
   * The same Leases; what their watches bring counts as heard. A node that owns nothing asks nothing: that the API is back it knows only from the renews of
   * others.
   */
  tap(leases: Leases): Leases {
    return {
      ...leases,
      watch: async (id, seen, signal) =>
        leases.watch(
          id,
          (lease) => {
            this.heard();
            seen(lease);
          },
          signal,
        ),
      watchLabelled: async (where, changed, signal) =>
        leases.watchLabelled(
          where,
          (seen) => {
            this.heard();
            changed(seen);
          },
          signal,
        ),
    };
  }
}

/** `3.2 s` */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
