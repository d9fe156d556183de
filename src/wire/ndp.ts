import { ipFromBytes, ipToBytes, type IpAddress } from "../lib/ip.js";
import { macFromBytes, macToBytes, type MacAddress } from "../lib/mac.js";
import { decodeEthernet, encodeEthernet, ETHERNET_HEADER_LENGTH, ETHERTYPE_IPV6 } from "./ethernet.js";
import { decodeIpv6, encodeIpv6, icmpv6Checksum, IPV6_HEADER_LENGTH, NEXT_HEADER_ICMPV6, type Ipv6Packet } from "./ipv6.js";
import { MAC_OPTION_LENGTH, ndOptions, OPT_SOURCE_LINKADDR, OPT_TARGET_LINKADDR } from "./ndp-options.js";
import { DecodeError, Reader } from "./reader.js";
import { Writer } from "./writer.js";

export const ND_NEIGHBOR_SOLICIT = 135;
export const ND_NEIGHBOR_ADVERT = 136;
export const UNSPECIFIED_IPV6 = "::" as IpAddress;
export const ALL_NODES = "ff02::1" as IpAddress;
export const ALL_NODES_MAC = "33:33:00:00:00:01" as MacAddress;

/** RFC 4861 7.1.1, 7.1.2: only a frame that no router has forwarded has this one. */
const HOP_LIMIT = 255;
const MESSAGE_LENGTH = 24;
const MESSAGE_OFFSET = ETHERNET_HEADER_LENGTH + IPV6_HEADER_LENGTH;
const CHECKSUM_OFFSET = 2;
/** ff02::1:ff00:0/104 in canonical text. */
const SOLICITED_NODE = /^ff02::1:ff[0-9a-f]{2}:/;
const FLAG_ROUTER = 0x80;
const FLAG_SOLICITED = 0x40;
const FLAG_OVERRIDE = 0x20;

/** The frame and the packet that carry a message. */
interface NdCarrier {
  readonly destination: MacAddress;
  readonly source: MacAddress;
  readonly sourceIp: IpAddress;
  readonly destinationIp: IpAddress;
  /** The address that is asked for or told about. */
  readonly target: IpAddress;
}

/** A Neighbor Solicitation with the frame that carries it (RFC 4861 4.3). */
export interface NsFrame extends NdCarrier {
  readonly type: typeof ND_NEIGHBOR_SOLICIT;
  /** Source link-layer address option; a solicitation from `::` (a probe) must have none. */
  readonly sourceMac: MacAddress | undefined;
}

/** A Neighbor Advertisement with the frame that carries it (RFC 4861 4.4). */
export interface NaFrame extends NdCarrier {
  readonly type: typeof ND_NEIGHBOR_ADVERT;
  readonly router: boolean;
  /** The answer to a solicitation; never to a multicast address. */
  readonly solicited: boolean;
  readonly override: boolean;
  /** Target link-layer address option. */
  readonly targetMac: MacAddress | undefined;
}

export type NdFrame = NsFrame | NaFrame;

/** ff02::1:ffXX:XXXX with the last 24 bits of the address (RFC 4291 2.7.1). */
export function solicitedNode(address: IpAddress): IpAddress {
  const bytes = ipToBytes("ff02::1:ff00:0" as IpAddress);
  bytes.set(ipToBytes(address).subarray(13), 13);
  return ipFromBytes(bytes);
}

/** The MAC address of a multicast group: 33:33 and the last 32 bits (RFC 2464 7). */
export function multicastMac(group: IpAddress): MacAddress {
  return macFromBytes(Uint8Array.of(0x33, 0x33, ...ipToBytes(group).subarray(12)));
}

/** The question whether anyone has `target`, asked by someone who has no address of his own yet (RFC 4862 5.4.2). */
export function ndProbe(source: MacAddress, target: IpAddress): NsFrame {
  const destinationIp = solicitedNode(target);
  return {
    type: ND_NEIGHBOR_SOLICIT,
    destination: multicastMac(destinationIp),
    source,
    sourceIp: UNSPECIFIED_IPV6,
    destinationIp,
    target,
    sourceMac: undefined,
  };
}

/** Tells all nodes that `target` is now at `source`; those who have an entry for it change it (RFC 4861 7.2.6). */
export function unsolicitedNa(source: MacAddress, target: IpAddress, options: { readonly router: boolean }): NaFrame {
  return {
    type: ND_NEIGHBOR_ADVERT,
    destination: ALL_NODES_MAC,
    source,
    sourceIp: target,
    destinationIp: ALL_NODES,
    router: options.router,
    solicited: false,
    override: true,
    target,
    targetMac: source,
  };
}

//   0    1    2        4                   8                        24                 (14 + 40 octets in front of it)
//  ┌────┬────┬────────┬───────────────────┬────────────────────────┬───────────┐
//  │type│ 0  │checksum│ R S O  reserved   │         target         │ options … │   flags only in an advertisement
//  └────┴────┴────────┴───────────────────┴────────────────────────┴───────────┘
//   option: type, length in units of 8 octets, value

/** The whole Ethernet frame: 78 octets, or 86 with the option. */
export function encodeNs(frame: NsFrame): Uint8Array {
  return encodeMessage(frame, 0, { type: OPT_SOURCE_LINKADDR, mac: frame.sourceMac });
}

/** The whole Ethernet frame: 78 octets, or 86 with the option. */
export function encodeNa(frame: NaFrame): Uint8Array {
  const flags = (frame.router ? FLAG_ROUTER : 0) | (frame.solicited ? FLAG_SOLICITED : 0) | (frame.override ? FLAG_OVERRIDE : 0);
  return encodeMessage(frame, flags, { type: OPT_TARGET_LINKADDR, mac: frame.targetMac });
}

/**
 * Reads a whole Ethernet frame and checks all that RFC 4861 7.1.1 and 7.1.2 ask for, checksum included. Unknown options are skipped. Throws
 * DecodeError, also for other ICMPv6 and behind extension headers.
 */
export function decodeNd(bytes: Uint8Array): NdFrame {
  const { destination, source, etherType, payload } = decodeEthernet(bytes);
  expect(etherType === ETHERTYPE_IPV6, 12, `ethertype ${etherType}`);
  const packet = decodeIpv6(payload, ETHERNET_HEADER_LENGTH);
  expect(packet.nextHeader === NEXT_HEADER_ICMPV6, 20, `next header ${packet.nextHeader}`);
  expect(packet.hopLimit === HOP_LIMIT, 21, `hop limit ${packet.hopLimit}`);
  const reader = new Reader(packet.payload, MESSAGE_OFFSET);
  const type = reader.u8();
  if (type !== ND_NEIGHBOR_SOLICIT && type !== ND_NEIGHBOR_ADVERT) throw new DecodeError("value", MESSAGE_OFFSET, `ICMPv6 type ${type}`);
  const code = reader.u8();
  expect(code === 0, MESSAGE_OFFSET + 1, `code ${code}`);
  reader.skip(2);
  const flags = reader.u8();
  reader.skip(3);
  const target = ipFromBytes(reader.bytes(16));
  expect(!isMulticast(target), MESSAGE_OFFSET + 8, `target ${target}`);
  const options = decodeMacOptions(reader);
  expect(icmpv6Checksum(packet) === 0, MESSAGE_OFFSET + CHECKSUM_OFFSET, "wrong checksum");
  const carrier = { destination, source, sourceIp: packet.source, destinationIp: packet.destination, target };
  return type === ND_NEIGHBOR_SOLICIT ? solicitation(carrier, options) : advertisement(carrier, options, flags);
}

function solicitation(carrier: NdCarrier, options: ReadonlyMap<number, MacAddress>): NsFrame {
  const sourceMac = options.get(OPT_SOURCE_LINKADDR);
  if (carrier.sourceIp === UNSPECIFIED_IPV6) {
    // RFC 4861 7.1.1: a probe goes to a solicited-node group and has no source link-layer address.
    expect(SOLICITED_NODE.test(carrier.destinationIp), 38, `a probe to ${carrier.destinationIp}`);
    expect(sourceMac === undefined, MESSAGE_OFFSET + MESSAGE_LENGTH, "a probe with a source link-layer address");
  }
  return { type: ND_NEIGHBOR_SOLICIT, ...carrier, sourceMac };
}

function advertisement(carrier: NdCarrier, options: ReadonlyMap<number, MacAddress>, flags: number): NaFrame {
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const solicited = has(FLAG_SOLICITED);
  // RFC 4861 7.1.2.
  expect(!(solicited && isMulticast(carrier.destinationIp)), MESSAGE_OFFSET + 4, `a solicited advertisement to ${carrier.destinationIp}`);
  const targetMac = options.get(OPT_TARGET_LINKADDR);
  return { type: ND_NEIGHBOR_ADVERT, ...carrier, router: has(FLAG_ROUTER), solicited, override: has(FLAG_OVERRIDE), targetMac };
}

/** The link-layer addresses by option type; of several with one type the first counts, as in Linux. */
function decodeMacOptions(reader: Reader): ReadonlyMap<number, MacAddress> {
  const found = new Map<number, MacAddress>();
  for (const { type, length, value, offset } of ndOptions(reader)) {
    if (type !== OPT_SOURCE_LINKADDR && type !== OPT_TARGET_LINKADDR) continue;
    if (length !== MAC_OPTION_LENGTH) throw new DecodeError("length", offset, `link-layer address option of ${length} octets`);
    if (!found.has(type)) found.set(type, macFromBytes(value));
  }
  return found;
}

function encodeMessage(frame: NdFrame, flags: number, option: { readonly type: number; readonly mac: MacAddress | undefined }): Uint8Array {
  const writer = new Writer(MESSAGE_LENGTH + MAC_OPTION_LENGTH).u8(frame.type).zeros(3).u8(flags).zeros(3).bytes(ipToBytes(frame.target));
  if (option.mac !== undefined) writer.u8(option.type).u8(1).bytes(macToBytes(option.mac));
  const packet: Ipv6Packet = {
    source: frame.sourceIp,
    destination: frame.destinationIp,
    nextHeader: NEXT_HEADER_ICMPV6,
    hopLimit: HOP_LIMIT,
    payload: writer.finish(),
  };
  new DataView(packet.payload.buffer).setUint16(CHECKSUM_OFFSET, icmpv6Checksum(packet));
  return encodeEthernet({ destination: frame.destination, source: frame.source, etherType: ETHERTYPE_IPV6, payload: encodeIpv6(packet) });
}

function isMulticast(address: IpAddress): boolean {
  return address.startsWith("ff") && address.indexOf(":") === 4;
}

function expect(holds: boolean, offset: number, found: string): void {
  if (!holds) throw new DecodeError("value", offset, found);
}
