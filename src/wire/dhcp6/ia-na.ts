import { ipFromBytes, ipToBytes, type IpAddress } from "../../lib/ip.js";
import { Reader } from "../reader.js";
import { Writer } from "../writer.js";
import { OPTION_IAADDR, OPTION_STATUS_CODE } from "./codes.js";
import { decodeRawOptions, encodeRawOptions, type OptionOctets } from "./raw-options.js";
import { decodeStatus, encodeStatus, type Dhcp6Status } from "./status.js";

/** One address with its lifetimes in seconds; `INFINITE_LIFETIME` never ends (RFC 8415 21.6). */
export interface IaAddress {
  readonly address: IpAddress;
  readonly preferredSeconds: number;
  readonly validSeconds: number;
  /** Why the server does not give it; undefined: all is well. */
  readonly status?: Dhcp6Status;
  readonly other: readonly OptionOctets[];
}

/** What a client has, or asks for, under one number of its own (RFC 8415 21.4). */
export interface IaNa {
  readonly iaid: number;
  /** When to ask the server for more time, seconds; 0: as the client likes. */
  readonly t1Seconds: number;
  /** When to ask any server, seconds; 0: as the client likes. */
  readonly t2Seconds: number;
  readonly addresses: readonly IaAddress[];
  readonly status?: Dhcp6Status;
  readonly other: readonly OptionOctets[];
}

const IA_NA_LENGTH = 12;
const IAADDR_LENGTH = 24;
const IP_LENGTH = 16;

//   0      4      8      12
//  ┌──────┬──────┬──────┬───────────┐
//  │ IAID │  T1  │  T2  │ options … │
//  └──────┴──────┴──────┴───────────┘

/** The value of an IA_NA option. */
export function encodeIaNa({ iaid, t1Seconds, t2Seconds, addresses, status, other }: IaNa): Uint8Array {
  const rows = addresses.map((address): OptionOctets => ({ code: OPTION_IAADDR, value: encodeIaAddress(address) }));
  const options = encodeRawOptions([...rows, ...statusRow(status), ...other]);
  return new Writer(IA_NA_LENGTH + options.length).u32(iaid).u32(t1Seconds).u32(t2Seconds).bytes(options).finish();
}

/** Throws DecodeError; `base` is where the value begins in the input. */
export function decodeIaNa(value: Uint8Array, base = 0): IaNa {
  const reader = new Reader(value, base);
  const [iaid, t1Seconds, t2Seconds] = [reader.u32(), reader.u32(), reader.u32()];
  const addresses: IaAddress[] = [];
  const { status, other } = withStatus(reader, (option) => {
    if (option.code !== OPTION_IAADDR) return false;
    addresses.push(decodeIaAddress(option.value, option.offset));
    return true;
  });
  return { iaid, t1Seconds, t2Seconds, addresses, ...(status !== undefined && { status }), other };
}

//   0         16          20      24
//  ┌─────────┬───────────┬───────┬───────────┐
//  │ address │ preferred │ valid │ options … │
//  └─────────┴───────────┴───────┴───────────┘

function encodeIaAddress({ address, preferredSeconds, validSeconds, status, other }: IaAddress): Uint8Array {
  const options = encodeRawOptions([...statusRow(status), ...other]);
  return new Writer(IAADDR_LENGTH + options.length).bytes(ipToBytes(address)).u32(preferredSeconds).u32(validSeconds).bytes(options).finish();
}

function decodeIaAddress(value: Uint8Array, base: number): IaAddress {
  const reader = new Reader(value, base);
  const address = ipFromBytes(reader.bytes(IP_LENGTH));
  const [preferredSeconds, validSeconds] = [reader.u32(), reader.u32()];
  const { status, other } = withStatus(reader, () => false);
  return { address, preferredSeconds, validSeconds, ...(status !== undefined && { status }), other };
}

/** The first status counts; what `take` does not take is kept as it came. */
function withStatus(reader: Reader, take: (option: OptionOctets & { readonly offset: number }) => boolean): { readonly status: Dhcp6Status | undefined; readonly other: readonly OptionOctets[] } {
  let status: Dhcp6Status | undefined;
  const other: OptionOctets[] = [];
  for (const option of decodeRawOptions(reader)) {
    const { code, value, offset } = option;
    if (take(option)) continue;
    if (code === OPTION_STATUS_CODE && status === undefined) status = decodeStatus(value, offset);
    else other.push({ code, value });
  }
  return { status, other };
}

function statusRow(status: Dhcp6Status | undefined): readonly OptionOctets[] {
  return status === undefined ? [] : [{ code: OPTION_STATUS_CODE, value: encodeStatus(status) }];
}
