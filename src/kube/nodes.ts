import { isDeepStrictEqual } from "node:util";
import type { Node, Nodes } from "../ports/kube.js";
import { fieldsOf, itemsOf, textOf } from "./raw.js";
import { reflect } from "./reflector.js";
import type { ReflectDeps } from "./reflector.js";

/** v1 Nodes. */
export function createNodes(deps: ReflectDeps): Nodes {
  return {
    watch: async (changed, signal) => {
      await reflect({ resource: "nodes", path: "/api/v1/nodes", decode: decodeNode, same: isDeepStrictEqual, changed }, deps, signal);
    },
  };
}

/** A Node, trimmed; undefined where it has no name. */
export function decodeNode(raw: unknown): Node | undefined {
  const { metadata, status } = fieldsOf(raw);
  const name = textOf(fieldsOf(metadata)["name"]);
  if (name === undefined) return undefined;
  return { name, addresses: itemsOf(fieldsOf(status)["addresses"]).flatMap(addressOf) };
}

function addressOf(raw: unknown): readonly string[] {
  const { type, address } = fieldsOf(raw);
  const text = textOf(address);
  return text !== undefined && (type === "InternalIP" || type === "ExternalIP") ? [text] : [];
}
