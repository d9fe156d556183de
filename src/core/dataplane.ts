import { messageOf } from "../lib/errors.js";
import { readinessStart, readinessStep, type Readiness, type ReadinessAnswer, type ReadinessConfig, type ReadinessEvent, type ReadinessState } from "../machine/readiness.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { HttpProbe } from "../ports/http-probe.js";
import type { Log } from "../ports/log.js";

export type { Readiness } from "../machine/readiness.js";

/** Where kube-proxy, and what replaces it, says whether it is well. */
export const KUBE_PROXY_HEALTH_PORT = 10_256;

export interface DataPlaneConfig extends ReadinessConfig {
  /**
   * At most `atOnce` questions begin in a turn, and turns are at least `turnMs` apart. What is due longest comes first, so that with more ports than
   * this allows all of them are asked equally often, only more rarely.
   */
  readonly atOnce: number;
  readonly turnMs: number;
  /** Is always among the first, however many others are due: it speaks for all Services. */
  readonly firstPort: number;
}

/**
 * 25 questions a second at most: beyond 25 ports (13 while they are not ready) the period grows with their number, 20 s for 500. A question costs
 * some 0.35 ms of CPU (500 ports: 0.9 % of a core), most of it for waking up: a few at a time cost less than one by one, and 5 on loopback are no burst.
 */
export const DATA_PLANE_PACE = { atOnce: 5, turnMs: 200, firstPort: KUBE_PROXY_HEALTH_PORT } as const;

export interface DataPlaneDeps {
  readonly clock: Clock;
  readonly probe: HttpProbe;
  readonly log: Log;
  /** What `results` says has changed. Never called from within `watch`. */
  changed(): void;
}

interface WatchedPort {
  readonly port: number;
  state: ReadinessState;
  wakeAt: number;
  abort: AbortController | undefined;
}

/** Watches health ports on 127.0.0.1; machine/readiness.ts has the rules for one of them. */
export class DataPlane implements AsyncDisposable {
  readonly #ports = new Map<number, WatchedPort>();
  readonly #running = new Set<Promise<void>>();
  #results: ReadonlyMap<number, Readiness> | undefined = new Map();
  #timer: Timer | undefined;
  /** When the timer goes off; Infinity without one. */
  #timerAt = Infinity;
  #nextTurnAt = -Infinity;

  constructor(
    private readonly config: DataPlaneConfig,
    private readonly deps: DataPlaneDeps,
  ) {}

  /** These ports from now on; all others are forgotten, and are `unknown` should they come back. */
  watch(ports: ReadonlySet<number>): void {
    for (const [port, entry] of this.#ports) if (!ports.has(port)) this.#forget(entry);
    for (const port of ports) if (!this.#ports.has(port)) this.#add(port);
    if (this.#ports.size === 0) this.#disarm();
  }

  /** By port, for every watched one. The same map for as long as nothing changes. */
  results(): ReadonlyMap<number, Readiness> {
    this.#results ??= new Map([...this.#ports].map(([port, { state }]) => [port, state.readiness]));
    return this.#results;
  }

  /** Aborts what is under way and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.watch(new Set());
    await Promise.all(this.#running);
  }

  #add(port: number): void {
    const entry: WatchedPort = { port, state: readinessStart(), wakeAt: this.deps.clock.now(), abort: undefined };
    this.#ports.set(port, entry);
    this.#results = undefined;
    this.#arm(this.#dueAt(entry));
  }

  #forget(entry: WatchedPort): void {
    this.#ports.delete(entry.port);
    this.#results = undefined;
    entry.abort?.abort(new DOMException("no longer watched", "AbortError"));
  }

  #turn(): void {
    const now = this.deps.clock.now();
    const due = [...this.#ports.values()].filter(({ wakeAt }) => wakeAt <= now);
    // A question that is late ends now; it is the new ones that have to wait for their turn.
    for (const entry of due) if (entry.state.question !== undefined) this.#send(entry, { type: "tick" });
    if (now >= this.#nextTurnAt) this.#begin(due, now);
    this.#arm(Math.min(...[...this.#ports.values()].map((entry) => this.#dueAt(entry))));
  }

  #begin(due: readonly WatchedPort[], now: number): void {
    const rank = ({ port, wakeAt }: WatchedPort): number => (port === this.config.firstPort ? -Infinity : wakeAt);
    const idle = due.filter(({ state, wakeAt }) => state.question === undefined && wakeAt <= now);
    const chosen = idle.toSorted((a, b) => (rank(a) < rank(b) ? -1 : 1)).slice(0, this.config.atOnce);
    if (chosen.length > 0) this.#nextTurnAt = now + this.config.turnMs;
    for (const entry of chosen) this.#send(entry, { type: "tick" });
  }

  #send(entry: WatchedPort, event: ReadinessEvent): void {
    const { state, actions, wakeAt } = readinessStep(entry.state, event, this.deps.clock.now(), this.config);
    const before = entry.state.readiness;
    entry.state = state;
    entry.wakeAt = wakeAt ?? Infinity;
    for (const { type, id } of actions) {
      if (type === "ask") this.#ask(entry, id);
      else entry.abort?.abort(new DOMException("too late", "AbortError"));
    }
    if (state.readiness !== before) this.#changed(entry);
  }

  #changed({ port, state: { readiness, reason } }: WatchedPort): void {
    this.#results = undefined;
    if (readiness === "ready") this.deps.log.info("data plane ready", { port });
    else this.deps.log.warn("data plane not ready", { port, reason });
    this.deps.changed();
  }

  #ask(entry: WatchedPort, id: number): void {
    const abort = new AbortController();
    entry.abort = abort;
    const running = this.#answer(entry.port, abort.signal)
      .then((answer) => {
        if (abort.signal.aborted) return; // Nobody waits for the answer any more.
        this.#send(entry, { type: "answer", id, answer });
        this.#arm(this.#dueAt(entry));
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #answer(port: number, signal: AbortSignal): Promise<ReadinessAnswer> {
    try {
      return { status: await this.deps.probe.status(port, signal) };
    } catch (error) {
      return { failed: messageOf(error) };
    }
  }

  /** When this port needs the timer: at the end of its question, or when it may ask the next one. */
  #dueAt({ state, wakeAt }: WatchedPort): number {
    return state.question === undefined ? Math.max(wakeAt, this.#nextTurnAt) : wakeAt;
  }

  #arm(at: number): void {
    if (at >= this.#timerAt) return;
    this.#disarm();
    this.#timerAt = at;
    this.#timer = this.deps.clock.after(Math.max(0, at - this.deps.clock.now()), () => {
      this.#timerAt = Infinity;
      this.#turn();
    });
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAt = Infinity;
  }
}
