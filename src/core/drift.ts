import { familyOf } from "../lib/ip.js";
import type { KernelEvent, Link } from "../ports/kernel.js";
import { partOf, vipKey, type Marks, type Vip, type VipKey } from "./model.js";

/**
 * The VIP that a kernel event shows not to be as wanted, or undefined. Our own refreshes come back as events too: only a difference counts. `controlPlane`: this process serves it, too.
 */
export function driftOf(
  event: KernelEvent,
  wants: ReadonlyMap<VipKey, Vip>,
  links: ReadonlyMap<string, Link>,
  { marks, controlPlane }: { readonly marks: Marks; readonly controlPlane: boolean },
): VipKey | undefined {
  if (event.type !== "address") return undefined;
  const { address } = event;
  const link = [...links.values()].find((candidate) => candidate.index === address.linkIndex);
  if (link === undefined) return undefined;
  const want = wants.get(vipKey(link.name, address.address));
  if (want === undefined || address.prefix !== want.prefix) return undefined;
  if (event.gone) return want.key;
  // The process that serves the control plane has taken it: two that repair each other would never end.
  if (!controlPlane && address.mark === marks["control-plane"]) return undefined;
  // The kernel gives every IPv6 address the scope that its bits have.
  const scoped = familyOf(want.address) === 6 || address.scope === (want.scope ?? "host");
  const asWanted = address.mark === marks[partOf(want.ownership)] && scoped && address.validSeconds !== Infinity;
  return asWanted ? undefined : want.key;
}
