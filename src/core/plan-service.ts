import { TRUE } from "../config/setting-types.js";
import { isDnsName } from "../lib/dns-name.js";
import { familyOf, parseIp, unusableAsVip, type Family, type IpAddress } from "../lib/ip.js";
import type { Service } from "../ports/kube.js";
import { DDNS, dhcpAsked, firstLabel, type DhcpAsked } from "./dhcp.js";
import type { ServiceKey } from "./model.js";
import { romanaOf } from "./romana.js";
import { recordedAddresses, VIP_HOST } from "./status.js";

/** Closed list of why a Service is not served here. */
export type SkipCode =
  | "notLoadBalancer"
  | "ignored"
  | "otherClass"
  | "noAddress"
  | "poolExhausted"
  | "invalidAddress"
  | "invalidRomana"
  | "unresolvedName"
  | "dhcpNotSupported"
  | "invalidDhcp"
  | "dhcpPending"
  | "dhcpFailed"
  | "noInterface"
  | "invalidInterface"
  | "linkDown"
  | "linkPending"
  | "addressOfNode"
  | "addressOfGateway"
  | "addressOfApi"
  | "addressInUse"
  | "addressTaken"
  | "portConflict"
  | "noEndpoints"
  | "holderHasNoEndpoint"
  | "noLocalEndpoint"
  | "dataplaneNotReady"
  | "notOwner"
  | "heldByKubeVip"
  | "nodeStandsBack"
  | "foreignController"
  | "waiting";

export interface SkipReason {
  readonly code: SkipCode;
  /** What was seen and what was expected; without the Service's name. */
  readonly message: string;
}

/** A person has to change something: told once, as an Event. */
export const TELLING: ReadonlySet<SkipCode> = new Set<SkipCode>([
  "poolExhausted",
  "invalidAddress",
  "invalidRomana",
  "unresolvedName",
  "dhcpNotSupported",
  "invalidDhcp",
  "invalidInterface",
  "addressOfNode",
  "addressOfGateway",
  "addressOfApi",
  "addressInUse",
  "addressTaken",
  "portConflict",
  "holderHasNoEndpoint",
  "foreignController",
]);

export const IGNORE = "kube-vip.io/ignore";
export const LOAD_BALANCER_IPS = "kube-vip.io/loadbalancerIPs";
/** MetalLB's spelling of the same wish. */
export const METALLB_IPS = "metallb.io/loadBalancerIPs";
/** The address that the allocator gave to a Service whose owner may be another node, or BY_DHCP. */
export const GRANTED = "vip.internal/granted";
/** The last of these at which its owner found a stranger, until the allocator has given another one. */
export const GRANTED_IN_USE = "vip.internal/granted-in-use";
/** As an address that is asked for: a DHCP server gives one. */
export const BY_DHCP = "0.0.0.0" as IpAddress;
/** The same of DHCPv6. */
export const BY_DHCP6 = "::" as IpAddress;

export interface ServicePlanConfig {
  /** Name of the load-balancer class that is served; may be empty. */
  readonly loadBalancerClass: string;
  /** Legacy: also Services without a class are served. Otherwise only those whose class equals the name (an empty name: those without a class). */
  readonly legacyClasses: boolean;
  /** Legacy handling: Services without a class are left alone. */
  readonly classOnly: boolean;
  /** Of which families addresses are asked for by DHCP under a name. */
  readonly dhcpFamilies: readonly Family[];
}

/** One thing that a Service asks for: an address, a name that stands for one, or one that a DHCP server gives. */
export type AskedEntry = { readonly address: IpAddress } | { readonly name: string } | { readonly dhcp: DhcpAsked };

export type Asked =
  /** `from` names the field or annotation. `romana`: the Service is owned by itself and follows its pods. */
  | { readonly type: "entries"; readonly entries: readonly AskedEntry[]; readonly from: string; readonly romana: boolean }
  /** It names none: one of the pool's. */
  | { readonly type: "any"; readonly romana: boolean }
  | { readonly type: "skip"; readonly reason: SkipReason };

/** What follows from a Service alone. */
export interface ServiceFacts {
  readonly key: ServiceKey;
  readonly asked: Asked;
  /** Addresses that we wrote into its status. */
  readonly recorded: readonly IpAddress[] | undefined;
}

/** What a Service asks for, or why it is none of ours. Looks at nothing but the Service. */
export function askedOf(service: Service, config: ServicePlanConfig): Asked {
  if (service.deleting) return skip("ignored", "it is being deleted");
  if (service.annotations[IGNORE] === "true") return skip("ignored", `${IGNORE} is "true"`);
  const romana = romanaOf(service.annotations);
  if (romana.type === "invalid") return skip("invalidRomana", romana.message);
  if (romana.type === "address") return { type: "entries", entries: [{ address: romana.address }], from: romana.from, romana: true };
  if (romana.type === "auto") return granted(service, true) ?? { type: "any", romana: true };
  if (service.type !== "LoadBalancer") return skip("notLoadBalancer", `its type is ${service.type}`);
  const other = otherClass(service.loadBalancerClass, config);
  return other === undefined ? askedOfLoadBalancer(service, config.dhcpFamilies) : skip("otherClass", other);
}

/** As kube-vip: the annotation, then the status that is ours (spec.loadBalancerIP wins where it differs in the same family), then the spec. */
function askedOfLoadBalancer(service: Service, families: readonly Family[]): Asked {
  const parse = (name: string, text: string): Asked => parseEntries(name, text, { service, families });
  for (const name of [LOAD_BALANCER_IPS, METALLB_IPS]) {
    const text = service.annotations[name];
    if (text !== undefined && text.trim() !== "") return parse(name, text);
  }
  const named = service.loadBalancerIP?.trim() ?? "";
  const [from, spec] = named === "" && service.annotations[GRANTED] === BY_DHCP ? [GRANTED, BY_DHCP] : ["spec.loadBalancerIP", named];
  const announced = announcedAddresses(service);
  if (announced.length === 0 && spec === "") return granted(service, false) ?? othersStatus(service) ?? { type: "any", romana: false };
  if (announced.length === 0) return parse(from, spec);
  if (spec === "") return grantedBeyond(service, announced) ?? entries("status", announced);
  const asked = parse(from, spec);
  if (asked.type !== "entries") return asked;
  // A name may stand for addresses of either family: what it stood for once is not asked for beside it.
  const familiesNamed = new Set(asked.entries.flatMap((entry) => ("address" in entry ? [familyOf(entry.address)] : "dhcp" in entry ? [entry.dhcp.family] : [4, 6])));
  const kept = announced.filter((address) => !familiesNamed.has(familyOf(address))).map((address) => ({ address }));
  return { ...asked, entries: [...asked.entries, ...kept] };
}

/** Addresses that we, or a kube-vip before us, announced. Ours count by our record, also where somebody emptied the status. */
function announcedAddresses(service: Service): readonly IpAddress[] {
  const fromKubeVip = service.annotations[VIP_HOST] === undefined ? [] : service.ingress.flatMap(({ ip }) => ip ?? []);
  return (recordedAddresses(service) ?? fromKubeVip).flatMap((text) => {
    const address = parseIp(text);
    return address === undefined || unusableAsVip(address) !== undefined ? [] : [address];
  });
}

/** Somebody else serves it, and nobody asks for an address of ours. */
function othersStatus({ ingress, statusManager }: Service): Asked | undefined {
  const others = ingress.map(({ ip, hostname }) => ip ?? hostname ?? "").join(", ");
  if (others === "") return undefined;
  return skip("foreignController", `the status holds ${others}, written by ${statusManager ?? "another controller"}, and no address is asked for: left alone`);
}

/** What was given, where the status does not have all of it yet. */
function grantedBeyond(service: Service, announced: readonly IpAddress[]): Asked | undefined {
  const given = granted(service, false);
  if (given?.type !== "entries") return undefined;
  const addresses = new Set(given.entries.flatMap((entry) => ("address" in entry ? [entry.address] : [])));
  return addresses.size > announced.length && announced.every((address) => addresses.has(address)) ? given : undefined;
}

function granted(service: Service, romana: boolean): Asked | undefined {
  const addresses = (service.annotations[GRANTED] ?? "").split(",").flatMap((text) => parseIp(text.trim()) ?? []).filter((address) => address !== BY_DHCP);
  return addresses.length === 0 ? undefined : { ...entries(GRANTED, addresses), romana };
}

function entries(from: string, addresses: readonly IpAddress[]): Asked & { readonly type: "entries" } {
  return { type: "entries", entries: addresses.map((address) => ({ address })), from, romana: false };
}

function otherClass(cls: string | undefined, { loadBalancerClass: served, legacyClasses, classOnly }: ServicePlanConfig): string | undefined {
  const has = cls === undefined ? "spec.loadBalancerClass is not set" : `spec.loadBalancerClass is ${cls}`;
  if (!legacyClasses) return (cls ?? "") === served ? undefined : `${has}, served is ${served === "" ? "none" : `${served} only`} (lb_class_legacy_handling is false)`;
  if (cls === undefined) return classOnly ? `${has}, served is ${served} only (lb_class_only is true)` : undefined;
  return cls === served ? undefined : `${has}, served are ${classOnly ? served : `${served} and none`}`;
}

function parseEntries(name: string, text: string, { service, families }: { readonly service: Service; readonly families: readonly Family[] }): Asked {
  const found = new Map<string, AskedEntry>();
  /** Of which families addresses are asked for by DHCP, and under which name. */
  const byDhcp = new Map<Family, string | undefined>();
  for (const part of text.split(",").map((p) => p.trim())) {
    const address = parseIp(part);
    if (address === undefined) {
      if (!isDnsName(part)) return skip("invalidAddress", `${name} has "${part}": expected an IP address such as 192.0.2.10, or a DNS name`);
      if (!TRUE.includes(service.annotations[DDNS] ?? "")) found.set(part.toLowerCase(), { name: part.toLowerCase() });
      else for (const family of families) byDhcp.set(family, firstLabel(part.toLowerCase()));
      continue;
    }
    if (address === BY_DHCP || address === BY_DHCP6) {
      byDhcp.set(familyOf(address), byDhcp.get(familyOf(address)));
      continue;
    }
    const why = unusableAsVip(address);
    if (why !== undefined) return skip("invalidAddress", `${name} has ${address}, ${why}: expected a unicast address of the network`);
    found.set(address, { address });
  }
  for (const [family, hostname] of byDhcp) {
    const dhcp = dhcpAsked(service, family);
    if ("problem" in dhcp) return skip("invalidDhcp", dhcp.problem);
    found.set(dhcp.key, { dhcp: { ...dhcp, hostname: dhcp.hostname ?? hostname } });
  }
  return { type: "entries", entries: [...found.values()], from: name, romana: false };
}

function skip(code: SkipCode, message: string): Asked {
  return { type: "skip", reason: { code, message } };
}
