import type { ServiceEndpoints } from "../../src/core/endpoints.js";
import { parsePools } from "../../src/core/pools.js";
import { serviceKey, vipKey, type OwnershipKey, type ServiceKey, type VipKey } from "../../src/core/model.js";
import type { PlanConfig } from "../../src/core/plan.js";
import type { Observation } from "../../src/core/sync.js";
import { emptyWorld, type OwnershipState, type World } from "../../src/core/world.js";
import { parseIp, type IpAddress } from "../../src/lib/ip.js";
import type { EndpointSlice, Service } from "../../src/ports/kube.js";
import { fakeLink } from "../fakes/kernel.js";

/** Every setting at its default; Services on `eth0`. */
export const PLAN_CONFIG: PlanConfig = {
  services: true,
  controlPlane: [],
  controlPlaneDhcp: [],
  dhcpFamilies: [4],
  controlPlanePort: 6443,
  iface: "eth0",
  servicesIface: undefined,
  prefixes: { 4: 32, 6: 128 },
  election: false,
  electionOnDemand: false,
  moveCordoned: true,
  dnsMode: "first",
  loadBalancerClass: "kube-vip.io/kube-vip-class",
  legacyClasses: true,
  classOnly: false,
  dataplaneCheck: true,
  romanaByNft: false,
  upnp: true,
  upnpStatus: false,
};

/** No addresses to give out. */
export const NO_POOLS = parsePools(undefined, undefined).pools;

/** A ready endpoint on this node, and on others. */
export const READY: ServiceEndpoints = { serving: true, onNodes: true, local: "ready", readyElsewhere: true, readyNodes: ["n1", "n2"], targets: [] };

/** Ready endpoints everywhere, for each of these Services. */
export function readyEndpoints(services: Iterable<Service>, of: ServiceEndpoints = READY): ReadonlyMap<ServiceKey, ServiceEndpoints> {
  return new Map([...services].map((service) => [serviceKey(service), of]));
}

/** Ready endpoints, all on other nodes. */
export const ELSEWHERE: ServiceEndpoints = { serving: true, onNodes: true, local: "none", readyElsewhere: true, readyNodes: ["n2"], targets: [] };

export const MINE: OwnershipState = { held: true, view: "mine", holder: "n1", created: false };
export const THEIRS: OwnershipState = { held: false, view: "other", holder: "n2", created: false };
export const FREE: OwnershipState = { held: false, view: "free", holder: "", created: false };

export function ip(text: string): IpAddress {
  const address = parseIp(text);
  if (address === undefined) throw new Error(text);
  return address;
}

export function owning(states: Partial<Record<OwnershipKey, OwnershipState>>): Pick<World, "ownership"> {
  return { ownership: new Map(Object.entries(states) as [OwnershipKey, OwnershipState][]) };
}

/** These addresses are up on eth0. */
export function upOnEth0(...addresses: readonly string[]): Pick<World, "observed"> {
  const up: Observation<void> = { state: "up", result: undefined };
  return { observed: new Map(addresses.map((address): [VipKey, typeof up] => [vipKey("eth0", ip(address)), up])) };
}

/** Node n1 with `lo` and `eth0` knows these Services, each with ready endpoints everywhere, and owns them. */
export function worldWith(services: readonly Service[], part: Partial<World> = {}): World {
  return {
    ...emptyWorld("n1"),
    links: new Map(["lo", "eth0"].map((name, i) => [name, fakeLink(i + 1, name)])),
    services: new Map(services.map((service): [ServiceKey, Service] => [serviceKey(service), service])),
    endpoints: readyEndpoints(services),
    pools: NO_POOLS,
    ...owning({ services: MINE }),
    ...part,
  };
}

/** Where an endpoint is and how it is: `n1`, `n1 terminating`, `n1 unready`; an empty node name: on none. */
export function fakeSlice(name: string, endpoints: readonly string[], part: Partial<EndpointSlice> = {}): EndpointSlice {
  return {
    namespace: "default",
    name,
    service: "web",
    family: "IPv4",
    ports: [{ name: "http", protocol: "TCP", port: 8080 }],
    endpoints: endpoints.map((text, i) => {
      const [node = "", how = "ready"] = text.split(" ");
      return { address: `10.0.0.${i + 1}`, nodeName: node === "" ? undefined : node, ready: how === "ready", serving: how !== "unready", terminating: how === "terminating" };
    }),
    ...part,
  };
}
