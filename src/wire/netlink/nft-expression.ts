import { familyOf, ipToBytes, type IpAddress } from "../../lib/ip.js";
import { DecodeError } from "../reader.js";
import { afFromFamily, attributeReader, attributesByType, attributeText, decodeAttributes, encodeAttributes, type Attribute } from "./attribute.js";

/** Marks an attribute that holds attributes. */
export const NLA_F_NESTED = 0x8000;

// linux/netfilter/nf_tables.h. Numbers are in network order here, other than in the rest of netlink.
const NFTA_LIST_ELEM = 1;
const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const NFTA_DATA_VALUE = 1;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;
const NFTA_VERDICT_CHAIN = 2;
const NFT_JUMP = -3;

const NFTA_META_DREG = 1;
const NFTA_META_KEY = 2;
const NFT_META_NFPROTO = 15;
const NFT_META_L4PROTO = 16;

const NFTA_PAYLOAD_DREG = 1;
const NFTA_PAYLOAD_BASE = 2;
const NFTA_PAYLOAD_OFFSET = 3;
const NFTA_PAYLOAD_LEN = 4;
const NFT_PAYLOAD_NETWORK_HEADER = 1;
const NFT_PAYLOAD_TRANSPORT_HEADER = 2;

const NFTA_CMP_SREG = 1;
const NFTA_CMP_OP = 2;
const NFTA_CMP_DATA = 3;
const NFT_CMP_EQ = 0;

const NFTA_NG_DREG = 1;
const NFTA_NG_MODULUS = 2;
const NFTA_NG_TYPE = 3;
const NFTA_NG_OFFSET = 4;
const NFT_NG_RANDOM = 1;

const NFTA_IMMEDIATE_DREG = 1;
const NFTA_IMMEDIATE_DATA = 2;

const NFTA_NAT_TYPE = 1;
const NFTA_NAT_FAMILY = 2;
const NFTA_NAT_REG_ADDR_MIN = 3;
const NFTA_NAT_REG_PROTO_MIN = 5;
const NFTA_NAT_FLAGS = 7;
const NFT_NAT_DNAT = 1;
const NF_NAT_RANGE_PROTO_SPECIFIED = 2;

/** The register of the verdict, and two of 16 octets. */
const NFT_REG_VERDICT = 0;
const NFT_REG_1 = 1;
const NFT_REG_2 = 2;

/** IP protocol numbers of what has ports (IANA). */
const PROTOCOLS = { TCP: 6, UDP: 17, SCTP: 132 } as const;

/** Where the destination address stands in the header of a family: offset (RFC 791 3.1, RFC 8200 3). */
const DADDR_OFFSET = { 4: 16, 6: 24 } as const;

/** One expression of a rule: what it is called in the kernel, and its attributes as octets. */
export interface NftExpression {
  readonly name: string;
  readonly attributes: Uint8Array;
}

type Field = Pick<Attribute, "type" | "data">;

/** A number of 32 bits in network order, which nf_tables has nearly everywhere. */
export function numberField(type: number, value: number): Field {
  // A rule has some forty of these, and a Writer makes three objects.
  return { type, data: Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value) };
}

/** Text with a NUL at its end. */
export function textField(type: number, text: string): Field {
  return { type, data: new TextEncoder().encode(`${text}\0`) };
}

/** An attribute that holds attributes. */
export function nestedField(type: number, fields: readonly Field[]): Field {
  return { type: type | NLA_F_NESTED, data: encodeAttributes(fields) };
}

/** `ip daddr ADDRESS`, after a look at the family: a table of family inet sees packets of both. */
export function daddrIs(address: IpAddress): readonly NftExpression[] {
  const family = familyOf(address);
  const bytes = ipToBytes(address);
  return [
    meta(NFT_META_NFPROTO),
    equal(Uint8Array.of(afFromFamily(family))),
    payload(NFT_PAYLOAD_NETWORK_HEADER, DADDR_OFFSET[family], bytes.length),
    equal(bytes),
  ];
}

/** `tcp dport PORT` for one of the protocols whose header begins with two ports (RFC 9293 3.1, RFC 768, RFC 9260 3.1). */
export function dportIs(protocol: keyof typeof PROTOCOLS, port: number): readonly NftExpression[] {
  return [meta(NFT_META_L4PROTO), equal(Uint8Array.of(PROTOCOLS[protocol])), payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2), equal(portBytes(port))];
}

/** `numgen random mod N 0`: goes on for one packet of `n`, by chance. */
export function oneOf(n: number): readonly NftExpression[] {
  const numgen = expression("numgen", [
    numberField(NFTA_NG_DREG, NFT_REG_1),
    numberField(NFTA_NG_MODULUS, n),
    numberField(NFTA_NG_TYPE, NFT_NG_RANDOM),
    numberField(NFTA_NG_OFFSET, 0),
  ]);
  // The register holds the number in host order: zero is the same in both.
  return [numgen, equal(new Uint8Array(4))];
}

/** `jump CHAIN`. */
export function jumpTo(chain: string): NftExpression {
  const verdict = nestedField(NFTA_DATA_VERDICT, [numberField(NFTA_VERDICT_CODE, NFT_JUMP), textField(NFTA_VERDICT_CHAIN, chain)]);
  return expression("immediate", [numberField(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT), nestedField(NFTA_IMMEDIATE_DATA, [verdict])]);
}

/** `dnat ip to ADDRESS:PORT`. */
export function dnatTo(address: IpAddress, port: number): readonly NftExpression[] {
  const nat = expression("nat", [
    numberField(NFTA_NAT_TYPE, NFT_NAT_DNAT),
    numberField(NFTA_NAT_FAMILY, afFromFamily(familyOf(address))),
    numberField(NFTA_NAT_REG_ADDR_MIN, NFT_REG_1),
    numberField(NFTA_NAT_REG_PROTO_MIN, NFT_REG_2),
    numberField(NFTA_NAT_FLAGS, NF_NAT_RANGE_PROTO_SPECIFIED),
  ]);
  return [load(NFT_REG_1, ipToBytes(address)), load(NFT_REG_2, portBytes(port)), nat];
}

/** The expressions as the content of a list attribute. */
export function encodeExpressions(expressions: readonly NftExpression[]): Uint8Array {
  return encodeAttributes(
    expressions.map(({ name, attributes }) =>
      nestedField(NFTA_LIST_ELEM, [textField(NFTA_EXPR_NAME, name), { type: NFTA_EXPR_DATA | NLA_F_NESTED, data: attributes }]),
    ),
  );
}

/** The expressions of a list attribute, in their order; those that have no attributes have an empty array. None where there is no list. */
export function decodeExpressions(list: Attribute | undefined): readonly NftExpression[] {
  if (list === undefined) return [];
  return decodeAttributes(attributeReader(list)).map((element) => {
    const fields = attributesByType(attributeReader(element));
    const name = attributeText(fields.get(NFTA_EXPR_NAME));
    if (name === undefined) throw new DecodeError("value", element.offset, "expression without a name");
    return { name, attributes: fields.get(NFTA_EXPR_DATA)?.data ?? new Uint8Array() };
  });
}

/** The chain to which this expression jumps, or undefined where it does anything else. */
export function jumpTarget({ name, attributes }: NftExpression): string | undefined {
  if (name !== "immediate") return undefined;
  const data = within({ type: 0, data: attributes, offset: 0 }, NFTA_IMMEDIATE_DATA);
  const verdict = within(data, NFTA_DATA_VERDICT);
  const code = within(verdict, NFTA_VERDICT_CODE);
  if (code === undefined || (attributeReader(code).u32() | 0) !== NFT_JUMP) return undefined;
  return attributeText(within(verdict, NFTA_VERDICT_CHAIN));
}

function within(attribute: Attribute | undefined, type: number): Attribute | undefined {
  return attribute === undefined ? undefined : attributesByType(attributeReader(attribute)).get(type);
}

function meta(key: number): NftExpression {
  return expression("meta", [numberField(NFTA_META_KEY, key), numberField(NFTA_META_DREG, NFT_REG_1)]);
}

function payload(base: number, offset: number, length: number): NftExpression {
  return expression("payload", [
    numberField(NFTA_PAYLOAD_DREG, NFT_REG_1),
    numberField(NFTA_PAYLOAD_BASE, base),
    numberField(NFTA_PAYLOAD_OFFSET, offset),
    numberField(NFTA_PAYLOAD_LEN, length),
  ]);
}

function equal(value: Uint8Array): NftExpression {
  return expression("cmp", [
    numberField(NFTA_CMP_SREG, NFT_REG_1),
    numberField(NFTA_CMP_OP, NFT_CMP_EQ),
    nestedField(NFTA_CMP_DATA, [{ type: NFTA_DATA_VALUE, data: value }]),
  ]);
}

function load(register: number, value: Uint8Array): NftExpression {
  return expression("immediate", [
    numberField(NFTA_IMMEDIATE_DREG, register),
    nestedField(NFTA_IMMEDIATE_DATA, [{ type: NFTA_DATA_VALUE, data: value }]),
  ]);
}

function expression(name: string, fields: readonly Field[]): NftExpression {
  return { name, attributes: encodeAttributes(fields) };
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >>> 8, port);
}
