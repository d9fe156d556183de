import type { BfdTiming } from "../lib/bgp-peer.js";
import type { BfdPacket, BfdState } from "../wire/bfd.js";

/** What the last packet of the peer said. Intervals in ms. */
export interface BfdRemote {
  readonly discriminator: number;
  readonly state: BfdState;
  readonly diagnostic: number;
  readonly demand: boolean;
  readonly minTransmitMs: number;
  /** 0: it wants no periodic packets. */
  readonly minReceiveMs: number;
  readonly multiplier: number;
}

/** bfd.DesiredMinTxInterval and bfd.RequiredMinRxInterval, ms. */
export interface BfdIntervals {
  readonly transmitMs: number;
  readonly receiveMs: number;
}

/** The variables of RFC 5880 6.8.1. */
export interface BfdSessionState {
  readonly state: BfdState;
  /** When `state` changed last. */
  readonly since: number;
  readonly diagnostic: number;
  readonly localDiscriminator: number;
  /** What was asked for; what is offered follows from it and from the state. */
  readonly timing: BfdTiming;
  /** What packets say. */
  readonly offer: BfdIntervals;
  /** What counts here: differs from the offer while a Poll Sequence has not told the peer of it (RFC 5880 6.8.3). */
  readonly active: BfdIntervals;
  /** A Poll Sequence: undefined without one; `again` where the offer changed once more since it began. */
  readonly poll: "once" | "again" | undefined;
  /** Undefined until something was heard, and after a detection time of silence. */
  readonly remote: BfdRemote | undefined;
  readonly heardAt: number;
  /** When the last periodic packet went out. */
  readonly sentAt: number;
  /** When the next one is due; undefined where the peer wants none. */
  readonly sendAt: number | undefined;
  /** While the session is closed: how many more times that is said. */
  readonly farewells: number | undefined;
}

export type BfdSessionInput =
  | { readonly type: "tick" }
  /** A packet without `bfdFault` that was found to be for this session. */
  | { readonly type: "received"; readonly packet: BfdPacket }
  | { readonly type: "timing"; readonly timing: BfdTiming }
  /** The end: AdminDown is said a few times, then there is an `ended`. */
  | { readonly type: "close" };

/** Every event brings a random number, uniform in [0, 1). */
export type BfdSessionEvent = BfdSessionInput & { readonly random: number };

export type BfdSessionAction =
  | { readonly type: "send"; readonly packet: BfdPacket }
  | { readonly type: "discarded"; readonly reason: BfdFault }
  | { readonly type: "ended" };

/** Why a packet is discarded, RFC 5880 6.8.6. */
export type BfdFault = "multiplierZero" | "multipoint" | "noDiscriminator" | "noYourDiscriminator" | "authenticated" | "pollAndFinal" | "closed";

/** RFC 5880 6.8.4: after how many ms without a packet the peer is down; undefined as long as nothing was heard. */
export function detectionMs({ remote, active }: BfdSessionState): number | undefined {
  return remote === undefined ? undefined : remote.multiplier * Math.max(active.receiveMs, remote.minTransmitMs);
}

/** RFC 5880 6.8.2 and 6.8.7: the time between periodic packets before jitter, ms; undefined where there are to be none. */
export function transmissionMs({ state, remote, active, poll }: BfdSessionState): number | undefined {
  if (remote === undefined) return active.transmitMs;
  if (remote.minReceiveMs === 0) return undefined;
  if (remote.demand && state === "Up" && remote.state === "Up" && poll === undefined) return undefined;
  return Math.max(active.transmitMs, remote.minReceiveMs);
}

/** The rules of RFC 5880 6.8.6 that a packet can break by itself, before it is known whose it is. */
export function bfdFault(packet: BfdPacket): BfdFault | undefined {
  if (packet.multiplier === 0) return "multiplierZero";
  if (packet.multipoint) return "multipoint";
  if (packet.myDiscriminator === 0) return "noDiscriminator";
  if (packet.yourDiscriminator === 0 && packet.state !== "Down" && packet.state !== "AdminDown") return "noYourDiscriminator";
  // No session here uses authentication.
  if (packet.authentication !== undefined) return "authenticated";
  // RFC 5880 6.5: never both.
  return packet.poll && packet.final ? "pollAndFinal" : undefined;
}
