import { KeyedSync } from "../core/sync.js";
import { messageOf } from "../lib/errors.js";
import type { BgpPeerReport } from "../modes/bgp-report.js";
import { rivalText } from "../modes/bgp-rival.js";
import type { Clock } from "../ports/clock.js";
import type { EventDraft, Events } from "../ports/kube.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";

export interface SessionEventsDeps {
  readonly node: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly events: Events;
}

const BACKOFF = { firstRetryMs: 1000, lastRetryMs: 30_000, concurrency: 2 };
/** A session that comes and goes all the time must not fill the memory: so many are waiting, or were written last. */
const MOST = 32;

/**
 * Events about the Node: a session with a BGP peer that was up and is lost, and one that cannot come up, for another process of the node has it. The same reason
 * again raises the count of the first Event.
 */
export class SessionEvents {
  readonly #lost = new Map<string, number>();
  readonly #rivals = new Map<string, string | undefined>();
  readonly #writing: KeyedSync<string, EventDraft, void>;
  #drafts: ReadonlyMap<string, EventDraft> = new Map();

  constructor(private readonly deps: SessionEventsDeps) {
    const { clock, random, log } = deps;
    const verbs = {
      up: async (_key: string, event: EventDraft, signal: AbortSignal): Promise<void> => deps.events.write(event, signal),
      down: async (): Promise<void> => undefined,
    };
    const failed = (key: string, _verb: string, error: unknown): void => log.debug("event not written, tried again", { key, error: messageOf(error) });
    this.#writing = new KeyedSync({ ...BACKOFF, same: () => true }, verbs, { clock, random, changed: () => undefined, failed });
  }

  /** Compares with what was seen before. */
  look(reports: readonly BgpPeerReport[]): void {
    const before = this.#drafts;
    for (const report of reports) {
      this.#lookAtRival(report);
      const { name } = report.peer;
      const { flaps } = report.counters;
      const known = this.#lost.get(name) ?? 0;
      this.#lost.set(name, flaps);
      // A peer that was configured anew counts from 0.
      if (flaps > known) this.#add(`${name} ${flaps} ${report.lastEnd?.at ?? 0}`, this.#draft("BgpSessionLost", `the BGP session with ${whoOf(report)} was lost: ${report.lastEnd?.reason ?? "no reason is known"}`));
    }
    if (this.#drafts !== before) this.#writing.set(this.#drafts);
  }

  /** What is not written by now is not written any more. */
  stop(): void {
    this.#writing.stop();
  }

  #lookAtRival(report: BgpPeerReport): void {
    const { rival, peer: { name } } = report;
    if (rival !== undefined && this.#rivals.get(name) !== rival) this.#add(`${name} ${rival}`, this.#draft("BgpPeerTaken", `there is no BGP session with ${whoOf(report)}: ${rivalText(rival)}`));
    this.#rivals.set(name, rival);
  }

  #add(key: string, draft: EventDraft): void {
    this.#drafts = new Map([...this.#drafts, [key, draft] as const].slice(-MOST));
  }

  #draft(reason: string, message: string): EventDraft {
    const { node } = this.deps;
    // The kubelet calls a node by its name where objects have a uid.
    return { service: { kind: "Node", namespace: "default", name: node, uid: node }, type: "Warning", reason, message };
  }
}

function whoOf({ peer: { name, address } }: BgpPeerReport): string {
  return address === undefined || name === address ? name : `${name} (${address})`;
}
