import { ipFromBytes, type Family, type IpAddress } from "../../lib/ip.js";
import { DecodeError, Reader } from "../reader.js";
import { Writer } from "../writer.js";
import { AF_INET, AF_INET6, align } from "./message.js";

const HEADER_LENGTH = 4;
/** Without NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const TYPE_MASK = 0x3fff;

/** One type-length-value attribute. `offset` is where `data` began in the input, for errors found later. */
export interface Attribute {
  readonly type: number;
  readonly data: Uint8Array;
  readonly offset: number;
}

//   0         2         4
//  ┌─────────┬─────────┬────────┬──────────────┐
//  │ length  │  type   │ data … │ pad to 4     │   length counts its own header, not the padding
//  └─────────┴─────────┴────────┴──────────────┘

/** The attributes as octets, each padded to a multiple of four. */
export function encodeAttributes(attributes: readonly Pick<Attribute, "type" | "data">[]): Uint8Array {
  const size = attributes.reduce((sum, { data }) => sum + align(HEADER_LENGTH + data.length), 0);
  const writer = new Writer(size);
  for (const { type, data } of attributes) {
    const length = HEADER_LENGTH + data.length;
    writer.u16le(length).u16le(type).bytes(data).zeros(align(length) - length);
  }
  return writer.finish();
}

/** All attributes to the end of `reader`, in their order. */
export function decodeAttributes(reader: Reader): readonly Attribute[] {
  const attributes: Attribute[] = [];
  while (reader.remaining > 0) attributes.push(decodeAttribute(reader));
  return attributes;
}

/** The same by type; of several with one type the last counts, as in the kernel's own parser. */
export function attributesByType(reader: Reader): ReadonlyMap<number, Attribute> {
  return new Map(decodeAttributes(reader).map((attribute) => [attribute.type, attribute]));
}

function decodeAttribute(reader: Reader): Attribute {
  const start = reader.offset;
  const length = reader.u16le();
  const type = reader.u16le() & TYPE_MASK;
  if (length < HEADER_LENGTH) throw new DecodeError("length", start, `attribute ${type} of ${length} octets`);
  const offset = reader.offset;
  const data = reader.bytes(length - HEADER_LENGTH);
  reader.skip(Math.min(align(length) - length, reader.remaining));
  return { type, data, offset };
}

/** A reader of the attribute's data. */
export function attributeReader(attribute: Attribute): Reader {
  return new Reader(attribute.data, attribute.offset);
}

/** 32 bits in host order, or undefined where there is no such attribute. */
export function attributeU32(attribute: Attribute | undefined): number | undefined {
  return attribute === undefined ? undefined : attributeReader(attribute).u32le();
}

/** Text up to the first NUL, or undefined where there is no such attribute. */
export function attributeText(attribute: Attribute | undefined): string | undefined {
  if (attribute === undefined) return undefined;
  const end = attribute.data.indexOf(0);
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(end === -1 ? attribute.data : attribute.data.subarray(0, end));
}

/** An address of `family`, or undefined where there is no such attribute. Any other length than the family's throws. */
export function attributeIp(attribute: Attribute | undefined, family: Family): IpAddress | undefined {
  if (attribute === undefined) return undefined;
  const { data, offset, type } = attribute;
  if (data.length !== (family === 4 ? 4 : 16)) {
    throw new DecodeError("length", offset, `IPv${family} address in attribute ${type} of ${data.length} octets`);
  }
  return ipFromBytes(data);
}

/** 4 or 6 for AF_INET or AF_INET6; any other family throws. */
export function familyFromAf(af: number, offset: number): Family {
  if (af === AF_INET) return 4;
  if (af === AF_INET6) return 6;
  throw new DecodeError("value", offset, `address family ${af}`);
}

/** AF_INET or AF_INET6. */
export function afFromFamily(family: Family): number {
  return family === 4 ? AF_INET : AF_INET6;
}
