import { asList, asObject, asText, at } from "../object.js";
import type { Json, JsonObject, KubeObject } from "../object.js";
import { isDeleting, isTrue, selects } from "./access.js";
import { podAddresses } from "./pod-status.js";

/** Value of the label that says who keeps a slice. */
export const MANAGED_BY = "endpointslice-controller.k8s.io";

/** Endpoints of one family that have the same ports. */
export type EndpointGroup = { readonly family: string; readonly ports: readonly Json[]; readonly endpoints: readonly JsonObject[] };

function targetPort(port: Json, pod: KubeObject): Json | undefined {
  const wanted = at(port, "targetPort");
  if (typeof wanted === "number") return wanted;
  const named = asList(at(pod, "spec", "containers")).flatMap((container) => asList(at(container, "ports")));
  return at(named.find((one) => at(one, "name") === wanted && (asText(at(one, "protocol")) || "TCP") === at(port, "protocol")), "containerPort");
}

function portsOf(service: KubeObject, pod: KubeObject): readonly Json[] {
  return asList(at(service, "spec", "ports")).flatMap((port) => {
    const number = targetPort(port, pod);
    const protocol = at(port, "appProtocol");
    return number === undefined ? [] : [{ name: asText(at(port, "name")), port: number, protocol: asText(at(port, "protocol")), ...(protocol === undefined ? {} : { appProtocol: protocol }) }];
  });
}

/** Endpoints as most Services have them, by pod and family: thousands of Services may have the same pods. */
const plain = new WeakMap<KubeObject, Map<string, JsonObject>>();

function endpointOf(service: KubeObject, pod: KubeObject, addresses: readonly string[]): JsonObject {
  const hostname = asText(at(pod, "spec", "hostname"));
  const named = hostname !== "" && at(pod, "spec", "subdomain") === service.metadata.name;
  const publish = at(service, "spec", "publishNotReadyAddresses") === true;
  if (named || publish) return makeEndpoint(pod, addresses, { publish, ...(named ? { hostname } : {}) });
  const [address = ""] = addresses;
  const known = plain.get(pod) ?? new Map<string, JsonObject>();
  plain.set(pod, known);
  const endpoint = known.get(address) ?? makeEndpoint(pod, addresses, { publish: false });
  known.set(address, endpoint);
  return endpoint;
}

function makeEndpoint(pod: KubeObject, addresses: readonly string[], how: { readonly publish: boolean; readonly hostname?: string }): JsonObject {
  const serving = isTrue(pod, "Ready");
  const terminating = isDeleting(pod);
  // "ready" is never true of what terminates, but by publishNotReadyAddresses; "serving" does not look at termination.
  const ready = how.publish || (serving && !terminating);
  const { name, namespace, uid } = pod.metadata;
  const { hostname } = how;
  return { addresses: addresses.slice(0, 1), conditions: { ready, serving, terminating }, ...(hostname === undefined ? {} : { hostname }), targetRef: { kind: "Pod", namespace, name, uid }, nodeName: at(pod, "spec", "nodeName") };
}

const isOver = (pod: KubeObject): boolean => ["Failed", "Succeeded"].includes(asText(at(pod, "status", "phase")));

/** The endpoints that a Service has by its selector, by family and ports; a family without endpoints is an empty group. */
export function endpointGroups(service: KubeObject, pods: readonly KubeObject[]): readonly EndpointGroup[] {
  const selected = pods.filter((pod) => selects(at(service, "spec", "selector"), pod) && !isOver(pod));
  const given = asList(at(service, "spec", "ipFamilies")).map(asText);
  return (given.length === 0 ? ["IPv4"] : given).flatMap((family) => {
    const groups = new Map<string, { readonly ports: readonly Json[]; readonly endpoints: JsonObject[] }>();
    for (const pod of selected) {
      const addresses = podAddresses(pod, family);
      if (addresses.length === 0) continue;
      const ports = portsOf(service, pod);
      const key = JSON.stringify(ports);
      const group = groups.get(key) ?? { ports, endpoints: [] };
      groups.set(key, group);
      group.endpoints.push(endpointOf(service, pod, addresses));
    }
    return groups.size === 0 ? [{ family, ports: [], endpoints: [] }] : [...groups.values()].map((group) => ({ family, ...group }));
  });
}

/** What of a slice follows from its Service and its group. */
export function sliceBody({ family, ports, endpoints }: EndpointGroup): JsonObject {
  // Lists that are empty come back from etcd as null.
  return { addressType: family, endpoints: endpoints.length === 0 ? null : endpoints, ports: ports.length === 0 ? null : ports };
}

/** Labels of the slices of a Service: its own, and whose they are. */
export function sliceLabels(service: KubeObject): JsonObject {
  const headless = at(service, "spec", "clusterIP") === "None" ? { "service.kubernetes.io/headless": "" } : {};
  return { ...asObject(service.metadata["labels"]), ...headless, "kubernetes.io/service-name": service.metadata.name, "endpointslice.kubernetes.io/managed-by": MANAGED_BY };
}
