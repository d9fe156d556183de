import { messageOf } from "../lib/errors.js";
import { sinceOf, type ExplainInput, type PeerView, type SinceReport } from "./explain-input.js";
import { routeSubject } from "./history.js";
import type { OwnershipKey, Route, RouteKey, ServiceKey } from "./model.js";

export interface RouteReport {
  readonly key: RouteKey;
  readonly services: readonly ServiceKey[];
  /** Null where nobody has to own it. */
  readonly ownership: OwnershipKey | null;
  readonly state: "pending" | "up" | "failed";
  readonly since: SinceReport | null;
  readonly error: string | null;
  /** Names of the peers that have it of this node. */
  readonly peers: readonly string[];
  /** Those that have not, each with its reason. */
  readonly without: readonly { readonly peer: string; readonly why: string }[];
}

/** One route that this node announces. */
export function routeReport({ world, history, at, peers = [] }: ExplainInput, route: Route): RouteReport {
  const { key } = route;
  const observed = world.observedRoutes.get(key) ?? { state: "pending" };
  const chosen = (peer: PeerView): boolean => route.peers === undefined || route.peers.includes(peer.name);
  return {
    key,
    services: route.owners,
    ownership: route.ownership ?? null,
    state: observed.state,
    since: sinceOf(history, routeSubject(key), at),
    error: observed.state === "failed" ? messageOf(observed.error) : null,
    peers: peers.filter((peer) => peer.has(key)).map(({ name }) => name),
    without: peers.filter((peer) => !peer.has(key)).map((peer) => ({ peer: peer.name, why: chosen(peer) ? whyNot(peer) : "it is not among its peers" })),
  };
}

function whyNot({ state, problem }: PeerView): string {
  if (state !== "Established") return problem === "" ? state : `${state}: ${problem}`;
  return problem === "" ? "not sent yet" : problem;
}
