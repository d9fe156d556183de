import { asList, asObject, asText, at, isObject, without } from "./object.js";
import type { Json, JsonObject, KubeObject } from "./object.js";

/** Who writes an object, and by which subresource ("" for none). */
export type Writer = { readonly manager: string; readonly subresource: string };

/** Of metadata only what clients own. */
const OWNED_META: readonly string[] = ["labels", "annotations", "finalizers", "ownerReferences", "generateName"];

const SEPARATOR = "\n";

/** Leaves by their path of fields; lists and empty objects are leaves, which the real server takes apart further by their keys. */
function collect(value: JsonObject, path: readonly string[], into: Map<string, Json>): Map<string, Json> {
  for (const [key, child] of Object.entries(value)) {
    if (child === undefined) continue;
    const here = [...path, key];
    if (isObject(child) && Object.keys(child).length > 0) collect(child, here, into);
    else into.set(here.join(SEPARATOR), child);
  }
  return into;
}

function leavesOf(object: KubeObject): ReadonlyMap<string, Json> {
  const metadata = Object.fromEntries(OWNED_META.map((field) => [field, object.metadata[field]]));
  return collect({ ...without(object, "apiVersion", "kind", "metadata"), metadata }, [], new Map());
}

function setOf(fields: Json | undefined, path: readonly string[] = [], into = new Set<string>()): Set<string> {
  for (const [key, child] of Object.entries(asObject(fields))) {
    const here = [...path, key.slice(2)];
    if (isObject(child) && Object.keys(child).length > 0) setOf(child, here, into);
    else into.add(here.join(SEPARATOR));
  }
  return into;
}

type Tree = { [key: string]: Tree };

/** fieldsV1 of a set of paths: each field as "f:name". */
function treeOf(paths: ReadonlySet<string>): JsonObject {
  const root: Tree = {};
  for (const path of paths) {
    let node = root;
    for (const part of path.split(SEPARATOR)) node = node[`f:${part}`] ??= {};
  }
  return root;
}

const same = (a: Json | undefined, b: Json | undefined): boolean => a === b || JSON.stringify(a) === JSON.stringify(b);

const isStatus = (path: string): boolean => path === "status" || path.startsWith(`status${SEPARATOR}`);

function sets(old: KubeObject | undefined): readonly { readonly entry: JsonObject; readonly paths: Set<string> }[] {
  return asList(old?.metadata["managedFields"]).map((entry) => ({ entry: asObject(entry), paths: setOf(at(entry, "fieldsV1")) }));
}

/**
 * metadata.managedFields after a write: what the writer changed is its own from now on, what is gone is nobody's. A write by status owns no field
 * of the spec, any other none of the status.
 */
export function managedFields(next: KubeObject, old: KubeObject | undefined, write: { readonly writer: Writer; readonly now: string }): readonly JsonObject[] {
  const { manager, subresource } = write.writer;
  const before = old === undefined ? new Map<string, Json>() : leavesOf(old);
  const after = leavesOf(next);
  const mineToHave = (path: string): boolean => (subresource === "status" ? isStatus(path) || path.startsWith("metadata") : !isStatus(path));
  const changed = new Set([...after].filter(([path, value]) => mineToHave(path) && !same(value, before.get(path))).map(([path]) => path));
  const isMine = (entry: JsonObject): boolean => entry["manager"] === manager && asText(entry["subresource"]) === subresource;
  const entries = sets(old).map(({ entry, paths }) => {
    const kept = new Set([...paths].filter((path) => after.has(path) && (isMine(entry) || !changed.has(path))));
    const mine = isMine(entry) ? new Set([...kept, ...changed]) : kept;
    return { ...entry, ...(isMine(entry) && changed.size > 0 ? { time: write.now } : {}), fieldsV1: treeOf(mine) };
  });
  const own = { manager, operation: "Update", apiVersion: next.apiVersion, time: write.now, fieldsType: "FieldsV1", fieldsV1: treeOf(changed), ...(subresource === "" ? {} : { subresource }) };
  const all: readonly JsonObject[] = changed.size === 0 || entries.some(isMine) ? entries : [...entries, own];
  return all.filter((entry) => Object.keys(asObject(entry["fieldsV1"])).length > 0);
}

/** Who a client is: what it says by ?fieldManager, else the start of its User-Agent, as the real server has it. */
export function managerOf(fieldManager: string | null, userAgent: string): string {
  if (fieldManager !== null && fieldManager !== "") return fieldManager;
  return (userAgent.split("/")[0] || "unknown").slice(0, 128);
}
