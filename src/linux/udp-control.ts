import type { Family, IpAddress } from "../lib/ip.js";
import { ipFromBytes } from "../lib/ip.js";

export const IPPROTO_IP = 0;
export const IPPROTO_IPV6 = 41;
export const IP_PKTINFO = 8;
export const IP_RECVTTL = 12;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_RECVHOPLIMIT = 51;

const IP_TTL = 2;
const IPV6_PKTINFO = 50;
const IPV6_HOPLIMIT = 52;

const HEADER = 16;

/** What the kernel says about a datagram beside its octets. */
export interface Arrival {
  readonly destination: IpAddress;
  readonly linkIndex: number;
  readonly ttl: number;
}

interface ControlMessage {
  readonly level: number;
  readonly type: number;
  readonly data: Uint8Array;
}

//   0            8       12      16
//  ┌────────────┬───────┬───────┬──────────────┬─────────────┐
//  │ length, 64 │ level │ type  │ data         │ pad to 8    │  struct cmsghdr, its length with the header
//  └────────────┴───────┴───────┴──────────────┴─────────────┘

/** Reads the control messages of a datagram; undefined where the kernel did not say all of it. */
export function decodeArrival(control: Uint8Array, family: Family): Arrival | undefined {
  let ttl: number | undefined;
  let where: Omit<Arrival, "ttl"> | undefined;
  for (const { level, type, data } of messages(control)) {
    if (family === 4 && level === IPPROTO_IP) {
      if (type === IP_TTL) ttl = int(data, 0);
      // struct in_pktinfo: link, local address, destination of the header
      else if (type === IP_PKTINFO && data.length >= 12) where = { linkIndex: int(data, 0), destination: ipFromBytes(data.slice(8, 12)) };
    } else if (family === 6 && level === IPPROTO_IPV6) {
      if (type === IPV6_HOPLIMIT) ttl = int(data, 0);
      // struct in6_pktinfo: destination, link
      else if (type === IPV6_PKTINFO && data.length >= 20) where = { linkIndex: int(data, 16), destination: ipFromBytes(data.slice(0, 16)) };
    }
  }
  return ttl === undefined || where === undefined ? undefined : { ...where, ttl };
}

function messages(control: Uint8Array): readonly ControlMessage[] {
  const found: ControlMessage[] = [];
  const view = new DataView(control.buffer, control.byteOffset, control.length);
  for (let at = 0; at + HEADER <= control.length; ) {
    const length = view.getUint32(at, true);
    if (length < HEADER || at + length > control.length) break;
    found.push({ level: view.getInt32(at + 8, true), type: view.getInt32(at + 12, true), data: control.subarray(at + HEADER, at + length) });
    at += Math.ceil(length / 8) * 8;
  }
  return found;
}

function int(data: Uint8Array, at: number): number {
  return at + 4 <= data.length ? new DataView(data.buffer, data.byteOffset, data.length).getInt32(at, true) : -1;
}
