import type { BfdTiming } from "../lib/bgp-peer.js";
import { messageOf } from "../lib/errors.js";
import { familyOf, type Family } from "../lib/ip.js";
import { bfdFault } from "../machine/bfd-session-state.js";
import type { Bfd, BfdReport, BfdSession, BfdTarget } from "../ports/bfd.js";
import type { Clock } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import type { Udp, UdpDatagram, UdpReceiver } from "../ports/udp.js";
import { decodeBfd, type BfdPacket } from "../wire/bfd.js";
import { DecodeError } from "../wire/reader.js";
import { bfdCounters, portOf, RunningSession, type RunningConfig } from "./bfd-session.js";

export interface BfdDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly udp: Udp;
  readonly log: Log;
}

export interface BfdListener {
  /** The state has changed. */
  changed(report: BfdReport): void;
  /** Anything of the report has changed, its counters aside. Before `changed`. */
  moved(report: BfdReport): void;
}

/** BFD sessions over UDP; machine/bfd-session.ts has the rules of one of them. */
export class BfdSessions implements Bfd {
  readonly #open = new Map<string, RunningSession>();
  readonly #byDiscriminator = new Map<number, RunningSession>();
  /** Those that still say AdminDown. */
  readonly #leaving = new Map<string, RunningSession>();
  readonly #receivers = new Map<string, UdpReceiver>();
  #closing: PromiseLike<void>[] = [];
  #left: (() => void) | undefined;

  constructor(private readonly deps: BfdDeps) {}

  open(target: BfdTarget, timing: BfdTiming, changed: (report: BfdReport) => void): BfdSession {
    return this.openCounted({ target, timing, counters: bfdCounters() }, { changed, moved: () => {} });
  }

  /** The same, with counters that the caller may look at from another thread. */
  openCounted({ target, timing, counters }: Omit<RunningConfig, "discriminator">, listener: BfdListener): BfdSession {
    const key = bfdKey(target);
    if (this.#open.has(key)) throw new RangeError(`there is a BFD session with ${key} already`);
    this.#leaving.get(key)?.stop();
    this.#leaving.delete(key);
    const discriminator = this.#newDiscriminator();
    const session: RunningSession = new RunningSession(
      { target, timing, discriminator, counters },
      { ...this.deps, ...this.#told(key, listener), listen: () => this.#listen(target), drain: () => this.#drain(), ended: () => this.#ended(key, session) },
    );
    this.#open.set(key, session);
    this.#byDiscriminator.set(discriminator, session);
    return { report: () => session.report(), setTiming: (next) => session.setTiming(next), [Symbol.dispose]: () => this.#close(key, session) };
  }

  /** Writes down what an operator wants to know, and passes it on. */
  #told(peer: string, listener: BfdListener): BfdListener {
    let problem: string | undefined;
    return {
      moved: (report) => {
        if (report.problem !== undefined && report.problem !== problem) this.deps.log.warn("bfd has a problem", { peer, problem: report.problem });
        problem = report.problem;
        listener.moved(report);
      },
      changed: (report) => {
        const { state, diagnostic, remoteState, remoteDiagnostic } = report;
        if (state === "Up") this.deps.log.info("bfd up", { peer });
        else if (state === "Down") this.deps.log.warn("bfd down", { peer, diagnostic, remoteState, remoteDiagnostic });
        listener.changed(report);
      },
    };
  }

  /** Says AdminDown to all peers, which takes some 40 ms, and closes the sockets. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const [key, session] of this.#open) this.#close(key, session);
    if (this.#leaving.size > 0) {
      await new Promise<void>((resolve) => {
        this.#left = resolve;
      });
    }
    this.#closeReceivers();
    await Promise.all(this.#closing);
  }

  #close(key: string, session: RunningSession): void {
    if (this.#open.get(key) !== session) return;
    this.#open.delete(key);
    this.#byDiscriminator.delete(session.config.discriminator);
    this.#leaving.set(key, session);
    session.close();
  }

  #ended(key: string, session: RunningSession): void {
    if (this.#leaving.get(key) === session) this.#leaving.delete(key);
    if (this.#leaving.size > 0) return;
    if (this.#open.size === 0) this.#closeReceivers();
    this.#left?.();
  }

  /** RFC 5880 6.8.1: unique on this system, not 0, and best not to be guessed. */
  #newDiscriminator(): number {
    for (;;) {
      const discriminator = Math.floor(this.deps.random.float() * 0xffff_ffff) + 1;
      if (!this.#byDiscriminator.has(discriminator)) return discriminator;
    }
  }

  #listen(target: BfdTarget): string | undefined {
    const port = portOf(target);
    const family = familyOf(target.address);
    const name = `${port}/${family}`;
    if (this.#receivers.has(name)) return undefined;
    try {
      this.#receivers.set(name, this.deps.udp.receive({ port, family }, (datagram) => this.#received(datagram, { port, family })));
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  }

  #drain(): void {
    for (const receiver of this.#receivers.values()) receiver.drain();
  }

  #closeReceivers(): void {
    for (const receiver of this.#receivers.values()) this.#closing.push(receiver[Symbol.asyncDispose]());
    this.#receivers.clear();
  }

  #received(datagram: UdpDatagram, at: { readonly port: number; readonly family: Family }): void {
    try {
      const packet = decodeBfd(datagram.bytes);
      const session = this.#sessionOf(packet, datagram, at.port);
      if (session === undefined) return;
      if (bfdFault(packet) !== undefined || !session.accepts(datagram)) session.discarded();
      else session.received(packet);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.deps.log.debug("bfd packet dropped", { from: datagram.source, error: messageOf(error) });
    }
  }

  /**
   * RFC 5880 6.3: by Your Discriminator alone, whatever address the peer sends from (it may have several on a link); where it does not know ours yet, by
   * where the packet is from.
   */
  #sessionOf({ yourDiscriminator }: BfdPacket, datagram: UdpDatagram, port: number): RunningSession | undefined {
    if (yourDiscriminator !== 0) {
      const session = this.#byDiscriminator.get(yourDiscriminator);
      return session !== undefined && portOf(session.config.target) === port ? session : undefined;
    }
    const candidates = [...this.#open.values()].filter(({ config: { target } }) => {
      if (portOf(target) !== port || target.address !== datagram.source) return false;
      return target.local === undefined || target.local === datagram.destination;
    });
    // One with a wrong TTL is still found, to be counted.
    return candidates.find((session) => session.accepts(datagram)) ?? candidates[0];
  }
}

/** What tells one session from another: `10.0.0.1%eth0`, `10.9.9.9 from 10.0.0.2, multihop`. */
export function bfdKey({ address, iface, local, multihop }: BfdTarget): string {
  const link = iface === undefined || multihop ? "" : `%${iface}`;
  return `${address}${link}${local === undefined ? "" : ` from ${local}`}${multihop ? ", multihop" : ""}`;
}
