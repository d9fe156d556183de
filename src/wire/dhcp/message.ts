import { ipFromBytes, ipToBytes, type IpAddress } from "../../lib/ip.js";
import { macFromBytes, macToBytes, type MacAddress } from "../../lib/mac.js";
import { DecodeError, Reader } from "../reader.js";
import { Writer } from "../writer.js";
import { decodeAreas, encodeOptionsField } from "./areas.js";
import { BOOTREPLY, BOOTREQUEST } from "./codes.js";
import { decodeOptions, encodeOptions, type DhcpOptions } from "./options.js";

/** A DHCP message of a host on Ethernet (RFC 2131 2). `sname` and `file`, for hosts that boot from the network, are not kept. */
export interface DhcpMessage {
  readonly op: typeof BOOTREQUEST | typeof BOOTREPLY;
  /** Relays passed. */
  readonly hops: number;
  readonly xid: number;
  /** Seconds since the client began to look for an address. */
  readonly secs: number;
  /** The client cannot receive unicast before it has its address. */
  readonly broadcast: boolean;
  /** The client's address, once it can answer ARP for it. */
  readonly ciaddr: IpAddress;
  /** The address that the server gives. */
  readonly yiaddr: IpAddress;
  readonly siaddr: IpAddress;
  readonly giaddr: IpAddress;
  readonly chaddr: MacAddress;
  readonly options: DhcpOptions;
}

const HARDWARE_ETHERNET = 1;
const MAC_LENGTH = 6;
const CHADDR_LENGTH = 16;
const SNAME_LENGTH = 64;
const FILE_LENGTH = 128;
const HEADER_LENGTH = 236;
const MAGIC_COOKIE = 0x63825363;
const OPTIONS_OFFSET = HEADER_LENGTH + 4;
const FLAG_BROADCAST = 0x8000;
/** RFC 1542 2.1: relays drop less, from the time when all messages had this size. */
const MIN_LENGTH = 300;

//   0    1     2    3    4       8      10      12       16       20       24       28         44        108       236      240
//  ┌────┬─────┬────┬────┬───────┬──────┬───────┬────────┬────────┬────────┬────────┬──────────┬─────────┬─────────┬────────┬───────────┐
//  │ op │htype│hlen│hops│  xid  │ secs │ flags │ ciaddr │ yiaddr │ siaddr │ giaddr │  chaddr  │  sname  │  file   │ cookie │ options … │
//  └────┴─────┴────┴────┴───────┴──────┴───────┴────────┴────────┴────────┴────────┴──────────┴─────────┴─────────┴────────┴───────────┘

/** The UDP payload, padded to 300 octets. */
export function encodeDhcp(message: DhcpMessage): Uint8Array {
  const options = encodeOptionsField(encodeOptions(message.options));
  const padding = Math.max(0, MIN_LENGTH - OPTIONS_OFFSET - options.length);
  return new Writer(OPTIONS_OFFSET + options.length + padding)
    .u8(message.op)
    .u8(HARDWARE_ETHERNET)
    .u8(MAC_LENGTH)
    .u8(message.hops)
    .u32(message.xid)
    .u16(Math.min(message.secs, 0xffff))
    .u16(message.broadcast ? FLAG_BROADCAST : 0)
    .bytes(ipToBytes(message.ciaddr))
    .bytes(ipToBytes(message.yiaddr))
    .bytes(ipToBytes(message.siaddr))
    .bytes(ipToBytes(message.giaddr))
    .bytes(macToBytes(message.chaddr))
    .zeros(CHADDR_LENGTH - MAC_LENGTH + SNAME_LENGTH + FILE_LENGTH)
    .u32(MAGIC_COOKIE)
    .bytes(options)
    .zeros(padding)
    .finish();
}

/** Reads a UDP payload. Throws DecodeError, also for hardware that is not Ethernet and for BOOTP without the magic cookie of options. */
export function decodeDhcp(bytes: Uint8Array, base = 0): DhcpMessage {
  const reader = new Reader(bytes, base);
  const op = reader.u8();
  if (op !== BOOTREQUEST && op !== BOOTREPLY) throw new DecodeError("value", base, `op ${op}`);
  expect(reader.u8(), HARDWARE_ETHERNET, base + 1, "hardware type");
  expect(reader.u8(), MAC_LENGTH, base + 2, "hardware address length");
  const hops = reader.u8();
  const xid = reader.u32();
  const secs = reader.u16();
  const broadcast = (reader.u16() & FLAG_BROADCAST) !== 0;
  const [ciaddr, yiaddr, siaddr, giaddr] = [address(reader), address(reader), address(reader), address(reader)];
  const chaddr = macFromBytes(reader.bytes(MAC_LENGTH));
  reader.skip(CHADDR_LENGTH - MAC_LENGTH);
  const sname = reader.part(SNAME_LENGTH);
  const file = reader.part(FILE_LENGTH);
  expect(reader.u32(), MAGIC_COOKIE, base + HEADER_LENGTH, "magic cookie");
  const areas = decodeAreas({ options: reader.part(reader.remaining), file, sname });
  const options = decodeOptions(areas, base + OPTIONS_OFFSET);
  return { op, hops, xid, secs, broadcast, ciaddr, yiaddr, siaddr, giaddr, chaddr, options };
}

function address(reader: Reader): IpAddress {
  return ipFromBytes(reader.bytes(4));
}

function expect(value: number, wanted: number, offset: number, field: string): void {
  if (value !== wanted) throw new DecodeError("value", offset, `${field} ${value}, not ${wanted},`);
}
