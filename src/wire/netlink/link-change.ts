import { macToBytes, type MacAddress } from "../../lib/mac.js";
import { Writer } from "../writer.js";
import { encodeAttributes, type Attribute } from "./attribute.js";
import { IFF_UP } from "./link.js";
import { AF_UNSPEC } from "./message.js";

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_LINK = 5;
const IFLA_LINKINFO = 18;
const IFLA_IFALIAS = 20;
const IFLA_AF_SPEC = 26;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_VLAN_ID = 1;
const IFLA_MACVLAN_MODE = 1;
const IFLA_INET_CONF = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const AF_INET = 2;
const AF_INET6 = 10;
// linux/ip.h: IPV4_DEVCONF_*
const IPV4_DEVCONF_RP_FILTER = 8;
const IPV4_DEVCONF_ARP_ANNOUNCE = 18;
const IPV4_DEVCONF_ARP_IGNORE = 19;
/** The kernel makes no IPv6 address of its own. */
const IN6_ADDR_GEN_MODE_NONE = 1;

/** On NEW requests: refused with EEXIST where it is there already. */
export const NLM_F_EXCL = 0x200;

/** IEEE 802.1Q: 0 is priority only, 4095 is reserved. */
const LAST_VLAN = 4094;

// linux/if_link.h
export const MACVLAN_MODE_PRIVATE = 1;
export const MACVLAN_MODE_BRIDGE = 4;

/** What a link stands on another for. */
export type LinkKind =
  /** IEEE 802.1Q; id 1 to 4094. */
  | { readonly kind: "vlan"; readonly vlan: number }
  /** A second MAC address on the link below. `mode` is MACVLAN_MODE_*; without a `mac` the kernel picks one at random. */
  | { readonly kind: "macvlan"; readonly mode: number; readonly mac: MacAddress | undefined };

/** The sysctls of these names below net.ipv4.conf, for one link. */
export interface Ipv4Conf {
  readonly rpFilter?: number;
  readonly arpAnnounce?: number;
  readonly arpIgnore?: number;
}

/** A link to be made on top of another. It comes up with its making, or is not made. */
export interface NewLink {
  /** The index that it shall have; 0 = the kernel picks one. */
  readonly index: number;
  /** Up to 15 octets. */
  readonly name: string;
  readonly parentIndex: number;
  readonly kind: LinkKind;
  /** It is set up by another request. */
  readonly down?: boolean | undefined;
}

type RawAttribute = Pick<Attribute, "type" | "data">;

/** Payload of an RTM_NEWLINK that makes a link (NLM_F_CREATE | NLM_F_EXCL). The kernel takes no alias here. Throws RangeError for a VLAN id that is none. */
export function encodeNewLink({ index, name, parentIndex, kind, down = false }: NewLink): Uint8Array {
  const mac = kind.kind === "macvlan" ? kind.mac : undefined;
  const attributes = encodeAttributes([
    ...(mac === undefined ? [] : [{ type: IFLA_ADDRESS, data: macToBytes(mac) }]),
    { type: IFLA_LINK, data: u32(parentIndex) },
    { type: IFLA_IFNAME, data: new TextEncoder().encode(`${name}\0`) },
    { type: IFLA_LINKINFO, data: encodeLinkInfo(kind) },
  ]);
  return encodeBody(index, down ? 0 : IFF_UP, attributes);
}

/**
 * Payload of an RTM_NEWLINK that sets the alias of a link which was just made. It says the kind again, so that the kernel refuses it (EOPNOTSUPP) for
 * a link of another kind.
 */
export function encodeLinkAlias({ index, kind }: Pick<NewLink, "index" | "kind">, alias: string): Uint8Array {
  const attributes = encodeAttributes([
    { type: IFLA_IFALIAS, data: new TextEncoder().encode(alias) },
    { type: IFLA_LINKINFO, data: encodeLinkInfo(kind) },
  ]);
  return encodeBody(index, 0, attributes);
}

/** Payload of an RTM_NEWLINK that sets a link administratively up. */
export function encodeLinkUp(index: number): Uint8Array {
  return encodeBody(index, IFF_UP, new Uint8Array(0));
}

/** Payload of an RTM_NEWLINK that sets sysctls of IPv4 of one link: /proc/sys is read-only in a container. */
export function encodeIpv4Conf(index: number, { rpFilter, arpAnnounce, arpIgnore }: Ipv4Conf): Uint8Array {
  const conf = [
    { type: IPV4_DEVCONF_RP_FILTER, value: rpFilter },
    { type: IPV4_DEVCONF_ARP_ANNOUNCE, value: arpAnnounce },
    { type: IPV4_DEVCONF_ARP_IGNORE, value: arpIgnore },
  ].flatMap(({ type, value }) => (value === undefined ? [] : [{ type, data: u32(value) }]));
  return encodeBody(index, 0, encodeFamily(AF_INET, { type: IFLA_INET_CONF, data: encodeAttributes(conf) }));
}

/** Payload of an RTM_NEWLINK after which the kernel makes no IPv6 address for the link. Refused (EAFNOSUPPORT) where the link has no IPv6. */
export function encodeNoIpv6Address(index: number): Uint8Array {
  return encodeBody(index, 0, encodeFamily(AF_INET6, { type: IFLA_INET6_ADDR_GEN_MODE, data: Uint8Array.of(IN6_ADDR_GEN_MODE_NONE) }));
}

/** Payload of RTM_DELLINK. */
export function encodeLinkRemoval(index: number): Uint8Array {
  return encodeBody(index, 0, new Uint8Array(0));
}

//   0      1      2         4               8               12              16
//  ┌──────┬──────┬─────────┬───────────────┬───────────────┬───────────────┬──────────────┐
//  │family│ pad  │ hw type │  index, i32   │     flags     │  change mask  │ attributes … │   only flags in the mask are changed
//  └──────┴──────┴─────────┴───────────────┴───────────────┴───────────────┴──────────────┘

function encodeBody(index: number, flags: number, attributes: Uint8Array): Uint8Array {
  return new Writer(16 + attributes.length).u8(AF_UNSPEC).zeros(3).u32le(index).u32le(flags).u32le(flags).bytes(attributes).finish();
}

function encodeFamily(family: number, attribute: RawAttribute): Uint8Array {
  return encodeAttributes([{ type: IFLA_AF_SPEC, data: encodeAttributes([{ type: family, data: encodeAttributes([attribute]) }]) }]);
}

function encodeLinkInfo(kind: LinkKind): Uint8Array {
  return encodeAttributes([
    // Without a NUL, as iproute2 has it; the kernel takes both.
    { type: IFLA_INFO_KIND, data: new TextEncoder().encode(kind.kind) },
    { type: IFLA_INFO_DATA, data: encodeAttributes([kindAttribute(kind)]) },
  ]);
}

function kindAttribute(kind: LinkKind): RawAttribute {
  if (kind.kind === "macvlan") return { type: IFLA_MACVLAN_MODE, data: u32(kind.mode) };
  const { vlan } = kind;
  if (!Number.isInteger(vlan) || vlan < 1 || vlan > LAST_VLAN) throw new RangeError(`VLAN ${vlan}, expected 1 to ${LAST_VLAN}`);
  return { type: IFLA_VLAN_ID, data: new Writer(2).u16le(vlan).finish() };
}

function u32(value: number): Uint8Array {
  return new Writer(4).u32le(value).finish();
}
