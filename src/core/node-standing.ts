import type { Node } from "../ports/kube.js";
import type { World } from "./world.js";

/** Annotation of a Node: `"true"` while its VIPs are to be on other nodes. */
export const DRAIN = "vip.internal/drain";
/** Annotation of a Node: how many VIPs it takes in proportion to others, by default 1. */
export const WEIGHT = "vip.internal/weight";

/** Why the VIPs of Services should rather be on another node, the strongest reason first. */
export type StandingBack = "drained" | "notReady" | "excluded" | "cordoned";

export interface StandingConfig {
  /** A cordoned node hands its VIPs over. */
  readonly moveCordoned: boolean;
}

/** Each counts for more than all after it together, so that a node is left for one that is better, whatever the reasons are. */
const WORTH: Readonly<Record<StandingBack, number>> = { drained: 8, notReady: 4, excluded: 2, cordoned: 1 };

type Known = Pick<World, "node" | "nodes" | "drained">;

/**
 * Why this node should hand over what it serves of Services; undefined: it may keep it. It counts only while some other node is better: where all nodes are
 * cordoned, or not ready, nothing is gained by a move, and a VIP is never given up for it. A mode in which many nodes announce a VIP asks the same.
 */
export function standsBack({ node, nodes, drained }: Known, config: StandingConfig): StandingBack | undefined {
  const own = nodes.get(node);
  const mine = own === undefined ? [] : reasons(own, config);
  const all = drained && !mine.includes("drained") ? (["drained", ...mine] as const) : mine;
  const burden = sum(all);
  if (burden === 0) return undefined;
  for (const [name, other] of nodes) if (name !== node && sum(reasons(other, config)) < burden) return all[0];
  // Where nodes cannot be listed, nobody knows of another, and somebody asked.
  return drained && nodes.size === 0 ? "drained" : undefined;
}

/**
 * Whether this node is to hand over the control-plane VIP: only where somebody asked for it. A cordoned node serves the API as well as before, kubeadm excludes
 * every control-plane node from load balancers, and whether the API server is well is asked of itself.
 */
export function controlPlaneStandsBack({ node, nodes, drained }: Known): boolean {
  return drained || isDrained(nodes.get(node));
}

/**
 * Whether another process is likely to follow this one on its node at once, as in an update. Not where somebody wants the node without VIPs, nor where it looks
 * as if it is on its way down: cordoned, not ready (the kubelet says so first when the machine is shut down), or no node of the cluster any more.
 */
export function isToReturn({ node, nodes, drained }: Known): boolean {
  const own = nodes.get(node);
  if (own === undefined) return !drained && nodes.size === 0;
  return !drained && reasons(own, { moveCordoned: true }).length === 0;
}

/** How many keys this node takes in proportion to others. What is no number above 0 counts as 1. */
export function weightOf({ node, nodes }: Pick<World, "node" | "nodes">): number {
  return positive(nodes.get(node)?.annotations[WEIGHT]) ?? 1;
}

/** A number from above 0 to 1000; undefined for any other text. */
export function positive(text: string | undefined): number | undefined {
  const value = text === undefined || text.trim() === "" ? Number.NaN : Number(text);
  return value > 0 && value <= 1000 ? value : undefined;
}

function reasons(node: Node, { moveCordoned }: StandingConfig): readonly StandingBack[] {
  const found: StandingBack[] = [];
  if (isDrained(node)) found.push("drained");
  if (!node.ready) found.push("notReady");
  // kubeadm gives the label to all control-plane nodes: who runs this program there means them to serve.
  if (node.excluded && !node.controlPlane) found.push("excluded");
  if (node.cordoned && moveCordoned) found.push("cordoned");
  return found;
}

function isDrained(node: Node | undefined): boolean {
  return node?.annotations[DRAIN]?.toLowerCase() === "true";
}

function sum(found: readonly StandingBack[]): number {
  return found.reduce((total, reason) => total + WORTH[reason], 0);
}
