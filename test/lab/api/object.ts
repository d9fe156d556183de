/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** A JSON object; absent and undefined are the same. */
export type JsonObject = { readonly [key: string]: Json | undefined };

/** metadata of an object. */
export type Meta = {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly [key: string]: Json | undefined;
};

/** One Kubernetes object, as stored. */
export type KubeObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Meta;
  readonly [key: string]: Json | undefined;
};

const empty: JsonObject = Object.freeze({});

/** Whether the value is a JSON object (not null, not a list). */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether the value is a JSON list. */
export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** The object, or an empty one. */
export function asObject(value: Json | undefined): JsonObject {
  return isObject(value) ? value : empty;
}

/** The list, or an empty one. */
export function asList(value: Json | undefined): readonly Json[] {
  return isList(value) ? value : [];
}

/** The string, or "". */
export function asText(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

/** The value below a path of keys, or undefined. */
export function at(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  let current: Json | undefined = value;
  for (const key of path) {
    if (!isObject(current)) return undefined;
    current = current[key];
  }
  return current;
}

/** The object without the given keys. */
export function without(object: JsonObject, ...keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
}

/** The object without keys that are undefined. */
export function compact(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

/** The string form of a scalar, as in a table cell or a field selector. */
export function scalar(value: Json | undefined): string {
  return typeof value === "string" ? value : typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}
