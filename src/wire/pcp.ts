import { familyOf, ipFromBytes, ipToBytes, type Family, type IpAddress } from "../lib/ip.js";
import { DecodeError, Reader } from "./reader.js";
import { Writer } from "./writer.js";

/** RFC 6887 19.1: where servers listen, and where they announce themselves to all hosts of a link. NAT-PMP has the same two. */
export const PCP_SERVER_PORT = 5351;
export const PCP_CLIENT_PORT = 5350;
export const PCP_VERSION = 2;
/** RFC 6887 11.1. */
export const PCP_NONCE_LENGTH = 12;
/** RFC 6887 7: no message is longer. */
export const MAX_PCP_LENGTH = 1100;

const OPCODE_ANNOUNCE = 0;
const OPCODE_MAP = 1;
const RESPONSE = 0x80;
const HEADER_LENGTH = 24;
const MAP_LENGTH = 36;

/** RFC 6887 7.4, those that mean something to us. */
export const PCP_RESULT = { success: 0, unsupportedVersion: 1, notAuthorized: 2, cannotProvideExternal: 11 } as const;

/** IANA protocol numbers. */
const PROTOCOLS = { TCP: 6, UDP: 17 } as const;
export type PcpProtocol = keyof typeof PROTOCOLS;

const RESULTS = [
  "success",
  "unsupported version",
  "not authorized",
  "malformed request",
  "unsupported opcode",
  "unsupported option",
  "malformed option",
  "network failure",
  "no resources",
  "unsupported protocol",
  "user exceeded quota",
  "cannot provide the external port or address",
  "address mismatch: there is another translator on the way",
  "excessive remote peers",
] as const;

/** A mapping, as it is asked for. A lifetime of 0 takes it away. */
export interface PcpMapRequest {
  /** The sender's own address: the server compares it with the datagram's (RFC 6887 8.1). */
  readonly client: IpAddress;
  /** s. */
  readonly lifetime: number;
  /** 12 octets, the same for as long as the mapping lasts: the server refuses others (RFC 6887 11.3). */
  readonly nonce: Uint8Array;
  readonly protocol: PcpProtocol;
  readonly internalPort: number;
  /** A wish; 0: any. */
  readonly externalPort: number;
}

/** What every response has. `lifetime` is in s: of the mapping, or of the error. `epoch`: s since the server lost its mappings (RFC 6887 8.5). */
export interface PcpResponse {
  readonly result: number;
  readonly lifetime: number;
  readonly epoch: number;
  /** `unknown`: another opcode, or an error whose body the server has cut. */
  readonly body: { readonly type: "announce" } | { readonly type: "map"; readonly map: PcpMapping } | { readonly type: "unknown" };
}

/** As the server has it. */
export interface PcpMapping {
  readonly nonce: Uint8Array;
  /** IANA number. */
  readonly protocol: number;
  readonly internalPort: number;
  readonly externalPort: number;
  readonly externalAddress: IpAddress;
}

//   0       1         2        3        4
//  ┌───────┬─┬───────┬────────┬────────┐
//  │version│R│opcode │reserved│result  │  result in responses only
//  ├───────┴─┴───────┴────────┴────────┤
//  │ 4   lifetime, s                   │
//  │ 8   client address (16)           │  in responses: epoch, s (4), reserved (12)
//  ├───────────────────────────────────┤
//  │ 24  mapping nonce (12)            │  opcode MAP
//  │ 36  protocol (1), reserved (3)    │
//  │ 40  internal port, external port  │
//  │ 44  external address (16)         │
//  └───────────────────────────────────┘

/** Asks a server whether it is there, and how long it has been so (RFC 6887 14.1). */
export function encodePcpAnnounce(client: IpAddress): Uint8Array {
  return header(new Writer(HEADER_LENGTH), OPCODE_ANNOUNCE, { client, lifetime: 0 }).finish();
}

/** RFC 6887 11.1. */
export function encodePcpMap({ client, lifetime, nonce, protocol, internalPort, externalPort }: PcpMapRequest): Uint8Array {
  return header(new Writer(HEADER_LENGTH + MAP_LENGTH), OPCODE_MAP, { client, lifetime })
    .bytes(nonce)
    .u8(PROTOCOLS[protocol])
    .zeros(3)
    .u16(internalPort)
    .u16(externalPort)
    .bytes(anyAddress(familyOf(client)))
    .finish();
}

/** Reads what a server sends. Throws DecodeError, also for requests and for other versions. Options behind the body are passed over. */
export function decodePcp(bytes: Uint8Array): PcpResponse {
  if (bytes.length > MAX_PCP_LENGTH) throw new DecodeError("length", MAX_PCP_LENGTH, `a message of ${bytes.length} octets`);
  const reader = new Reader(bytes);
  const version = reader.u8();
  if (version !== PCP_VERSION) throw new DecodeError("value", 0, `version ${version}, expected ${PCP_VERSION}`);
  const opcode = reader.u8();
  if ((opcode & RESPONSE) === 0) throw new DecodeError("value", 1, "a request, expected a response");
  reader.skip(1);
  const result = reader.u8();
  const lifetime = reader.u32();
  const epoch = reader.u32();
  reader.skip(12);
  return { result, lifetime, epoch, body: bodyOf(opcode & ~RESPONSE, reader, result) };
}

/** Whether the response is about what was asked (RFC 6887 11.4). */
export function answersMap({ nonce, protocol, internalPort }: PcpMapping, asked: Pick<PcpMapRequest, "nonce" | "protocol" | "internalPort">): boolean {
  return protocol === PROTOCOLS[asked.protocol] && internalPort === asked.internalPort && nonce.every((octet, at) => octet === asked.nonce[at]);
}

/** In words. */
export function pcpResultText(result: number): string {
  return RESULTS[result] ?? `result ${result}`;
}

function header(writer: Writer, opcode: number, { client, lifetime }: Pick<PcpMapRequest, "client" | "lifetime">): Writer {
  return writer.u8(PCP_VERSION).u8(opcode).u16(0).u32(lifetime).bytes(wide(client));
}

function bodyOf(opcode: number, reader: Reader, result: number): PcpResponse["body"] {
  if (opcode === OPCODE_ANNOUNCE) return { type: "announce" };
  if (opcode !== OPCODE_MAP || (result !== PCP_RESULT.success && reader.remaining < MAP_LENGTH)) return { type: "unknown" };
  const nonce = reader.bytes(PCP_NONCE_LENGTH);
  const protocol = reader.u8();
  reader.skip(3);
  return { type: "map", map: { nonce, protocol, internalPort: reader.u16(), externalPort: reader.u16(), externalAddress: narrow(reader.bytes(16)) } };
}

/** RFC 6887 5: an IPv4 address is IPv4-mapped. */
function wide(address: IpAddress): Uint8Array {
  if (familyOf(address) === 6) return ipToBytes(address);
  const bytes = anyAddress(4);
  bytes.set(ipToBytes(address), 12);
  return bytes;
}

function narrow(bytes: Uint8Array): IpAddress {
  const mapped = bytes.subarray(0, 10).every((octet) => octet === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return ipFromBytes(mapped ? bytes.subarray(12) : bytes);
}

/** RFC 6887 11.1: the wish for any address, of the family that is meant. */
function anyAddress(family: Family): Uint8Array {
  const bytes = new Uint8Array(16);
  if (family === 4) bytes.fill(0xff, 10, 12);
  return bytes;
}
