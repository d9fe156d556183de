import type { IpAddress } from "../lib/ip.js";
import { KUBE_PROXY_HEALTH_PORT } from "./dataplane.js";
import { fitness, readinessPort, type Fitness } from "./eligible.js";
import { electsItself } from "./groups.js";
import type { Placed } from "./layout.js";
import { isShared, romanaKey } from "./model.js";
import { wantAddress, wantLeases } from "./plan-address.js";
import { isOwnerless, saidOfMany } from "./plan-bgp.js";
import { Draft } from "./plan-draft.js";
import { placementAsked } from "./placement-asked.js";
import type { PlanConfig } from "./plan-model.js";
import type { Outcome } from "./plan-outcome.js";
import { holds, noAddressYet, notOwner, owns } from "./plan-owners.js";
import { isAnothersAddress, isGivenAnew, tells } from "./plan-reasons.js";
import { externalIPsOf, trafficOf } from "./plan-romana.js";
import { foreignStatus, foughtFor, saidOf, writesStatus } from "./plan-said.js";
import { BY_DHCP, GRANTED } from "./plan-service.js";
import { publish } from "./plan-upnp.js";
import type { StatusDecision } from "./status.js";
import type { World } from "./world.js";

/** What follows for one Service. */
export function serviceOutcome(placed: Placed, world: World, config: PlanConfig): Outcome {
  const draft = new Draft(world, config);
  const { service, facts } = placed;
  if (facts.asked.type === "skip") {
    draft.skip(service, facts.asked.reason);
    if (owns(world, "services")) draft.writes.clear(service);
  } else {
    prepare(draft, placed);
    serve(draft, placed, fitness(placed, world));
  }
  return draft.outcome(service);
}

/** What has to be known or said before it can be decided who serves it. */
function prepare({ world, config, names, checks, writes }: Draft, placed: Placed): void {
  const { service, romana, owner } = placed;
  const { asked } = placed.facts;
  if (owns(world, owner)) names.push(...placed.names);
  if (owns(world, "services")) {
    const granted = grantOf(placed, config);
    if (granted.length > 0) writes.grant(service, granted);
    if (!romana) writes.clearRomana(service);
    if (asked.type === "entries" && asked.from !== GRANTED && asked.from !== "status") writes.forgetGrant(service);
  }
  if (!config.dataplaneCheck) return;
  const port = readinessPort(placed);
  checks.push(KUBE_PROXY_HEALTH_PORT);
  if (port !== undefined && world.endpoints?.get(placed.facts.key)?.local === "ready") checks.push(port);
}

/** What the pools say of it and has to be written down, for its owner may be another node, and a lease outlives the pool. */
function grantOf({ service, facts, romana, addresses, reason }: Placed, config: PlanConfig): readonly IpAddress[] {
  if (facts.asked.type !== "any") return [];
  if (reason?.code === "dhcpPending") return [BY_DHCP];
  return romana || electsItself(service, config) ? addresses.map(({ address }) => address) : [];
}

function serve(draft: Draft, placed: Placed, fit: Fitness): void {
  const { world } = draft;
  const { service, addresses, romana } = placed;
  const up: IpAddress[] = [];
  const lost: IpAddress[] = [];
  let reason = wantLeases(draft, placed, fit) ?? placed.reason;
  for (const entry of addresses) {
    const outcome = wantAddress(draft, placed, entry, fit);
    if (typeof outcome === "object") {
      reason ??= outcome;
      if (isAnothersAddress(outcome)) lost.push(entry.address);
      if (outcome.code === "addressInUse" && isGivenAnew(placed)) draft.writes.refuseGrant(service, entry.address);
    } else if (outcome === "up") up.push(entry.address);
  }
  if (romana) noteExternalIPs(draft, placed, { up, lost });
  if (isShared(placed.owner) && owns(world, placed.owner)) for (const problem of placementAsked(service).problems) draft.tell(service, "Warning", "InvalidPlacement", problem);
  if (isAnothers(draft, placed, fit)) reason = notOwner(world, placed.owner);
  if (isShared(placed.owner) && placed.names.length > 0) draft.campaignForNames(placed, fit);
  if (romana && addresses.length === 0) reason ??= noAddressYet(world);
  if (reason !== undefined) draft.skip(service, reason, tells(reason, placed));
  const external = publishPorts(draft, placed, draft.vips.length > up.length);
  // Until its new holder has asked, the addresses are those of the one before.
  if (placed.reason?.code !== "dhcpPending" || placed.facts.recorded === undefined) say(draft, placed, { up, external, fit });
}

/** What another node has to decide is not said here; a Romana VIP tells what is wrong with itself on every node, and so does an owner's key of its own. */
function isAnothers({ world, config }: Draft, { romana, owner, addresses }: Placed, fit: Fitness): boolean {
  if (romana || isOwnerless(config, owner) || holds(world, owner) || !addresses.every(({ ownership }) => ownership === owner)) return false;
  return !isShared(owner) || fit.type !== "unfit";
}

function noteExternalIPs({ world, config, writes }: Draft, placed: Placed, of: { readonly up: readonly IpAddress[]; readonly lost: readonly IpAddress[] }): void {
  const { service, facts } = placed;
  const mine = holds(world, romanaKey(facts.key));
  if (!mine && !holds(world, "services")) return;
  const refused = world.externalIPsRefused.get(service.uid);
  if (mine && refused !== undefined) writes.rememberRefusal(service, refused);
  const byProxy = !mine || trafficOf(placed, world, config).type === "externalIPs";
  writes.externalIPs(service, byProxy ? externalIPsOf(placed, { ...of, mine }) : []);
}

function publishPorts({ world, config, mappings, writes }: Draft, placed: Placed, pending: boolean): readonly IpAddress[] {
  return writesStatus(placed, world, config) ? publish(placed.service, { mappings, pending, world, config }, writes) : [];
}

/** What the status of a Service should say, where this node is the one to say it. */
function say(draft: Draft, placed: Placed, of: { readonly up: readonly IpAddress[]; readonly external: readonly IpAddress[]; readonly fit: Fitness }): void {
  const { world, config } = draft;
  const { service } = placed;
  if (!writesStatus(placed, world, config)) return;
  if (world.rivals.has(service.uid)) {
    draft.skip(service, foughtFor(service.statusManager));
    return;
  }
  const said = isOwnerless(config, placed.owner) ? announced(draft, placed, of.fit) : saidOf(placed, of, world);
  const foreign = said === undefined ? [] : draft.writes.status(service, said);
  if (foreign.length > 0) draft.skip(service, foreignStatus(foreign, service.statusManager));
}

function announced(draft: Draft, placed: Placed, fit: Fitness): StatusDecision | undefined {
  const said = saidOfMany(placed, fit, draft.world, draft.config);
  if (said?.text !== undefined) draft.tell(placed.service, "Normal", "VipAnnounced", said.text);
  return said?.decision;
}
