import { parseIp, unusableAsVip, type IpAddress } from "../lib/ip.js";
import type { Service } from "../ports/kube.js";

/** Closed list of why a Service is not served here. */
export type SkipCode =
  | "notLoadBalancer"
  | "ignored"
  | "otherClass"
  | "noAddress"
  | "invalidAddress"
  | "noInterface"
  | "linkDown"
  | "addressOfNode"
  | "addressInUse"
  | "notOwner"
  | "foreignController";

export interface SkipReason {
  readonly code: SkipCode;
  /** What was seen and what was expected; without the Service's name. */
  readonly message: string;
}

/** A person has to change something: told once, as an Event. */
export const TELLING: ReadonlySet<SkipCode> = new Set<SkipCode>(["invalidAddress", "addressOfNode", "addressInUse", "foreignController"]);

export const IGNORE = "kube-vip.io/ignore";
export const LOAD_BALANCER_IPS = "kube-vip.io/loadbalancerIPs";

export interface ServicePlanConfig {
  /** Services of another class are left alone; those without a class are served. */
  readonly loadBalancerClass: string;
}

export type Asked =
  | { readonly type: "addresses"; readonly addresses: readonly IpAddress[] }
  | { readonly type: "skip"; readonly reason: SkipReason };

/** The addresses that a Service asks for, or why it is none of ours. Looks at nothing but the Service. */
export function askedAddresses(service: Service, config: ServicePlanConfig): Asked {
  if (service.type !== "LoadBalancer") return skip("notLoadBalancer", `its type is ${service.type}`);
  if (service.annotations[IGNORE] === "true") return skip("ignored", `${IGNORE} is "true"`);
  const cls = service.loadBalancerClass;
  if (cls !== undefined && cls !== config.loadBalancerClass) {
    return skip("otherClass", `spec.loadBalancerClass is ${cls}, served are ${config.loadBalancerClass} and none`);
  }
  const source = addressSource(service);
  if (source === undefined) return skip("noAddress", `neither ${LOAD_BALANCER_IPS} nor spec.loadBalancerIP is set`);
  return parseAddresses(source.name, source.text);
}

function addressSource(service: Service): { readonly name: string; readonly text: string } | undefined {
  const annotated = service.annotations[LOAD_BALANCER_IPS];
  if (annotated !== undefined && annotated.trim() !== "") return { name: LOAD_BALANCER_IPS, text: annotated };
  const spec = service.loadBalancerIP;
  return spec === undefined || spec === "" ? undefined : { name: "spec.loadBalancerIP", text: spec };
}

function parseAddresses(name: string, text: string): Asked {
  const addresses: IpAddress[] = [];
  for (const part of text.split(",").map((p) => p.trim())) {
    const address = parseIp(part);
    if (address === undefined) return skip("invalidAddress", `${name} has "${part}": expected an IP address such as 192.0.2.10`);
    const why = unusableAsVip(address);
    if (why !== undefined) return skip("invalidAddress", `${name} has ${address}, ${why}: expected a unicast address of the network`);
    if (!addresses.includes(address)) addresses.push(address);
  }
  return { type: "addresses", addresses };
}

function skip(code: SkipCode, message: string): Asked {
  return { type: "skip", reason: { code, message } };
}
