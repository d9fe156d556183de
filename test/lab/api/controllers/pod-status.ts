import { familyOf } from "../address.js";
import { asList, asObject, asText, at } from "../object.js";
import type { Json, JsonObject, KubeObject } from "../object.js";

/** Addresses that pods on a node may have, the first choice first. With more pods than addresses, some pods share one. */
export type PodAddresses = { readonly node: string; readonly ipv4: readonly string[]; readonly ipv6: readonly string[] };

/** How a pod comes up: where, with which addresses, and whether it is ready. */
export type Placement = { readonly hostIPs: readonly string[]; readonly podIPs: readonly string[]; readonly ready: boolean; readonly now: string };

const READY_TYPES: readonly string[] = ["ContainersReady", "Ready"];

const ips = (addresses: readonly string[]): Json => addresses.map((ip) => ({ ip }));

function containerStatus(container: Json, ready: boolean, now: string): JsonObject {
  return { name: at(container, "name"), image: at(container, "image"), imageID: "", ready, started: true, restartCount: 0, state: { running: { startedAt: now } }, lastState: {} };
}

/** The status of a pod that runs. */
export function runningStatus(pod: KubeObject, { hostIPs, podIPs, ready, now }: Placement): JsonObject {
  const condition = (type: string): JsonObject => ({ type, status: READY_TYPES.includes(type) && !ready ? "False" : "True", lastProbeTime: null, lastTransitionTime: now });
  return {
    ...asObject(pod["status"]),
    phase: "Running",
    hostIP: hostIPs[0],
    hostIPs: ips(hostIPs),
    podIP: podIPs[0],
    podIPs: ips(podIPs),
    startTime: now,
    conditions: ["PodReadyToStartContainers", "Initialized", ...READY_TYPES, "PodScheduled"].map(condition),
    containerStatuses: asList(at(pod, "spec", "containers")).map((container) => containerStatus(container, ready, now)),
  };
}

/** The status of the pod once it has become ready, or unready. */
export function readyStatus(pod: KubeObject, ready: boolean, now: string): JsonObject {
  const status = asObject(pod["status"]);
  const wanted = ready ? "True" : "False";
  const conditions = asList(status["conditions"]).map((one) => (READY_TYPES.includes(asText(at(one, "type"))) && at(one, "status") !== wanted ? { ...asObject(one), status: wanted, lastTransitionTime: now } : one));
  return { ...status, conditions, containerStatuses: asList(status["containerStatuses"]).map((one) => ({ ...asObject(one), ready })) };
}

/** The addresses of a pod of one family. */
export function podAddresses(pod: KubeObject, family: string): readonly string[] {
  return asList(at(pod, "status", "podIPs")).map((one) => asText(at(one, "ip"))).filter((ip) => familyOf(ip) === family);
}
