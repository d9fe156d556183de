import type { KernelEvent, Link } from "../ports/kernel.js";
import { vipKey, type Vip, type VipKey } from "./model.js";

/**
 * The VIP that a kernel event shows not to be as wanted, or undefined. Our own refreshes come back as events too: only a difference counts.
 */
export function driftOf(
  event: KernelEvent,
  wants: ReadonlyMap<VipKey, Vip>,
  links: ReadonlyMap<string, Link>,
  mark: number,
): VipKey | undefined {
  if (event.type !== "address") return undefined;
  const { address } = event;
  const link = [...links.values()].find((candidate) => candidate.index === address.linkIndex);
  if (link === undefined) return undefined;
  const want = wants.get(vipKey(link.name, address.address));
  if (want === undefined || address.prefix !== want.prefix) return undefined;
  if (event.gone) return want.key;
  const asWanted = address.mark === mark && address.scope === "host" && address.validSeconds !== Infinity;
  return asWanted ? undefined : want.key;
}
