import { dump } from "js-yaml";

/** A Kubernetes object, or a part of one. */
export type Json = Readonly<Record<string, unknown>>;

/** Objects as one YAML stream. */
export function yamlOf(objects: readonly Json[]): string {
  return objects.map((object) => dump(object, { lineWidth: -1, noRefs: true }).trimEnd()).join("\n---\n");
}

export const APP = "vip";
/** Name of everything that belongs to the program in the API; also of its ServiceAccount. */
export const LABEL = "app.kubernetes.io/name";
