import type { BfdTiming } from "../lib/bgp-peer.js";
import { assertNever } from "../lib/errors.js";
import { bfdCounters, readCounters } from "../modes/bfd-session.js";
import { bfdKey } from "../modes/bfd.js";
import type { Bfd, BfdReport, BfdSession, BfdTarget } from "../ports/bfd.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { FromBfdThread, ToBfdThread } from "./bfd-messages.js";

/** A thread that failed is started again after this. */
const RESTART_MS = 1000;
/** How long the thread gets to say AdminDown to all peers. */
const END_MS = 1000;

/** The other side: a thread of its own. */
export interface BfdThreadHandle {
  post(message: ToBfdThread): void;
  /** Ends it, whatever it does; resolves when it is gone. */
  end(): Promise<void>;
}

export interface BfdThreadListener {
  message(message: FromBfdThread): void;
  /** It is gone, and nobody asked for that. */
  failed(why: string): void;
}

export interface BfdThreadDeps {
  readonly clock: Clock;
  readonly log: Log;
  start(listener: BfdThreadListener): BfdThreadHandle;
}

interface Watched {
  readonly id: number;
  readonly key: string;
  readonly target: BfdTarget;
  timing: BfdTiming;
  report: BfdReport;
  readonly counters: Float64Array;
  readonly changed: (report: BfdReport) => void;
}

/**
 * BFD in a thread of its own, which nothing that this one does can hold up: lists that are parsed, plans, garbage. It is started for the first session.
 * Where it fails, sessions are `AdminDown` until it runs again: that says nothing about the peers.
 */
export class BfdThread implements Bfd {
  readonly #watched = new Map<number, Watched>();
  #thread: BfdThreadHandle | undefined;
  #restart: Timer | undefined;
  #nextId = 1;
  #ended: (() => void) | undefined;
  #disposed = false;

  constructor(private readonly deps: BfdThreadDeps) {}

  open(target: BfdTarget, timing: BfdTiming, changed: (report: BfdReport) => void): BfdSession {
    const key = bfdKey(target);
    if (this.#disposed) throw new RangeError(`no BFD session with ${key}: BFD is closed`);
    for (const one of this.#watched.values()) if (one.key === key) throw new RangeError(`there is a BFD session with ${key} already`);
    const id = this.#nextId;
    this.#nextId += 1;
    const watched: Watched = { id, key, target, timing, changed, counters: bfdCounters(), report: notHeard(this.deps.clock.now()) };
    this.#watched.set(id, watched);
    if (this.#thread === undefined) this.#start();
    else this.#post(openMessage(watched));
    return {
      report: () => reportOf(watched),
      setTiming: (next) => {
        watched.timing = next;
        this.#post({ type: "timing", id, timing: next });
      },
      [Symbol.dispose]: () => {
        if (this.#watched.delete(id)) this.#post({ type: "close", id });
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#restart?.cancel();
    this.#watched.clear();
    const thread = this.#thread;
    if (thread === undefined) return;
    await new Promise<void>((resolve) => {
      const late = this.deps.clock.after(END_MS, resolve);
      this.#ended = () => {
        late.cancel();
        resolve();
      };
      thread.post({ type: "end" });
    });
    this.#thread = undefined;
    await thread.end();
  }

  #start(): void {
    if (this.#restart !== undefined) return;
    this.#thread = this.deps.start({ message: (message) => this.#message(message), failed: (why) => this.#failed(why) });
    for (const watched of this.#watched.values()) this.#post(openMessage(watched));
  }

  /** Without a thread there is nobody to tell: the next one is told everything. */
  #post(message: ToBfdThread): void {
    this.#thread?.post(message);
  }

  #message(message: FromBfdThread): void {
    switch (message.type) {
      case "log":
        this.deps.log[message.level](message.message, message.fields);
        return;
      case "ended":
        this.#ended?.();
        return;
      case "report": {
        const watched = this.#watched.get(message.id);
        if (watched !== undefined) tell(watched, { ...message.report, since: this.deps.clock.now() - message.ageMs });
        return;
      }
      default:
        assertNever(message);
    }
  }

  #failed(why: string): void {
    this.#thread = undefined;
    this.#ended?.();
    if (this.#disposed) return;
    this.deps.log.error("bfd thread ended", { why, againInMs: RESTART_MS });
    this.#restart = this.deps.clock.after(RESTART_MS, () => {
      this.#restart = undefined;
      this.#start();
    });
    for (const watched of this.#watched.values()) {
      tell(watched, { ...notHeard(this.deps.clock.now()), state: "AdminDown", problem: `the thread of BFD ended: ${why}` });
    }
  }
}

function tell(watched: Watched, report: BfdReport): void {
  const before = watched.report;
  watched.report = report;
  if (report.state !== before.state) watched.changed(reportOf(watched));
}

function reportOf({ report, counters }: Watched): BfdReport {
  return { ...report, counters: readCounters(counters) };
}

function openMessage({ id, target, timing, counters }: Watched): ToBfdThread {
  return { type: "open", id, target, timing, counters };
}

function notHeard(since: number): BfdReport {
  return {
    state: "Down",
    since,
    diagnostic: "no diagnostic",
    remoteDiagnostic: "no diagnostic",
    remoteState: undefined,
    detectMs: undefined,
    transmitMs: undefined,
    problem: undefined,
    counters: readCounters(bfdCounters()),
  };
}
