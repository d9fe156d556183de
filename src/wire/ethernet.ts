import { macFromBytes, macToBytes, type MacAddress } from "../lib/mac.js";
import { Reader } from "./reader.js";
import { Writer } from "./writer.js";

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
export const ETHERTYPE_IPV6 = 0x86dd;
export const ETHERNET_HEADER_LENGTH = 14;

/** Ethernet II frame (RFC 894) without the frame check sequence. Padding to the minimum length stays in `payload`. */
export interface EthernetFrame {
  readonly destination: MacAddress;
  readonly source: MacAddress;
  readonly etherType: number;
  readonly payload: Uint8Array;
}

//   0                   6                   12        14
//  ┌───────────────────┬───────────────────┬─────────┬───────────┐
//  │    destination    │      source       │ethertype│ payload … │
//  └───────────────────┴───────────────────┴─────────┴───────────┘

/** The frame as octets; the driver adds padding and checksum. */
export function encodeEthernet(frame: EthernetFrame): Uint8Array {
  return new Writer(ETHERNET_HEADER_LENGTH + frame.payload.length)
    .bytes(macToBytes(frame.destination))
    .bytes(macToBytes(frame.source))
    .u16(frame.etherType)
    .bytes(frame.payload)
    .finish();
}

/** Throws DecodeError where there is no whole header. */
export function decodeEthernet(bytes: Uint8Array): EthernetFrame {
  const reader = new Reader(bytes);
  const destination = macFromBytes(reader.bytes(6));
  const source = macFromBytes(reader.bytes(6));
  const etherType = reader.u16();
  return { destination, source, etherType, payload: reader.bytes(reader.remaining) };
}
