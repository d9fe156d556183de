import { ipFromBytes, type Family, type IpAddress } from "../../lib/ip.js";
import { Reader } from "../reader.js";
import { Writer } from "../writer.js";
import { afFromFamily, familyFromAf } from "./attribute.js";

/** linux/netlink.h: the netlink protocol of sock_diag(7). */
export const NETLINK_SOCK_DIAG = 4;
/** linux/sock_diag.h: type of requests and answers. */
export const SOCK_DIAG_BY_FAMILY = 20;

const IPPROTO_TCP = 6;
const TCP_ESTABLISHED = 1;
const ADDRESS_OCTETS = 16;

/** One end of a connection. */
interface SocketEnd {
  readonly address: IpAddress;
  readonly port: number;
}

/** A TCP socket as the kernel lists it. */
export interface TcpSocket {
  readonly local: SocketEnd;
  readonly remote: SocketEnd;
  /** As in `socket:[4711]` of /proc/<pid>/fd. */
  readonly inode: number;
}

//   0      1        2     3     4              8                                              56
//  ┌──────┬────────┬─────┬─────┬──────────────┬──────────────────────────────────────────────┐
//  │family│protocol│ ext │ pad │states, bits  │ inet_diag_sockid: not looked at in a dump    │   inet_diag_req_v2
//  └──────┴────────┴─────┴─────┴──────────────┴──────────────────────────────────────────────┘

/** Payload of a request for all established TCP sockets of one family. */
export function encodeEstablishedDump(family: Family): Uint8Array {
  return new Writer(56).u8(afFromFamily(family)).u8(IPPROTO_TCP).zeros(2).u32le(1 << TCP_ESTABLISHED).zeros(48).finish();
}

//   0      1     2     3       4       6       8         24        40    44       52      56     60     64    68      72
//  ┌──────┬─────┬─────┬───────┬───────┬───────┬─────────┬─────────┬─────┬────────┬───────┬──────┬──────┬─────┬───────┐
//  │family│state│timer│retrans│ sport │ dport │ source  │  dest   │ if  │ cookie │expires│rqueue│wqueue│ uid │ inode │   inet_diag_msg
//  └──────┴─────┴─────┴───────┴───────┴───────┴─────────┴─────────┴─────┴────────┴───────┴──────┴──────┴─────┴───────┘
//                              big-endian, addresses too                      the rest in host order

/** Payload of an answer. Throws DecodeError. An IPv4 address that is mapped into IPv6 comes as IPv4. */
export function decodeTcpSocket(payload: Uint8Array): TcpSocket {
  const reader = new Reader(payload);
  const family = familyFromAf(reader.u8(), 0);
  reader.skip(3);
  const ports = [reader.u16(), reader.u16()] as const;
  const addresses = [addressOf(reader.bytes(ADDRESS_OCTETS), family), addressOf(reader.bytes(ADDRESS_OCTETS), family)] as const;
  reader.skip(28);
  const inode = reader.u32le();
  return { local: { address: addresses[0], port: ports[0] }, remote: { address: addresses[1], port: ports[1] }, inode };
}

function addressOf(octets: Uint8Array, family: Family): IpAddress {
  if (family === 4) return ipFromBytes(octets.subarray(0, 4));
  const mapped = octets.subarray(0, 10).every((octet) => octet === 0) && octets[10] === 0xff && octets[11] === 0xff;
  return ipFromBytes(mapped ? octets.subarray(12) : octets);
}
