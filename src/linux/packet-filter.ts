import { ARP_REPLY } from "../wire/arp.js";
import { DHCP_CLIENT_PORT } from "../wire/dhcp/codes.js";
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from "../wire/ethernet.js";
import { PROTOCOL_UDP } from "../wire/ipv4.js";
import { NEXT_HEADER_ICMPV6 } from "../wire/ipv6.js";
import { ND_NEIGHBOR_ADVERT, ND_NEIGHBOR_SOLICIT } from "../wire/ndp.js";

/** More than any frame that is let through; a longer one is cut. */
export const FRAME_SIZE = 2048;

// Classic BPF: {u16 code, u8 jump if true, u8 jump if false, u32 operand}
export const LOAD_HALF = 0x28;
const LOAD_BYTE = 0x30;
export const LOAD_WORD = 0x20;
const A_TO_X = 0x07;
export const JUMP_EQUAL = 0x15;
const JUMP_EQUAL_X = 0x1d;
const JUMP_ANY_BIT = 0x45;
/** X = 4 x the low four bits of an octet: the length of an IPv4 header. */
const LOAD_HEADER_LENGTH = 0xb1;
/** From X + operand. */
const LOAD_HALF_FROM_X = 0x48;
export const RETURN = 0x06;
/** Load from here: not the frame but what the kernel knows about it, first the packet type. */
const ANCILLARY_PACKET_TYPE = 0xffff_f000 + 4;
/** For another host; frames of a VLAN that this link does not have are marked so too, and what they carry is not ours. */
const PACKET_OTHERHOST = 3;
const PACKET_OUTGOING = 4;
// Where things are in an Ethernet frame.
const ARP_OPERATION = 20;
const ARP_SENDER_IP = 28;
const ARP_TARGET_IP = 38;
const IPV6_SOURCE = 22;
const IPV4_HEADER = 14;
const IPV4_FRAGMENT = 20;
const IPV4_PROTOCOL = 23;
const FRAGMENT_OFFSET = 0x1fff;

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, operand: number];

/** What is for another host jumps over so many instructions, counted after the second one here; what this link sent itself lands at the same. */
function unlessOthers(jump: number): readonly Instruction[] {
  return [
    [LOAD_BYTE, 0, 0, ANCILLARY_PACKET_TYPE],
    [JUMP_EQUAL, jump, 0, PACKET_OTHERHOST],
    [JUMP_EQUAL, jump - 1, 0, PACKET_OUTGOING],
  ];
}

/**
 * ARP by which somebody claims an address: replies, announcements (sender = target) and probes (sender 0.0.0.0). Ordinary requests, the bulk of
 * the broadcasts on a LAN, wake nobody. Nothing that is not for this link or that this link sent itself.
 */
export const ARP_CLAIMS = encodeFilter([
  ...unlessOthers(11),
  [LOAD_HALF, 0, 0, 12],
  [JUMP_EQUAL, 0, 8, ETHERTYPE_ARP],
  [LOAD_HALF, 0, 0, ARP_OPERATION],
  [JUMP_EQUAL, 5, 0, ARP_REPLY],
  [LOAD_WORD, 0, 0, ARP_SENDER_IP],
  [JUMP_EQUAL, 3, 0, 0],
  [A_TO_X, 0, 0, 0],
  [LOAD_WORD, 0, 0, ARP_TARGET_IP],
  [JUMP_EQUAL_X, 0, 1, 0],
  [RETURN, 0, 0, FRAME_SIZE],
  [RETURN, 0, 0, 0],
]);

/**
 * The same for Neighbor Discovery: advertisements, and solicitations from `::`. No node sends these behind an extension header (RFC 6980: at least
 * not fragmented).
 */
export const ND_CLAIMS = encodeFilter([
  ...unlessOthers(17),
  [LOAD_HALF, 0, 0, 12],
  [JUMP_EQUAL, 0, 14, ETHERTYPE_IPV6],
  [LOAD_BYTE, 0, 0, 20],
  [JUMP_EQUAL, 0, 12, NEXT_HEADER_ICMPV6],
  [LOAD_BYTE, 0, 0, 54],
  [JUMP_EQUAL, 9, 0, ND_NEIGHBOR_ADVERT],
  [JUMP_EQUAL, 0, 9, ND_NEIGHBOR_SOLICIT],
  [LOAD_WORD, 0, 0, IPV6_SOURCE],
  [JUMP_EQUAL, 0, 7, 0],
  [LOAD_WORD, 0, 0, IPV6_SOURCE + 4],
  [JUMP_EQUAL, 0, 5, 0],
  [LOAD_WORD, 0, 0, IPV6_SOURCE + 8],
  [JUMP_EQUAL, 0, 3, 0],
  [LOAD_WORD, 0, 0, IPV6_SOURCE + 12],
  [JUMP_EQUAL, 0, 1, 0],
  [RETURN, 0, 0, FRAME_SIZE],
  [RETURN, 0, 0, 0],
]);

/** UDP over IPv4 to the port of DHCP clients, by broadcast or to the address of this link. */
export const DHCP_ANSWERS = encodeFilter([
  ...unlessOthers(11),
  [LOAD_HALF, 0, 0, 12],
  [JUMP_EQUAL, 0, 8, ETHERTYPE_IPV4],
  [LOAD_BYTE, 0, 0, IPV4_PROTOCOL],
  [JUMP_EQUAL, 0, 6, PROTOCOL_UDP],
  [LOAD_HALF, 0, 0, IPV4_FRAGMENT],
  [JUMP_ANY_BIT, 4, 0, FRAGMENT_OFFSET],
  [LOAD_HEADER_LENGTH, 0, 0, IPV4_HEADER],
  [LOAD_HALF_FROM_X, 0, 0, IPV4_HEADER + 2],
  [JUMP_EQUAL, 0, 1, DHCP_CLIENT_PORT],
  [RETURN, 0, 0, FRAME_SIZE],
  [RETURN, 0, 0, 0],
]);

/** The program as the kernel takes it: 8 octets for each instruction. */
export function encodeFilter(instructions: readonly Instruction[]): Uint8Array {
  const program = new DataView(new ArrayBuffer(instructions.length * 8));
  instructions.forEach(([code, ifTrue, ifFalse, operand], index) => {
    program.setUint16(index * 8, code, true);
    program.setUint8(index * 8 + 2, ifTrue);
    program.setUint8(index * 8 + 3, ifFalse);
    program.setUint32(index * 8 + 4, operand, true);
  });
  return new Uint8Array(program.buffer);
}
