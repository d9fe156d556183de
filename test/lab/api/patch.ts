import { isDeepStrictEqual } from "node:util";
import { asObject, isList, isObject, scalar, without } from "./object.js";
import type { Json, JsonObject } from "./object.js";
import { StatusError, badRequest } from "./status.js";

/** RFC 7396: JSON merge patch. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result: { [key: string]: Json | undefined } = { ...asObject(target) };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null || value === undefined) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

const failed = (message: string): StatusError => new StatusError({ code: 422, reason: "Invalid", message: `the server rejected our request due to an error in our request: ${message}`, details: {} });

function pointer(path: Json | undefined): readonly string[] {
  if (typeof path !== "string" || (path !== "" && !path.startsWith("/"))) throw badRequest("json patch: path is not a JSON pointer");
  return path.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function read(document: Json | undefined, path: readonly string[]): Json | undefined {
  let current = document;
  for (const part of path) {
    if (isList(current)) current = current[Number(part)];
    else current = isObject(current) ? current[part] : undefined;
  }
  return current;
}

type Edit = { readonly op: "add" | "replace" | "remove"; readonly value?: Json };

function editList(list: readonly Json[], part: string, edit: Edit): Json {
  const index = part === "-" ? list.length : Number(part);
  const last = edit.op === "add" ? list.length : list.length - 1;
  if (!Number.isInteger(index) || index < 0 || index > last) throw failed(`${edit.op} operation does not apply: index ${part} out of bounds`);
  const value = edit.value ?? null;
  if (edit.op === "add") return list.toSpliced(index, 0, value);
  return edit.op === "remove" ? list.toSpliced(index, 1) : list.toSpliced(index, 1, value);
}

function editAt(document: Json | undefined, path: readonly string[], edit: Edit): Json {
  const [part, ...rest] = path;
  if (part === undefined) return edit.value ?? null;
  if (isList(document)) {
    if (rest.length === 0) return editList(document, part, edit);
    const index = Number(part);
    if (!(index in document)) throw failed(`${edit.op} operation does not apply: missing path ${part}`);
    return document.with(index, editAt(document[index], rest, edit));
  }
  if (!isObject(document)) throw failed(`${edit.op} operation does not apply: doc is missing path: ${part}`);
  if (rest.length > 0) return { ...document, [part]: editAt(document[part], rest, edit) };
  if (edit.op !== "add" && document[part] === undefined) throw failed(`${edit.op} operation does not apply: doc is missing key: ${part}`);
  return edit.op === "remove" ? without(document, part) : { ...document, [part]: edit.value ?? null };
}

/** RFC 6902 4.1 to 4.6. */
function operate(document: Json, operation: JsonObject): Json {
  const path = pointer(operation["path"]);
  const value = operation["value"] ?? null;
  switch (operation["op"]) {
    case "add":
    case "replace":
      return editAt(document, path, { op: operation["op"], value });
    case "remove":
      return editAt(document, path, { op: "remove" });
    case "test":
      if (!isDeepStrictEqual(read(document, path) ?? null, value)) throw failed(`testing value ${scalar(operation["path"])} failed: test failed`);
      return document;
    case "copy":
    case "move": {
      const from = pointer(operation["from"]);
      const moved = read(document, from);
      if (moved === undefined) throw failed(`${operation["op"]} operation does not apply: missing from path`);
      const base = operation["op"] === "move" ? editAt(document, from, { op: "remove" }) : document;
      return editAt(base, path, { op: "add", value: moved });
    }
    default:
      throw badRequest(`json patch: unexpected op: ${JSON.stringify(operation["op"])}`);
  }
}

/** RFC 6902: JSON patch; all operations or none. */
export function jsonPatch(document: Json, patch: Json): Json {
  if (!isList(patch)) throw badRequest("json patch: the patch is not a list");
  if (patch.length > 10_000) throw badRequest("json patch: the allowed maximum operations in a JSON patch is 10000");
  let current = document;
  for (const operation of patch) current = operate(current, asObject(operation));
  return current;
}
