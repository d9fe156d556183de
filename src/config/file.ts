import { loadAll } from "js-yaml";
import { messageOf } from "../lib/errors.js";
import { isLikely, nearest } from "../lib/near.js";
import { SETTING_ROWS } from "./settings.js";
import { UNSUPPORTED } from "./unsupported.js";

/** A file of settings, as it was read. */
export interface SettingsFile {
  readonly path: string;
  /** YAML, or JSON, which is YAML too. */
  readonly text: string;
}

/** The values of a file as texts by key, or what is wrong with it, a line for each thing. */
export interface FileEntries {
  readonly values: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
}

/** What a file may name: settings as in our table, and environment variables. The file cannot name another one. */
export const FILE_KEYS: readonly string[] = [
  ...SETTING_ROWS.filter(([key]) => key !== "configFile").flatMap(([key, { env }]) => [...env, key]),
  ...UNSUPPORTED.flatMap(({ env }) => env),
];

/** Reads one level of keys and values. Lists of texts become comma lists; a key without a value counts as not given. */
export function fileEntries({ path, text }: SettingsFile): FileEntries {
  const values = new Map<string, string>();
  const problems: string[] = [];
  const document = parsed(text);
  if ("problem" in document) return { values, problems: [`${path}: ${document.problem}`] };
  for (const [key, value] of Object.entries(document.fields)) {
    const asText = textOf(value);
    if (!FILE_KEYS.includes(key)) problems.push(`${path}: "${key}": expected the name of a setting${meant(key)}`);
    else if (asText === undefined) problems.push(`${path}: "${key}": expected one text, number or boolean, or a list of them`);
    else if (asText !== "") values.set(key, asText);
  }
  return { values, problems };
}

function parsed(text: string): { readonly fields: Readonly<Record<string, unknown>> } | { readonly problem: string } {
  try {
    const [value = null, ...more] = loadAll(text);
    if (more.length > 0) return { problem: "expected one document" };
    if (value === null) return { fields: {} };
    if (typeof value === "object" && !Array.isArray(value)) return { fields: value as Readonly<Record<string, unknown>> };
    return { problem: "expected keys and values, in YAML or JSON" };
  } catch (error) {
    return { problem: `expected YAML or JSON: ${messageOf(error).split("\n")[0] ?? ""}` };
  }
}

function textOf(value: unknown): string | undefined {
  if (value === null) return "";
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (!Array.isArray(value)) return undefined;
  const parts = value.map((part) => (Array.isArray(part) ? undefined : textOf(part)));
  return parts.includes(undefined) ? undefined : parts.join(",");
}

function meant(key: string): string {
  const near = nearest(key, FILE_KEYS);
  return near !== undefined && isLikely(key, near) ? `; did you mean ${near.name}?` : "";
}
