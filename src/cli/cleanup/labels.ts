import { isLabelOf } from "../../core/node-labels.js";
import type { ClusterReader } from "../../kube/lease-list.js";
import type { Leftover } from "./leftovers.js";

/** Labels by which Nodes say what they hold. */
export async function labelLeftovers(reader: Pick<ClusterReader, "nodeLabels" | "patchNode">, signal: AbortSignal): Promise<readonly Leftover[]> {
  return [...(await reader.nodeLabels(signal))].flatMap(([name, labels]) => {
    const ours = Object.keys(labels).filter((label) => isLabelOf(label, ["services", "control-plane"]));
    const gone = Object.fromEntries(ours.map((label) => [label, null]));
    return ours.length === 0 ? [] : [{ what: `labels of Node ${name}: ${ours.join(", ")}`, remove: async (by: AbortSignal) => reader.patchNode(name, { labels: gone }, by) }];
  });
}
