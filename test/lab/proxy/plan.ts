import { keyOf, SERVICE_NAME_LABEL, type ProxyService, type ProxySlice, type ServicePort } from "./objects.js";

/** 4 or 6. */
export type Family = 4 | 6;

/** Where a packet can be sent on to. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly here: boolean;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
}

/** One port of a Service in one family, on one node. */
export interface PortPlan {
  /** NAMESPACE/NAME:PORT/PROTOCOL, for people. */
  readonly name: string;
  readonly family: Family;
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  readonly clusterIps: readonly string[];
  /** Ingress addresses and externalIPs, which externalTrafficPolicy rules. */
  readonly externalIps: readonly string[];
  /** externalTrafficPolicy is Local. */
  readonly local: boolean;
  /** Who takes packets, wherever it runs. */
  readonly everywhere: readonly Endpoint[];
  /** Who takes packets on this node. */
  readonly here: readonly Endpoint[];
  /** All that serve, used or not: flows to them stay. */
  readonly serving: readonly Endpoint[];
}

/** What a node's answer at a Service's healthCheckNodePort is made from. */
export interface HealthPlan {
  readonly namespace: string;
  readonly name: string;
  readonly localEndpoints: number;
}

/** The objects, in the order in which earlier ones win. */
export interface Observed {
  readonly services: readonly ProxyService[];
  readonly slices: readonly ProxySlice[];
}

function familyOf(address: string): Family {
  return address.includes(":") ? 6 : 4;
}

/** The slices by the key of their Service. */
function byService(slices: readonly ProxySlice[]): ReadonlyMap<string, readonly ProxySlice[]> {
  return Map.groupBy(slices, ({ metadata }) => `${metadata.namespace ?? "default"}/${metadata.labels?.[SERVICE_NAME_LABEL] ?? ""}`);
}

function endpointsOf(slice: ProxySlice, port: ServicePort, node: string): readonly Endpoint[] {
  const target = slice.ports?.find(({ name, protocol }) => (name ?? "") === (port.name ?? "") && (protocol ?? "TCP") === (port.protocol ?? "TCP"))?.port;
  if (target === undefined) return [];
  return (slice.endpoints ?? []).flatMap(({ addresses, conditions, nodeName }) => {
    const [address] = addresses; // the rest is not used by anyone
    if (address === undefined) return [];
    const ready = conditions?.ready ?? true;
    return [{ address, port: target, here: nodeName === node, ready, serving: conditions?.serving ?? ready, terminating: conditions?.terminating ?? false }];
  });
}

/** Of several mentions of an address (several slices, while one moves) a ready one counts. */
function distinct(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const found = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    const key = `${endpoint.address} ${endpoint.port}`;
    if (endpoint.ready || !found.has(key)) found.set(key, endpoint);
  }
  return [...found.values()].sort((a, b) => (a.address < b.address ? -1 : 1));
}

/** The ready ones; where none is, those that end but still serve (KEP-1669). */
function usable(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const ready = endpoints.filter((endpoint) => endpoint.ready);
  return ready.length > 0 ? ready : endpoints.filter(({ serving, terminating }) => serving && terminating);
}

function externalIps({ spec, status }: ProxyService): readonly string[] {
  // With ipMode Proxy the packets arrive with the node's own address; they must not be caught on their way to the balancer.
  const ingress = spec?.type === "LoadBalancer" ? (status?.loadBalancer?.ingress ?? []).filter(({ ipMode }) => (ipMode ?? "VIP") === "VIP") : [];
  return [...new Set([...(spec?.externalIPs ?? []), ...ingress.flatMap(({ ip }) => (ip === undefined || ip === "" ? [] : [ip]))])];
}

function portPlans(service: ProxyService, slices: readonly ProxySlice[], node: string): readonly PortPlan[] {
  const clusterIps = (service.spec?.clusterIPs ?? []).filter((ip) => ip !== "None" && ip !== "");
  const external = externalIps(service);
  const protocols = { TCP: "tcp", UDP: "udp" } as const;
  return (service.spec?.ports ?? []).flatMap((port) => ([4, 6] as const).flatMap((family): PortPlan[] => {
    const protocol = Object.entries(protocols).find(([name]) => name === (port.protocol ?? "TCP"))?.[1];
    const ours = (ip: string): boolean => familyOf(ip) === family;
    if (protocol === undefined || ![...clusterIps, ...external].some(ours)) return [];
    const endpoints = distinct(slices.filter(({ addressType }) => addressType === `IPv${family}`).flatMap((slice) => endpointsOf(slice, port, node)));
    return [{
      name: `${keyOf(service)}:${port.port}/${protocol}`,
      family,
      protocol,
      port: port.port,
      clusterIps: clusterIps.filter(ours),
      externalIps: external.filter(ours),
      local: service.spec?.externalTrafficPolicy === "Local",
      everywhere: usable(endpoints),
      here: usable(endpoints.filter(({ here }) => here)),
      serving: endpoints.filter(({ serving }) => serving),
    }];
  }));
}

/** What this node does with the packets to every Service. */
export function planPorts({ services, slices }: Observed, node: string): readonly PortPlan[] {
  const owned = byService(slices);
  return services.flatMap((service) => portPlans(service, owned.get(keyOf(service)) ?? [], node));
}

/** What this node answers at every healthCheckNodePort; only ready endpoints of this node count. */
export function planHealth({ services, slices }: Observed, node: string): ReadonlyMap<number, HealthPlan> {
  const owned = byService(slices);
  return new Map(services.flatMap((service) => {
    const { type, externalTrafficPolicy, healthCheckNodePort = 0 } = service.spec ?? {};
    if (type !== "LoadBalancer" || externalTrafficPolicy !== "Local" || healthCheckNodePort === 0) return [];
    const here = (owned.get(keyOf(service)) ?? []).flatMap(({ endpoints }) => endpoints ?? []).filter(({ nodeName, conditions }) => nodeName === node && (conditions?.ready ?? true));
    const addresses = here.flatMap((endpoint) => endpoint.addresses.slice(0, 1));
    // A pod of a dual-stack Service is in a slice of each family and counts once.
    const localEndpoints = Math.max(...([4, 6] as const).map((family) => new Set(addresses.filter((address) => familyOf(address) === family)).size));
    return [[healthCheckNodePort, { namespace: service.metadata.namespace ?? "default", name: service.metadata.name, localEndpoints }] as const];
  }));
}
