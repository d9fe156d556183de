import { messageOf } from "../lib/errors.js";
import type { BgpPeer } from "../lib/bgp-peer.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { Accepted, Net, TcpServer } from "../ports/net.js";
import { callerOf, peerProblem } from "./bgp-session-options.js";

export interface ListeningDeps {
  readonly net: Net;
  readonly clock: Clock;
  readonly log: Log;
  accepted(connection: Accepted): void;
  changed(): void;
}

/** The port is asked for again so often while somebody else has it, ms. */
const RETRY_MS = 10_000;

/** The port that all peers share, open as long as somebody may dial. */
export class Listening implements AsyncDisposable {
  readonly #port: number;
  readonly #deps: ListeningDeps;
  #server: TcpServer | undefined;
  #peers: readonly BgpPeer[] = [];
  #wanted = false;
  #problem: string | undefined;
  #refused: ReadonlyMap<string, string> = new Map();
  #retry: Timer | undefined;
  #closing: Promise<void> = Promise.resolve();

  constructor(port: number, deps: ListeningDeps) {
    this.#port = port;
    this.#deps = deps;
  }

  /** Why this peer cannot dial. */
  problem(peer: BgpPeer): string | undefined {
    return this.#wanted ? (this.#problem ?? this.#refused.get(peer.name)) : undefined;
  }

  /** Lets these peers dial, or nobody where it is not wanted. */
  set(peers: readonly BgpPeer[], wanted: boolean): void {
    this.#peers = peers;
    this.#wanted = wanted;
    if (wanted) this.#open();
    else this.#close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.set([], false);
    await this.#closing;
  }

  #open(): void {
    try {
      this.#server ??= this.#deps.net.listen(this.#port, (connection) => this.#deps.accepted(connection));
      this.#problem = undefined;
      this.#allow(this.#server);
    } catch (error) {
      if (this.#problem === undefined) this.#deps.log.warn("peers cannot dial, tried again", { error: messageOf(error), retryMs: RETRY_MS });
      this.#problem = messageOf(error);
      this.#retry?.cancel();
      this.#retry = this.#deps.clock.after(RETRY_MS, () => this.#open());
    }
    this.#deps.changed();
  }

  #allow(server: TcpServer): void {
    // The kernel has one key for an address: of several peers there the one that has to be waited for decides.
    const passiveFirst = this.#peers.toSorted((a, b) => Number(b.passive) - Number(a.passive));
    const first = new Map<string, BgpPeer>();
    for (const peer of passiveFirst) if (!first.has(`${peer.address}%${peer.iface}`)) first.set(`${peer.address}%${peer.iface}`, peer);
    const callers = new Map(
      [...first.values()].flatMap((peer) => {
        const caller = peerProblem(peer) === undefined ? callerOf(peer, peer.address) : undefined;
        return caller === undefined ? [] : [[caller, peer.name] as const];
      }),
    );
    const refused = server.allow([...callers.keys()]);
    this.#refused = new Map([...refused].map(([caller, reason]) => [callers.get(caller) ?? "", reason]));
  }

  #close(): void {
    this.#retry?.cancel();
    this.#problem = undefined;
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const before = this.#closing;
    this.#closing = (async () => {
      await before;
      await server[Symbol.asyncDispose]();
    })();
  }
}
