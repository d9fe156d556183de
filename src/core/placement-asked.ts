import type { Service } from "../ports/kube.js";
import { positive } from "./node-standing.js";

/** Annotation of a Service: how many VIPs it counts for where they are spread evenly, by default 1. */
export const LOAD = "vip.internal/load";
/** Annotation of a Service: nodes that are to hold it where they can, the best one first. */
export const PREFERRED_NODES = "vip.internal/preferred-nodes";

const MOST_NODES = 16;
/** Names of Nodes are names of hosts, and may look like addresses. */
const NODE_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

/** Where a Service would rather be, for Services with owners of their own. */
export interface PlacementAsked {
  readonly weight: number;
  readonly preferred: readonly string[];
  /** A line for each annotation, or part of one, that does not count. */
  readonly problems: readonly string[];
}

const NOTHING: PlacementAsked = { weight: 1, preferred: [], problems: [] };

/** What a Service says of its place; what cannot be read is told, and is as if it were not there. */
export function placementAsked({ annotations }: Pick<Service, "annotations">): PlacementAsked {
  const load = annotations[LOAD];
  const nodes = annotations[PREFERRED_NODES];
  if (load === undefined && nodes === undefined) return NOTHING;
  const problems: string[] = [];
  const weight = positive(load);
  if (load !== undefined && weight === undefined) problems.push(`${LOAD} is "${short(load)}": expected a number above 0, up to 1000`);
  const names = [...new Set((nodes ?? "").split(",").map((name) => name.trim().toLowerCase()).filter((name) => name !== ""))];
  const bad = names.filter((name) => !NODE_NAME.test(name));
  if (bad.length > 0) problems.push(`${PREFERRED_NODES} has "${short(bad.join(", "))}": expected names of nodes, comma separated`);
  if (names.length > MOST_NODES) problems.push(`${PREFERRED_NODES} has ${names.length} names: expected up to ${MOST_NODES}, the first ones count`);
  return { weight: weight ?? 1, preferred: names.filter((name) => !bad.includes(name)).slice(0, MOST_NODES), problems };
}

function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
