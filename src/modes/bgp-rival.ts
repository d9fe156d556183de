import { messageOf } from "../lib/errors.js";
import type { BgpPeer } from "../lib/bgp-peer.js";
import type { Clock } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { TcpTable } from "../ports/tcp-table.js";

export interface RivalDeps {
  /** Undefined: nobody is looked for. */
  readonly tcpTable: TcpTable | undefined;
  readonly clock: Clock;
  readonly log: Log;
  changed(): void;
}

/** Looked again after this at the earliest: who has a socket is found by going through all processes, ms. */
const AGAIN_MS = 10_000;

/** Another process of this node that has a session with a peer, which refuses ours for that reason. */
export class Rival implements Disposable {
  readonly #peer: Pick<BgpPeer, "name" | "address" | "port">;
  readonly #deps: RivalDeps;
  readonly #ending = new AbortController();
  #process: string | undefined;
  #looked = -Infinity;

  constructor(peer: Pick<BgpPeer, "name" | "address" | "port">, deps: RivalDeps) {
    this.#peer = peer;
    this.#deps = deps;
  }

  /** `bird (812)`; undefined where there is none. */
  get process(): string | undefined {
    return this.#process;
  }

  /** There is no session: because of somebody else? */
  look(): void {
    const { tcpTable, clock } = this.#deps;
    const { address, port } = this.#peer;
    const now = clock.now();
    if (tcpTable === undefined || address === undefined || this.#ending.signal.aborted || now < this.#looked + AGAIN_MS) return;
    this.#looked = now;
    void tcpTable.others({ address, port }, this.#ending.signal).then(
      (found) => this.#found(found.length === 0 ? undefined : (found.find(({ process }) => process !== undefined)?.process ?? UNSEEN)),
      (error: unknown) => this.#deps.log.debug("tcp connections not listed", { peer: this.#peer.name, error: messageOf(error) }),
    );
  }

  /** There is a session: nobody stands in its way. */
  clear(): void {
    this.#process = undefined;
    this.#looked = -Infinity;
  }

  [Symbol.dispose](): void {
    this.#ending.abort(new DOMException("the peer is no longer wanted", "AbortError"));
  }

  #found(process: string | undefined): void {
    // Cleared meanwhile, or no longer wanted.
    if (this.#looked === -Infinity || this.#ending.signal.aborted || process === this.#process) return;
    this.#process = process;
    this.#deps.changed();
  }
}

const UNSEEN = "a process that cannot be seen from here";

/** What is to be said of it, and done about it. */
export function rivalText(process: string | undefined): string {
  return `${process ?? UNSEEN} on this node already has a session with it, and a router takes one from each node: peer with that process instead (docs/bird-publisher.md)`;
}
