import { familyOf } from "./address.js";
import { asList, asObject, asText, at, isObject, without } from "./object.js";
import type { Json, KubeObject } from "./object.js";
import type { Resource } from "./resources.js";
import { badRequest, badValue, required, unsupported } from "./status.js";
import type { Cause } from "./status.js";

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/u;
/** Go parses MicroTime with a layout of six digits and takes neither three nor nine. */
const RFC3339_MICRO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/u;

function micro(kind: string, version: string, value: Json | undefined): void {
  if (value === undefined || value === null) return;
  if (typeof value === "string" && RFC3339_MICRO.test(value)) return;
  throw badRequest(`${kind} in version "${version}" cannot be handled as a ${kind}: parsing time ${JSON.stringify(value)} as "2006-01-02T15:04:05.000000Z07:00": cannot parse ${JSON.stringify(value)} as ".000000"`);
}

function seconds(kind: string, value: Json | undefined): Json | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string" || !RFC3339.test(value)) throw badRequest(`${kind} in version "v1" cannot be handled as a ${kind}: parsing time ${JSON.stringify(value)} as "2006-01-02T15:04:05Z07:00"`);
  // metav1.Time keeps whole seconds.
  return value.replace(/\.\d+/u, "");
}

function event(object: KubeObject): KubeObject {
  micro("Event", "v1", object["eventTime"]);
  micro("Event", "v1", at(object, "series", "lastObservedTime"));
  const times = { firstTimestamp: seconds("Event", object["firstTimestamp"]), lastTimestamp: seconds("Event", object["lastTimestamp"]) };
  return { source: {}, reportingComponent: "", reportingInstance: "", ...object, eventTime: object["eventTime"] ?? null, firstTimestamp: times.firstTimestamp ?? null, lastTimestamp: times.lastTimestamp ?? null };
}

function lease(object: KubeObject): KubeObject {
  const spec = asObject(object["spec"]);
  micro("Lease", "v1", spec["acquireTime"]);
  micro("Lease", "v1", spec["renewTime"]);
  for (const field of ["leaseDurationSeconds", "leaseTransitions"]) {
    const value = spec[field];
    if (value !== undefined && value !== null && !Number.isInteger(value)) throw badRequest(`Lease in version "v1" cannot be handled as a Lease: json: cannot unmarshal ${typeof value} into Go struct field LeaseSpec.spec.${field} of type int32`);
  }
  return { ...object, spec: Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== null)) };
}

function slice(object: KubeObject): KubeObject {
  const ports = asList(object["ports"]).map((port) => (isObject(port) ? { name: "", protocol: "TCP", ...port } : port));
  // Lists that are empty come back from etcd as null.
  const endpoints = asList(object["endpoints"]);
  return { ...object, endpoints: endpoints.length === 0 ? null : endpoints, ports: ports.length === 0 ? null : ports };
}

function secret(object: KubeObject): KubeObject {
  const text = Object.entries(asObject(object["stringData"])).map(([key, value]) => [key, Buffer.from(asText(value)).toString("base64")] as const);
  const bare: KubeObject = { ...object, stringData: undefined };
  return { ...bare, type: asText(object["type"]) || "Opaque", ...(text.length === 0 ? {} : { data: { ...asObject(object["data"]), ...Object.fromEntries(text) } }) };
}

function workload(object: KubeObject): KubeObject {
  if (object.kind !== "Deployment") return object;
  return { ...object, spec: { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600, strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: "25%", maxSurge: "25%" } }, ...asObject(object["spec"]) } };
}

/** Defaults of the simple kinds; throws 400 for what Go could not decode. */
export function defaults(object: KubeObject): KubeObject {
  switch (object.kind) {
    case "Event":
      return event(object);
    case "Lease":
      return lease(object);
    case "EndpointSlice":
      return slice(object);
    case "Secret":
      return secret(object);
    case "Namespace":
      return { ...object, spec: { finalizers: ["kubernetes"], ...asObject(object["spec"]) }, status: { phase: "Active", ...asObject(object["status"]) } };
    case "Pod":
      return { ...object, spec: { restartPolicy: "Always", ...asObject(object["spec"]) }, status: { phase: "Pending", ...asObject(object["status"]) } };
    case "Deployment":
      return workload(object);
    default:
      return object;
  }
}

function leaseCauses(object: KubeObject): readonly Cause[] {
  const duration = at(object, "spec", "leaseDurationSeconds");
  const transitions = at(object, "spec", "leaseTransitions");
  const causes: Cause[] = [];
  if (typeof duration === "number" && duration <= 0) causes.push(badValue("spec.leaseDurationSeconds", duration, "must be greater than 0"));
  if (typeof transitions === "number" && transitions < 0) causes.push(badValue("spec.leaseTransitions", transitions, "must be greater than or equal to 0"));
  return causes;
}

function eventCauses(object: KubeObject): readonly Cause[] {
  const involved = asText(at(object, "involvedObject", "namespace"));
  const namespace = object.metadata.namespace ?? "";
  // Events of cluster-wide objects live in "default".
  const right = involved === "" ? namespace === "default" || namespace === "" : involved === namespace;
  return right ? [] : [badValue("involvedObject.namespace", involved, "does not match event.namespace")];
}

function sliceCauses(object: KubeObject, old: KubeObject | undefined): readonly Cause[] {
  const type = asText(object["addressType"]);
  const causes: Cause[] = [];
  if (type === "") causes.push(required("addressType"));
  else if (!["IPv4", "IPv6", "FQDN"].includes(type)) causes.push(unsupported("addressType", type, ["FQDN", "IPv4", "IPv6"]));
  if (old !== undefined && old["addressType"] !== type) causes.push(badValue("addressType", type, "field is immutable"));
  if (asList(object["endpoints"]).length > 1000) causes.push({ reason: "FieldValueTooMany", message: "Too many: must have at most 1000 items", field: "endpoints" });
  asList(object["endpoints"]).forEach((endpoint, index) => {
    const addresses = asList(at(endpoint, "addresses"));
    if (addresses.length === 0) causes.push(required(`endpoints[${index}].addresses`, "must contain at least 1 address"));
    addresses.forEach((address, place) => {
      if (type !== "FQDN" && familyOf(asText(address)) !== type) causes.push(badValue(`endpoints[${index}].addresses[${place}]`, address, `must be a valid ${type} address`));
    });
  });
  return causes;
}

/** What is wrong with an object of a simple kind. */
export function kindCauses(object: KubeObject, old: KubeObject | undefined): readonly Cause[] {
  switch (object.kind) {
    case "Lease":
      return leaseCauses(object);
    case "Event":
      return eventCauses(object);
    case "EndpointSlice":
      return sliceCauses(object, old);
    default:
      return [];
  }
}

/** The object as a status update leaves it: the new status and metadata, the rest as it was. */
export function statusOnly(next: KubeObject, old: KubeObject): KubeObject {
  return { ...old, metadata: next.metadata, status: next["status"] };
}

/** The object as a main update leaves it: the status as it was. */
export function keepStatus(next: KubeObject, old: KubeObject): KubeObject {
  const bare = without(next, "status");
  // Only the status was taken out, so it still is an object.
  return { ...(bare as KubeObject), ...(old["status"] === undefined ? {} : { status: old["status"] }) };
}

/** The object as created: a status is not taken from the client, except in Nodes, Pods keep none. */
export function initialStatus(resource: Resource, object: KubeObject): KubeObject {
  if (!resource.status || resource.plural === "nodes") return object;
  return { ...object, status: {} };
}
