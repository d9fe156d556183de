import type { OwnershipKey } from "./model.js";
import type { SkipReason } from "./plan-service.js";
import type { World } from "./world.js";

/** This node may hold what stands behind the key, also while it hands it over. */
export function holds({ ownership }: Pick<World, "ownership">, key: OwnershipKey): boolean {
  return ownership.get(key)?.held === true;
}

/** Holds it and is not giving it up: while it is handed over the heir speaks for it, and two that write one status would go on for ever. */
export function owns(world: Pick<World, "ownership">, key: OwnershipKey): boolean {
  return holds(world, key) && world.ownership.get(key)?.view === "mine";
}

/** Node that has the key by the newest version known; empty where there is none. */
export function holderOf({ ownership }: Pick<World, "ownership">, key: OwnershipKey): string {
  return ownership.get(key)?.holder ?? "";
}

/** Another node serves it, or nobody does yet. */
export function notOwner(world: Pick<World, "ownership">, key: OwnershipKey): SkipReason {
  const holder = holderOf(world, key);
  return { code: "notOwner", message: holder === "" ? "nobody holds it yet" : `held by ${holder}` };
}

/** It asks for an address of a pool, which this node does not give out. */
export function noAddressYet(world: Pick<World, "ownership">): SkipReason {
  const holder = holderOf(world, "services");
  return { code: "waiting", message: `an address is given to it by the node that holds the Services (${holder === "" ? "nobody yet" : holder})` };
}
