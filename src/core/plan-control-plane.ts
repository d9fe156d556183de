import { hostPrefix } from "../lib/ip.js";
import type { Port, Route, Vip } from "./model.js";
import { mayServe, routeOf } from "./plan-bgp.js";
import type { Outcome } from "./plan-outcome.js";
import { configured, mainLink } from "./plan-links.js";
import type { PlanConfig } from "./plan-model.js";
import { vipOf, type AskedVip } from "./plan-vip.js";
import type { World } from "./world.js";

const NOTHING: Outcome = {
  vips: [],
  links: [],
  leases: [],
  asks: undefined,
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

/** What follows for the control-plane VIP. In BGP mode it is announced once this node has its address, so that what comes is taken. */
export function controlPlaneOutcome(world: World, config: PlanConfig): Outcome {
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
