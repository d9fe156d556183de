import type { BfdTiming } from "../lib/bgp-peer.js";
import { messageOf } from "../lib/errors.js";
import { bfdSessionStart, bfdSessionStep } from "../machine/bfd-session.js";
import { detectionMs, transmissionMs, type BfdSessionAction, type BfdSessionEvent, type BfdSessionState } from "../machine/bfd-session-state.js";
import { Drive } from "../machine/drive.js";
import type { BfdReport, BfdTarget } from "../ports/bfd.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { Random } from "../ports/random.js";
import type { Udp, UdpDatagram, UdpSender } from "../ports/udp.js";
import { BFD_MULTIHOP_PORT, BFD_PORT, diagnosticText, encodeBfd, type BfdPacket } from "../wire/bfd.js";

/** RFC 5881 4: each session has one of its own. */
const SOURCE_PORTS = { first: 49_152, last: 65_535 } as const;
/** RFC 5881 5: what cannot have been through a router. */
const TTL = 255;

/** The places of a session's counters: plain numbers, so that another thread can look at them. */
const SENT = 0;
const RECEIVED = 1;
const DISCARDED = 2;
const NOT_SENT = 3;
const UPS = 4;
const DOWNS = 5;
const PLACES = 6;

/** The counters of a session that begins. */
export function bfdCounters(): Float64Array<SharedArrayBuffer> {
  return new Float64Array(new SharedArrayBuffer(PLACES * Float64Array.BYTES_PER_ELEMENT));
}

export function readCounters(counters: Float64Array): BfdReport["counters"] {
  const at = (place: number): number => counters[place] ?? 0;
  return { sent: at(SENT), received: at(RECEIVED), discarded: at(DISCARDED), notSent: at(NOT_SENT), ups: at(UPS), downs: at(DOWNS) };
}

export interface RunningConfig {
  readonly target: BfdTarget;
  readonly timing: BfdTiming;
  readonly discriminator: number;
  readonly counters: Float64Array;
}

export interface RunningDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly udp: Udp;
  /** Sees to it that an answer would be heard. Returns why it would not. */
  listen(): string | undefined;
  /** Hands on what has come already, while this process was busy. */
  drain(): void;
  /** The state has changed. */
  changed(report: BfdReport): void;
  /** Anything of the report has changed, its counters aside. Before `changed`. */
  moved(report: BfdReport): void;
  /** After `close`, when the last packet is out. */
  ended(): void;
}

/** A session with its socket. */
export class RunningSession {
  readonly #machine: Drive<BfdSessionState, BfdSessionEvent, BfdSessionAction>;
  readonly #first: Timer;
  #sender: UdpSender | undefined;
  /** What the kernel said of our own doing, and whether the peer's host said that nobody listens there. */
  #fault: string | undefined;
  #refused = false;
  #closed = false;
  #told: BfdReport;

  constructor(
    readonly config: RunningConfig,
    private readonly deps: RunningDeps,
  ) {
    this.#machine = new Drive<BfdSessionState, BfdSessionEvent, BfdSessionAction>(
      {
        start: bfdSessionStart(config.discriminator, config.timing, deps.clock.now()),
        step: bfdSessionStep,
        tick: () => this.#tick(),
        act: (action) => this.#act(action),
        moved: () => {},
      },
      deps.clock,
    );
    this.#told = this.report();
    this.#first = deps.clock.after(0, () => this.#machine.send(this.#tick()));
  }

  report(): BfdReport {
    const { state } = this.#machine;
    return {
      state: state.state,
      since: state.since,
      diagnostic: diagnosticText(state.diagnostic),
      remoteDiagnostic: diagnosticText(state.remote?.diagnostic ?? 0),
      remoteState: state.remote?.state,
      detectMs: detectionMs(state),
      transmitMs: transmissionMs(state),
      problem: this.#problem(),
      counters: readCounters(this.config.counters),
    };
  }

  setTiming(timing: BfdTiming): void {
    this.#machine.send({ type: "timing", timing, random: this.deps.random.float() });
  }

  /** RFC 5881 4 and 5: whether a packet that came by this link with this TTL can be of this session. */
  accepts({ linkIndex, ttl }: UdpDatagram): boolean {
    return this.config.target.multihop || (ttl === TTL && (this.#sender?.linkIndex ?? linkIndex) === linkIndex);
  }

  received(packet: BfdPacket): void {
    this.#count(RECEIVED);
    this.#refused = false;
    this.#machine.send({ type: "received", packet, random: this.deps.random.float() });
    this.#tell();
  }

  discarded(): void {
    this.#count(DISCARDED);
  }

  /** Says AdminDown a few times; then `ended` is called. No change is told any more. */
  close(): void {
    this.#closed = true;
    this.#machine.send({ type: "close", random: this.deps.random.float() });
  }

  /** No more packets, now. */
  stop(): void {
    this.#first.cancel();
    this.#machine.stop();
    this.#drop();
  }

  #tick(): BfdSessionEvent {
    const { state } = this.#machine;
    const detect = detectionMs(state);
    // It may be us who were late: what the kernel has kept for us counts as heard.
    if (detect !== undefined && this.deps.clock.now() >= state.heardAt + detect) this.deps.drain();
    return { type: "tick", random: this.deps.random.float() };
  }

  #act(action: BfdSessionAction): void {
    if (action.type === "ended") {
      this.stop();
      this.deps.ended();
    } else if (action.type === "discarded") this.discarded();
    else {
      this.#send(encodeBfd(action.packet));
      this.#tell();
    }
  }

  #send(bytes: Uint8Array): void {
    try {
      this.#fault = this.deps.listen();
      this.#sender ??= this.#connect();
      this.#sendBy(this.#sender, bytes);
      this.#count(SENT);
    } catch (error) {
      // The next packet gets a new socket: links and addresses come and go.
      this.#drop();
      this.#fault = messageOf(error);
      this.#count(NOT_SENT);
    }
  }

  #sendBy(sender: UdpSender, bytes: Uint8Array): void {
    try {
      sender.send(bytes);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ECONNREFUSED")) throw error;
      // That was about an earlier packet, and kept this one from being sent.
      this.#refused = true;
      sender.send(bytes);
    }
  }

  #connect(): UdpSender {
    const { address, iface, local, multihop } = this.config.target;
    return this.deps.udp.connect({ to: address, port: portOf(this.config.target), from: local, iface: multihop ? undefined : iface, ttl: TTL, fromPorts: SOURCE_PORTS });
  }

  #drop(): void {
    this.#sender?.[Symbol.dispose]();
    this.#sender = undefined;
  }

  #problem(): string | undefined {
    if (this.#fault !== undefined) return this.#fault;
    const { target } = this.config;
    return this.#refused ? `${target.address} does not listen on UDP port ${portOf(target)}` : undefined;
  }

  #count(place: number): void {
    this.config.counters[place] = (this.config.counters[place] ?? 0) + 1;
  }

  #tell(): void {
    const before = this.#told;
    const report = this.report();
    if (this.#closed || sameReport(before, report)) return;
    const turned = (before.state === "Up") !== (report.state === "Up");
    if (turned) this.#count(report.state === "Up" ? UPS : DOWNS);
    this.#told = turned ? { ...report, counters: readCounters(this.config.counters) } : report;
    this.deps.moved(this.#told);
    if (report.state !== before.state || report.since !== before.since) this.deps.changed(this.#told);
  }
}

function sameReport(a: BfdReport, b: BfdReport): boolean {
  const { counters: _counters, ...rest } = a;
  return (Object.keys(rest) as (keyof typeof rest)[]).every((key) => a[key] === b[key]);
}

/** RFC 5881 4, RFC 5883 5. */
export function portOf({ multihop }: BfdTarget): number {
  return multihop ? BFD_MULTIHOP_PORT : BFD_PORT;
}
