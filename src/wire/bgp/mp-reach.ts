import { familyOf, ipFromBytes, ipToBytes, type Family, type IpAddress } from "../../lib/ip.js";
import { DecodeError, type Reader } from "../reader.js";
import { Writer } from "../writer.js";
import { afiSafi } from "./family.js";
import { MAX_PREFIX_OCTETS, readPrefixes, writePrefix, type Prefix } from "./prefix.js";

/** Unicast routes with their next hop (RFC 4760 3). */
export interface MpReach {
  readonly family: Family;
  /** For IPv4 routes it may be an IPv6 address (RFC 8950). */
  readonly nextHop: IpAddress;
  /** Second next hop of an IPv6 one, for peers on the same link (RFC 2545 3). */
  readonly linkLocal?: IpAddress;
  readonly prefixes: readonly Prefix[];
}

/** Unicast routes that are gone (RFC 4760 4). No prefixes: End-of-RIB (RFC 4724 2). */
export interface MpUnreach {
  readonly family: Family;
  readonly prefixes: readonly Prefix[];
}

/** AFI, SAFI, next hop, reserved: what MP_REACH_NLRI has beside its prefixes, at most. */
const MAX_REACH_HEAD = 2 + 1 + 1 + 32 + 1;

//   0       2      3        4
//  ┌───────┬──────┬────────┬──────────────────┬──────────┬────────────┐
//  │  AFI  │ SAFI │ length │ 4, 16, 32 octets │ reserved │ prefixes … │
//  └───────┴──────┴────────┴──────────────────┴──────────┴────────────┘

/** The value of MP_REACH_NLRI. */
export function encodeMpReach({ family, nextHop, linkLocal, prefixes }: MpReach): Uint8Array {
  const { afi, safi } = afiSafi(family);
  const hops = [nextHop, ...(linkLocal === undefined ? [] : [linkLocal])].map((address) => ipToBytes(address));
  const writer = new Writer(MAX_REACH_HEAD + prefixes.length * MAX_PREFIX_OCTETS).u16(afi).u8(safi);
  writer.u8(hops.reduce((sum, { length }) => sum + length, 0));
  for (const hop of hops) writer.bytes(hop);
  writer.u8(0);
  for (const prefix of prefixes) writePrefix(writer, prefix);
  return writer.finish();
}

/** What follows AFI and SAFI. A next hop of another length throws: the prefixes behind it cannot be found (RFC 7606 7.11). */
export function readMpReach(reader: Reader, family: Family, addPath: boolean): MpReach {
  const hops = readNextHops(reader, family);
  // RFC 4760 3: reserved, must be ignored.
  reader.skip(1);
  return { family, ...hops, prefixes: readPrefixes(reader, family, addPath) };
}

function readNextHops(reader: Reader, family: Family): Pick<MpReach, "nextHop" | "linkLocal"> {
  const at = reader.offset;
  const length = reader.u8();
  if (length !== 16 && length !== 32 && !(length === 4 && family === 4)) throw new DecodeError("length", at, `next hop of ${length} octets`);
  const nextHop = ipFromBytes(reader.bytes(Math.min(length, 16)));
  return length === 32 ? { nextHop, linkLocal: ipFromBytes(reader.bytes(16)) } : { nextHop };
}

//   0       2      3
//  ┌───────┬──────┬────────────┐
//  │  AFI  │ SAFI │ prefixes … │
//  └───────┴──────┴────────────┘

/** The value of MP_UNREACH_NLRI. */
export function encodeMpUnreach({ family, prefixes }: MpUnreach): Uint8Array {
  const { afi, safi } = afiSafi(family);
  const writer = new Writer(3 + prefixes.length * MAX_PREFIX_OCTETS).u16(afi).u8(safi);
  for (const prefix of prefixes) writePrefix(writer, prefix);
  return writer.finish();
}

/** Octets of MP_REACH_NLRI without its prefixes. */
export function mpReachHead({ nextHop, linkLocal }: Pick<MpReach, "nextHop" | "linkLocal">): number {
  return 5 + (familyOf(nextHop) === 4 ? 4 : 16) + (linkLocal === undefined ? 0 : 16);
}
