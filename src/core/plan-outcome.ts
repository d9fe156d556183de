import type { Wish } from "../machine/claim-state.js";
import type { Stance } from "../machine/election-state.js";
import type { EventDraft } from "../ports/kube.js";
import type { LeaseText } from "./kube-vip-leases.js";
import type { Dnat, LeaseKey, LeaseWant, LinkWant, Mapping, OwnershipKey, Route, Vip } from "./model.js";
import type { SkipReason } from "./plan-service.js";
import type { ServiceChange } from "./plan-writes.js";
import type { StatusPatch } from "./status.js";

/** What follows for one Service, or for the control plane. */
export interface Outcome {
  readonly vips: readonly Vip[];
  readonly links: readonly LinkWant[];
  readonly leases: readonly LeaseWant[];
  /** The leases that it asks for, whoever holds them. */
  readonly asks: readonly LeaseKey[];
  readonly dnat: readonly Dnat[];
  readonly routes: readonly Route[];
  readonly mappings: readonly Mapping[];
  readonly skipped: SkipReason | undefined;
  readonly status: StatusPatch | undefined;
  readonly change: ServiceChange | undefined;
  readonly events: readonly (readonly [string, EventDraft])[];
  readonly names: readonly string[];
  readonly checks: readonly number[];
  /** How this node stands towards the Romana VIP that it is. */
  readonly stance: Stance | undefined;
  /** What this node wants of its owner's key, where that is one of many. */
  readonly wish: Wish | undefined;
  readonly problems: readonly string[];
  /** Somebody else holds it: no Service that belongs with it may be taken. */
  readonly barred?: boolean;
  /** The Lease of kube-vip that this node needs for it, and what it belongs to. */
  readonly kubeVipLease?: readonly [LeaseText, OwnershipKey];
}
