import type { Described } from "./request.js";

/** How many requests of one sort there were; code 0 is a request that got no answer. */
export type Count = { readonly verb: string; readonly resource: string; readonly code: number; readonly remote: string; readonly user: string; readonly count: number };

/** All counts since the last reset. */
export type CounterReport = { readonly requests: readonly Count[]; readonly total: number; readonly connections: number; readonly openConnections: number; readonly openWatches: number };

/** Counts requests and connections. */
export class Counters {
  #connections = 0;
  readonly #counts = new Map<string, { readonly key: Omit<Count, "count">; count: number }>();

  /** One more connection was accepted. */
  connection(): void {
    this.#connections += 1;
  }

  /** One more request was answered, or left without an answer. */
  request(described: Described, code: number): void {
    const { verb, resource, remote, user } = described;
    const id = JSON.stringify([verb, resource, code, remote, user]);
    const known = this.#counts.get(id);
    if (known !== undefined) known.count += 1;
    else this.#counts.set(id, { key: { verb, resource, code, remote, user }, count: 1 });
  }

  /** Starts from zero. */
  reset(): void {
    this.#connections = 0;
    this.#counts.clear();
  }

  /** The counts now. */
  report(openConnections: number, openWatches: number): CounterReport {
    const requests = [...this.#counts.values()].map(({ key, count }) => ({ ...key, count }));
    return { requests, total: requests.reduce((sum, { count }) => sum + count, 0), connections: this.#connections, openConnections, openWatches };
  }
}
