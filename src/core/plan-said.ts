import type { IpAddress } from "../lib/ip.js";
import type { Placed, PlacedAddress } from "./layout.js";
import { isShared } from "./model.js";
import { isOwnerless } from "./plan-bgp.js";
import type { PlanConfig } from "./plan-model.js";
import { holderOf, holds, owns } from "./plan-owners.js";
import type { SkipReason } from "./plan-service.js";
import { announceStatus, clearStatus, type StatusDecision } from "./status.js";
import type { World } from "./world.js";

/** What the status of a Service should say whose addresses are this node's to announce; undefined where there is nothing to say. `up`: those that are held here; `external`: the gateway's. */
export function saidOf(placed: Placed, { up, external }: { readonly up: readonly IpAddress[]; readonly external: readonly IpAddress[] }, world: World): StatusDecision | undefined {
  const { service, facts, addresses } = placed;
  const elsewhere = ({ address, ownership }: PlacedAddress): boolean => !holds(world, ownership) && holderOf(world, ownership) !== "" && !up.includes(address);
  const allowed = addresses.filter(({ refused }) => refused === undefined);
  const shown = allowed.filter((entry) => up.includes(entry.address) || (up.length > 0 && elsewhere(entry)));
  if (shown.length > 0) return announceStatus(service, { addresses: shown.map(({ address }) => address), external }, world.node);
  const stale = facts.recorded?.some((recorded) => !allowed.some(({ address }) => address === recorded)) ?? false;
  return stale ? clearStatus(service) : undefined;
}

/** One node writes a status: the owner; of a Service that is partly on the control plane's address, the owner of the rest. */
export function writesStatus({ addresses, owner }: Placed, world: World, config: Pick<PlanConfig, "bgp">): boolean {
  // What nobody may have, nobody holds: then what was said before is taken back.
  if (isShared(owner) && addresses.every(({ refused }) => refused !== undefined)) return owns(world, "services");
  const onlyControlPlane = addresses.length > 0 && addresses.every(({ ownership }) => ownership === "control-plane");
  return owns(world, onlyControlPlane && !isOwnerless(config, "control-plane") ? "control-plane" : owner);
}

/** Somebody fights for the status. */
export function foughtFor(manager: string | undefined): SkipReason {
  const by = manager === undefined ? "another controller" : `another controller (${manager})`;
  return { code: "foreignController", message: `its status is replaced by ${by} again and again: served, but the status is left alone for some minutes` };
}

/** The status has entries that are not ours. */
export function foreignStatus(entries: readonly string[], manager: string | undefined): SkipReason {
  return { code: "foreignController", message: `the status holds ${entries.join(", ")}, written by ${manager ?? "another controller"}: served, but the status is left alone` };
}
