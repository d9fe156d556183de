import { ipToBytes, type IpAddress } from "../lib/ip.js";
import type { MacAddress } from "../lib/mac.js";
import { internetChecksum } from "./checksum.js";
import { decodeEthernet, encodeEthernet, ETHERNET_HEADER_LENGTH, ETHERTYPE_IPV4 } from "./ethernet.js";
import { decodeIpv4, encodeIpv4, PROTOCOL_UDP } from "./ipv4.js";
import { DecodeError, Reader } from "./reader.js";
import { Writer } from "./writer.js";

export const UDP_HEADER_LENGTH = 8;

const PSEUDO_HEADER_LENGTH = 12;
const CHECKSUM_OFFSET = 6;
const TTL = 64;

/** A UDP datagram (RFC 768). */
export interface UdpDatagram {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

/** Where a datagram comes from and goes to; both of one family. */
export interface UdpPath {
  readonly source: IpAddress;
  readonly destination: IpAddress;
}

/** A UDP datagram over IPv4 with the Ethernet frame that carries it. */
export interface UdpFrame extends UdpDatagram {
  readonly destination: MacAddress;
  readonly source: MacAddress;
  readonly sourceIp: IpAddress;
  readonly destinationIp: IpAddress;
}

//   0             2                 4        6          8
//  ┌─────────────┬─────────────────┬────────┬──────────┬───────────┐
//  │ source port │destination port │ length │ checksum │ payload … │   length is that of header and payload
//  └─────────────┴─────────────────┴────────┴──────────┴───────────┘

/** The datagram with its checksum over IPv4. */
export function encodeUdp({ sourcePort, destinationPort, payload }: UdpDatagram, path: UdpPath): Uint8Array {
  const length = UDP_HEADER_LENGTH + payload.length;
  const datagram = new Writer(length).u16(sourcePort).u16(destinationPort).u16(length).u16(0).bytes(payload).finish();
  const checksum = internetChecksum(pseudoHeader(path, length), datagram);
  // RFC 768: 0 says that there is no checksum, so a computed 0 is sent as all ones.
  new DataView(datagram.buffer).setUint16(CHECKSUM_OFFSET, checksum === 0 ? 0xffff : checksum);
  return datagram;
}

/**
 * Reads a datagram over IPv4; what is behind its length is ignored. Throws DecodeError.
 *
 * No checksum (0) is right (RFC 768). So is one that holds the sum over the pseudo-header only: a packet socket sees what a sender on the same
 * machine leaves for the network card to complete (Linux: CHECKSUM_PARTIAL), and a DHCP server in another container or namespace sends just that.
 */
export function decodeUdp(bytes: Uint8Array, path: UdpPath, base = 0): UdpDatagram {
  const reader = new Reader(bytes, base);
  const sourcePort = reader.u16();
  const destinationPort = reader.u16();
  const length = reader.u16();
  if (length < UDP_HEADER_LENGTH) throw new DecodeError("length", base + 4, `datagram of ${length} octets`);
  const checksum = reader.u16();
  const payload = reader.bytes(length - UDP_HEADER_LENGTH);
  const pseudo = pseudoHeader(path, length);
  const partial = ~internetChecksum(pseudo) & 0xffff;
  const right = checksum === 0 || checksum === partial || internetChecksum(pseudo, bytes.subarray(0, length)) === 0;
  if (!right) throw new DecodeError("value", base + CHECKSUM_OFFSET, "wrong checksum");
  return { sourcePort, destinationPort, payload };
}

/** The whole Ethernet frame. */
export function encodeUdpFrame(frame: UdpFrame): Uint8Array {
  const path: UdpPath = { source: frame.sourceIp, destination: frame.destinationIp };
  const payload = encodeIpv4({ ...path, protocol: PROTOCOL_UDP, ttl: TTL, payload: encodeUdp(frame, path) });
  return encodeEthernet({ destination: frame.destination, source: frame.source, etherType: ETHERTYPE_IPV4, payload });
}

/** Reads a whole Ethernet frame. Throws DecodeError, also for what is not UDP over IPv4. */
export function decodeUdpFrame(bytes: Uint8Array): UdpFrame {
  const { destination, source, etherType, payload } = decodeEthernet(bytes);
  if (etherType !== ETHERTYPE_IPV4) throw new DecodeError("value", 12, `ethertype ${etherType}, not ${ETHERTYPE_IPV4},`);
  const packet = decodeIpv4(payload, ETHERNET_HEADER_LENGTH);
  if (packet.protocol !== PROTOCOL_UDP) throw new DecodeError("value", ETHERNET_HEADER_LENGTH + 9, `IP protocol ${packet.protocol}`);
  // With options the header is longer than 20 octets.
  const base = ETHERNET_HEADER_LENGTH + ((payload[0] ?? 0) & 0xf) * 4;
  const datagram = decodeUdp(packet.payload, packet, base);
  return { destination, source, sourceIp: packet.source, destinationIp: packet.destination, ...datagram };
}

//   0           4               8    9    10       12
//  ┌───────────┬───────────────┬────┬────┬────────┐
//  │  source   │  destination  │ 0  │ 17 │ length │   what the checksum covers in front of the datagram
//  └───────────┴───────────────┴────┴────┴────────┘

function pseudoHeader({ source, destination }: UdpPath, length: number): Uint8Array {
  return new Writer(PSEUDO_HEADER_LENGTH).bytes(ipToBytes(source)).bytes(ipToBytes(destination)).u8(0).u8(PROTOCOL_UDP).u16(length).finish();
}
