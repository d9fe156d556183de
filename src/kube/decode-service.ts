import { exact } from "../lib/exact.js";
import type { IngressAddress, Service, ServicePort } from "../ports/kube.js";
import { fieldsOf, itemsOf, portOf, protocolOf, textOf, textsOf, versionOf } from "./raw.js";
import { statusManagerOf } from "./status-manager.js";

const KEPT_PREFIXES = ["kube-vip.io/", "vip.internal/"] as const;
const KEPT_ANNOTATIONS: ReadonlySet<string> = new Set(["romanaip", "romanavip", "metallb.io/loadBalancerIPs"]);
const POLICIES: ReadonlySet<unknown> = new Set<Service["ipFamilyPolicy"]>(["SingleStack", "PreferDualStack", "RequireDualStack"]);

type Fields = Readonly<Record<string, unknown>>;
type Addressing = Pick<Service, "clusterIP" | "ipFamilies" | "ipFamilyPolicy" | "externalIPs" | "healthCheckNodePort">;

/** A v1 Service, trimmed; undefined where it has no namespace, name, uid or version. Everything else that is missing gets the API's default. */
export function decodeService(raw: unknown): Service | undefined {
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
    ports: exact(itemsOf(spec["ports"]).flatMap(decodePort)),
    ...addressing(spec),
    annotations: Object.fromEntries(Object.entries(textsOf(metadata["annotations"])).filter(([key]) => isKept(key))),
    ingress: itemsOf(fieldsOf(fieldsOf(status)["loadBalancer"])["ingress"]).map(decodeIngress),
    statusManager: statusManagerOf(metadata["managedFields"]),
  };
}

function addressing(spec: Fields): Addressing {
  const policy = spec["ipFamilyPolicy"];
  return {
    clusterIP: textOf(spec["clusterIP"]),
    ipFamilies: exact(itemsOf(spec["ipFamilies"]).filter((one) => one === "IPv4" || one === "IPv6")),
    ipFamilyPolicy: POLICIES.has(policy) ? (policy as Service["ipFamilyPolicy"]) : undefined,
    externalIPs: exact(itemsOf(spec["externalIPs"]).filter((one) => typeof one === "string")),
    healthCheckNodePort: portOf(spec["healthCheckNodePort"]),
  };
}

function isKept(key: string): boolean {
  return KEPT_ANNOTATIONS.has(key) || KEPT_PREFIXES.some((part) => key.includes(part));
}

function decodePort(raw: unknown): readonly ServicePort[] {
  const fields = fieldsOf(raw);
  const port = portOf(fields["port"]);
  const protocol = protocolOf(fields["protocol"]);
  if (port === undefined || protocol === undefined) return [];
  return [{ name: textOf(fields["name"]) ?? "", protocol, port }];
}

function decodeIngress(raw: unknown): IngressAddress {
  const { ip, hostname } = fieldsOf(raw);
  return { ip: textOf(ip), hostname: textOf(hostname), raw: fieldsOf(raw) };
}

function timeOf(raw: unknown): number {
  const ms = Date.parse(textOf(raw) ?? "");
  return Number.isNaN(ms) ? 0 : ms;
}
