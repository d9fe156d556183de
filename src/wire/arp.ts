import { ipFromBytes, ipToBytes, type IpAddress } from "../lib/ip.js";
import { macFromBytes, macToBytes, type MacAddress } from "../lib/mac.js";
import { decodeEthernet, encodeEthernet, ETHERNET_HEADER_LENGTH, ETHERTYPE_ARP } from "./ethernet.js";
import { DecodeError, Reader } from "./reader.js";
import { Writer } from "./writer.js";

export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

const HARDWARE_ETHERNET = 1;
const PROTOCOL_IPV4 = 0x0800;
const PACKET_LENGTH = 28;

/** An ARP packet for IPv4 over Ethernet with the frame that carries it (RFC 826). */
export interface ArpFrame {
  readonly destination: MacAddress;
  readonly source: MacAddress;
  /** ARP_REQUEST, ARP_REPLY, or another operation as it came. */
  readonly operation: number;
  readonly senderMac: MacAddress;
  readonly senderIp: IpAddress;
  readonly targetMac: MacAddress;
  readonly targetIp: IpAddress;
}

//   0         2         4    5    6         8
//  ┌─────────┬─────────┬────┬────┬─────────┐
//  │hw type 1│proto 800│hln6│pln4│operation│
//  ├─────────┴─────────┴────┴────┼─────────┴─────────┐
//  │ 8  sender MAC               │ 14  sender IP     │
//  ├─────────────────────────────┼───────────────────┤
//  │ 18 target MAC               │ 24  target IP     │ 28
//  └─────────────────────────────┴───────────────────┘

/** The whole Ethernet frame, 42 octets. */
export function encodeArp(frame: ArpFrame): Uint8Array {
  const payload = new Writer(PACKET_LENGTH)
    .u16(HARDWARE_ETHERNET)
    .u16(PROTOCOL_IPV4)
    .u8(6)
    .u8(4)
    .u16(frame.operation)
    .bytes(macToBytes(frame.senderMac))
    .bytes(ipToBytes(frame.senderIp))
    .bytes(macToBytes(frame.targetMac))
    .bytes(ipToBytes(frame.targetIp))
    .finish();
  return encodeEthernet({ destination: frame.destination, source: frame.source, etherType: ETHERTYPE_ARP, payload });
}

/** Reads a whole Ethernet frame; padding behind the packet is ignored. Throws DecodeError, also for ARP that is not IPv4 over Ethernet. */
export function decodeArp(bytes: Uint8Array): ArpFrame {
  const { destination, source, etherType, payload } = decodeEthernet(bytes);
  expect(etherType, ETHERTYPE_ARP, 12, "ethertype");
  const reader = new Reader(payload, ETHERNET_HEADER_LENGTH);
  expect(reader.u16(), HARDWARE_ETHERNET, 14, "hardware type");
  expect(reader.u16(), PROTOCOL_IPV4, 16, "protocol type");
  expect(reader.u8(), 6, 18, "hardware address length");
  expect(reader.u8(), 4, 19, "protocol address length");
  return {
    destination,
    source,
    operation: reader.u16(),
    senderMac: macFromBytes(reader.bytes(6)),
    senderIp: ipFromBytes(reader.bytes(4)),
    targetMac: macFromBytes(reader.bytes(6)),
    targetIp: ipFromBytes(reader.bytes(4)),
  };
}

// RFC 826, packet reception: hardware type and protocol type are checked first, the lengths optionally.
function expect(value: number, wanted: number, offset: number, field: string): void {
  if (value !== wanted) throw new DecodeError("value", offset, `${field} ${value}, not ${wanted},`);
}
