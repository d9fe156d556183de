import { ipFromBytes, type IpAddress } from "../lib/ip.js";
import { DecodeError, Reader } from "./reader.js";
import { Writer } from "./writer.js";

export const NAT_PMP_VERSION = 0;

const OPCODE_EXTERNAL = 0;
/** RFC 6886 3.3. */
const OPCODES = { UDP: 1, TCP: 2 } as const;
const RESPONSE = 0x80;

/** RFC 6886 3.5, those that mean something to us. */
export const NAT_PMP_RESULT = { success: 0, unsupportedVersion: 1 } as const;

const RESULTS = ["success", "unsupported version", "not authorized", "network failure", "out of resources", "unsupported opcode"] as const;

/** A mapping to the sender of the request, as it is asked for. A lifetime of 0, with an external port of 0, takes it away. */
export interface NatPmpMapRequest {
  readonly protocol: "TCP" | "UDP";
  readonly internalPort: number;
  /** A wish. */
  readonly externalPort: number;
  /** s. */
  readonly lifetime: number;
}

/** `epoch`: s since the router lost its mappings (RFC 6886 3.6). */
export interface NatPmpResponse {
  readonly result: number;
  readonly epoch: number;
  /** `none`: an error, of which a router sends no more. */
  readonly body:
    | { readonly type: "external"; readonly address: IpAddress }
    | { readonly type: "map"; readonly protocol: "TCP" | "UDP"; readonly internalPort: number; readonly externalPort: number; readonly lifetime: number }
    | { readonly type: "none" };
}

//   0       1         2        3        4
//  ┌───────┬─┬───────┬─────────────────┐
//  │version│R│opcode │ result          │  requests: reserved
//  ├───────┴─┴───────┴─────────────────┤
//  │ 4   epoch, s                      │  responses only
//  ├───────────────────────────────────┤
//  │ external address (4)              │  opcode 0, responses only
//  │ internal port, external port      │  opcodes 1 (UDP) and 2 (TCP)
//  │ lifetime, s                       │
//  └───────────────────────────────────┘

/** Asks for the router's address on its outside (RFC 6886 3.2). */
export function encodeNatPmpExternal(): Uint8Array {
  return new Writer(2).u8(NAT_PMP_VERSION).u8(OPCODE_EXTERNAL).finish();
}

/** RFC 6886 3.3. */
export function encodeNatPmpMap({ protocol, internalPort, externalPort, lifetime }: NatPmpMapRequest): Uint8Array {
  return new Writer(12).u8(NAT_PMP_VERSION).u8(OPCODES[protocol]).u16(0).u16(internalPort).u16(externalPort).u32(lifetime).finish();
}

/** Reads what a router sends. Throws DecodeError, also for requests and for other versions. */
export function decodeNatPmp(bytes: Uint8Array): NatPmpResponse {
  const reader = new Reader(bytes);
  const version = reader.u8();
  if (version !== NAT_PMP_VERSION) throw new DecodeError("value", 0, `version ${version}, expected ${NAT_PMP_VERSION}`);
  const opcode = reader.u8();
  if ((opcode & RESPONSE) === 0) throw new DecodeError("value", 1, "a request, expected a response");
  const result = reader.u16();
  const epoch = reader.u32();
  return { result, epoch, body: result === NAT_PMP_RESULT.success ? bodyOf(opcode & ~RESPONSE, reader) : { type: "none" } };
}

/** In words. */
export function natPmpResultText(result: number): string {
  return RESULTS[result] ?? `result ${result}`;
}

function bodyOf(opcode: number, reader: Reader): NatPmpResponse["body"] {
  if (opcode === OPCODE_EXTERNAL) return { type: "external", address: ipFromBytes(reader.bytes(4)) };
  if (opcode !== OPCODES.TCP && opcode !== OPCODES.UDP) throw new DecodeError("value", 1, `opcode ${opcode}`);
  return { type: "map", protocol: opcode === OPCODES.TCP ? "TCP" : "UDP", internalPort: reader.u16(), externalPort: reader.u16(), lifetime: reader.u32() };
}
