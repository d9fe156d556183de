import { asText, at } from "../object.js";
import type { JsonObject, KubeObject } from "../object.js";
import { timestamp } from "../registry.js";
import { isTrue } from "./access.js";
import { condition, podOf, templateHash } from "./template.js";
import { replicasOf } from "./workload.js";
import type { WorkloadKind } from "./workload.js";

const HASH_LABEL = "pod-template-hash";

const hashOf = (owner: KubeObject): string => templateHash(at(owner, "spec", "template"));

const isReady = (pod: KubeObject): boolean => isTrue(pod, "Ready");

const isOf = (hash: string) => (pod: KubeObject): boolean => at(pod, "metadata", "labels", HASH_LABEL) === hash;

/** New pods at once; pods of an older template go as new ones get ready. */
function plan(owner: KubeObject, pods: readonly KubeObject[]): ReturnType<WorkloadKind["plan"]> {
  const replicas = replicasOf(owner);
  const hash = hashOf(owner);
  const current = pods.filter(isOf(hash));
  const older = pods.filter((pod) => !current.includes(pod));
  const missing = Math.max(0, replicas - current.length);
  const make = (): KubeObject => podOf(owner, { name: `${owner.metadata.name}-${hash}-`, labels: { [HASH_LABEL]: hash } });
  // Unready ones first, then the newest.
  const surplus = current.toSorted((a, b) => Number(isReady(a)) - Number(isReady(b)) || Number(b.metadata.resourceVersion) - Number(a.metadata.resourceVersion)).slice(0, Math.max(0, current.length - replicas));
  const spare = Math.max(0, older.length + current.filter(isReady).length - replicas);
  return { create: Array.from({ length: missing }, make), remove: [...surplus, ...older.slice(0, spare)] };
}

function status(owner: KubeObject, pods: readonly KubeObject[]): JsonObject {
  const replicas = replicasOf(owner);
  const ready = pods.filter(isReady).length;
  const updated = pods.filter(isOf(hashOf(owner))).length;
  const now = timestamp();
  const enough = ready >= replicas;
  const done = enough && updated === replicas && pods.length === replicas;
  const name = asText(owner.metadata.name);
  return {
    replicas: pods.length,
    updatedReplicas: updated,
    readyReplicas: ready,
    availableReplicas: ready,
    ...(ready < replicas ? { unavailableReplicas: replicas - ready } : {}),
    conditions: [
      condition(owner, { type: "Available", status: enough, reason: enough ? "MinimumReplicasAvailable" : "MinimumReplicasUnavailable", message: enough ? "Deployment has minimum availability." : "Deployment does not have minimum availability.", now }),
      condition(owner, { type: "Progressing", status: true, reason: done ? "NewReplicaSetAvailable" : "ReplicaSetUpdated", message: done ? `Deployment "${name}" has successfully progressed.` : `Deployment "${name}" is progressing.`, now }),
    ],
  };
}

/** Deployments, without the ReplicaSets in between. */
export const DEPLOYMENTS: WorkloadKind = { plural: "deployments", kind: "Deployment", plan, status };
