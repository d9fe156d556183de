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
import { daddrIs, dnatTo, dportIs, jumpTarget, jumpTo, oneOf } from "../wire/netlink/nft-expression.js";

/** The base chains, named after where they stand. What the node itself sends to a VIP passes only the second. */
export const HOOKS: readonly NftHook[] = ["prerouting", "output"];

const TABLE_COMMENT = "made by vip: traffic to virtual IPs goes to endpoints on this node";

/** The rule of a base chain that leads packets for one VIP to its chain. */
export interface Jump {
  readonly key: string;
  readonly place: NftPlace;
  readonly handle: Uint8Array;
}

/** The chain with the rules of one VIP. A name has at most 127 octets and no colon, a key may have both. */
export function chainOf(table: string, key: string): NftPlace {
  return { table, chain: `vip-${createHash("sha256").update(key).digest("hex").slice(0, 12)}` };
}

/** What this rule is to us: undefined where it is not the jump to the chain of the VIP that its comment names. */
export function jumpFrom(rule: NftRule): Jump | undefined {
  const { comment: key, table, chain, handle } = rule;
  if (key === undefined) return undefined;
  const wanted = chainOf(table, key).chain;
  return rule.expressions.some((expression) => jumpTarget(expression) === wanted) ? { key, place: { table, chain }, handle } : undefined;
}

/**
 * The transaction that makes the rules of a VIP exactly these; `stale` are all its jumps of now.
 * Throws RangeError for a target of another family than the VIP's and for a key of more than 127 octets.
 */
export function putRequests(table: string, vip: NftVip, stale: readonly Jump[]): readonly NftRequest[] {
  const chain = chainOf(table, vip.key);
  const bases = HOOKS.map((hook) => ({ hook, place: { table, chain: hook } }));
  return [
    tablePut(table, TABLE_COMMENT),
    ...bases.map(({ hook, place }) => baseChainPut(place, hook)),
    chainPut(chain, vip.key),
    ruleRemoval(chain),
    ...vip.ports.flatMap((port) => portRules(chain, vip, port)),
    ...stale.map(({ place, handle }) => ruleRemoval(place, handle)),
    ...bases.map(({ place }) => ruleAdd(place, [...daddrIs(vip.address), jumpTo(chain.chain)], vip.key)),
  ];
}

/** The transaction that removes a VIP, `jumps` being all its jumps of now. */
export function removalRequests(table: string, key: string, jumps: readonly Jump[]): readonly NftRequest[] {
  return [...jumps.map(({ place, handle }) => ruleRemoval(place, handle)), chainRemoval(chainOf(table, key))];
}

/** The transaction that removes all there is. */
export function tableRemovalRequests(table: string): readonly NftRequest[] {
  return [tableRemoval(table)];
}

/**
 * One rule for each target. The first takes one connection of n, the next one of the n - 1 that are left, the last all that come to it: so each gets
 * the same share. A connection is decided once; conntrack keeps all its packets on that way.
 */
function portRules(chain: NftPlace, { address, key }: NftVip, { protocol, port, targets }: NftPort): readonly NftRequest[] {
  return targets.map((target, n) => {
    if (familyOf(target.address) !== familyOf(address)) throw new RangeError(`${key} cannot lead to ${target.address}, which is of another family`);
    const left = targets.length - n;
    return ruleAdd(chain, [...dportIs(protocol, port), ...(left > 1 ? oneOf(left) : []), ...dnatTo(target.address, target.port)]);
  });
}
