import { ipFromBytes, ipToBytes, type IpAddress } from "../../lib/ip.js";
import { DecodeError, Reader } from "../reader.js";
import { Writer } from "../writer.js";
import { encodeCapability, readCapability, type Capability } from "./capability.js";
import { ERROR_OPEN, OPEN_OPTIONAL_PARAMETER, OPEN_UNSPECIFIC, OPEN_VERSION } from "./codes.js";
import { BgpError, notificationOf, withNotification } from "./error.js";

/** RFC 6793 9: stands in 16 bits for every AS number that needs more. */
export const AS_TRANS = 23_456;
export const MAX_AS_2 = 65_535;

const VERSION = 4;
const PARAMETER_CAPABILITIES = 2;
/** RFC 9072 2: as length and as first type, both lengths that follow have 16 bits. */
const EXTENDED = 255;

/** An OPEN (RFC 4271 4.2). */
export interface Open {
  /** The 16-bit field: the AS number, or AS_TRANS. The real one is in the capability `fourOctetAs`. */
  readonly as: number;
  /** 0 to 65535; 0: no keepalives. 1 and 2 must be refused (RFC 4271 6.2), by the session. */
  readonly holdSeconds: number;
  /** BGP identifier, written as an IPv4 address. */
  readonly routerId: IpAddress;
  readonly capabilities: readonly Capability[];
}

/** The real AS number: of the capability where there is one. */
export function asOf(open: Open): number {
  return open.capabilities.find((capability) => capability.kind === "fourOctetAs")?.as ?? open.as;
}

//   0      1        3        5               9        10
//  ┌──────┬────────┬────────┬───────────────┬────────┬─────────────────────────┐
//  │  4   │   AS   │ hold   │  identifier   │ length │ type, length, value …   │
//  └──────┴────────┴────────┴───────────────┴────────┴─────────────────────────┘

/** The body, without the message header. All capabilities go into one parameter, as RFC 5492 4 asks for. */
export function encodeOpen(open: Open): Uint8Array {
  const capabilities = open.capabilities.map((capability) => encodeCapability(capability));
  const length = capabilities.reduce((sum, { length: size }) => sum + size, 0);
  const writer = new Writer(16 + length).u8(VERSION).u16(open.as).u16(open.holdSeconds).bytes(ipToBytes(open.routerId));
  if (length === 0) return writer.u8(0).finish();
  if (length + 2 < EXTENDED) writer.u8(length + 2).u8(PARAMETER_CAPABILITIES).u8(length);
  else writer.u8(EXTENDED).u8(EXTENDED).u16(length + 3).u8(PARAMETER_CAPABILITIES).u16(length);
  for (const capability of capabilities) writer.bytes(capability);
  return writer.finish();
}

/** Reads the body up to its end. Throws BgpError with the subcode that RFC 4271 6.2 asks for. What the values mean is the session's to judge. */
export function decodeOpen(reader: Reader): Open {
  return withNotification(notificationOf(ERROR_OPEN, OPEN_UNSPECIFIC), () => {
    const at = reader.offset;
    const version = reader.u8();
    // RFC 4271 6.2: the data is the version that we do support.
    if (version !== VERSION) throw new BgpError(notificationOf(ERROR_OPEN, OPEN_VERSION, Uint8Array.of(0, VERSION)), { code: "value", offset: at }, `BGP version ${version}`);
    const head = { as: reader.u16(), holdSeconds: reader.u16(), routerId: ipFromBytes(reader.bytes(4)) };
    return { ...head, capabilities: readParameters(reader) };
  });
}

function readParameters(reader: Reader): readonly Capability[] {
  const { parameters, extended } = parameterPart(reader);
  const capabilities: Capability[] = [];
  while (parameters.remaining > 0) {
    const at = parameters.offset;
    const type = parameters.u8();
    const value = parameters.part(extended ? parameters.u16() : parameters.u8());
    if (type !== PARAMETER_CAPABILITIES) {
      throw new BgpError(notificationOf(ERROR_OPEN, OPEN_OPTIONAL_PARAMETER), { code: "value", offset: at }, `optional parameter ${type}`);
    }
    while (value.remaining > 0) capabilities.push(readCapability(value));
  }
  return capabilities;
}

function parameterPart(reader: Reader): { readonly parameters: Reader; readonly extended: boolean } {
  const at = reader.offset;
  const length = reader.u8();
  const octets = reader.bytes(reader.remaining);
  // RFC 9072 2: the first type tells, and not the length before it; that should be 255 then, and must not be 0.
  const extended = octets[0] === EXTENDED && length !== 0;
  const parameters = new Reader(octets, at + 1);
  if (extended) parameters.skip(1);
  const size = extended ? parameters.u16() : length;
  if (size !== parameters.remaining) throw new DecodeError("length", at, `optional parameters of ${size} octets, ${parameters.remaining} left`);
  return { parameters, extended };
}
