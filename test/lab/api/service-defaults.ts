import { Pool, familyOf, ipv4Number, ipv4Text } from "./address.js";
import { asList, asObject, asText, at, compact, isObject, scalar, without } from "./object.js";
import type { Json, JsonObject, KubeObject } from "./object.js";
import { policyOf } from "./service-families.js";
import { badValue } from "./status.js";
import type { Cause } from "./status.js";

/** Where cluster addresses and node ports come from. */
export type ServicePools = { readonly ipv4: Pool; readonly ipv6: Pool; readonly nodePorts: Pool };

const IPV6_PREFIX = "fd00:10:96::";
const IPV4_BASE = ipv4Number("10.96.0.0");

/** 10.96.0.0/16, fd00:10:96::/112 and node ports 30000 to 32767; .1 is left for the Service kubernetes. */
export function servicePools(): ServicePools {
  return { ipv4: new Pool(IPV4_BASE + 2, IPV4_BASE + 65_534), ipv6: new Pool(2, 65_534), nodePorts: new Pool(30_000, 32_767) };
}

const exposed = (type: string): boolean => type === "LoadBalancer" || type === "NodePort";

const portKey = (port: Json): string => `${asText(at(port, "protocol")) || "TCP"}/${scalar(at(port, "port"))}`;

/** What PUT leaves out and the server had allocated is carried over, as the real server does. */
export function carryOver(next: KubeObject, old: KubeObject): KubeObject {
  const spec = asObject(next["spec"]);
  const before = asObject(old["spec"]);
  const type = asText(spec["type"]) || "ClusterIP";
  if (type === "ExternalName" || before["type"] === "ExternalName") return next;
  const carried: { [key: string]: Json | undefined } = { ...spec };
  if (asText(spec["clusterIP"]) === "" && asList(spec["clusterIPs"]).length === 0) {
    carried["clusterIP"] = before["clusterIP"];
    carried["clusterIPs"] = before["clusterIPs"];
  }
  const oldPorts = new Map(asList(before["ports"]).map((port) => [portKey(port), at(port, "nodePort")]));
  if (exposed(type)) {
    carried["ports"] = asList(spec["ports"]).map((port) => {
      const nodePort = at(port, "nodePort") ?? oldPorts.get(portKey(port));
      return isObject(port) && nodePort !== undefined ? { ...port, nodePort } : port;
    });
    if (type === "LoadBalancer" && !spec["healthCheckNodePort"] && spec["externalTrafficPolicy"] === "Local") carried["healthCheckNodePort"] = before["healthCheckNodePort"];
  }
  return { ...next, spec: compact(carried) };
}

/** Fields which only the old type allows go away with it, when the client left them as they were. */
export function dropTypeFields(next: KubeObject, old: KubeObject): KubeObject {
  const spec = asObject(next["spec"]);
  const before = asObject(old["spec"]);
  const type = asText(spec["type"]) || "ClusterIP";
  const dropped: string[] = [];
  const drop = (field: string): void => {
    if (JSON.stringify(spec[field]) === JSON.stringify(before[field])) dropped.push(field);
  };
  if (type !== "LoadBalancer" && before["type"] === "LoadBalancer") ["loadBalancerClass", "allocateLoadBalancerNodePorts", "loadBalancerIP", "loadBalancerSourceRanges", "healthCheckNodePort"].forEach(drop);
  if (spec["externalTrafficPolicy"] !== "Local" && before["externalTrafficPolicy"] === "Local") drop("healthCheckNodePort");
  if (!exposed(type) && exposed(asText(before["type"]))) drop("externalTrafficPolicy");
  if (type === "ExternalName" && before["type"] !== "ExternalName") ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"].forEach(drop);
  let result = without(spec, ...dropped);
  if (!exposed(type) && exposed(asText(before["type"]))) {
    const ports = asList(before["ports"]);
    result = { ...result, ports: asList(spec["ports"]).map((port) => (isObject(port) && ports.some((one) => at(one, "nodePort") === port["nodePort"]) ? without(port, "nodePort") : port)) };
  }
  return { ...next, spec: result };
}

/** Defaults which need no allocation. */
export function defaultService(object: KubeObject): KubeObject {
  const given = asObject(object["spec"]);
  const type = asText(given["type"]) || "ClusterIP";
  const spec: { [key: string]: Json | undefined } = { ...given, type, sessionAffinity: asText(given["sessionAffinity"]) || "None" };
  if (spec["sessionAffinity"] === "ClientIP" && given["sessionAffinityConfig"] === undefined) spec["sessionAffinityConfig"] = { clientIP: { timeoutSeconds: 10_800 } };
  if (given["ports"] !== undefined)
    spec["ports"] = asList(given["ports"]).map((port) => {
      if (!isObject(port)) return port;
      const target = port["targetPort"];
      return { ...port, protocol: asText(port["protocol"]) || "TCP", targetPort: target === undefined || target === 0 || target === "" ? (port["port"] ?? 0) : target };
    });
  if (exposed(type) && asText(given["externalTrafficPolicy"]) === "") spec["externalTrafficPolicy"] = "Cluster";
  if (type !== "ExternalName" && asText(given["internalTrafficPolicy"]) === "") spec["internalTrafficPolicy"] = "Cluster";
  if (type === "LoadBalancer" && given["allocateLoadBalancerNodePorts"] === undefined) spec["allocateLoadBalancerNodePorts"] = true;
  return { ...object, spec: compact(spec), status: defaultStatus(asObject(object["status"])) };
}

/** ipMode of an ingress with an address is VIP unless given. */
export function defaultStatus(status: JsonObject): JsonObject {
  const balancer = asObject(status["loadBalancer"]);
  const ingress = asList(balancer["ingress"]);
  if (ingress.length === 0) return { ...status, loadBalancer: without(balancer, "ingress") };
  const filled = ingress.map((item) => (isObject(item) && asText(item["ip"]) !== "" && item["ipMode"] === undefined ? { ...item, ipMode: "VIP" } : item));
  return { ...status, loadBalancer: { ...balancer, ingress: filled } };
}

function families(spec: JsonObject): readonly string[] {
  const given = asList(spec["ipFamilies"]).map(asText);
  const known = asList(spec["clusterIPs"]).map((ip) => familyOf(asText(ip))).filter((family) => family !== undefined);
  const first = given.length > 0 ? given : known.length > 0 ? known : [familyOf(asText(spec["clusterIP"])) ?? "IPv4"];
  const dual = policyOf(spec) !== "SingleStack";
  return dual && first.length === 1 ? [first[0] ?? "IPv4", first[0] === "IPv6" ? "IPv4" : "IPv6"] : first;
}

function clusterAddresses(spec: JsonObject, wanted: readonly string[], pools: ServicePools): readonly string[] {
  const given = asList(spec["clusterIPs"]).map(asText);
  const have = given.length > 0 ? given : [asText(spec["clusterIP"])].filter((ip) => ip !== "");
  if (have[0] === "None") return ["None"];
  return wanted.map((family, index) => {
    const old = have[index];
    if (old !== undefined) {
      if (familyOf(old) === "IPv4") pools.ipv4.claim(ipv4Number(old));
      return old;
    }
    return family === "IPv6" ? `${IPV6_PREFIX}${(pools.ipv6.take() ?? 0).toString(16)}` : ipv4Text(pools.ipv4.take() ?? 0);
  });
}

/** Allocates cluster addresses, node ports and the health check node port where they are missing. */
export function allocate(object: KubeObject, pools: ServicePools): KubeObject {
  const given = asObject(object["spec"]);
  const type = asText(given["type"]);
  if (type === "ExternalName") return object;
  const wanted = families(given);
  const clusterIPs = clusterAddresses(given, wanted, pools);
  const spec: { [key: string]: Json | undefined } = { ...given, clusterIP: clusterIPs[0], clusterIPs, ipFamilies: wanted, ipFamilyPolicy: policyOf(given) };
  if (type === "NodePort" || (type === "LoadBalancer" && given["allocateLoadBalancerNodePorts"] !== false))
    spec["ports"] = asList(given["ports"]).map((port) => (isObject(port) && !port["nodePort"] ? { ...port, nodePort: pools.nodePorts.take() } : port));
  for (const port of asList(spec["ports"])) {
    const nodePort = at(port, "nodePort");
    if (typeof nodePort === "number") pools.nodePorts.claim(nodePort);
  }
  if (type === "LoadBalancer" && given["externalTrafficPolicy"] === "Local" && !given["healthCheckNodePort"]) spec["healthCheckNodePort"] = pools.nodePorts.take();
  return { ...object, spec: compact(spec) };
}

const heldPorts = (object: KubeObject | undefined): readonly number[] => [...asList(at(object, "spec", "ports")).map((port) => at(port, "nodePort")), at(object, "spec", "healthCheckNodePort")].filter((port) => typeof port === "number");

const heldAddresses = (object: KubeObject | undefined): readonly string[] => asList(at(object, "spec", "clusterIPs")).map(asText);

/** What a Service asks for by number and another one has. */
export function takenCauses(next: KubeObject, old: KubeObject | undefined, pools: ServicePools): readonly Cause[] {
  const own = new Set<number | string>([...heldPorts(old), ...heldAddresses(old)]);
  const ports = heldPorts(next).filter((port) => !own.has(port) && pools.nodePorts.taken(port));
  const wanted = heldAddresses(next).length > 0 ? heldAddresses(next) : [asText(at(next, "spec", "clusterIP"))];
  const addresses = wanted.filter((address) => !own.has(address) && familyOf(address) === "IPv4" && pools.ipv4.taken(ipv4Number(address)));
  return [...ports.map((port) => badValue("spec.ports[0].nodePort", port, "provided port is already allocated")), ...addresses.map((address) => badValue("spec.clusterIPs", [address], `failed to allocate IP ${address}: provided IP is already allocated`))];
}

/** Gives back what a Service, or the version of it before an update, held and the new one does not. */
export function release(old: KubeObject, next: KubeObject | undefined, pools: ServicePools): void {
  const keptPorts = new Set(heldPorts(next));
  const keptAddresses = new Set(heldAddresses(next));
  for (const port of heldPorts(old)) if (!keptPorts.has(port)) pools.nodePorts.free(port);
  for (const address of heldAddresses(old)) {
    if (keptAddresses.has(address)) continue;
    if (familyOf(address) === "IPv4") pools.ipv4.free(ipv4Number(address));
    else if (address.startsWith(IPV6_PREFIX)) pools.ipv6.free(Number.parseInt(address.slice(IPV6_PREFIX.length), 16));
  }
}
