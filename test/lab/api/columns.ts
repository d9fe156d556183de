import { asList, asObject, asText, at, scalar } from "./object.js";
import type { Json, KubeObject } from "./object.js";

/** One column of a Table; priority 1 is shown with -o wide only. */
export type Column = { readonly name: string; readonly priority?: number; readonly cell: (object: KubeObject) => Json };

const none = (text: string): string => (text === "" ? "<none>" : text);

const texts = (list: Json | undefined, field?: string): readonly string[] => asList(list).map((item) => scalar(field === undefined ? item : at(item, field))).filter((text) => text !== "");

/** How long ago, as kubectl prints it. */
export function age(since: string, now = Date.now()): string {
  const time = Date.parse(since);
  if (Number.isNaN(time)) return "<unknown>";
  const seconds = Math.max(0, Math.floor((now - time) / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  return `${Math.floor(hours / 24)}d`;
}

const NAME: Column = { name: "Name", cell: (object) => object.metadata.name };
const AGE: Column = { name: "Age", cell: (object) => age(asText(object.metadata["creationTimestamp"])) };

function externalIp(object: KubeObject): string {
  const spec = asObject(object["spec"]);
  const external = texts(spec["externalIPs"]);
  const type = spec["type"];
  if (type === "ExternalName") return asText(spec["externalName"]);
  if (type !== "LoadBalancer") return none(external.join(","));
  const ingress = asList(at(object, "status", "loadBalancer", "ingress")).map((item) => asText(at(item, "ip")) || asText(at(item, "hostname")));
  const all = [...ingress, ...external].join(",");
  return all === "" ? "<pending>" : all;
}

function servicePorts(object: KubeObject): string {
  const ports = asList(at(object, "spec", "ports")).map((port) => {
    const node = scalar(at(port, "nodePort"));
    return `${scalar(at(port, "port"))}${node === "" || node === "0" ? "" : `:${node}`}/${asText(at(port, "protocol"))}`;
  });
  return none(ports.join(","));
}

const pairs = (value: Json | undefined): string => none(Object.entries(asObject(value)).map(([key, text]) => `${key}=${scalar(text)}`).join(","));

const condition = (object: KubeObject, type: string): string => asText(at(asList(at(object, "status", "conditions")).find((item) => at(item, "type") === type), "status"));

function nodeStatus(object: KubeObject): string {
  const ready = condition(object, "Ready");
  const word = ready === "True" ? "Ready" : ready === "False" ? "NotReady" : ready === "" ? "Unknown" : "NotReady";
  return at(object, "spec", "unschedulable") === true ? `${word},SchedulingDisabled` : word;
}

function nodeRoles(object: KubeObject): string {
  const prefix = "node-role.kubernetes.io/";
  const roles = Object.keys(asObject(object.metadata["labels"])).filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
  return none(roles.toSorted().join(","));
}

const nodeAddress = (type: string) => (object: KubeObject): string => none(asText(at(asList(at(object, "status", "addresses")).find((item) => at(item, "type") === type), "address")));

const field = (...path: readonly string[]) => (object: KubeObject): string => scalar(at(object, ...path));

const known = (...path: readonly string[]) => (object: KubeObject): string => none(scalar(at(object, ...path)));

function lastSeen(object: KubeObject): string {
  const time = asText(at(object, "series", "lastObservedTime")) || asText(object["lastTimestamp"]) || asText(object["firstTimestamp"]) || asText(object["eventTime"]);
  return age(time);
}

function readyPods(object: KubeObject): string {
  const containers = asList(at(object, "status", "containerStatuses"));
  const ready = containers.filter((item) => at(item, "ready") === true).length;
  return `${ready}/${asList(at(object, "spec", "containers")).length}`;
}

const restarts = (object: KubeObject): string => String(asList(at(object, "status", "containerStatuses")).reduce((sum: number, item) => sum + Number(at(item, "restartCount") ?? 0), 0));

const slicePorts = (object: KubeObject): string => {
  const ports = texts(object["ports"], "port");
  return ports.length === 0 ? "<unset>" : ports.join(",");
};

const sliceEndpoints = (object: KubeObject): string => {
  const addresses = asList(object["endpoints"]).flatMap((endpoint) => texts(at(endpoint, "addresses")));
  if (addresses.length === 0) return "<unset>";
  return addresses.length > 3 ? `${addresses.slice(0, 3).join(",")} + ${addresses.length - 3} more...` : addresses.join(",");
};

const subsets = (object: KubeObject): string =>
  none(asList(object["subsets"]).flatMap((set) => texts(at(set, "addresses"), "ip").flatMap((ip) => texts(at(set, "ports"), "port").map((port) => `${ip}:${port}`))).join(","));

const count = (...path: readonly string[]) => (object: KubeObject): string => String(Object.keys(asObject(at(object, ...path))).length);

const number = (...path: readonly string[]) => (object: KubeObject): string => scalar(at(object, ...path)) || "0";

/** Columns of resources without their own. */
export const DEFAULT_COLUMNS: readonly Column[] = [NAME, { name: "Created At", cell: field("metadata", "creationTimestamp") }];

/** Columns by plural, as the real server prints them. */
export const COLUMNS: { readonly [plural: string]: readonly Column[] } = {
  services: [
    NAME,
    { name: "Type", cell: field("spec", "type") },
    { name: "Cluster-IP", cell: known("spec", "clusterIP") },
    { name: "External-IP", cell: externalIp },
    { name: "Port(s)", cell: servicePorts },
    AGE,
    { name: "Selector", priority: 1, cell: (object) => pairs(at(object, "spec", "selector")) },
  ],
  nodes: [
    NAME,
    { name: "Status", cell: nodeStatus },
    { name: "Roles", cell: nodeRoles },
    AGE,
    { name: "Version", cell: field("status", "nodeInfo", "kubeletVersion") },
    { name: "Internal-IP", priority: 1, cell: nodeAddress("InternalIP") },
    { name: "External-IP", priority: 1, cell: nodeAddress("ExternalIP") },
  ],
  events: [
    { name: "Last Seen", cell: lastSeen },
    { name: "Type", cell: field("type") },
    { name: "Reason", cell: field("reason") },
    { name: "Object", cell: (object) => `${asText(at(object, "involvedObject", "kind")).toLowerCase()}/${asText(at(object, "involvedObject", "name"))}` },
    { name: "Message", cell: (object) => asText(object["message"]).trim() },
    { name: "Count", priority: 1, cell: (object) => object["count"] ?? 1 },
    { ...NAME, priority: 1 },
  ],
  pods: [NAME, { name: "Ready", cell: readyPods }, { name: "Status", cell: field("status", "phase") }, { name: "Restarts", cell: restarts }, AGE, { name: "IP", priority: 1, cell: known("status", "podIP") }, { name: "Node", priority: 1, cell: known("spec", "nodeName") }],
  leases: [NAME, { name: "Holder", cell: field("spec", "holderIdentity") }, AGE],
  endpointslices: [NAME, { name: "AddressType", cell: field("addressType") }, { name: "Ports", cell: slicePorts }, { name: "Endpoints", cell: sliceEndpoints }, AGE],
  endpoints: [NAME, { name: "Endpoints", cell: subsets }, AGE],
  namespaces: [NAME, { name: "Status", cell: field("status", "phase") }, AGE],
  configmaps: [NAME, { name: "Data", cell: count("data") }, AGE],
  secrets: [NAME, { name: "Type", cell: field("type") }, { name: "Data", cell: count("data") }, AGE],
  serviceaccounts: [NAME, { name: "Secrets", cell: (object) => String(asList(object["secrets"]).length) }, AGE],
  deployments: [NAME, { name: "Ready", cell: (object) => `${number("status", "readyReplicas")(object)}/${number("spec", "replicas")(object)}` }, { name: "Up-to-date", cell: number("status", "updatedReplicas") }, { name: "Available", cell: number("status", "availableReplicas") }, AGE],
  daemonsets: [
    NAME,
    { name: "Desired", cell: number("status", "desiredNumberScheduled") },
    { name: "Current", cell: number("status", "currentNumberScheduled") },
    { name: "Ready", cell: number("status", "numberReady") },
    { name: "Up-to-date", cell: number("status", "updatedNumberScheduled") },
    { name: "Available", cell: number("status", "numberAvailable") },
    { name: "Node Selector", cell: (object) => pairs(at(object, "spec", "template", "spec", "nodeSelector")) },
    AGE,
  ],
};
