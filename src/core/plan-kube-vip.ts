import type { Wish } from "../machine/claim-state.js";
import type { Service } from "../ports/kube.js";
import { LEASE_NAME } from "./groups.js";
import { KUBE_VIP_PREFIX, type LeaseText } from "./kube-vip-leases.js";
import type { Placed } from "./layout.js";
import type { OwnershipKey } from "./model.js";
import type { Outcome } from "./plan-outcome.js";
import { holds } from "./plan-owners.js";
import type { SkipReason } from "./plan-service.js";
import type { World } from "./world.js";

const NOWHERE: Wish = { fit: "drop", nodes: new Set(), weight: 1, preferred: [] };

/** The Lease that kube-vip takes for a Service; one that several name only where any node may serve all of them. */
export function kubeVipLeaseOf({ namespace, name, annotations, externalTrafficPolicy }: Pick<Service, "namespace" | "name" | "annotations" | "externalTrafficPolicy">): LeaseText {
  const common = annotations[LEASE_NAME]?.trim() ?? "";
  if (common === "" || externalTrafficPolicy === "Local") return `${namespace}/${KUBE_VIP_PREFIX}${name}`;
  return common.includes("/") ? (common as LeaseText) : `${namespace}/${common}`;
}

/**
 * What is left of an outcome beside a kube-vip that elects an owner for each Service, too: nothing while it renews its Lease of the Service, and nothing on the
 * network until that Lease is ours.
 */
export function besideKubeVip(outcome: Outcome, { service, owner }: Pick<Placed, "service" | "owner">, world: Pick<World, "kubeVip" | "ownership">): Outcome {
  const { kubeVip } = world;
  if (typeof kubeVip === "string" || !owner.startsWith("svc/")) return outcome;
  const lease = kubeVipLeaseOf(service);
  const view = kubeVip.get(lease);
  if (view !== undefined && !view.ours) {
    const message = `kube-vip on node ${view.holder} holds it and renews its Lease ${lease}; it is taken once that is given up, or has expired`;
    return { ...idle(outcome, { code: "heldByKubeVip", message }), wish: NOWHERE, barred: true };
  }
  if (!holds(world, owner)) return outcome;
  const kubeVipLease: readonly [LeaseText, OwnershipKey] = [lease, owner];
  if (view !== undefined) return { ...outcome, kubeVipLease };
  return { ...idle(outcome, { code: "waiting", message: `the Lease ${lease}, by which kube-vip would hold it, is being taken` }), kubeVipLease };
}

/** Nothing on the network, and nothing said. */
function idle(outcome: Outcome, skipped: SkipReason): Outcome {
  return { ...outcome, vips: [], links: [], leases: [], dnat: [], routes: [], mappings: [], skipped, status: undefined, change: undefined, events: [] };
}
