import { familyOf, ipToBytes, type Family, type IpAddress } from "../../lib/ip.js";
import { DecodeError, Reader } from "../reader.js";
import { Writer } from "../writer.js";
import {
  afFromFamily,
  attributeIp,
  attributeReader,
  attributesByType,
  attributeText,
  attributeU32,
  encodeAttributes,
  familyFromAf,
  type Attribute,
} from "./attribute.js";

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_LABEL = 3;
const IFA_CACHEINFO = 6;
const IFA_FLAGS = 8;
/** Since Linux 5.18. */
const IFA_PROTO = 11;

// linux/if_addr.h
export const IFA_F_NODAD = 0x02;
export const IFA_F_DADFAILED = 0x08;
export const IFA_F_TENTATIVE = 0x40;
export const IFA_F_NOPREFIXROUTE = 0x200;

// linux/rtnetlink.h
export const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_SITE = 200;
export const RT_SCOPE_LINK = 253;
export const RT_SCOPE_HOST = 254;
export const RT_SCOPE_NOWHERE = 255;

/** On the wire: for ever. */
const INFINITE = 0xffff_ffff;

/** An RTM_NEWADDR or RTM_DELADDR. Lifetimes in whole seconds, Infinity = for ever. */
export interface AddressMessage {
  readonly linkIndex: number;
  /** The local address; on a point-to-point link not that of the peer. */
  readonly address: IpAddress;
  /** The other end of a point-to-point link; undefined elsewhere. */
  readonly peer: IpAddress | undefined;
  readonly prefix: number;
  /** RT_SCOPE_*. */
  readonly scope: number;
  /** IFA_F_*. */
  readonly flags: number;
  /** IFA_PROTO: who made the address; 0 = not said. */
  readonly mark: number;
  readonly validSeconds: number;
  readonly preferredSeconds: number;
  /** IPv4 only. */
  readonly label: string | undefined;
}

//   0      1      2      3      4               8
//  ┌──────┬──────┬──────┬──────┬───────────────┬──────────────┐
//  │family│prefix│flags │scope │  link index   │ attributes … │   IFA_FLAGS has all 32 bits of the flags
//  └──────┴──────┴──────┴──────┴───────────────┴──────────────┘

/** Payload of RTM_NEWADDR. */
export function encodeAddress(message: AddressMessage): Uint8Array {
  const local = ipToBytes(message.address);
  const attributes: Pick<Attribute, "type" | "data">[] = [
    { type: IFA_LOCAL, data: local },
    { type: IFA_ADDRESS, data: message.peer === undefined ? local : ipToBytes(message.peer) },
    { type: IFA_FLAGS, data: new Writer(4).u32le(message.flags).finish() },
    { type: IFA_CACHEINFO, data: encodeCacheInfo(message) },
  ];
  if (message.label !== undefined) attributes.push({ type: IFA_LABEL, data: new TextEncoder().encode(`${message.label}\0`) });
  if (message.mark !== 0) attributes.push({ type: IFA_PROTO, data: Uint8Array.of(message.mark) });
  return encodeBody(message, message, encodeAttributes(attributes));
}

/** Payload of RTM_DELADDR: the address with exactly this prefix on this link. */
export function encodeAddressRemoval(id: Pick<AddressMessage, "address" | "linkIndex" | "prefix">): Uint8Array {
  const local = ipToBytes(id.address);
  const attributes = encodeAttributes([
    { type: IFA_LOCAL, data: local },
    { type: IFA_ADDRESS, data: local },
  ]);
  return encodeBody(id, { flags: 0, scope: 0 }, attributes);
}

/** Payload of an RTM_GETADDR that asks for one IPv6 address; the kernel has no such question for IPv4. */
export function encodeAddressGet({ address, linkIndex }: Pick<AddressMessage, "address" | "linkIndex">): Uint8Array {
  const attributes = encodeAttributes([{ type: IFA_ADDRESS, data: ipToBytes(address) }]);
  return encodeBody({ address, linkIndex, prefix: 0 }, { flags: 0, scope: 0 }, attributes);
}

/** Payload of an RTM_GETADDR that asks for all addresses of one family. */
export function encodeAddressDump(family: Family): Uint8Array {
  return new Writer(8).u8(afFromFamily(family)).zeros(7).finish();
}

/** Payload of RTM_NEWADDR or RTM_DELADDR. Throws DecodeError for a family that is neither IPv4 nor IPv6. */
export function decodeAddress(payload: Uint8Array): AddressMessage {
  const reader = new Reader(payload);
  const family = familyFromAf(reader.u8(), 0);
  const prefix = reader.u8();
  if (prefix > (family === 4 ? 32 : 128)) throw new DecodeError("value", 1, `prefix length ${prefix}`);
  const flags = reader.u8();
  const scope = reader.u8();
  const linkIndex = reader.u32le();
  const attributes = attributesByType(reader);
  const remote = attributeIp(attributes.get(IFA_ADDRESS), family);
  const local = attributeIp(attributes.get(IFA_LOCAL), family);
  const address = local ?? remote;
  if (address === undefined) throw new DecodeError("value", payload.length, "no address");
  return {
    linkIndex,
    address,
    peer: remote === address ? undefined : remote,
    prefix,
    scope,
    flags: attributeU32(attributes.get(IFA_FLAGS)) ?? flags,
    mark: markOf(attributes.get(IFA_PROTO)),
    ...decodeCacheInfo(attributes.get(IFA_CACHEINFO)),
    label: attributeText(attributes.get(IFA_LABEL)),
  };
}

function encodeBody(
  id: Pick<AddressMessage, "address" | "linkIndex" | "prefix">,
  { flags, scope }: Pick<AddressMessage, "flags" | "scope">,
  attributes: Uint8Array,
): Uint8Array {
  return new Writer(8 + attributes.length)
    .u8(afFromFamily(familyOf(id.address)))
    .u8(id.prefix)
    .u8(flags & 0xff)
    .u8(scope)
    .u32le(id.linkIndex)
    .bytes(attributes)
    .finish();
}

//   0               4               8               12              16
//  ┌───────────────┬───────────────┬───────────────┬───────────────┐
//  │  preferred s  │    valid s    │    created    │    updated    │   the last two only from the kernel
//  └───────────────┴───────────────┴───────────────┴───────────────┘

function encodeCacheInfo({ preferredSeconds, validSeconds }: AddressMessage): Uint8Array {
  return new Writer(16).u32le(encodeSeconds(preferredSeconds)).u32le(encodeSeconds(validSeconds)).zeros(8).finish();
}

function decodeCacheInfo(attribute: Attribute | undefined): Pick<AddressMessage, "preferredSeconds" | "validSeconds"> {
  if (attribute === undefined) return { preferredSeconds: Infinity, validSeconds: Infinity };
  const reader = attributeReader(attribute);
  return { preferredSeconds: decodeSeconds(reader.u32le()), validSeconds: decodeSeconds(reader.u32le()) };
}

function encodeSeconds(seconds: number): number {
  if (seconds === Infinity) return INFINITE;
  if (!Number.isInteger(seconds) || seconds < 0 || seconds >= INFINITE) throw new RangeError(`lifetime of ${seconds} seconds`);
  return seconds;
}

function decodeSeconds(value: number): number {
  return value === INFINITE ? Infinity : value;
}

function markOf(attribute: Attribute | undefined): number {
  return attribute === undefined ? 0 : attributeReader(attribute).u8();
}
