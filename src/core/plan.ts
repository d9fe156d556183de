import type { IpAddress } from "../lib/ip.js";
import type { Stance } from "../machine/election-state.js";
import { KUBE_PROXY_HEALTH_PORT } from "./dataplane.js";
import type { OwnershipKey } from "./model.js";
import { controlPlaneStandsBack, standsBack, weightOf } from "./node-standing.js";
import { Collection } from "./plan-collect.js";
import { controlPlaneOutcome } from "./plan-control-plane.js";
import { serviceOutcome } from "./plan-serve.js";
import { isOwnerless } from "./plan-bgp.js";
import { besideEvents, besideKubeVip, kubeVipIsKnown } from "./plan-kube-vip.js";
import { canServe, mainLink } from "./plan-links.js";
import type { Plan, PlanConfig } from "./plan-model.js";
import { PlanMemo } from "./plan-memo.js";
import { reservedAddresses } from "./plan-reserved.js";
import type { World } from "./world.js";

export type { Plan, PlanConfig } from "./plan-model.js";

/** Pure: the same world gives the same plan. `memo` only saves work; it is kept from pass to pass by who plans again and again. */
export function plan(world: World, config: PlanConfig, memo: PlanMemo = new PlanMemo()): Plan {
  const collection = new Collection();
  collection.add(controlPlaneOutcome(world, config), undefined);
  const allocates = world.ownership.get("services")?.held === true && listed(world);
  const reserved = allocates ? memo.reserved(world, reservedAddresses) : NONE;
  const layout = memo.layout(config.services ? world.services : undefined, { ...world, allocates, reserved }, config);
  const known = memo.outcomes(world);
  for (const placed of layout.placed) collection.add(known.of(placed, () => besideKubeVip(serviceOutcome(placed, world, config), placed, world)), placed.facts.key, placed.owner);
  const campaigns = campaignsOf(world, config, collection.romana);
  const wishes = listed(world) && kubeVipIsKnown(world, config) ? collection.wishes : undefined;
  const terms = { drain: standsBack(world, config) !== undefined, weight: weightOf(world) };
  const planned = collection.finish();
  const beside = besideEvents(world, config);
  const events = beside.size === 0 ? planned.events : new Map([...planned.events, ...beside]);
  return { ...planned, events, campaigns, wishes, terms, grants: layout.grants, settled: isSettled(world, config, { campaigns, wishes }) };
}

const NONE: ReadonlySet<IpAddress> = new Set();

/** Without the first full lists there is nothing to serve, and no reason to keep another node from serving. */
function listed({ services, endpoints }: World): boolean {
  return services !== undefined && endpoints !== undefined;
}

function campaignsOf(world: World, config: PlanConfig, romana: ReadonlyMap<OwnershipKey, Stance>): ReadonlyMap<OwnershipKey, Stance> {
  const campaigns = new Map<OwnershipKey, Stance>(listed(world) ? romana : []);
  if (config.services && listed(world)) campaigns.set("services", servicesStance(world, config));
  if (config.controlPlane.length + config.controlPlaneDhcp.length > 0 && !isOwnerless(config, "control-plane")) campaigns.set("control-plane", mainLink(world, config).type === "none" ? "drop" : controlPlaneStance(world));
  return campaigns;
}

function servicesStance(world: World, config: PlanConfig): Stance {
  if (!canServe(world, config)) return "drop";
  if (world.dataplane.get(KUBE_PROXY_HEALTH_PORT) === "notReady") return "yield";
  return standsBack(world, config) === undefined ? "run" : "spare";
}

/** Until the first answer a node takes no part: it comes within milliseconds, and says whether this node is one to take the VIP. */
function controlPlaneStance(world: World): Stance {
  switch (world.controlPlaneHealth) {
    case undefined:
    case "healthy":
      return controlPlaneStandsBack(world) ? "spare" : "run";
    case "sick":
      return "yield";
    case "unknown":
      return "out";
  }
}

/** A lease that is free, or names this node from an earlier life, is about to be taken: what stands under it is no leftover. */
function isSettled(world: World, config: PlanConfig, { campaigns, wishes }: Pick<Plan, "campaigns" | "wishes">): boolean {
  if (config.services && (!listed(world) || !kubeVipIsKnown(world, config))) return false;
  if (isOwnerless(config, "control-plane") && world.controlPlaneHealth === "unknown") return false;
  for (const [key, { fit, nodes }] of wishes ?? []) {
    const state = world.ownership.get(key);
    const mayTake = fit !== "drop" && nodes?.has(world.node) !== false;
    if (state?.held !== true && state?.view !== "other" && (state === undefined || state.view === "unknown" || mayTake)) return false;
  }
  return [...campaigns].every(([key, stance]) => {
    const state = world.ownership.get(key);
    if (state?.held === true || state?.view === "other") return true;
    // It may be free, or name this node from an earlier life: this node will not take it.
    return key.startsWith("romana/") && state !== undefined && state.view !== "unknown" && (stance === "out" || stance === "drop");
  });
}
