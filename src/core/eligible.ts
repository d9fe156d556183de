import { NO_ENDPOINTS } from "./endpoints.js";
import type { Placed } from "./layout.js";
import type { SkipReason } from "./plan-service.js";
import type { World } from "./world.js";

export const WITHOUT_ENDPOINTS = "kube-vip.io/allow-reconcile-without-endpoints";

/** Whether this node could serve a Service as far as its endpoints go. */
export type Fitness =
  | { readonly type: "fit" }
  /** What it has here is about to end: another node should take over, and until then this one is better than none. `heir`: another has one that is ready. */
  | { readonly type: "leaving"; readonly heir: boolean }
  | { readonly type: "unfit"; readonly reason: SkipReason };

const FIT: Fitness = { type: "fit" };

/** Policy Cluster: some endpoint serves. Policy Local, and Romana VIPs: one on this node does. */
export function fitness({ service, facts, romana }: Pick<Placed, "service" | "facts" | "romana">, world: World): Fitness {
  const { serving, onNodes, local, readyElsewhere } = world.endpoints?.get(facts.key) ?? NO_ENDPOINTS;
  if (!romana && service.externalTrafficPolicy === "Cluster") {
    const anyway = service.annotations[WITHOUT_ENDPOINTS]?.toLowerCase() === "true";
    return serving || anyway ? FIT : unfit("noEndpoints", "no endpoint of it serves");
  }
  if (!serving) return unfit("noEndpoints", "no endpoint of it serves");
  // Endpoints that are on no node are as far from every node.
  if (romana && !onNodes) return FIT;
  if (local === "none") return unfit("holderHasNoEndpoint", holderMessage({ service, romana }, world.node));
  if (local === "terminating") return { type: "leaving", heir: readyElsewhere };
  const port = service.healthCheckNodePort;
  if (port !== undefined && world.dataplane.get(port) === "notReady") {
    return unfit("dataplaneNotReady", `port ${port} of this node (healthCheckNodePort) says that traffic would not reach its endpoints`);
  }
  return FIT;
}

/** Where this node asks for the health of the data plane before it serves these Services. */
export function readinessPort({ service, romana }: Pick<Placed, "service" | "romana">): number | undefined {
  return romana || service.externalTrafficPolicy === "Cluster" ? undefined : service.healthCheckNodePort;
}

function holderMessage({ service, romana }: Pick<Placed, "service" | "romana">, node: string): string {
  const what = `no endpoint of it is on node ${node}`;
  // A Romana VIP is held by itself, whoever holds the Services.
  return !romana && service.externalTrafficPolicy === "Local" ? `${what}, which holds the Services, and externalTrafficPolicy is Local` : what;
}

function unfit(code: SkipReason["code"], message: string): Fitness {
  return { type: "unfit", reason: { code, message } };
}
