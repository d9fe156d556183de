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
import { daddrIs, decodeExpressions, dnatTo, dportIs, jumpTarget, jumpTo, oneOf } from "../wire/netlink/nft-expression.js";

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
  return [
    ...frameRequests(table),
    chainPut(chain, vip.key),
    ruleRemoval(chain),
    ...vip.ports.flatMap((port) => portRules(chain, vip, port)),
    ...stale.map(({ handle }) => ruleRemoval(jumpsOf(table), handle)),
    ruleAdd(jumpsOf(table), [...daddrIs(vip.address), jumpTo(chain.chain)], vip.key),
  ];
}

/** What all VIPs have in common, made where it is missing and put right where somebody changed it. */
function frameRequests(table: string): readonly NftRequest[] {
  const vips = jumpsOf(table);
  const bases = HOOKS.flatMap((hook) => {
    const place = { table, chain: hook };
    return [baseChainPut(place, hook), ruleRemoval(place), ruleAdd(place, [jumpTo(vips.chain)])];
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
function portRules(chain: NftPlace, { address, key }: NftVip, { protocol, port, targets }: NftPort): readonly NftRequest[] {
  const match = dportIs(protocol, port);
  return targets.map((target, n) => {
    if (familyOf(target.address) !== familyOf(address)) throw new RangeError(`${key} cannot lead to ${target.address}, which is of another family`);
    const left = targets.length - n;
    return ruleAdd(chain, [...match, ...(left > 1 ? oneOf(left) : []), ...dnatTo(target.address, target.port)]);
  });
}
