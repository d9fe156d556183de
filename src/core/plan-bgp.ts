import { hostPrefix, type IpAddress } from "../lib/ip.js";
import type { ServiceBgpPolicy } from "./bgp-policy.js";
import { KUBE_PROXY_HEALTH_PORT } from "./dataplane.js";
import type { Fitness } from "./eligible.js";
import { NO_ENDPOINTS } from "./endpoints.js";
import type { Placed } from "./layout.js";
import { controlPlaneStandsBack, standsBack, type StandingConfig } from "./node-standing.js";
import { isShared, routeKey, type OwnershipKey, type Route, type ServiceKey } from "./model.js";
import { holds, notOwner } from "./plan-owners.js";
import type { SkipReason } from "./plan-service.js";
import { announceStatus, clearStatus, type StatusDecision } from "./status.js";
import type { World } from "./world.js";

/** How BGP mode announces: every node that can serve, and nobody has to own what it announces. */
export interface BgpPlanConfig {
  /** Only the holder of its Lease announces the control plane; otherwise every node whose API server is well. */
  readonly electControlPlane: boolean;
  /** The addresses of Services go on an interface of the nodes that announce them, too. */
  readonly attachServices: boolean;
}

/** Where an address stands that is on no interface. */
export const NOWHERE_LINK = "lo";

interface ByMode extends StandingConfig {
  /** Undefined: ARP mode. */
  readonly bgp?: BgpPlanConfig | undefined;
}

/** True where several nodes may serve it at once. */
export function isOwnerless({ bgp }: Pick<ByMode, "bgp">, key: OwnershipKey): boolean {
  if (bgp === undefined || isShared(key)) return false;
  return key === "services" || !bgp.electControlPlane;
}

/** Whether this node may serve what stands behind a key: its holder, or, where nobody has to be, any node that is not about to leave. */
export function mayServe(world: World, config: ByMode, key: OwnershipKey): boolean {
  if (!isOwnerless(config, key)) return holds(world, key);
  if (world.stage === "ending" || (key === "control-plane" && controlPlaneStandsBack(world))) return false;
  return key === "services" || world.controlPlaneHealth === undefined || world.controlPlaneHealth === "healthy";
}

/** Why this node may not. */
export function mayNotServe(world: World, config: ByMode, key: OwnershipKey): SkipReason {
  if (!isOwnerless(config, key)) return notOwner(world, key);
  if (world.stage === "ending") return { code: "nodeStandsBack", message: `the program is stopping on node ${world.node}` };
  if (controlPlaneStandsBack(world)) return { code: "nodeStandsBack", message: `node ${world.node} is drained: others announce it` };
  return { code: "notOwner", message: `announced by the nodes whose API server is well; that of ${world.node} is ${world.controlPlaneHealth ?? "not asked"}` };
}

/** Why this node does not announce what many may, as far as its endpoints go; undefined where it does. */
export function refusedHere(placed: Pick<Placed, "service" | "facts">, fit: Fitness, world: World, config: StandingConfig): SkipReason | undefined {
  return unfitHere(placed, fit, world) ?? standingBack(placed, world, config);
}

/** A node that stands back for others announces only what no other can serve. */
function standingBack({ service, facts }: Pick<Placed, "service" | "facts">, world: World, config: StandingConfig): SkipReason | undefined {
  const why = standsBack(world, config);
  if (why === undefined) return undefined;
  const elsewhere = service.externalTrafficPolicy === "Cluster" || world.endpoints?.get(facts.key)?.readyElsewhere === true;
  return elsewhere ? { code: "nodeStandsBack", message: `node ${world.node} is ${STANDING[why]}: others announce it` } : undefined;
}

const STANDING = { drained: "drained", notReady: "not ready", excluded: "excluded from load balancers", cordoned: "cordoned" } as const;

function unfitHere({ facts }: Pick<Placed, "facts">, fit: Fitness, world: World): SkipReason | undefined {
  if (fit.type === "leaving") return fit.heir ? noLocal(`its endpoints on node ${world.node} are about to end, and others are ready elsewhere`) : undefined;
  if (fit.type === "unfit") {
    if (fit.reason.code !== "holderHasNoEndpoint") return fit.reason;
    const { readyNodes } = world.endpoints?.get(facts.key) ?? NO_ENDPOINTS;
    const where = readyNodes.length === 0 ? "" : `; announced by ${readyNodes.slice(0, 3).join(", ")}${readyNodes.length > 3 ? ` and ${readyNodes.length - 3} more` : ""}`;
    return noLocal(`no endpoint of it is on node ${world.node}, and externalTrafficPolicy is Local${where}`);
  }
  if (world.dataplane.get(KUBE_PROXY_HEALTH_PORT) !== "notReady") return undefined;
  return { code: "dataplaneNotReady", message: `kube-proxy of this node (port ${KUBE_PROXY_HEALTH_PORT}) says that traffic would not reach its endpoints` };
}

function noLocal(message: string): SkipReason {
  return { code: "noLocalEndpoint", message };
}

/** The route to one address: always a host route, whatever prefix the address has on its link. `said`: what the Service says of its routes. */
export function routeOf(asked: { readonly address: IpAddress; readonly ownership: OwnershipKey; readonly owner: ServiceKey | undefined }, config: ByMode, said?: ServiceBgpPolicy): Route {
  const { address, ownership, owner } = asked;
  const length = hostPrefix(address);
  const held = isOwnerless(config, ownership) ? {} : { ownership };
  const peers = said?.peers === undefined ? {} : { peers: said.peers };
  return { key: routeKey(address, length), owners: owner === undefined ? [] : [owner], address, length, policy: said?.policy ?? {}, ...peers, ...held };
}

/** Several Services, or the control plane and a Service, on one address: the oldest says how it is announced. */
export function routeTogether(before: Route | undefined, route: Route): Route {
  return before === undefined ? route : { ...before, owners: [...before.owners, ...route.owners] };
}

export interface SaidOfMany {
  readonly decision: StatusDecision;
  /** For an Event; undefined where nothing is announced. */
  readonly text: string | undefined;
}

/**
 * What the status of a Service should say that several nodes may announce, by the one node that writes it. Without endpoints nobody announces it, and what was
 * said before stays, as the address does.
 */
export function saidOfMany(placed: Placed, fit: Fitness, world: World, config: StandingConfig): SaidOfMany | undefined {
  const { service, facts, addresses } = placed;
  const { serving, readyNodes } = world.endpoints?.get(facts.key) ?? NO_ENDPOINTS;
  const allowed = addresses.filter(({ refused }) => refused === undefined).map(({ address }) => address);
  if (allowed.length > 0 && (serving || fit.type === "fit")) {
    const node = refusedHere(placed, fit, world, config) === undefined ? world.node : (readyNodes[0] ?? world.node);
    return { decision: announceStatus(service, { addresses: allowed }, node), text: announcedText(placed, allowed) };
  }
  const stale = facts.recorded?.some((recorded) => !allowed.includes(recorded)) ?? false;
  return stale ? { decision: clearStatus(service), text: undefined } : undefined;
}

function announcedText({ service }: Pick<Placed, "service">, addresses: readonly IpAddress[]): string {
  const from = service.externalTrafficPolicy === "Local" ? "the nodes that have an endpoint of it" : "every node";
  return `${addresses.join(", ")} ${addresses.length === 1 ? "is" : "are"} announced by BGP from ${from}`;
}
