import { DecodeError, Reader } from "./reader.js";
import { Writer } from "./writer.js";

/** RFC 5881 4, RFC 5883 5: UDP destination ports. */
export const BFD_PORT = 3784;
export const BFD_MULTIHOP_PORT = 4784;

/** RFC 5880 4.1, Sta. The index is the value on the wire. */
export const BFD_STATES = ["AdminDown", "Down", "Init", "Up"] as const;
export type BfdState = (typeof BFD_STATES)[number];

/** RFC 5880 4.1, Diag: codes of ours, and those that peers send most. */
export const DIAG_NONE = 0;
export const DIAG_DETECTION_TIME_EXPIRED = 1;
export const DIAG_NEIGHBOR_SIGNALED_DOWN = 3;
export const DIAG_ADMINISTRATIVELY_DOWN = 7;

const DIAGNOSTICS = [
  "no diagnostic",
  "control detection time expired",
  "echo function failed",
  "neighbor signaled session down",
  "forwarding plane reset",
  "path down",
  "concatenated path down",
  "administratively down",
  "reverse concatenated path down",
] as const;

const VERSION = 1;
const LENGTH = 24;

const FLAG_POLL = 0x20;
const FLAG_FINAL = 0x10;
const FLAG_CONTROL_PLANE_INDEPENDENT = 0x08;
const FLAG_AUTHENTICATED = 0x04;
const FLAG_DEMAND = 0x02;
const FLAG_MULTIPOINT = 0x01;

/** A BFD Control packet. Intervals are in µs, 0 to 2^32-1. */
export interface BfdPacket {
  /** 0 to 31; `diagnosticText` has words for it. */
  readonly diagnostic: number;
  readonly state: BfdState;
  readonly poll: boolean;
  readonly final: boolean;
  readonly controlPlaneIndependent: boolean;
  readonly demand: boolean;
  /** Reserved for extensions; never set (RFC 5880 4.1). */
  readonly multipoint: boolean;
  readonly multiplier: number;
  readonly myDiscriminator: number;
  /** 0: not known yet. */
  readonly yourDiscriminator: number;
  readonly desiredMinTx: number;
  readonly requiredMinRx: number;
  readonly requiredMinEchoRx: number;
  /** The authentication section as it came, its type and length included; undefined without the A bit. */
  readonly authentication: Uint8Array | undefined;
}

//   0        1              2         3         4
//  ┌───┬─────┬─────────────┬─────────┬─────────┐
//  │V 1│diag │St PFCADM    │ detect  │ length  │
//  │ 3 │  5  │ 2 each 1 bit│  mult   │         │
//  ├───┴─────┴─────────────┴─────────┴─────────┤
//  │ 4   my discriminator                      │
//  │ 8   your discriminator                    │
//  │ 12  desired min TX interval, µs           │
//  │ 16  required min RX interval, µs          │
//  │ 20  required min echo RX interval, µs     │
//  ├───────────────────────────────────────────┤
//  │ 24  authentication: type, length, data    │ only with A
//  └───────────────────────────────────────────┘

/** The UDP payload. An authentication section is written as it is given. */
export function encodeBfd(packet: BfdPacket): Uint8Array {
  const { authentication = new Uint8Array(0) } = packet;
  return new Writer(LENGTH + authentication.length)
    .u8((VERSION << 5) | (packet.diagnostic & 0x1f))
    .u8((BFD_STATES.indexOf(packet.state) << 6) | flagsOf(packet))
    .u8(packet.multiplier)
    .u8(LENGTH + authentication.length)
    .u32(packet.myDiscriminator)
    .u32(packet.yourDiscriminator)
    .u32(packet.desiredMinTx)
    .u32(packet.requiredMinRx)
    .u32(packet.requiredMinEchoRx)
    .bytes(authentication)
    .finish();
}

/**
 * Reads a UDP payload; octets behind the packet's own length are ignored. Throws DecodeError for what cannot be read: another version, a length that
 * cannot be (RFC 5880 6.8.6, first three rules). Whether the values may be is for the session to say.
 */
export function decodeBfd(bytes: Uint8Array): BfdPacket {
  const reader = new Reader(bytes);
  const first = reader.u8();
  if (first >>> 5 !== VERSION) throw new DecodeError("value", 0, `version ${first >>> 5}, expected ${VERSION}`);
  const second = reader.u8();
  const multiplier = reader.u8();
  const authenticated = (second & FLAG_AUTHENTICATED) !== 0;
  const length = lengthOf(reader, authenticated);
  const part = reader.part(length - reader.offset);
  return {
    diagnostic: first & 0x1f,
    state: BFD_STATES[second >>> 6] ?? "AdminDown",
    poll: (second & FLAG_POLL) !== 0,
    final: (second & FLAG_FINAL) !== 0,
    controlPlaneIndependent: (second & FLAG_CONTROL_PLANE_INDEPENDENT) !== 0,
    demand: (second & FLAG_DEMAND) !== 0,
    multipoint: (second & FLAG_MULTIPOINT) !== 0,
    multiplier,
    myDiscriminator: part.u32(),
    yourDiscriminator: part.u32(),
    desiredMinTx: part.u32(),
    requiredMinRx: part.u32(),
    requiredMinEchoRx: part.u32(),
    authentication: authenticated ? part.bytes(part.remaining) : undefined,
  };
}

/** Words of RFC 5880 4.1 for a diagnostic code: `control detection time expired`; `diagnostic 17` for a reserved one. */
export function diagnosticText(code: number): string {
  return DIAGNOSTICS[code] ?? `diagnostic ${code}`;
}

function lengthOf(reader: Reader, authenticated: boolean): number {
  const length = reader.u8();
  const least = authenticated ? LENGTH + 2 : LENGTH;
  if (length < least) throw new DecodeError("length", 3, `length ${length}, expected at least ${least}`);
  return length;
}

function flagsOf(packet: BfdPacket): number {
  return (
    (packet.poll ? FLAG_POLL : 0) |
    (packet.final ? FLAG_FINAL : 0) |
    (packet.controlPlaneIndependent ? FLAG_CONTROL_PLANE_INDEPENDENT : 0) |
    (packet.authentication === undefined ? 0 : FLAG_AUTHENTICATED) |
    (packet.demand ? FLAG_DEMAND : 0) |
    (packet.multipoint ? FLAG_MULTIPOINT : 0)
  );
}
