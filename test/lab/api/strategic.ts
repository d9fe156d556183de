import { isDeepStrictEqual } from "node:util";
import { asList, asObject, isList, isObject, scalar } from "./object.js";
import type { Json, JsonObject } from "./object.js";

/** Merge keys of lists by the last two parts of their path, then by the last; other lists are replaced as a whole. */
const MERGE_KEYS: { readonly [path: string]: string } = {
  "spec.ports": "port",
  "containers.ports": "containerPort",
  "initContainers.ports": "containerPort",
  "status.conditions": "type",
  "status.addresses": "type",
  "status.podIPs": "ip",
  "status.hostIPs": "ip",
  containers: "name",
  initContainers: "name",
  ephemeralContainers: "name",
  env: "name",
  volumes: "name",
  volumeMounts: "mountPath",
  volumeDevices: "devicePath",
  imagePullSecrets: "name",
  hostAliases: "ip",
  topologySpreadConstraints: "topologyKey",
  resourceClaims: "name",
  ownerReferences: "uid",
  "ServiceAccount.secrets": "name",
};

/** Lists of scalars which are merged as sets. */
const SETS: readonly string[] = ["metadata.finalizers", "spec.finalizers", "spec.podCIDRs"];

const DIRECTIVES = /^\$(?:patch|retainKeys|setElementOrder\/.*|deleteFromPrimitiveList\/.*)$/u;

function strip(value: Json): Json {
  if (isList(value)) return value.filter((item) => asObject(item)["$patch"] !== "delete").map(strip);
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([key, child]) => !DIRECTIVES.test(key) && child !== null && child !== undefined);
  return Object.fromEntries(kept.map(([key, child]) => [key, strip(child ?? null)]));
}

function mergeList(target: readonly Json[], patch: readonly Json[], place: { readonly key: string; readonly path: string }): readonly Json[] {
  if (patch.some((item) => asObject(item)["$patch"] === "replace")) return patch.filter((item) => asObject(item)["$patch"] !== "replace").map(strip);
  const id = (item: Json): string => scalar(asObject(item)[place.key]);
  const result = [...target];
  for (const item of patch) {
    const index = result.findIndex((old) => id(old) === id(item));
    if (asObject(item)["$patch"] === "delete") {
      if (index >= 0) result.splice(index, 1);
      continue;
    }
    if (index >= 0) result[index] = merge(result[index] ?? null, item, place.path);
    else result.push(strip(item));
  }
  return result;
}

/** $setElementOrder/x: items named there come in that order; others keep their places after them. */
function order(list: readonly Json[], wanted: readonly Json[], key: string | undefined): readonly Json[] {
  const id = (item: Json): string => scalar(key === undefined || !isObject(item) ? item : item[key]);
  const place = new Map(wanted.map((item, index) => [id(item), index]));
  return list.toSorted((a, b) => (place.get(id(a)) ?? wanted.length) - (place.get(id(b)) ?? wanted.length));
}

function mergeKeyOf(path: string, field: string): string | undefined {
  return MERGE_KEYS[`${path}.${field}`] ?? MERGE_KEYS[field];
}

function mergeField(old: Json | undefined, value: Json, place: { readonly path: string; readonly field: string }): Json {
  const { path, field } = place;
  if (!isList(value)) return merge(old ?? null, value, field);
  const key = mergeKeyOf(path, field);
  if (key !== undefined) return mergeList(asList(old), value, { key, path: field });
  if (!SETS.includes(`${path}.${field}`)) return value;
  const have = asList(old);
  return [...have, ...value.filter((item) => !have.some((one) => isDeepStrictEqual(one, item)))];
}

function directives(result: { [key: string]: Json | undefined }, patch: JsonObject, path: string): void {
  for (const [key, value] of Object.entries(patch)) {
    const [directive = "", field = ""] = key.split("/", 2);
    const list = result[field];
    if (directive === "$deleteFromPrimitiveList" && isList(list)) result[field] = list.filter((item) => !asList(value).includes(item));
    if (directive === "$setElementOrder" && isList(list)) result[field] = order(list, asList(value), mergeKeyOf(path, field));
  }
  const retain = patch["$retainKeys"];
  if (!isList(retain)) return;
  for (const key of Object.keys(result)) if (!retain.includes(key)) delete result[key];
}

function merge(target: Json, patch: Json, path: string): Json {
  if (!isObject(patch)) return patch;
  if (patch["$patch"] === "replace") return strip(patch);
  if (patch["$patch"] === "delete") return {};
  const result: { [key: string]: Json | undefined } = { ...asObject(target) };
  for (const [field, value] of Object.entries(patch)) {
    if (DIRECTIVES.test(field)) continue;
    if (value === null || value === undefined) delete result[field];
    else result[field] = mergeField(result[field], value, { path, field });
  }
  directives(result, patch, path);
  return result;
}

/** Strategic merge patch of a built-in object. */
export function strategicPatch(target: JsonObject, patch: Json): Json {
  return merge(target, patch, scalar(target["kind"]));
}
