import { createHash } from "node:crypto";

import { familyOf } from "../lib/ip.js";
import type { NftPort, NftVip } from "../ports/nft.js";
import {
  baseChainPut,
  chainPut,
  chainRemoval,
  ruleAdd,
  ruleRemoval,
  tablePut,
  tableRemoval,
  type NftHook,
  type NftPlace,
  type NftRequest,
  type NftRule,
} from "../wire/netlink/nft.js";
import { daddrIs, decodeExpressions, dnatTo, dportIs, encodeExpressions, jumpTarget, jumpTo, oneOf } from "../wire/netlink/nft-expression.js";
import { joinBytes } from "./netlink-socket.js";

/** The base chains, named after where they stand. What the node itself sends to a VIP passes only the second. Both lead to `VIPS`. */
const HOOKS: readonly NftHook[] = ["prerouting", "output"];
/** The chain with one jump for each VIP. */
const VIPS = "vips";

const TABLE_COMMENT = "made by vip: traffic to virtual IPs goes to endpoints on this node";

/** The rule that leads packets for one VIP to its chain. */
export interface Jump {
  readonly key: string;
  readonly handle: Uint8Array;
}

/** The chain with the jumps. */
export function jumpsOf(table: string): NftPlace {
  return { table, chain: VIPS };
}

/** The chain with the rules of one VIP. A name has at most 127 octets and no colon, a key may have both. */
export function chainOf(table: string, key: string): NftPlace {
  return { table, chain: `vip-${createHash("sha256").update(key).digest("hex").slice(0, 12)}` };
}

/** What a rule of `jumpsOf` is to us: undefined where it is not the jump to the chain of the VIP that its comment names. */
export function jumpFrom({ comment: key, table, handle, list }: NftRule): Jump | undefined {
  if (key === undefined) return undefined;
  const { chain } = chainOf(table, key);
  return decodeExpressions(list).some((expression) => jumpTarget(expression) === chain) ? { key, handle } : undefined;
}

/**
 * The transaction that makes the rules of a VIP exactly these; `stale` are all its jumps of now.
 * Throws RangeError for a target of another family than the VIP's and for a key of more than 127 octets.
 */
export function putRequests(table: string, vip: NftVip, stale: readonly Jump[]): readonly NftRequest[] {
  const chain = chainOf(table, vip.key);
  const parts = partsFor(vip);
  return [
    ...frameRequests(table),
    chainPut(chain, vip.key),
    ruleRemoval(chain),
    ...vip.ports.flatMap((port) => portRules(chain, port, parts)),
    ...stale.map(({ handle }) => ruleRemoval(jumpsOf(table), handle)),
    ruleAdd(jumpsOf(table), encodeExpressions([...daddrIs(vip.address), jumpTo(chain.chain)]), vip.key),
  ];
}

/** What all VIPs have in common, made where it is missing and put right where somebody changed it. */
function frameRequests(table: string): readonly NftRequest[] {
  const vips = jumpsOf(table);
  const bases = HOOKS.flatMap((hook) => {
    const place = { table, chain: hook };
    return [baseChainPut(place, hook), ruleRemoval(place), ruleAdd(place, encodeExpressions([jumpTo(vips.chain)]))];
  });
  return [tablePut(table, TABLE_COMMENT), chainPut(vips, "one jump for each virtual IP"), ...bases];
}

/** The transaction that removes a VIP, `jumps` being all its jumps of now. */
export function removalRequests(table: string, key: string, jumps: readonly Jump[]): readonly NftRequest[] {
  return [...jumps.map(({ handle }) => ruleRemoval(jumpsOf(table), handle)), chainRemoval(chainOf(table, key))];
}

/** The transaction that removes all there is. */
export function tableRemovalRequests(table: string): readonly NftRequest[] {
  return [tableRemoval(table)];
}

/**
 * One rule for each target. The first takes one connection of n, the next one of the n - 1 that are left, the last all that come to it: so each gets
 * the same share. A connection is decided once; conntrack keeps all its packets on that way.
 */
function portRules(chain: NftPlace, { protocol, port, targets }: NftPort, parts: Parts): readonly NftRequest[] {
  const match = encodeExpressions(dportIs(protocol, port));
  return targets.map((target, n) => ruleAdd(chain, joinBytes([match, parts.chance(targets.length - n), parts.way(target)])));
}

interface Parts {
  /** Goes on for one connection of `n`. */
  chance(n: number): Uint8Array;
  /** Leads to a target. */
  way(target: NftPort["targets"][number]): Uint8Array;
}

/** Parts that the rules of one VIP have in common, encoded once: the ports of a VIP have the same targets, and encoding is most of the work. */
function partsFor({ address, key }: NftVip): Parts {
  const chances = new Map<number, Uint8Array>([[1, new Uint8Array()]]);
  const ways = new Map<string, Uint8Array>();
  return {
    chance: (n) => getOrMake(chances, n, () => encodeExpressions(oneOf(n))),
    way: (target) => {
      if (familyOf(target.address) !== familyOf(address)) throw new RangeError(`${key} cannot lead to ${target.address}, which is of another family`);
      return getOrMake(ways, `${target.address} ${target.port}`, () => encodeExpressions(dnatTo(target.address, target.port)));
    },
  };
}

function getOrMake<K>(made: Map<K, Uint8Array>, key: K, make: () => Uint8Array): Uint8Array {
  const known = made.get(key);
  if (known !== undefined) return known;
  const value = make();
  made.set(key, value);
  return value;
}
