import type { Node } from "../../src/ports/kube.js";

/** A ready Node at 192.0.2.1, changed by `part`. */
export function fakeNode(name: string, part: Partial<Node> = {}): Node {
  return { name, addresses: ["192.0.2.1"], cordoned: false, excluded: false, controlPlane: false, ready: true, annotations: {}, ...part };
}

/** Nodes by name. */
export function fakeNodes(...nodes: readonly Node[]): ReadonlyMap<string, Node> {
  return new Map(nodes.map((node) => [node.name, node]));
}
