import { familyOf } from "./address.js";
import { externalIpCauses } from "./external-ips.js";
import { asList, asObject, asText, at, isList, scalar } from "./object.js";
import type { Json, JsonObject, KubeObject } from "./object.js";
import { familyCauses } from "./service-families.js";
import { badValue, notHere, required, unsupported } from "./status.js";
import type { Cause } from "./status.js";
import { isQualifiedName, isSubdomain } from "./validate-meta.js";

const TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];

const isPort = (value: Json | undefined): boolean => typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 65_535;

const oneOf = (field: string, value: Json | undefined, known: readonly string[]): readonly Cause[] => (value === undefined || known.includes(asText(value)) ? [] : [unsupported(field, value, known)]);

function portCauses(ports: readonly Json[]): readonly Cause[] {
  const seen = new Set<string>();
  const names = new Set<string>();
  return ports.flatMap((port, index) => {
    const path = `spec.ports[${index}]`;
    const causes: Cause[] = [];
    const name = asText(at(port, "name"));
    if (name === "" && ports.length > 1) causes.push(required(`${path}.name`));
    if (name !== "" && names.has(name)) causes.push({ reason: "FieldValueDuplicate", message: `Duplicate value: ${JSON.stringify(name)}`, field: `${path}.name` });
    names.add(name);
    if (!isPort(at(port, "port"))) causes.push(badValue(`${path}.port`, at(port, "port") ?? 0, "must be between 1 and 65535, inclusive"));
    const target = at(port, "targetPort");
    if (typeof target === "number" && !isPort(target)) causes.push(badValue(`${path}.targetPort`, target, "must be between 1 and 65535, inclusive"));
    causes.push(...oneOf(`${path}.protocol`, at(port, "protocol"), ["SCTP", "TCP", "UDP"]));
    const key = `${scalar(at(port, "protocol"))}/${scalar(at(port, "port"))}`;
    if (seen.has(key)) causes.push({ reason: "FieldValueDuplicate", message: `Duplicate value: {"protocol":"${asText(at(port, "protocol"))}","port":${scalar(at(port, "port"))}}`, field: path });
    seen.add(key);
    return causes;
  });
}

/** What is wrong with status.loadBalancer of a Service. */
export function balancerCauses(object: KubeObject): readonly Cause[] {
  const ingress = asList(at(object, "status", "loadBalancer", "ingress"));
  const path = "status.loadBalancer.ingress";
  if (ingress.length === 0) return [];
  if (at(object, "spec", "type") !== "LoadBalancer") return [notHere(path, 'may only be used when `spec.type` is "LoadBalancer"')];
  return ingress.flatMap((item, index) => {
    const causes: Cause[] = [];
    const ip = asText(at(item, "ip"));
    const mode = at(item, "ipMode");
    const hostname = asText(at(item, "hostname"));
    if (ip !== "" && familyOf(ip) === undefined) causes.push(badValue(`${path}[${index}].ip`, ip, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
    if (ip === "" && mode !== undefined) causes.push(notHere(`${path}[${index}].ipMode`, "may not be specified when `ip` is not set"));
    causes.push(...oneOf(`${path}[${index}].ipMode`, mode, ["Proxy", "VIP"]));
    if (hostname !== "" && !isSubdomain(hostname)) causes.push(badValue(`${path}[${index}].hostname`, hostname, "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"));
    if (hostname !== "" && familyOf(hostname) !== undefined) causes.push(badValue(`${path}[${index}].hostname`, hostname, "must be a DNS name, not an IP address"));
    return causes;
  });
}

function classCauses(spec: JsonObject, before: JsonObject | undefined): readonly Cause[] {
  const given = spec["loadBalancerClass"];
  const field = "spec.loadBalancerClass";
  const balancer = spec["type"] === "LoadBalancer";
  const causes: Cause[] = [];
  if (before?.["type"] === "LoadBalancer" && balancer && (before["loadBalancerClass"] ?? null) !== (given ?? null)) causes.push(badValue(field, given ?? null, "may not change once set"));
  if (given === undefined) return causes;
  if (!balancer) causes.push(notHere(field, "may only be used when `type` is 'LoadBalancer'"));
  else if (!isQualifiedName(asText(given))) causes.push(badValue(field, given, "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"));
  return causes;
}

function policyCauses(spec: JsonObject): readonly Cause[] {
  const type = asText(spec["type"]);
  const exposed = type === "LoadBalancer" || type === "NodePort";
  const external = asText(spec["externalTrafficPolicy"]);
  const externalIPs = asList(spec["externalIPs"]).length > 0;
  const causes: Cause[] = [...oneOf("spec.type", type, TYPES), ...oneOf("spec.sessionAffinity", spec["sessionAffinity"], ["ClientIP", "None"])];
  if (external !== "" && !exposed && !externalIPs) causes.push(badValue("spec.externalTrafficPolicy", external, "may only be set for externally-accessible services"));
  if (external !== "") causes.push(...oneOf("spec.externalTrafficPolicy", external, ["Cluster", "Local"]));
  causes.push(...oneOf("spec.internalTrafficPolicy", spec["internalTrafficPolicy"], ["Cluster", "Local"]));
  causes.push(...oneOf("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], ["PreferDualStack", "RequireDualStack", "SingleStack"]));
  const health = spec["healthCheckNodePort"];
  if (health !== undefined && health !== 0 && !(type === "LoadBalancer" && external === "Local")) causes.push(badValue("spec.healthCheckNodePort", health, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"));
  if (spec["allocateLoadBalancerNodePorts"] !== undefined && type !== "LoadBalancer") causes.push(notHere("spec.allocateLoadBalancerNodePorts", "may only be used when `type` is 'LoadBalancer'"));
  const ranges = asList(spec["loadBalancerSourceRanges"]);
  if (ranges.length > 0 && type !== "LoadBalancer") causes.push(notHere("spec.LoadBalancerSourceRanges", "may only be used when `type` is 'LoadBalancer'"));
  if (type === "ExternalName" && !isSubdomain(asText(spec["externalName"]).replace(/\.$/u, ""))) causes.push(required("spec.externalName"));
  return causes;
}

/** What is wrong with a Service after defaulting, on create (no old) and on update. */
export function serviceCauses(object: KubeObject, old: KubeObject | undefined): readonly Cause[] {
  const spec = asObject(object["spec"]);
  const before = old === undefined ? undefined : asObject(old["spec"]);
  const causes: Cause[] = [];
  const headless = spec["clusterIP"] === "None";
  const ports = asList(spec["ports"]);
  if (ports.length === 0 && !headless && spec["type"] !== "ExternalName") causes.push(required("spec.ports"));
  if (headless && spec["type"] !== "ClusterIP") causes.push(badValue("spec.clusterIPs[0]", "None", `may not be set to 'None' for ${asText(spec["type"])} services`));
  causes.push(...portCauses(ports), ...classCauses(spec, before), ...policyCauses(spec), ...familyCauses(spec, before), ...externalIpCauses(object), ...balancerCauses(object));
  const addresses = isList(spec["clusterIPs"]) ? spec["clusterIPs"] : [spec["clusterIP"] ?? ""];
  addresses.forEach((address, index) => {
    const text = asText(address);
    if (text !== "" && text !== "None" && familyOf(text) === undefined) causes.push(badValue(`spec.clusterIPs[${index}]`, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
  });
  const was = asText(before?.["clusterIP"]);
  if (was !== "" && before?.["type"] !== "ExternalName" && spec["type"] !== "ExternalName" && was !== asText(spec["clusterIP"])) causes.push(badValue("spec.clusterIPs[0]", [asText(spec["clusterIP"])], "may not change once set"));
  return causes;
}
