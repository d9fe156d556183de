import { ipFromBytes, ipToBytes, unusableAsVip, type IpAddress } from "../../lib/ip.js";
import { DecodeError, type Reader } from "../reader.js";
import { Writer } from "../writer.js";
import { decodeAsPath, encodeAsPath, readAs, writeAs, type AsSize } from "./as-path.js";
import {
  ATTR_AGGREGATOR,
  ATTR_AS4_AGGREGATOR,
  ATTR_AS4_PATH,
  ATTR_AS_PATH,
  ATTR_ATOMIC_AGGREGATE,
  ATTR_CLUSTER_LIST,
  ATTR_COMMUNITIES,
  ATTR_EXTENDED_COMMUNITIES,
  ATTR_LARGE_COMMUNITIES,
  ATTR_LOCAL_PREF,
  ATTR_MED,
  ATTR_NEXT_HOP,
  ATTR_ORIGIN,
  ATTR_ORIGINATOR_ID,
  FLAG_OPTIONAL,
  FLAG_TRANSITIVE,
  type Aggregator,
  type Approach,
  type Origin,
  type PathAttributes,
  type UpdateContext,
} from "./attribute.js";
import { UPDATE_AS_PATH, UPDATE_LENGTH, UPDATE_NEXT_HOP, UPDATE_OPTIONAL, UPDATE_ORIGIN } from "./codes.js";
import { encodeExtended, encodeLarge, encodeU32List, readExtended, readLarge, readList } from "./community.js";

const WELL_KNOWN = FLAG_TRANSITIVE;
const OPTIONAL = FLAG_OPTIONAL;
const OPTIONAL_TRANSITIVE = FLAG_OPTIONAL | FLAG_TRANSITIVE;
const ORIGINS: readonly Origin[] = ["igp", "egp", "incomplete"];

/** One kind of attribute. */
export interface AttributeCodec {
  readonly code: number;
  readonly name: string;
  /** The optional and transitive bits that it must have. */
  readonly flags: number;
  /** How a malformed value is met (RFC 7606 7). */
  readonly approach: Exclude<Approach, "disable">;
  /** Subcode of the NOTIFICATION for a malformed value (RFC 4271 6.3). */
  readonly subcode: number;
  /** Means nothing when an external peer sends it, and is dropped (RFC 7606 7.5, 7.9, 7.10). */
  readonly internalOnly?: true;
  /** The value, or undefined where `attributes` has none. */
  readonly encode: (attributes: PathAttributes, context: UpdateContext) => Uint8Array | undefined;
  /** Reads the whole value; throws DecodeError where it is malformed. */
  readonly decode: (reader: Reader, context: UpdateContext) => PathAttributes;
}

/** All but MP_REACH_NLRI and MP_UNREACH_NLRI, whose errors concern an address family and not only one UPDATE. */
export const ATTRIBUTES: readonly AttributeCodec[] = [
  {
    code: ATTR_ORIGIN,
    name: "ORIGIN",
    flags: WELL_KNOWN,
    approach: "withdraw",
    subcode: UPDATE_ORIGIN,
    encode: ({ origin }) => (origin === undefined ? undefined : Uint8Array.of(ORIGINS.indexOf(origin))),
    decode: (reader) => ({ origin: readOrigin(reader) }),
  },
  {
    code: ATTR_AS_PATH,
    name: "AS_PATH",
    flags: WELL_KNOWN,
    approach: "withdraw",
    subcode: UPDATE_AS_PATH,
    encode: ({ asPath }, { asSize }) => (asPath === undefined ? undefined : encodeAsPath(asPath, asSize)),
    decode: (reader, { asSize }) => ({ asPath: decodeAsPath(reader, asSize) }),
  },
  {
    code: ATTR_NEXT_HOP,
    name: "NEXT_HOP",
    flags: WELL_KNOWN,
    approach: "withdraw",
    subcode: UPDATE_NEXT_HOP,
    encode: ({ nextHop }) => (nextHop === undefined ? undefined : ipToBytes(nextHop)),
    decode: (reader) => ({ nextHop: readNextHop(reader) }),
  },
  {
    code: ATTR_MED,
    name: "MULTI_EXIT_DISC",
    flags: OPTIONAL,
    approach: "withdraw",
    subcode: UPDATE_LENGTH,
    encode: ({ med }) => (med === undefined ? undefined : encodeU32List([med])),
    decode: (reader) => ({ med: reader.u32() }),
  },
  {
    code: ATTR_LOCAL_PREF,
    name: "LOCAL_PREF",
    flags: WELL_KNOWN,
    approach: "withdraw",
    subcode: UPDATE_LENGTH,
    internalOnly: true,
    encode: ({ localPref }) => (localPref === undefined ? undefined : encodeU32List([localPref])),
    decode: (reader) => ({ localPref: reader.u32() }),
  },
  {
    code: ATTR_ATOMIC_AGGREGATE,
    name: "ATOMIC_AGGREGATE",
    flags: WELL_KNOWN,
    approach: "discard",
    subcode: UPDATE_LENGTH,
    encode: ({ atomicAggregate }) => (atomicAggregate === undefined ? undefined : new Uint8Array()),
    decode: () => ({ atomicAggregate: true }),
  },
  {
    code: ATTR_AGGREGATOR,
    name: "AGGREGATOR",
    flags: OPTIONAL_TRANSITIVE,
    approach: "discard",
    subcode: UPDATE_LENGTH,
    encode: ({ aggregator }, { asSize }) => encodeAggregator(aggregator, asSize),
    decode: (reader, { asSize }) => ({ aggregator: readAggregator(reader, asSize) }),
  },
  {
    code: ATTR_COMMUNITIES,
    name: "COMMUNITIES",
    flags: OPTIONAL_TRANSITIVE,
    approach: "withdraw",
    subcode: UPDATE_OPTIONAL,
    encode: ({ communities }) => (communities === undefined ? undefined : encodeU32List(communities)),
    decode: (reader) => ({ communities: readList(reader, 4, () => reader.u32()) }),
  },
  {
    code: ATTR_ORIGINATOR_ID,
    name: "ORIGINATOR_ID",
    flags: OPTIONAL,
    approach: "withdraw",
    subcode: UPDATE_OPTIONAL,
    internalOnly: true,
    encode: ({ originatorId }) => (originatorId === undefined ? undefined : ipToBytes(originatorId)),
    decode: (reader) => ({ originatorId: readIpv4(reader) }),
  },
  {
    code: ATTR_CLUSTER_LIST,
    name: "CLUSTER_LIST",
    flags: OPTIONAL,
    approach: "withdraw",
    subcode: UPDATE_OPTIONAL,
    internalOnly: true,
    encode: ({ clusterList }) => (clusterList === undefined ? undefined : encodeU32List(clusterList)),
    decode: (reader) => ({ clusterList: readList(reader, 4, () => reader.u32()) }),
  },
  {
    code: ATTR_EXTENDED_COMMUNITIES,
    name: "EXTENDED_COMMUNITIES",
    flags: OPTIONAL_TRANSITIVE,
    approach: "withdraw",
    subcode: UPDATE_OPTIONAL,
    encode: ({ extendedCommunities }) => (extendedCommunities === undefined ? undefined : encodeExtended(extendedCommunities)),
    decode: (reader) => ({ extendedCommunities: readList(reader, 8, () => readExtended(reader)) }),
  },
  {
    code: ATTR_AS4_PATH,
    name: "AS4_PATH",
    flags: OPTIONAL_TRANSITIVE,
    approach: "discard",
    subcode: UPDATE_OPTIONAL,
    encode: ({ as4Path }) => (as4Path === undefined ? undefined : encodeAsPath(as4Path, 4)),
    decode: (reader) => ({ as4Path: decodeAsPath(reader, 4) }),
  },
  {
    code: ATTR_AS4_AGGREGATOR,
    name: "AS4_AGGREGATOR",
    flags: OPTIONAL_TRANSITIVE,
    approach: "discard",
    subcode: UPDATE_OPTIONAL,
    encode: ({ as4Aggregator }) => encodeAggregator(as4Aggregator, 4),
    decode: (reader) => ({ as4Aggregator: readAggregator(reader, 4) }),
  },
  {
    code: ATTR_LARGE_COMMUNITIES,
    name: "LARGE_COMMUNITY",
    flags: OPTIONAL_TRANSITIVE,
    approach: "withdraw",
    subcode: UPDATE_OPTIONAL,
    encode: ({ largeCommunities }) => (largeCommunities === undefined ? undefined : encodeLarge(largeCommunities)),
    decode: (reader) => ({ largeCommunities: readList(reader, 12, () => readLarge(reader)) }),
  },
];

function readOrigin(reader: Reader): Origin {
  const at = reader.offset;
  const value = reader.u8();
  const origin = ORIGINS[value];
  if (origin === undefined) throw new DecodeError("value", at, `ORIGIN ${value}`);
  return origin;
}

/** RFC 4271 6.3: a valid IP host address. */
function readNextHop(reader: Reader): IpAddress {
  const at = reader.offset;
  const address = readIpv4(reader);
  const problem = unusableAsVip(address);
  if (problem !== undefined) throw new DecodeError("value", at, `NEXT_HOP ${address}, ${problem}`);
  return address;
}

function readIpv4(reader: Reader): IpAddress {
  return ipFromBytes(reader.bytes(4));
}

function encodeAggregator(aggregator: Aggregator | undefined, size: AsSize): Uint8Array | undefined {
  if (aggregator === undefined) return undefined;
  const writer = new Writer(8);
  writeAs(writer, aggregator.as, size);
  return writer.bytes(ipToBytes(aggregator.routerId)).finish();
}

function readAggregator(reader: Reader, size: AsSize): Aggregator {
  return { as: readAs(reader, size), routerId: readIpv4(reader) };
}
