import { isDeepStrictEqual } from "node:util";
import type { Node, NodeMarks, Nodes, NodeTexts } from "../ports/kube.js";
import type { Client } from "./client.js";
import { watchOne } from "./one-object.js";
import { fieldsOf, itemsOf, textOf, textsOf } from "./raw.js";
import { reflect } from "./reflector.js";
import type { ReflectDeps } from "./reflector.js";

/** A well-known label of Kubernetes, of which only the presence counts. */
const EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers";
const CONTROL_PLANE = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];
const WRITE_TIMEOUT_MS = 10_000;
/** Annotations of ours. */
const OWN_PREFIX = "vip.internal/";

/** v1 Nodes. */
export function createNodes(deps: ReflectDeps): Nodes {
  return {
    watch: async (changed, signal) => {
      await reflect({ resource: "nodes", path: "/api/v1/nodes", decode: decodeNode, same: isDeepStrictEqual, changed }, deps, signal);
    },
    watchOne: async (name, seen, signal) => watchOne({ resource: "nodes", namespace: undefined, name, decode: nodeTexts, seen }, { ...deps, log: deps.log.with({ node: name }) }, signal),
    patch: async (name, marks, signal) => patchNode(deps.client, { name, marks }, signal),
  };
}

/** Sets and removes labels and annotations of a Node. Rejects with a KubeError. */
export async function patchNode(client: Client, { name, marks }: { readonly name: string; readonly marks: NodeMarks }, signal: AbortSignal): Promise<void> {
  const path = `/api/v1/nodes/${encodeURIComponent(name)}`;
  await client.request({ verb: "patch", resource: "nodes", path, body: { metadata: marks }, contentType: "application/merge-patch+json", timeoutMs: WRITE_TIMEOUT_MS }, signal);
}

/** All labels and annotations of a Node. */
export function nodeTexts(raw: unknown): NodeTexts {
  const { labels, annotations } = fieldsOf(fieldsOf(raw)["metadata"]);
  return { labels: textsOf(labels), annotations: textsOf(annotations) };
}

/** A Node, trimmed; undefined where it has no name. */
export function decodeNode(raw: unknown): Node | undefined {
  const { metadata, spec, status } = fieldsOf(raw);
  const { name: named, labels, annotations } = fieldsOf(metadata);
  const name = textOf(named);
  if (name === undefined) return undefined;
  const marks = fieldsOf(labels);
  return {
    name,
    addresses: itemsOf(fieldsOf(status)["addresses"]).flatMap(addressOf),
    cordoned: fieldsOf(spec)["unschedulable"] === true,
    excluded: EXCLUDED in marks,
    controlPlane: CONTROL_PLANE.some((label) => label in marks),
    ready: isReady(fieldsOf(status)["conditions"]),
    annotations: ownOf(annotations),
  };
}

/** A node that has not said anything of itself yet counts as ready. */
function isReady(conditions: unknown): boolean {
  const said = itemsOf(conditions).map(fieldsOf).find(({ type }) => type === "Ready")?.["status"];
  return said !== "False" && said !== "Unknown";
}

function ownOf(annotations: unknown): Readonly<Record<string, string>> {
  const own = Object.entries(fieldsOf(annotations)).filter((entry): entry is [string, string] => entry[0].startsWith(OWN_PREFIX) && typeof entry[1] === "string");
  return Object.fromEntries(own);
}

function addressOf(raw: unknown): readonly string[] {
  const { type, address } = fieldsOf(raw);
  const text = textOf(address);
  return text !== undefined && (type === "InternalIP" || type === "ExternalIP") ? [text] : [];
}
