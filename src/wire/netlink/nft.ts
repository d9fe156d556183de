import { Reader } from "../reader.js";
import { Writer } from "../writer.js";
import { attributeReader, attributesByType, attributeText, encodeAttributes, type Attribute } from "./attribute.js";
import { NLM_F_CREATE } from "./message.js";
import { nestedField, NLA_F_NESTED, numberField, textField } from "./nft-expression.js";
import { commentOf, encodeComment } from "./nft-userdata.js";

/** The netlink family of netfilter (linux/netlink.h). */
export const NETLINK_NETFILTER = 12;

// linux/netfilter/nfnetlink.h
const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFNL_BATCH_GENID = 1;
const NFGEN_HEADER_LENGTH = 4;

/** linux/netfilter.h: tables for both IPv4 and IPv6. */
const NFPROTO_INET = 1;
const NFPROTO_UNSPEC = 0;
const NF_INET_PRE_ROUTING = 0;
const NF_INET_LOCAL_OUT = 3;
const NF_IP_PRI_NAT_DST = -100;
const NF_ACCEPT = 1;

/** linux/netfilter/nf_tables.h: messages as they stand in a netlink header, the subsystem in the upper octet. */
export const NFT_NEWRULE = (NFNL_SUBSYS_NFTABLES << 8) | 6;
export const NFT_NEWGEN = (NFNL_SUBSYS_NFTABLES << 8) | 15;
const NFT_NEWTABLE = NFNL_SUBSYS_NFTABLES << 8;
const NFT_DELTABLE = (NFNL_SUBSYS_NFTABLES << 8) | 2;
const NFT_NEWCHAIN = (NFNL_SUBSYS_NFTABLES << 8) | 3;
const NFT_DELCHAIN = (NFNL_SUBSYS_NFTABLES << 8) | 5;
const NFT_GETRULE = (NFNL_SUBSYS_NFTABLES << 8) | 7;
const NFT_DELRULE = (NFNL_SUBSYS_NFTABLES << 8) | 8;
const NFT_GETGEN = (NFNL_SUBSYS_NFTABLES << 8) | 16;

/** On NEW requests: at the end of the chain, not at its start (linux/netlink.h). */
const NLM_F_APPEND = 0x800;

const NFTA_TABLE_NAME = 1;
const NFTA_TABLE_FLAGS = 2;
const NFTA_TABLE_USERDATA = 6;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_CHAIN_HOOK = 4;
const NFTA_CHAIN_POLICY = 5;
const NFTA_CHAIN_TYPE = 7;
const NFTA_CHAIN_USERDATA = 12;
const NFTA_HOOK_HOOKNUM = 1;
const NFTA_HOOK_PRIORITY = 2;
const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;
const NFTA_RULE_HANDLE = 3;
const NFTA_RULE_EXPRESSIONS = 4;
const NFTA_RULE_USERDATA = 7;
const NFTA_GEN_ID = 1;

/** A request of nf_tables without what the socket adds. */
export interface NftRequest {
  readonly type: number;
  /** NLM_F_*. */
  readonly flags: number;
  readonly payload: Uint8Array;
}

/** Where rules stand: a chain of a table of family inet. */
export interface NftPlace {
  readonly table: string;
  readonly chain: string;
}

/** A rule as the kernel shows it. */
export interface NftRule extends NftPlace {
  /** The number of the rule in its table, 8 octets in network order; never used again for another rule. */
  readonly handle: Uint8Array;
  /** The list of its expressions, for `decodeExpressions`: of a long chain one reads few. Undefined where it has none. */
  readonly list: Attribute | undefined;
  /** Undefined where it has none. */
  readonly comment: string | undefined;
}

/** Where packets enter a base chain: what comes in, or what this host sends itself. */
export type NftHook = "prerouting" | "output";

const HOOKS: Readonly<Record<NftHook, number>> = { prerouting: NF_INET_PRE_ROUTING, output: NF_INET_LOCAL_OUT };

//   0        1         2                   4
//  ┌────────┬─────────┬───────────────────┬──────────────┐
//  │ family │ version │ resource, network │ attributes … │   struct nfgenmsg
//  └────────┴─────────┴───────────────────┴──────────────┘

/**
 * The first message of a transaction. With `generation`, the kernel refuses it (ERESTART) where its rules have changed since they had that
 * generation. All messages up to `batchEnd` take effect together, or none does.
 */
export function batchBegin(generation?: number): NftRequest {
  const attributes = generation === undefined ? [] : [numberField(NFNL_BATCH_GENID, generation)];
  return { type: NFNL_MSG_BATCH_BEGIN, flags: 0, payload: body(NFPROTO_UNSPEC, attributes, NFNL_SUBSYS_NFTABLES) };
}

/** The last message of a transaction. */
export function batchEnd(): NftRequest {
  return { type: NFNL_MSG_BATCH_END, flags: 0, payload: body(NFPROTO_UNSPEC, [], NFNL_SUBSYS_NFTABLES) };
}

/** Makes a table; one that is there stays as it is. */
export function tablePut(table: string, comment: string): NftRequest {
  const attributes = [textField(NFTA_TABLE_NAME, table), numberField(NFTA_TABLE_FLAGS, 0), { type: NFTA_TABLE_USERDATA, data: encodeComment(comment) }];
  return { type: NFT_NEWTABLE, flags: NLM_F_CREATE, payload: body(NFPROTO_INET, attributes) };
}

/** Removes a table with all that is in it. */
export function tableRemoval(table: string): NftRequest {
  return { type: NFT_DELTABLE, flags: 0, payload: body(NFPROTO_INET, [textField(NFTA_TABLE_NAME, table)]) };
}

/** Makes a chain of type nat that sees the first packet of every connection at `hook`, before its destination is looked up. */
export function baseChainPut(place: NftPlace, hook: NftHook): NftRequest {
  const attributes = [
    ...chainFields(place),
    textField(NFTA_CHAIN_TYPE, "nat"),
    numberField(NFTA_CHAIN_POLICY, NF_ACCEPT),
    nestedField(NFTA_CHAIN_HOOK, [numberField(NFTA_HOOK_HOOKNUM, HOOKS[hook]), numberField(NFTA_HOOK_PRIORITY, NF_IP_PRI_NAT_DST)]),
  ];
  return { type: NFT_NEWCHAIN, flags: NLM_F_CREATE, payload: body(NFPROTO_INET, attributes) };
}

/** Makes a chain that is entered by a jump only; one that is there stays as it is, with its rules. */
export function chainPut(place: NftPlace, comment: string): NftRequest {
  const attributes = [...chainFields(place), { type: NFTA_CHAIN_USERDATA, data: encodeComment(comment) }];
  return { type: NFT_NEWCHAIN, flags: NLM_F_CREATE, payload: body(NFPROTO_INET, attributes) };
}

/** Removes a chain, which nothing may jump to any more, with its rules. */
export function chainRemoval(place: NftPlace): NftRequest {
  return { type: NFT_DELCHAIN, flags: 0, payload: body(NFPROTO_INET, chainFields(place)) };
}

/** Adds a rule at the end of its chain. `list` is made by `encodeExpressions`; several of them joined are one list. */
export function ruleAdd(place: NftPlace, list: Uint8Array, comment?: string): NftRequest {
  const attributes = [...ruleFields(place), { type: NFTA_RULE_EXPRESSIONS | NLA_F_NESTED, data: list }];
  if (comment !== undefined) attributes.push({ type: NFTA_RULE_USERDATA, data: encodeComment(comment) });
  return { type: NFT_NEWRULE, flags: NLM_F_CREATE | NLM_F_APPEND, payload: body(NFPROTO_INET, attributes) };
}

/** Removes one rule by its handle, or without one all rules of the chain. */
export function ruleRemoval(place: NftPlace, handle?: Uint8Array): NftRequest {
  const attributes = ruleFields(place);
  return { type: NFT_DELRULE, flags: 0, payload: body(NFPROTO_INET, handle === undefined ? attributes : [...attributes, { type: NFTA_RULE_HANDLE, data: handle }]) };
}

/** Asks for the rules of one chain. */
export function ruleDump(place: NftPlace): NftRequest {
  return { type: NFT_GETRULE, flags: 0, payload: body(NFPROTO_INET, ruleFields(place)) };
}

/** Asks for the generation of the rules, which every transaction on this host raises. */
export function generationGet(): NftRequest {
  return { type: NFT_GETGEN, flags: 0, payload: body(NFPROTO_UNSPEC, []) };
}

/** Payload of NFT_NEWGEN. Undefined where it says none. */
export function decodeGeneration(payload: Uint8Array): number | undefined {
  const id = fieldsOf(payload).get(NFTA_GEN_ID);
  return id === undefined ? undefined : attributeReader(id).u32();
}

/** Payload of NFT_NEWRULE. */
export function decodeRule(payload: Uint8Array): NftRule {
  const fields = fieldsOf(payload);
  const handle = fields.get(NFTA_RULE_HANDLE);
  return {
    table: attributeText(fields.get(NFTA_RULE_TABLE)) ?? "",
    chain: attributeText(fields.get(NFTA_RULE_CHAIN)) ?? "",
    handle: handle === undefined ? new Uint8Array(8) : attributeReader(handle).bytes(8),
    list: fields.get(NFTA_RULE_EXPRESSIONS),
    comment: commentOf(fields.get(NFTA_RULE_USERDATA)),
  };
}

function fieldsOf(payload: Uint8Array): ReadonlyMap<number, Attribute> {
  const reader = new Reader(payload);
  reader.skip(NFGEN_HEADER_LENGTH);
  return attributesByType(reader);
}

function chainFields({ table, chain }: NftPlace): Pick<Attribute, "type" | "data">[] {
  return [textField(NFTA_CHAIN_TABLE, table), textField(NFTA_CHAIN_NAME, chain)];
}

function ruleFields({ table, chain }: NftPlace): Pick<Attribute, "type" | "data">[] {
  return [textField(NFTA_RULE_TABLE, table), textField(NFTA_RULE_CHAIN, chain)];
}

function body(family: number, fields: readonly Pick<Attribute, "type" | "data">[], resource = 0): Uint8Array {
  const attributes = encodeAttributes(fields);
  return new Writer(NFGEN_HEADER_LENGTH + attributes.length).u8(family).u8(0).u16(resource).bytes(attributes).finish();
}
