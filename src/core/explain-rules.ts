import type { ServiceKey } from "./model.js";
import type { SkipCode } from "./plan-service.js";

/** What is looked at for every Service, in this order; the first that says no ends the chain. */
export const RULES = [
  "lists",
  "ignore",
  "type",
  "class",
  "address",
  "lease",
  "conflict",
  "ownership",
  "endpoints",
  "data plane",
  "link",
  "duplicate",
  "kernel",
  "announced",
  "status",
  "gateway",
] as const;

export type RuleName = (typeof RULES)[number];

/** What a next step is written for. */
export interface Asker {
  readonly key: ServiceKey;
  readonly node: string;
  /** Node that holds the ownership; empty where there is none. */
  readonly holder: string;
  readonly loadBalancerClass: string;
}

export interface RuleEntry {
  readonly rule: RuleName;
  /** What the operator may do, the command or field where there is one. */
  next(asker: Asker): string;
}

// The commands are to be pasted into a shell: what is to be filled in is in capitals, and nothing is in angle brackets.

/** `-n namespace service/name` for kubectl. */
function named(key: ServiceKey): string {
  const [namespace = "", name = ""] = key.split("/");
  return `-n ${namespace} service/${name}`;
}

function annotate(key: ServiceKey, what: string): string {
  const [namespace = "", name = ""] = key.split("/");
  return `kubectl -n ${namespace} annotate --overwrite service ${name} ${what}`;
}

function endpointsOf(key: ServiceKey): string {
  const [namespace = "", name = ""] = key.split("/");
  return `kubectl -n ${namespace} get endpointslices -l kubernetes.io/service-name=${name}`;
}

const setAddress = ({ key }: Asker): string => annotate(key, "kube-vip.io/loadbalancerIPs=ADDRESS");
const entry = (rule: RuleName, next: RuleEntry["next"]): RuleEntry => ({ rule, next });

/** What to do while the first lists have not come: `plan` gives no reasons then. */
export const NO_LISTS = "wait a few seconds; if it stays, the API cannot be reached from here: look for `list and watch failed` in the log of vip";

/** Every reason: which rule it belongs to and what to do. The compiler asks for a line for each new code. */
export const REASONS: Readonly<Record<SkipCode, RuleEntry>> = {
  waiting: entry("address", () => "it comes by itself within seconds: names are looked up and pools are read at the start; if it stays, look in the log of vip"),
  notLoadBalancer: entry("type", ({ key }) => `if it should have a VIP: kubectl patch ${named(key)} --type merge -p '{"spec":{"type":"LoadBalancer"}}'`),
  ignored: entry("ignore", ({ key }) => `if it should have a VIP: ${annotate(key, "kube-vip.io/ignore-")}`),
  otherClass: entry("class", ({ loadBalancerClass }) => `another controller's by its class, which cannot be changed: make the Service anew with ${loadBalancerClass} or none, or set lb_class_name here`),
  noAddress: entry("address", (asker) => `add a pool for this namespace to the ConfigMap (cidr-NAMESPACE, range-NAMESPACE, cidr-global), or name an address: ${setAddress(asker)}`),
  invalidAddress: entry("address", (asker) => `correct the address: ${setAddress(asker)}`),
  invalidRomana: entry("address", ({ key }) => `correct the annotation, or remove it: ${annotate(key, "romanaip- romanavip-")}`),
  poolExhausted: entry("address", () => "make the pool larger in its ConfigMap, or delete Services that hold addresses of it"),
  dhcpNotSupported: entry("address", (asker) => `name an address instead of 0.0.0.0: ${setAddress(asker)}`),
  invalidDhcp: entry("address", ({ key }) => `correct or remove the annotation: kubectl get ${named(key)} -o yaml`),
  dhcpPending: entry("lease", () => "it comes by itself as soon as a DHCP server answers; if it stays, look for `dhcp` in the log of vip"),
  dhcpFailed: entry("lease", (asker) => `look at the DHCP server of that network and its log, or name an address: ${setAddress(asker)}`),
  unresolvedName: entry("address", () => "correct the name or its DNS record; it is asked for again by itself"),
  noEndpoints: entry("endpoints", ({ key }) => `no pod is ready behind it: ${endpointsOf(key)}`),
  dataplaneNotReady: entry("data plane", () => "kube-proxy (or what stands in for it) does not forward this Service here yet: look at its pod and log on this node"),
  notOwner: entry("ownership", ({ key, holder }) =>
    holder === "" ? "wait for a holder; if none comes, no node is able to serve: kubectl -n kube-system get leases" : `ask node ${holder}: vip why ${key} (there), or from anywhere: vip status --cluster`,
  ),
  nodeStandsBack: entry("ownership", ({ node }) => `if this node should serve again: vip undrain ${node}, or kubectl uncordon ${node}`),
  heldByKubeVip: entry("ownership", ({ key }) => `stop kube-vip on the node that holds it; where none runs any more, its Lease has expired within seconds: vip why ${key}`),
  holderHasNoEndpoint: entry("endpoints", ({ key }) => `set spec.externalTrafficPolicy to Cluster, or see where its pods are: ${endpointsOf(key)}`),
  noLocalEndpoint: entry("endpoints", ({ key }) => `the nodes that have one announce it; see where its pods are: ${endpointsOf(key)}`),
  addressOfNode: entry("conflict", ({ node }) => `take the address off node ${node} (ip addr del), or give the Service another one`),
  addressOfGateway: entry("conflict", (asker) => `give the Service another address: ${setAddress(asker)}`),
  addressOfApi: entry("conflict", (asker) => `give the Service another address: ${setAddress(asker)}`),
  addressTaken: entry("conflict", (asker) => `give one of the two another address: ${setAddress(asker)}`),
  portConflict: entry("conflict", (asker) => `give one of the two another port or address: ${setAddress(asker)}`),
  invalidInterface: entry("link", ({ key }) => `correct or remove the annotation that names a link: kubectl get ${named(key)} -o yaml`),
  noInterface: entry("link", () => "set vip_interface or vip_servicesinterface to a link that is there: ip -br link"),
  linkDown: entry("link", () => "look at the link: ip -br link (NO-CARRIER: cable or switch port; DOWN: ip link set LINK up)"),
  linkPending: entry("link", () => "the link for it is being made; if it stays, look for `not done, tried again` in the log of vip"),
  addressInUse: entry("duplicate", (asker) => `find the host with that MAC and take the address off it, or: ${setAddress(asker)}`),
  foreignController: entry("status", () => "another load balancer writes this status: give each its loadBalancerClass, or switch the other off"),
};
