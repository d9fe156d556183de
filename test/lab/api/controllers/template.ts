import { createHash } from "node:crypto";
import { asList, asObject, at } from "../object.js";
import type { Json, JsonObject, KubeObject } from "../object.js";
import { ownedBy } from "./access.js";

/** What a pod gets besides its template. */
export type PodNaming = { readonly name: string; readonly labels: JsonObject; readonly spec?: JsonObject };

// The alphabet of the real server for hashes, without vowels.
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

/** Ten letters that stand for a pod template. */
export function templateHash(template: Json | undefined): string {
  const digest = createHash("sha256").update(JSON.stringify(template ?? null)).digest();
  return Array.from(digest.subarray(0, 10), (byte) => ALPHABET[byte % ALPHABET.length]).join("");
}

/** A pod of the owner's template; a name that ends in "-" is completed by the server. */
export function podOf(owner: KubeObject, { name, labels, spec = {} }: PodNaming): KubeObject {
  const template = asObject(at(owner, "spec", "template"));
  const annotations = at(template, "metadata", "annotations");
  const named = name.endsWith("-") ? { name: "", generateName: name } : { name };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...named, namespace: owner.metadata.namespace, labels: { ...asObject(at(template, "metadata", "labels")), ...labels }, ...(annotations === undefined ? {} : { annotations }), ownerReferences: ownedBy(owner) },
    spec: { ...asObject(template["spec"]), ...spec },
  };
}

/** A condition of a workload; the time of its last change is kept while its status is the same. */
export function condition(owner: KubeObject, wanted: { readonly type: string; readonly status: boolean; readonly reason: string; readonly message: string; readonly now: string }): JsonObject {
  const status = wanted.status ? "True" : "False";
  const old = asList(at(owner, "status", "conditions")).find((one) => at(one, "type") === wanted.type);
  const since = at(old, "status") === status ? at(old, "lastTransitionTime") : undefined;
  const updated = since === undefined ? wanted.now : (at(old, "lastUpdateTime") ?? wanted.now);
  return { type: wanted.type, status, reason: wanted.reason, message: wanted.message, lastUpdateTime: updated, lastTransitionTime: since ?? wanted.now };
}
