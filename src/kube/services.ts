import type { IngressAddress, Service, ServicePort, Services } from "../ports/kube.js";
import { fieldsOf, itemsOf, textOf, textsOf, versionOf } from "./raw.js";
import { reflect } from "./reflector.js";
import type { ReflectDeps } from "./reflector.js";

const STATUS_TIMEOUT_MS = 10_000;
const OUR_ANNOTATIONS = ["kube-vip.io/", "vip.internal/"] as const;
const PROTOCOLS: ReadonlySet<unknown> = new Set<ServicePort["protocol"]>(["TCP", "UDP", "SCTP"]);

/** v1 Services. `annotations`: keys that are kept besides our own. */
export function createServices(annotations: readonly string[], deps: ReflectDeps): Services {
  const named = new Set(annotations);
  return {
    watch: async (namespace, changed, signal) => {
      const path = namespace === undefined ? "/api/v1/services" : `/api/v1/namespaces/${encodeURIComponent(namespace)}/services`;
      await reflect({ resource: "services", path, decode: (raw) => decodeService(raw, named), changed }, deps, signal);
    },
    patchStatus: async (service, patch, signal) => {
      const body = {
        // A patch with a version that is not the newest is refused (409).
        metadata: { resourceVersion: service.resourceVersion, ...(Object.keys(patch.annotations).length === 0 ? {} : { annotations: patch.annotations }) },
        // A merge patch replaces the array as a whole (RFC 7396).
        status: { loadBalancer: { ingress: patch.ingress } },
      };
      const path = `/api/v1/namespaces/${encodeURIComponent(service.namespace)}/services/${encodeURIComponent(service.name)}/status`;
      const contentType = "application/merge-patch+json";
      await deps.client.request({ verb: "patch", resource: "services/status", path, body, contentType, timeoutMs: STATUS_TIMEOUT_MS }, signal);
    },
  };
}

/** A v1 Service, trimmed; undefined where it has no namespace, name, uid or version. Everything else that is missing gets the API's default. */
export function decodeService(raw: unknown, annotations: ReadonlySet<string>): Service | undefined {
  const { metadata: rawMetadata, spec: rawSpec, status } = fieldsOf(raw);
  const metadata = fieldsOf(rawMetadata);
  const spec = fieldsOf(rawSpec);
  const namespace = textOf(metadata["namespace"]);
  const name = textOf(metadata["name"]);
  const uid = textOf(metadata["uid"]);
  const resourceVersion = versionOf(raw);
  if (namespace === undefined || name === undefined || uid === undefined || resourceVersion === undefined) return undefined;
  return {
    namespace,
    name,
    uid,
    resourceVersion,
    createdAt: timeOf(metadata["creationTimestamp"]),
    deleting: textOf(metadata["deletionTimestamp"]) !== undefined,
    type: textOf(spec["type"]) ?? "ClusterIP",
    loadBalancerClass: textOf(spec["loadBalancerClass"]),
    loadBalancerIP: textOf(spec["loadBalancerIP"]),
    externalTrafficPolicy: spec["externalTrafficPolicy"] === "Local" ? "Local" : "Cluster",
    ports: itemsOf(spec["ports"]).flatMap(decodePort),
    annotations: Object.fromEntries(Object.entries(textsOf(metadata["annotations"])).filter(([key]) => isKept(key, annotations))),
    ingress: itemsOf(fieldsOf(fieldsOf(status)["loadBalancer"])["ingress"]).map(decodeIngress),
  };
}

function isKept(key: string, named: ReadonlySet<string>): boolean {
  return named.has(key) || OUR_ANNOTATIONS.some((part) => key.includes(part));
}

function decodePort(raw: unknown): readonly ServicePort[] {
  const { name, protocol = "TCP", port } = fieldsOf(raw);
  if (typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65_535 || !PROTOCOLS.has(protocol)) return [];
  return [{ name: textOf(name) ?? "", protocol: protocol as ServicePort["protocol"], port }];
}

function decodeIngress(raw: unknown): IngressAddress {
  const { ip, hostname } = fieldsOf(raw);
  return { ip: textOf(ip), hostname: textOf(hostname), raw: fieldsOf(raw) };
}

function timeOf(raw: unknown): number {
  const ms = Date.parse(textOf(raw) ?? "");
  return Number.isNaN(ms) ? 0 : ms;
}
