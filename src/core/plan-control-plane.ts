import { hostPrefix } from "../lib/ip.js";
import type { DhcpAsked } from "./dhcp.js";
import { leasePending } from "./dhcp-pending.js";
import type { Port, Route, Vip } from "./model.js";
import { mayServe, routeOf } from "./plan-bgp.js";
import { leaseWants, macvlanLink } from "./plan-dhcp.js";
import type { Outcome } from "./plan-outcome.js";
import { configured, mainLink } from "./plan-links.js";
import type { PlanConfig } from "./plan-model.js";
import { vipOf, type AskedVip } from "./plan-vip.js";
import type { World } from "./world.js";

const NOTHING: Outcome = {
  vips: [],
  links: [],
  leases: [],
  asks: [],
  dnat: [],
  routes: [],
  mappings: [],
  skipped: undefined,
  status: undefined,
  change: undefined,
  events: [],
  names: [],
  checks: [],
  stance: undefined,
  wish: undefined,
  problems: [],
};

/** What follows for a control-plane VIP that comes from DHCP servers: a link for it, leases, and what they give. */
function outcomeByDhcp(asked: readonly DhcpAsked[], world: World, config: PlanConfig): Outcome {
  const nothing: Outcome = { ...NOTHING, asks: asked.map(({ key }) => key) };
  const [first] = asked;
  if (first === undefined || !mayServe(world, config, "control-plane")) return nothing;
  const link = macvlanLink(world, mainLink(world, config), first);
  if (link.type === "none") return nothing;
  const links = (link.made ?? []).map((made) => ({ ...made, owners: [] }));
  if (link.type === "pending") return { ...nothing, links };
  // Who handed it over may still answer for what a server gives us: there is nothing that says which address it was.
  const leases = asked.flatMap((one) => leaseWants(one, { owners: [], known: undefined }, world));
  const ports: readonly Port[] = [{ protocol: "TCP", port: config.controlPlanePort }];
  const vips = asked.flatMap(({ key }): Vip[] => {
    const lease = world.leases.get(key)?.lease;
    return lease === undefined ? [] : [vipOf({ address: lease.address, iface: link.name, ownership: "control-plane", owner: undefined, ports, fresh: false, until: lease.expiresAt }, world, config)];
  });
  const problems = asked.flatMap(({ key, family }) => {
    const seen = world.leases.get(key);
    const { code, message } = leasePending(seen, family);
    return seen?.lease === undefined && code === "dhcpFailed" ? [`control plane: ${message}`] : [];
  });
  return { ...nothing, links, leases, vips, problems };
}

/** What follows for the control-plane VIP. In BGP mode it is announced once this node has its address, so that what comes is taken. */
export function controlPlaneOutcome(world: World, config: PlanConfig): Outcome {
  if (config.controlPlaneDhcp.length > 0) return outcomeByDhcp(config.controlPlaneDhcp, world, config);
  const link = mainLink(world, config);
  if (link.type !== "link" || !mayServe(world, config, "control-plane")) return NOTHING;
  const fresh = world.ownership.get("control-plane")?.created === true;
  const ports: readonly Port[] = [{ protocol: "TCP", port: config.controlPlanePort }];
  const vips: Vip[] = [];
  const routes: Route[] = [];
  const problems: string[] = [];
  for (const address of config.controlPlane) {
    // A host address is what a kube-vip that was killed leaves behind: it is taken over. Another is an address of the node.
    const own = configured(world, address);
    if (own !== undefined && own.prefix !== hostPrefix(address)) {
      problems.push(`control-plane address ${address}/${own.prefix} is configured on ${own.link} of this node by somebody else: not touched`);
      continue;
    }
    const asked: AskedVip = { address, iface: link.name, ownership: "control-plane", owner: undefined, ports, fresh };
    const vip = vipOf(asked, world, config);
    vips.push(vip);
    if (config.bgp !== undefined && world.observed.get(vip.key)?.state === "up") routes.push(routeOf(asked, config));
  }
  return { ...NOTHING, vips, routes, problems };
}
