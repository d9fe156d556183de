import type { Wish } from "../machine/claim-state.js";
import type { EventDraft, Service } from "../ports/kube.js";
import { LEASE_NAME, type ElectionAsked } from "./groups.js";
import { KUBE_VIP_PREFIX, type LeaseText } from "./kube-vip-leases.js";
import type { Placed } from "./layout.js";
import type { OwnershipKey } from "./model.js";
import type { Outcome } from "./plan-outcome.js";
import { holderOf, holds } from "./plan-owners.js";
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
 * What is left of an outcome beside a kube-vip. One that holds all Services by one Lease: nothing of what has an owner of its own, until one of ours has that
 * Lease. One that elects an owner for each Service, too: nothing while it renews its Lease of the Service, and nothing on the network until that Lease is ours.
 */
export function besideKubeVip(outcome: Outcome, { service, owner }: Pick<Placed, "service" | "owner">, world: Beside): Outcome {
  const { kubeVip } = world;
  if (!owner.startsWith("svc/")) return outcome;
  if (holdsAll(world)) return { ...idle(outcome, { code: "heldByKubeVip", message: allHeld(world) }), wish: NOWHERE, barred: true };
  if (typeof kubeVip === "string") return outcome;
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

type Beside = Pick<World, "kubeVip" | "ownership">;

/** What to tell of this node where a kube-vip keeps it from Services; one Event, however many they are. */
export function besideEvents(world: Beside & Pick<World, "node">, { election, electionOnDemand }: ElectionAsked): ReadonlyMap<string, EventDraft> {
  if (!(election || electionOnDemand) || !holdsAll(world)) return NO_EVENTS;
  const { node } = world;
  // The kubelet calls a node by its name where objects have a uid.
  const about = { kind: "Node", namespace: "default", name: node, uid: node } as const;
  return new Map([["kube-vip", { service: about, type: "Warning", reason: "HeldByKubeVip", message: allHeld(world) }]]);
}

/** True once it is known whether a kube-vip is there that holds Services. */
export function kubeVipIsKnown({ kubeVip, ownership }: Beside, { election, electionOnDemand }: ElectionAsked): boolean {
  return kubeVip !== "unknown" && (!(election || electionOnDemand) || ownership.get("services")?.view !== "unknown");
}

const NO_EVENTS: ReadonlyMap<string, EventDraft> = new Map();

/** Also one that has gone or let go: another kube-vip may be quicker to take it, and would add every address. */
function holdsAll({ ownership }: Beside): boolean {
  return ownership.get("services")?.foreign === true;
}

function allHeld(world: Beside): string {
  const holder = holderOf(world, "services");
  const who = holder === "" ? "a kube-vip held all Services by one Lease, and let go of it" : `kube-vip on node ${holder} holds all Services by one Lease`;
  return `${who}: nothing with an owner of its own (svc_election) is taken before one of ours has that Lease`;
}

/** Nothing on the network, and nothing said. */
function idle(outcome: Outcome, skipped: SkipReason): Outcome {
  return { ...outcome, vips: [], links: [], leases: [], dnat: [], routes: [], mappings: [], skipped, status: undefined, change: undefined, events: [] };
}
