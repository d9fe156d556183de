import type { ServiceEndpoints } from "../../src/core/endpoints.js";
import { parsePools } from "../../src/core/pools.js";
import { serviceKey, type ServiceKey } from "../../src/core/model.js";
import type { PlanConfig } from "../../src/core/plan.js";
import type { Service } from "../../src/ports/kube.js";

/** Every setting at its default; Services on `eth0`. */
export const PLAN_CONFIG: PlanConfig = {
  services: true,
  controlPlane: [],
  controlPlanePort: 6443,
  iface: "eth0",
  servicesIface: undefined,
  prefixes: { 4: 32, 6: 128 },
  dnsMode: "first",
  loadBalancerClass: "kube-vip.io/kube-vip-class",
  legacyClasses: true,
  classOnly: false,
  dataplaneCheck: true,
  romanaByNft: false,
};

/** No addresses to give out. */
export const NO_POOLS = parsePools(undefined, undefined).pools;

/** A ready endpoint on this node, and on others. */
export const READY: ServiceEndpoints = { serving: true, onNodes: true, local: "ready", targets: [] };

/** Ready endpoints everywhere, for each of these Services. */
export function readyEndpoints(services: Iterable<Service>, of: ServiceEndpoints = READY): ReadonlyMap<ServiceKey, ServiceEndpoints> {
  return new Map([...services].map((service) => [serviceKey(service), of]));
}
