import { macFromBytes, type MacAddress } from "../../lib/mac.js";
import { DecodeError, Reader } from "../reader.js";
import { Writer } from "../writer.js";
import { attributeReader, attributesByType, attributeText, attributeU32, encodeAttributes, type Attribute } from "./attribute.js";
import { AF_UNSPEC } from "./message.js";

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_LINKINFO = 18;
const IFLA_IFALIAS = 20;
const IFLA_EXT_MASK = 29;
const IFLA_LINK_NETNSID = 37;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_VLAN_ID = 1;
const IFLA_VLAN_PROTOCOL = 5;

// linux/rtnetlink.h
const RTEXT_FILTER_SKIP_STATS = 8;

/** IEEE 802.1Q; 802.1ad is another. */
const ETH_P_8021Q = 0x8100;

// linux/if.h
export const IFF_UP = 0x1;
export const IFF_LOOPBACK = 0x8;
export const IFF_LOWER_UP = 0x1_0000;

/** An RTM_NEWLINK or RTM_DELLINK. */
export interface LinkMessage {
  /** AF_UNSPEC for the link itself. Bridges send AF_BRIDGE messages about their ports, which say nothing about the link's own life. */
  readonly family: number;
  readonly index: number;
  readonly flags: number;
  /** Undefined in the messages of other families and of wireless drivers. */
  readonly name: string | undefined;
  readonly mtu: number | undefined;
  /** Undefined where the link has no 48-bit address, or only zeros (loopback). */
  readonly mac: MacAddress | undefined;
  readonly kind: string | undefined;
  /** IFLA_IFALIAS: a text that whoever made the link left on it; empty where there is none. */
  readonly alias: string;
  /** IFLA_LINK: the link below, or the other end of a veth. Undefined where there is none, or it is in another network namespace. */
  readonly parentIndex: number | undefined;
  /** The id of an IEEE 802.1Q VLAN; undefined for every other link. */
  readonly vlan: number | undefined;
}

//   0      1      2         4               8               12              16
//  ┌──────┬──────┬─────────┬───────────────┬───────────────┬───────────────┬──────────────┐
//  │family│ pad  │ hw type │  index, i32   │     flags     │  change mask  │ attributes … │
//  └──────┴──────┴─────────┴───────────────┴───────────────┴───────────────┴──────────────┘

/** Payload of RTM_NEWLINK or RTM_DELLINK. */
export function decodeLink(payload: Uint8Array): LinkMessage {
  const reader = new Reader(payload);
  const family = reader.u8();
  reader.skip(3);
  const index = reader.i32le();
  if (index <= 0) throw new DecodeError("value", 4, `link index ${index}`);
  const flags = reader.u32le();
  reader.skip(4);
  const attributes = attributesByType(reader);
  return {
    family,
    index,
    flags,
    name: attributeText(attributes.get(IFLA_IFNAME)),
    mtu: attributeU32(attributes.get(IFLA_MTU)),
    mac: macOf(attributes.get(IFLA_ADDRESS)),
    alias: attributeText(attributes.get(IFLA_IFALIAS)) ?? "",
    parentIndex: parentOf(attributes),
    ...decodeLinkInfo(attributes.get(IFLA_LINKINFO)),
  };
}

/** Payload of an RTM_GETLINK that asks for all links, without the counters that are more than half of each (since Linux 4.4; older ones send them). */
export function encodeLinkDump(): Uint8Array {
  const mask = encodeAttributes([{ type: IFLA_EXT_MASK, data: new Writer(4).u32le(RTEXT_FILTER_SKIP_STATS).finish() }]);
  return new Writer(16 + mask.length).u8(AF_UNSPEC).zeros(15).bytes(mask).finish();
}

function macOf(attribute: Attribute | undefined): MacAddress | undefined {
  if (attribute?.data.length !== 6 || attribute.data.every((octet) => octet === 0)) return undefined;
  return macFromBytes(attribute.data);
}

function parentOf(attributes: ReadonlyMap<number, Attribute>): number | undefined {
  const index = attributeU32(attributes.get(IFLA_LINK));
  // With a namespace id the index is one of that namespace; 0 is a parent that was never given (tunnels).
  return attributes.has(IFLA_LINK_NETNSID) || index === 0 ? undefined : index;
}

function decodeLinkInfo(linkInfo: Attribute | undefined): Pick<LinkMessage, "kind" | "vlan"> {
  if (linkInfo === undefined) return { kind: undefined, vlan: undefined };
  const info = attributesByType(attributeReader(linkInfo));
  const kind = attributeText(info.get(IFLA_INFO_KIND));
  return { kind, vlan: kind === "vlan" ? vlanOf(info.get(IFLA_INFO_DATA)) : undefined };
}

function vlanOf(data: Attribute | undefined): number | undefined {
  if (data === undefined) return undefined;
  const vlan = attributesByType(attributeReader(data));
  const [id, protocol] = [vlan.get(IFLA_VLAN_ID), vlan.get(IFLA_VLAN_PROTOCOL)];
  // Kernels before Linux 3.10 name no protocol: they have only this one. It is in network order.
  if (id === undefined || (protocol !== undefined && attributeReader(protocol).u16() !== ETH_P_8021Q)) return undefined;
  return attributeReader(id).u16le();
}
