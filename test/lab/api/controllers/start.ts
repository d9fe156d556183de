import type { Registry } from "../registry.js";
import { DEPLOYMENTS } from "./deployments.js";
import { EndpointSlices } from "./endpoint-slices.js";
import { Pods } from "./pods.js";
import { STATEFUL_SETS } from "./stateful-sets.js";
import { startWorkload } from "./workload.js";

/** What can be asked of the controllers while they run. */
export type Controllers = { readonly pods: Pods; readonly slices: EndpointSlices };

/** Starts all controllers on a store; they last as long as it. */
export function startControllers(registry: Registry): Controllers {
  const pods = new Pods(registry);
  const slices = new EndpointSlices(registry);
  pods.start();
  slices.start();
  startWorkload(registry, DEPLOYMENTS);
  startWorkload(registry, STATEFUL_SETS);
  return { pods, slices };
}
