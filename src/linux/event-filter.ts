import { RTM_NEWADDR } from "../wire/netlink/message.js";
import { encodeFilter, JUMP_EQUAL, LOAD_HALF, LOAD_WORD, RETURN } from "./packet-filter.js";

// Where things are in the netlink header.
const TYPE = 4;
const PORT_ID = 12;
const WHOLE = 0xffff_ffff;

/**
 * Lets through every event but those of addresses that the socket `portId` has put: each prolonged lifetime comes back as one, hundreds a second. BPF loads
 * in network order, and netlink is in the order of the host, which is little-endian.
 */
export function notPutBy(portId: number): Uint8Array {
  return encodeFilter([
    [LOAD_HALF, 0, 0, TYPE],
    [JUMP_EQUAL, 0, 2, swapped(RTM_NEWADDR, 2)],
    [LOAD_WORD, 0, 0, PORT_ID],
    [JUMP_EQUAL, 1, 0, swapped(portId, 4)],
    [RETURN, 0, 0, WHOLE],
    [RETURN, 0, 0, 0],
  ]);
}

function swapped(value: number, octets: 2 | 4): number {
  const bytes = [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24].slice(0, octets);
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}
