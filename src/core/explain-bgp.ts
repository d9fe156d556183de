import type { RouteReport } from "./explain-routes.js";
import type { RuleName } from "./explain-rules.js";
import type { Seen, ServiceView } from "./explain-view.js";
import { isOwnerless } from "./plan-bgp.js";
import { holderOf } from "./plan-owners.js";

/** The value that a rule looked at, where BGP mode looks at something else than ARP mode; undefined: it does not. */
export function observeBgp(rule: RuleName, view: ServiceView): Seen | undefined {
  const { config, world } = view.input;
  if (config.bgp === undefined) return undefined;
  switch (rule) {
    case "ownership":
      if (!isOwnerless(config, view.ownership.key)) return undefined;
      return passed(`nobody has to own it (BGP): each node that can serve announces it; its status is written by ${holderOf(world, "services") || "nobody yet"}`);
    case "link":
      return view.vips.length > 0 ? undefined : passed("none needed: it is announced by BGP");
    case "duplicate":
      return passed("not looked for: several nodes may have it");
    case "kernel":
      return view.vips.length > 0 ? undefined : passed("on no link of this node: kube-proxy takes what comes for it");
    case "announced":
      return announcedSeen(view);
    default:
      return undefined;
  }
}

const passed = (text: string): Seen => ({ outcome: "passed", text });

function announcedSeen({ routes, vips, input }: ServiceView): Seen {
  const text = routes.map(routeText).join("; ");
  if (routes.length === 0) return { outcome: "pending", text: vips.length > 0 ? "only once the address is on its link" : "no route is wanted here" };
  if (input.peers?.length === 0) return { outcome: "refused", text: "no BGP peer is configured", next: "name one: bgp_peers, bgp_peeraddress, annotations of the node or a list of peers; `vip explain bgp_peers` says how" };
  if (routes.some(({ error }) => error !== null)) return { outcome: "refused", text };
  if (routes.every(({ peers }) => peers.length > 0)) return passed(text);
  const down = input.peers?.every(({ state }) => state !== "Established") === true;
  return { outcome: down ? "refused" : "pending", text, next: "look at the sessions: vip bgp peers" };
}

/** `192.0.2.10/32: tor1, tor2; not tor3 (Active: ECONNREFUSED)`. */
function routeText({ key, error, peers, without }: RouteReport): string {
  if (error !== null) return `${key}: ${error} (tried again)`;
  const not = without.map(({ peer, why }) => `${peer} (${why})`).join(", ");
  const has = peers.length === 0 ? "no peer has it" : `announced to ${peers.join(", ")}`;
  return `${key}: ${has}${not === "" ? "" : `; not to ${not}`}`;
}
