import { DecodeError, type Reader } from "../reader.js";
import { Writer } from "../writer.js";
import type { AfiSafi } from "./family.js";

export const CAP_MULTIPROTOCOL = 1;
export const CAP_ROUTE_REFRESH = 2;
export const CAP_EXTENDED_NEXT_HOP = 5;
export const CAP_EXTENDED_MESSAGE = 6;
export const CAP_GRACEFUL_RESTART = 64;
export const CAP_FOUR_OCTET_AS = 65;
export const CAP_ADD_PATH = 69;
export const CAP_ENHANCED_REFRESH = 70;

const GR_RESTARTING = 0x8000;
const GR_NOTIFICATION = 0x4000;
const GR_TIME = 0x0fff;
const GR_FORWARDING = 0x80;

/** What a graceful restart capability says (RFC 4724 3, RFC 8538 2). */
export interface GracefulRestart {
  readonly kind: "gracefulRestart";
  /** The R bit: this session follows a restart. */
  readonly restarting: boolean;
  /** The N bit: a NOTIFICATION keeps the routes, only a hard reset ends them. */
  readonly notification: boolean;
  /** For how long the routes are to be kept, 0 to 4095. */
  readonly seconds: number;
  readonly families: readonly (AfiSafi & { readonly forwarding: boolean })[];
}

/** One capability of an OPEN (RFC 5492). What has no kind of its own is kept as it came. */
export type Capability =
  | ({ readonly kind: "multiprotocol" } & AfiSafi)
  | { readonly kind: "routeRefresh" | "enhancedRefresh" | "extendedMessage" }
  | { readonly kind: "fourOctetAs"; readonly as: number }
  | { readonly kind: "extendedNextHop"; readonly entries: readonly (AfiSafi & { readonly nextHopAfi: number })[] }
  | GracefulRestart
  /** `mode`: 1 receive, 2 send, 3 both (RFC 7911 4). */
  | { readonly kind: "addPath"; readonly entries: readonly (AfiSafi & { readonly mode: number })[] }
  | { readonly kind: "unknown"; readonly code: number; readonly value: Uint8Array };

type Known = Exclude<Capability, { readonly kind: "unknown" }>;
type KnownOf<K extends Known["kind"]> = Extract<Known, { readonly kind: K }> & { readonly kind: K };

interface Codec<K extends Known["kind"]> {
  readonly code: number;
  readonly encode: (capability: KnownOf<K>) => Uint8Array;
  readonly decode: (reader: Reader) => KnownOf<K>;
}

const TABLE: { readonly [K in Known["kind"]]: Codec<K> } = {
  // RFC 4760 8: AFI, reserved, SAFI.
  multiprotocol: {
    code: CAP_MULTIPROTOCOL,
    encode: ({ afi, safi }) => new Writer(4).u16(afi).u8(0).u8(safi).finish(),
    decode: (reader) => {
      const afi = reader.u16();
      reader.skip(1);
      return { kind: "multiprotocol", afi, safi: reader.u8() };
    },
  },
  routeRefresh: empty("routeRefresh", CAP_ROUTE_REFRESH),
  enhancedRefresh: empty("enhancedRefresh", CAP_ENHANCED_REFRESH),
  extendedMessage: empty("extendedMessage", CAP_EXTENDED_MESSAGE),
  // RFC 6793 3.
  fourOctetAs: {
    code: CAP_FOUR_OCTET_AS,
    encode: ({ as }) => new Writer(4).u32(as).finish(),
    decode: (reader) => ({ kind: "fourOctetAs", as: reader.u32() }),
  },
  // RFC 8950 4: AFI, SAFI in 16 bits, next hop AFI.
  extendedNextHop: {
    code: CAP_EXTENDED_NEXT_HOP,
    encode: ({ entries }) => joined(entries, 6, (writer, { afi, safi, nextHopAfi }) => writer.u16(afi).u16(safi).u16(nextHopAfi)),
    decode: (reader) => ({ kind: "extendedNextHop", entries: all(reader, () => ({ afi: reader.u16(), safi: reader.u16(), nextHopAfi: reader.u16() })) }),
  },
  gracefulRestart: { code: CAP_GRACEFUL_RESTART, encode: encodeGracefulRestart, decode: decodeGracefulRestart },
  // RFC 7911 4: AFI, SAFI, send or receive.
  addPath: {
    code: CAP_ADD_PATH,
    encode: ({ entries }) => joined(entries, 4, (writer, { afi, safi, mode }) => writer.u16(afi).u8(safi).u8(mode)),
    decode: (reader) => ({ kind: "addPath", entries: all(reader, () => ({ afi: reader.u16(), safi: reader.u8(), mode: reader.u8() })) }),
  },
};

const BY_CODE: ReadonlyMap<number, { readonly decode: (reader: Reader) => Capability }> = new Map(Object.values(TABLE).map((codec) => [codec.code, codec]));

//   0      1        2
//  ┌──────┬────────┬─────────┐
//  │ code │ length │ value … │
//  └──────┴────────┴─────────┘

/** Code, length and value. A value of more than 255 octets is a RangeError: no capability of ours gets there. */
export function encodeCapability(capability: Capability): Uint8Array {
  const value = capability.kind === "unknown" ? capability.value : encodeKnown(capability);
  if (value.length > 255) throw new RangeError(`a capability holds 255 octets, not ${value.length}`);
  return new Writer(2 + value.length).u8(capability.kind === "unknown" ? capability.code : TABLE[capability.kind].code).u8(value.length).bytes(value).finish();
}

/** The next capability. One that we know and that has the wrong length throws DecodeError; one that we do not know is kept. */
export function readCapability(reader: Reader): Capability {
  const at = reader.offset;
  const code = reader.u8();
  const part = reader.part(reader.u8());
  const codec = BY_CODE.get(code);
  if (codec === undefined) return { kind: "unknown", code, value: part.bytes(part.remaining) };
  const capability = codec.decode(part);
  if (part.remaining > 0) throw new DecodeError("length", at, `capability ${code} has ${part.remaining} octets too many`);
  return capability;
}

function encodeKnown<K extends Known["kind"]>(capability: KnownOf<K>): Uint8Array {
  const codec: Codec<K> = TABLE[capability.kind];
  return codec.encode(capability);
}

function empty<K extends "routeRefresh" | "enhancedRefresh" | "extendedMessage">(kind: K, code: number): Codec<K> {
  return { code, encode: () => new Uint8Array(), decode: () => ({ kind }) as KnownOf<K> };
}

//   0                                    2             4      5
//  ┌─┬─┬───────┬────────────────────────┬─────────────┬──────┬─┬──────────┐
//  │R│N│       │ restart time, 12 bits  │     AFI     │ SAFI │F│          │   the last three once for each family
//  └─┴─┴───────┴────────────────────────┴─────────────┴──────┴─┴──────────┘

function encodeGracefulRestart({ restarting, notification, seconds, families }: GracefulRestart): Uint8Array {
  const flags = (restarting ? GR_RESTARTING : 0) | (notification ? GR_NOTIFICATION : 0);
  const writer = new Writer(2 + 4 * families.length).u16(flags | Math.min(seconds, GR_TIME));
  for (const { afi, safi, forwarding } of families) writer.u16(afi).u8(safi).u8(forwarding ? GR_FORWARDING : 0);
  return writer.finish();
}

function decodeGracefulRestart(reader: Reader): GracefulRestart {
  const head = reader.u16();
  const families = all(reader, () => ({ afi: reader.u16(), safi: reader.u8(), forwarding: (reader.u8() & GR_FORWARDING) !== 0 }));
  return { kind: "gracefulRestart", restarting: (head & GR_RESTARTING) !== 0, notification: (head & GR_NOTIFICATION) !== 0, seconds: head & GR_TIME, families };
}

function joined<T>(entries: readonly T[], size: number, write: (writer: Writer, entry: T) => unknown): Uint8Array {
  const writer = new Writer(entries.length * size);
  for (const entry of entries) write(writer, entry);
  return writer.finish();
}

function all<T>(reader: Reader, read: () => T): readonly T[] {
  const entries: T[] = [];
  while (reader.remaining > 0) entries.push(read());
  return entries;
}
