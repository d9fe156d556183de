import { asText, at } from "../object.js";
import type { JsonObject, KubeObject } from "../object.js";
import { isTrue } from "./access.js";
import { podOf, templateHash } from "./template.js";
import { replicasOf } from "./workload.js";
import type { WorkloadKind } from "./workload.js";

const REVISION_LABEL = "controller-revision-hash";

const revisionOf = (owner: KubeObject): string => `${owner.metadata.name}-${templateHash(at(owner, "spec", "template"))}`;

const isOf = (revision: string) => (pod: KubeObject): boolean => at(pod, "metadata", "labels", REVISION_LABEL) === revision;

/** Pods name-0, name-1 and so on, all at once; one of an older template goes and comes again under its name. */
function plan(owner: KubeObject, pods: readonly KubeObject[]): ReturnType<WorkloadKind["plan"]> {
  const revision = revisionOf(owner);
  const wanted = Array.from({ length: replicasOf(owner) }, (_, index) => `${owner.metadata.name}-${index}`);
  const kept = pods.filter((pod) => wanted.includes(pod.metadata.name) && isOf(revision)(pod)).map(({ metadata }) => metadata.name);
  const make = (name: string): KubeObject => {
    const labels = { "statefulset.kubernetes.io/pod-name": name, "apps.kubernetes.io/pod-index": name.slice(owner.metadata.name.length + 1), [REVISION_LABEL]: revision };
    return podOf(owner, { name, labels, spec: { hostname: name, subdomain: asText(at(owner, "spec", "serviceName")) } });
  };
  return { create: wanted.filter((name) => !kept.includes(name)).map(make), remove: pods.filter(({ metadata }) => !kept.includes(metadata.name)) };
}

function status(owner: KubeObject, pods: readonly KubeObject[]): JsonObject {
  const ready = pods.filter((pod) => isTrue(pod, "Ready")).length;
  const revision = revisionOf(owner);
  const updated = pods.filter(isOf(revision)).length;
  return { replicas: pods.length, readyReplicas: ready, availableReplicas: ready, currentReplicas: updated, updatedReplicas: updated, currentRevision: revision, updateRevision: revision, collisionCount: 0 };
}

/** StatefulSets, without order and without volumes. */
export const STATEFUL_SETS: WorkloadKind = { plural: "statefulsets", kind: "StatefulSet", plan, status };
