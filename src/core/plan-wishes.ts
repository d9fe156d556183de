import type { Wish } from "../machine/claim-state.js";
import type { Fitness } from "./eligible.js";
import type { ServiceEndpoints } from "./endpoints.js";
import type { Placed } from "./layout.js";
import { placementAsked } from "./placement-asked.js";

const NOWHERE: ReadonlySet<string> = new Set();

export interface WishBasis {
  readonly fit: Fitness;
  /** Its address is free for it, and there is a link. */
  readonly usable: boolean;
  /** kube-proxy of this node is not well. */
  readonly sick: boolean;
  readonly endpoints: ServiceEndpoints;
}

/** What this node wants of the key that owns a Service, and where else it may be. */
export function wishOf({ service, romana }: Pick<Placed, "service" | "romana">, { fit, usable, sick, endpoints }: WishBasis): Wish {
  const { serving, onNodes, readyNodes } = endpoints;
  const local = romana || service.externalTrafficPolicy === "Local";
  const none = fit.type === "unfit" && fit.reason.code === "noEndpoints";
  // Endpoints that are on no node are as far from every node, and the last ones to end are better than none.
  const anywhere = !local || (serving && (!onNodes || readyNodes.length === 0));
  const nodes = none ? NOWHERE : anywhere ? undefined : new Set(readyNodes);
  const { weight, preferred } = placementAsked(service);
  return { fit: usable ? fitOf(fit, sick) : "drop", nodes, weight, preferred };
}

function fitOf(fit: Fitness, sick: boolean): Wish["fit"] {
  if (fit.type === "leaving") return fit.heir ? "yield" : "run";
  if (fit.type === "fit") return sick ? "yield" : "run";
  return fit.reason.code === "noEndpoints" ? "drop" : "yield";
}

const BETTER = { run: 2, yield: 1, drop: 0 } as const;

/** The wish for a group: served where any of its Services can be. It counts as the heaviest of them; the oldest one that prefers nodes decides on these. */
export function together(a: Wish | undefined, b: Wish): Wish {
  if (a === undefined) return b;
  const nodes = a.nodes === undefined || b.nodes === undefined ? undefined : new Set([...a.nodes, ...b.nodes]);
  const fit = BETTER[a.fit] >= BETTER[b.fit] ? a.fit : b.fit;
  return { fit, nodes, weight: Math.max(a.weight, b.weight), preferred: a.preferred.length > 0 ? a.preferred : b.preferred };
}
