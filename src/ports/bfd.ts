import type { BfdTiming } from "../lib/bgp-peer.js";
import type { IpAddress } from "../lib/ip.js";

/** Whom a session watches, and from where. */
export interface BfdTarget {
  readonly address: IpAddress;
  /** Single hop only: the link that packets leave by and must come in by. A link-local address needs it. */
  readonly iface: string | undefined;
  /** Source address of our packets; undefined: as the routes say. */
  readonly local: IpAddress | undefined;
  /** RFC 5883, UDP port 4784, any TTL; otherwise RFC 5881, UDP port 3784, TTL 255 only. */
  readonly multihop: boolean;
}

export type BfdStateName = "AdminDown" | "Down" | "Init" | "Up";

/** What was counted since the session was opened: packets, and changes of its state. */
export interface BfdCounters {
  readonly sent: number;
  readonly received: number;
  /** Were for this session and broke a rule of RFC 5880 6.8.6 or RFC 5881 5. */
  readonly discarded: number;
  /** The kernel would not send them. */
  readonly notSent: number;
  /** How often the session came up, */
  readonly ups: number;
  /** and how often it was up and went down. */
  readonly downs: number;
}

/** What is known of a session. */
export interface BfdReport {
  readonly state: BfdStateName;
  /** Clock.now() of the last change of state. */
  readonly since: number;
  /** Why the state changed last, in the words of RFC 5880 4.1: `control detection time expired`. */
  readonly diagnostic: string;
  /** The same as the peer says it. */
  readonly remoteDiagnostic: string;
  /** Undefined after a detection time of silence. `AdminDown`: that we are Down is no failure, routing protocols stay as they are (RFC 5882 3.2). */
  readonly remoteState: BfdStateName | undefined;
  /** After so much silence the peer is down; undefined as long as nothing was heard. */
  readonly detectMs: number | undefined;
  /** Mean time between our packets, before jitter; undefined where the peer wants none. */
  readonly transmitMs: number | undefined;
  /** What keeps packets from being sent or heard: `receive on UDP port 3784: EADDRINUSE`. */
  readonly problem: string | undefined;
  readonly counters: BfdCounters;
}

/** One watched peer. Disposing sends AdminDown first, so that the peer does not take the end for a failure. */
export interface BfdSession extends Disposable {
  report(): BfdReport;
  /** New intervals, negotiated while the session stays up (RFC 5880 6.8.3). */
  setTiming(timing: BfdTiming): void;
}

/** Bidirectional Forwarding Detection, RFC 5880. Disposing ends all sessions. */
export interface Bfd extends AsyncDisposable {
  /**
   * Starts to watch a peer. Never throws for what the network does: `problem` of the report says what is wrong, and it is tried again. `changed` is
   * called after each change of the state, never from within `open` and never after the session was disposed. A second session to the same target is
   * a RangeError.
   */
  open(target: BfdTarget, timing: BfdTiming, changed: (report: BfdReport) => void): BfdSession;
}
