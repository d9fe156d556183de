import { asText, asObject, at, isObject } from "../object.js";
import type { Json, KubeObject } from "../object.js";
import { badRequest } from "../status.js";
import { replicasOf } from "./workload.js";

/** The autoscaling/v1 Scale of a Deployment or StatefulSet. */
export function scaleOf(owner: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = owner.metadata;
  const labels = Object.entries(asObject(at(owner, "spec", "selector", "matchLabels"))).map(([key, value]) => `${key}=${asText(value)}`);
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: replicasOf(owner) },
    status: { replicas: at(owner, "status", "replicas") ?? 0, selector: labels.toSorted().join(",") },
  };
}

/** The object with the replicas of a Scale; a resourceVersion in it is a precondition. Throws 400 for what is no Scale. */
export function scaled(owner: KubeObject, scale: Json): KubeObject {
  const replicas = at(scale, "spec", "replicas") ?? 0;
  if (!isObject(scale) || typeof replicas !== "number" || !Number.isInteger(replicas) || replicas < 0) throw badRequest(`Scale.autoscaling "${owner.metadata.name}" is invalid: spec.replicas: must be a whole number, 0 or more`);
  const version = asText(at(scale, "metadata", "resourceVersion"));
  return { ...owner, metadata: { ...owner.metadata, ...(version === "" ? {} : { resourceVersion: version }) }, spec: { ...asObject(owner["spec"]), replicas } };
}
