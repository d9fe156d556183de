import type { GaugeSources } from "../../src/cli/metrics-row.js";
import { vipKey, type OwnershipKey, type ServiceKey, type Vip } from "../../src/core/model.js";
import type { Plan } from "../../src/core/plan.js";
import { emptyWorld, type OwnershipState, type World } from "../../src/core/world.js";
import type { IpAddress } from "../../src/lib/ip.js";

/** A pass of node n1. */
export interface GivenPass {
  readonly world: World;
  readonly plan: Plan;
}

/** Everything that is not named is empty. */
export function givenPass(parts: { readonly world?: Partial<World>; readonly vips?: readonly Vip[]; readonly plan?: Partial<Plan> } = {}): GivenPass {
  const arp = new Map((parts.vips ?? []).map((vip) => [vip.key, vip]));
  const plan: Plan = {
    campaigns: new Map(),
    wishes: undefined,
    kubeVip: new Map(),
    terms: { drain: false, weight: 1 },
    wants: { arp, link: new Map(), dhcp: new Map(), dnat: new Map(), bgp: new Map(), upnp: new Map() },
    asks: new Set(),
    statuses: new Map(),
    changes: new Map(),
    grants: new Map(),
    names: new Set(),
    checks: new Set(),
    events: new Map(),
    skipped: new Map(),
    problems: [],
    settled: true,
    ...parts.plan,
  };
  return { world: { ...emptyWorld("n1"), ...parts.world }, plan };
}

/** A VIP on eth0 for the Service of that name in the namespace `default`. */
export function givenVip(address: string, service = "web", ownership: OwnershipKey = "services"): Vip {
  const ip = address as IpAddress;
  const owners = [`default/${service}` as ServiceKey];
  return { key: vipKey("eth0", ip), owners, iface: "eth0", address: ip, prefix: 32, ports: [], ownership, fresh: false };
}

/** What is known of an ownership that this node holds, or that n2 does. */
export function givenOwner(held: boolean): OwnershipState {
  return { held, view: held ? "mine" : "other", holder: held ? "n1" : "n2", created: false };
}

/** Sources of the gauges for one pass. */
export function givenSources(pass: GivenPass | undefined, parts: Partial<GaugeSources> = {}): GaugeSources {
  return {
    version: "1.2.3",
    node: "n1",
    newest: () => pass,
    leaseOf: (key) => (key === "services" ? "plndr-svcs-lock" : key === "control-plane" ? "plndr-cp-lock" : undefined),
    leaseAgeMs: () => 250,
    passWaitMs: () => 0,
    netlinkWaitMs: () => 0,
    apiSilentMs: () => 500,
    checks: () => ({ livez: [{ name: "ping", problem: undefined }], readyz: [{ name: "api", problem: "silent" }] }),
    ...parts,
  };
}
