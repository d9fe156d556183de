import type { Wish } from "../machine/claim-state.js";
import type { OwnershipKey } from "./model.js";

/** True where both say the same of the same keys: the plan makes them anew with every pass. */
export function sameWishes(a: ReadonlyMap<OwnershipKey, Wish>, b: ReadonlyMap<OwnershipKey, Wish>): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [key, wish] of b) {
    const before = a.get(key);
    if (before !== wish && (before === undefined || !sameWish(before, wish))) return false;
  }
  return true;
}

function sameWish(a: Wish, b: Wish): boolean {
  return a.fit === b.fit && a.weight === b.weight && sameNodes(a.nodes, b.nodes) && sameList(a.preferred, b.preferred);
}

function sameNodes(a: ReadonlySet<string> | undefined, b: ReadonlySet<string> | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.size !== b.size) return false;
  for (const node of a) if (!b.has(node)) return false;
  return true;
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((node, index) => node === b[index]));
}
