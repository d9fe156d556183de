import type { IpAddress } from "../lib/ip.js";
import { macFromBytes, macToBytes, type MacAddress } from "../lib/mac.js";
import { MAC_OPTION_LENGTH, ndOptions, OPT_SOURCE_LINKADDR } from "./ndp-options.js";
import { DecodeError, Reader } from "./reader.js";
import { Writer } from "./writer.js";

export const ND_ROUTER_SOLICIT = 133;
export const ND_ROUTER_ADVERT = 134;
export const ALL_ROUTERS = "ff02::2" as IpAddress;

/** RFC 4861 6.1.1, 6.1.2: only a packet that no router has forwarded has this one. */
const HOP_LIMIT = 255;
const FLAG_MANAGED = 0x80;
const FLAG_OTHER = 0x40;
const LINK_LOCAL = /^fe[89ab][0-9a-f]:/;
const UNSPECIFIED = "::" as IpAddress;

/** Asks the routers of a link to advertise themselves (RFC 4861 4.1). */
export interface RouterSolicit {
  readonly type: typeof ND_ROUTER_SOLICIT;
  /** Source link-layer address option. */
  readonly sourceMac: MacAddress | undefined;
}

/** What a router says of itself (RFC 4861 4.2). */
export interface RouterAdvert {
  readonly type: typeof ND_ROUTER_ADVERT;
  /** For hosts to use; 0: not said. */
  readonly curHopLimit: number;
  readonly managed: boolean;
  readonly other: boolean;
  /** For so long hosts may take it as default router; 0: never. */
  readonly lifetimeSeconds: number;
  /** 0: not said. */
  readonly reachableMs: number;
  /** 0: not said. */
  readonly retransMs: number;
  /** Source link-layer address option. */
  readonly sourceMac: MacAddress | undefined;
}

export type RouterMessage = RouterSolicit | RouterAdvert;

/** An ICMPv6 message with what its checks need of the packet. */
export interface RouterPacket {
  readonly bytes: Uint8Array;
  readonly source: IpAddress;
  readonly hopLimit: number;
}

//   0    1    2        4                 8
//  ┌────┬────┬────────┬─────────────────┬───────────┐
//  │133 │ 0  │checksum│    reserved     │ options … │
//  └────┴────┴────────┴─────────────────┴───────────┘
//
//   0    1    2        4    5     6           8              12             16
//  ┌────┬────┬────────┬────┬─────┬───────────┬──────────────┬──────────────┬───────────┐
//  │134 │ 0  │checksum│hops│M O  │ lifetime s│ reachable ms │ retransmit ms│ options … │
//  └────┴────┴────────┴────┴─────┴───────────┴──────────────┴──────────────┴───────────┘
//   option: type, length in units of 8 octets, value

/** The ICMPv6 message, with a checksum of 0: the kernel puts in the right one (RFC 3542 3.1). */
export function encodeRouterMessage(message: RouterMessage): Uint8Array {
  const writer = new Writer(16 + MAC_OPTION_LENGTH).u8(message.type).zeros(3);
  if (message.type === ND_ROUTER_SOLICIT) writer.zeros(4);
  else {
    writer
      .u8(message.curHopLimit)
      .u8((message.managed ? FLAG_MANAGED : 0) | (message.other ? FLAG_OTHER : 0))
      .u16(message.lifetimeSeconds)
      .u32(message.reachableMs)
      .u32(message.retransMs);
  }
  if (message.sourceMac !== undefined) writer.u8(OPT_SOURCE_LINKADDR).u8(1).bytes(macToBytes(message.sourceMac));
  return writer.finish();
}

/**
 * Reads a message and checks all that RFC 4861 6.1.1 and 6.1.2 ask for, but for the checksum, which the kernel has checked. Other options than the source
 * link-layer address are skipped. Throws DecodeError, also for other ICMPv6.
 */
export function decodeRouterMessage({ bytes, source, hopLimit }: RouterPacket): RouterMessage {
  const reader = new Reader(bytes);
  const type = reader.u8();
  expect(type === ND_ROUTER_SOLICIT || type === ND_ROUTER_ADVERT, 0, `ICMPv6 type ${type}`);
  expect(hopLimit === HOP_LIMIT, 0, `hop limit ${hopLimit}`);
  const code = reader.u8();
  expect(code === 0, 1, `code ${code}`);
  reader.skip(2);
  return type === ND_ROUTER_SOLICIT ? solicit(reader, source) : advert(reader, source);
}

function solicit(reader: Reader, source: IpAddress): RouterSolicit {
  reader.skip(4);
  const start = reader.offset;
  const sourceMac = decodeSourceMac(reader);
  expect(source !== UNSPECIFIED || sourceMac === undefined, start, "a solicitation from :: with a source link-layer address");
  return { type: ND_ROUTER_SOLICIT, sourceMac };
}

function advert(reader: Reader, source: IpAddress): RouterAdvert {
  expect(LINK_LOCAL.test(source), 0, `an advertisement from ${source}`);
  const curHopLimit = reader.u8();
  const flags = reader.u8();
  return {
    type: ND_ROUTER_ADVERT,
    curHopLimit,
    managed: (flags & FLAG_MANAGED) !== 0,
    other: (flags & FLAG_OTHER) !== 0,
    lifetimeSeconds: reader.u16(),
    reachableMs: reader.u32(),
    retransMs: reader.u32(),
    sourceMac: decodeSourceMac(reader),
  };
}

/** Of several the first counts. One that is no MAC address (another kind of link) is none. */
function decodeSourceMac(reader: Reader): MacAddress | undefined {
  let found: MacAddress | undefined;
  for (const { type, length, value } of ndOptions(reader)) {
    if (type === OPT_SOURCE_LINKADDR && length === MAC_OPTION_LENGTH) found ??= macFromBytes(value);
  }
  return found;
}

function expect(holds: boolean, offset: number, found: string): void {
  if (!holds) throw new DecodeError("value", offset, found);
}
