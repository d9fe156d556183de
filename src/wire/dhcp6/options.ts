import { DecodeError, Reader } from "../reader.js";
import { Writer } from "../writer.js";
import * as code from "./codes.js";
import { decodeFqdn, encodeFqdn, type ClientFqdn } from "./fqdn.js";
import { decodeIaNa, encodeIaNa, type IaNa } from "./ia-na.js";
import { decodeRawOptions, encodeRawOptions, type OptionOctets } from "./raw-options.js";
import { decodeStatus, encodeStatus, type Dhcp6Status } from "./status.js";

/** The options that a client of IA_NA knows. */
export interface Dhcp6Options {
  /** DUIDs (RFC 8415 11), of 3 to 130 octets. */
  readonly clientId?: Uint8Array;
  readonly serverId?: Uint8Array;
  readonly iaNa: readonly IaNa[];
  /** Codes of the options that a client asks for. */
  readonly requestedOptions?: readonly number[];
  /** Of a server among others, 0 to 255; 255: do not look for another. */
  readonly preference?: number;
  /** Time since the client began to ask, hundredths of a second, 0xffff at the most. */
  readonly elapsed?: number;
  /** Of the message as a whole. */
  readonly status?: Dhcp6Status;
  readonly rapidCommit?: true;
  readonly fqdn?: ClientFqdn;
  /** Most time between two Solicits, seconds (RFC 8415 21.24). */
  readonly solMaxRtSeconds?: number;
  /** All others as they came, later ones of a code that comes once, and those of no weight that could not be read. */
  readonly other: readonly OptionOctets[];
}

interface OptionRow<T> {
  readonly code: number;
  /** A malformed one makes the whole message worthless. */
  readonly vital: boolean;
  encode(value: T): Uint8Array;
  decode(value: Uint8Array, base: number): T;
}

type Known = Required<Omit<Dhcp6Options, "iaNa" | "other">>;

/** RFC 8415 11.1: a type code and 1 to 128 octets. */
const DUID = {
  encode: (value: Uint8Array) => value,
  decode: (value: Uint8Array, base: number) => {
    if (value.length < 3 || value.length > 130) throw new DecodeError("length", base, `a DUID of ${value.length} octets`);
    return value;
  },
};

/** In the order in which they are sent; the IAs are behind the DUIDs. */
const ROWS: { readonly [K in keyof Known]: OptionRow<Known[K]> } = {
  clientId: { code: code.OPTION_CLIENTID, vital: true, ...DUID },
  serverId: { code: code.OPTION_SERVERID, vital: true, ...DUID },
  requestedOptions: { code: code.OPTION_ORO, vital: false, encode: (codes) => codes.reduce((writer, one) => writer.u16(one), new Writer(codes.length * 2)).finish(), decode: decodeCodes },
  preference: { code: code.OPTION_PREFERENCE, vital: false, encode: (value) => Uint8Array.of(value), decode: (value, base) => exact(value, 1, base).u8() },
  elapsed: { code: code.OPTION_ELAPSED_TIME, vital: false, encode: (value) => new Writer(2).u16(Math.min(value, 0xffff)).finish(), decode: (value, base) => exact(value, 2, base).u16() },
  status: { code: code.OPTION_STATUS_CODE, vital: true, encode: encodeStatus, decode: decodeStatus },
  rapidCommit: { code: code.OPTION_RAPID_COMMIT, vital: true, encode: () => new Uint8Array(), decode: decodeFlag },
  fqdn: { code: code.OPTION_CLIENT_FQDN, vital: false, encode: encodeFqdn, decode: decodeFqdn },
  solMaxRtSeconds: { code: code.OPTION_SOL_MAX_RT, vital: false, encode: (value) => new Writer(4).u32(value).finish(), decode: (value, base) => exact(value, 4, base).u32() },
};

// What the keys and rows have to do with each other is checked by the type of ROWS, and is lost when they are walked through.
const WALKED = Object.entries(ROWS) as readonly (readonly [keyof Known, OptionRow<unknown>])[];
const ROW_OF = new Map(WALKED.map(([key, row]) => [row.code, [key, row] as const]));

/** The options as they follow the header. */
export function encodeDhcp6Options(options: Dhcp6Options): Uint8Array {
  const known = WALKED.flatMap(([key, row]): OptionOctets[] => (options[key] === undefined ? [] : [{ code: row.code, value: row.encode(options[key]) }]));
  const ids = known.filter((option) => option.code <= code.OPTION_SERVERID);
  const ias = options.iaNa.map((ia): OptionOctets => ({ code: code.OPTION_IA_NA, value: encodeIaNa(ia) }));
  return encodeRawOptions([...ids, ...ias, ...known.slice(ids.length), ...options.other]);
}

/** Reads all that is left. Throws DecodeError where a vital option is malformed. */
export function decodeDhcp6Options(reader: Reader): Dhcp6Options {
  const known: Partial<Record<keyof Known, unknown>> = {};
  const iaNa: IaNa[] = [];
  const other: OptionOctets[] = [];
  for (const { code: number, value, offset } of decodeRawOptions(reader)) {
    if (number === code.OPTION_IA_NA) {
      iaNa.push(decodeIaNa(value, offset));
      continue;
    }
    const [key, row] = ROW_OF.get(number) ?? [];
    const read = key === undefined || key in known ? undefined : readOption(row, value, offset);
    if (key !== undefined && read !== undefined) known[key] = read;
    else other.push({ code: number, value });
  }
  return { ...(known as Omit<Dhcp6Options, "iaNa" | "other">), iaNa, other };
}

/** Undefined where it could not be read and has no weight. */
function readOption(row: OptionRow<unknown> | undefined, value: Uint8Array, offset: number): unknown {
  try {
    return row?.decode(value, offset);
  } catch (error) {
    if (row?.vital === true || !(error instanceof DecodeError)) throw error;
    return undefined;
  }
}

function decodeCodes(value: Uint8Array, base: number): readonly number[] {
  const reader = new Reader(value, base);
  const codes: number[] = [];
  while (reader.remaining > 0) codes.push(reader.u16());
  return codes;
}

function decodeFlag(value: Uint8Array, base: number): true {
  if (value.length > 0) throw new DecodeError("length", base, `an option of ${value.length} octets, not 0,`);
  return true;
}

function exact(value: Uint8Array, length: number, base: number): Reader {
  if (value.length !== length) throw new DecodeError("length", base, `an option of ${value.length} octets, not ${length},`);
  return new Reader(value, base);
}
