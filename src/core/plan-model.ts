import type { Family, IpAddress } from "../lib/ip.js";
import type { Wish } from "../machine/claim-state.js";
import type { MemberTerms } from "../machine/member-state.js";
import type { Stance } from "../machine/election-state.js";
import type { EventDraft } from "../ports/kube.js";
import type { LeaseText } from "./kube-vip-leases.js";
import type { LayoutConfig } from "./layout.js";
import type { Dnat, LeaseKey, LeaseWant, LinkKey, LinkWant, Mapping, MappingKey, OwnershipKey, Route, RouteKey, ServiceKey, Vip, VipKey } from "./model.js";
import type { StandingConfig } from "./node-standing.js";
import type { BgpPlanConfig } from "./plan-bgp.js";
import type { LinkPlanConfig } from "./plan-links.js";
import type { ServicePlanConfig, SkipReason } from "./plan-service.js";
import type { UpnpPlanConfig } from "./plan-upnp.js";
import type { ServiceChange } from "./plan-writes.js";
import type { StatusPatch } from "./status.js";

export interface PlanConfig extends ServicePlanConfig, LinkPlanConfig, LayoutConfig, StandingConfig, UpnpPlanConfig {
  /** Serve Services of type LoadBalancer. */
  readonly services: boolean;
  /** Prefix lengths of VIPs; `auto`: of the subnet of the link that holds the address. */
  readonly prefixes: Readonly<Record<Family, number | "auto">>;
  /** Ask kube-proxy whether traffic would reach the endpoints. */
  readonly dataplaneCheck: boolean;
  /** Lead traffic of Romana VIPs by nftables, also where spec.externalIPs would do. */
  readonly romanaByNft: boolean;
  /** BGP mode; undefined: ARP mode. */
  readonly bgp?: BgpPlanConfig | undefined;
}

/** What this node should do, and for every Service that it does not serve, why not. */
export interface Plan {
  /** How this node should stand towards each ownership; those that are not named are left to others. */
  readonly campaigns: ReadonlyMap<OwnershipKey, Stance>;
  /** What this node wants of every key that is one of many; undefined while not all of them are known. */
  readonly wishes: ReadonlyMap<OwnershipKey, Wish> | undefined;
  /** How this node takes part in sharing these keys out. */
  readonly terms: MemberTerms;
  readonly wants: {
    readonly arp: ReadonlyMap<VipKey, Vip>;
    readonly link: ReadonlyMap<LinkKey, LinkWant>;
    readonly dhcp: ReadonlyMap<LeaseKey, LeaseWant>;
    readonly dnat: ReadonlyMap<VipKey, Dnat>;
    /** Empty in ARP mode. */
    readonly bgp: ReadonlyMap<RouteKey, Route>;
    readonly upnp: ReadonlyMap<MappingKey, Mapping>;
  };
  /** The leases that Services ask for, whoever holds them: one that is in nobody's mind any more is given back to its server. */
  readonly asks: ReadonlySet<LeaseKey>;
  readonly statuses: ReadonlyMap<ServiceKey, StatusPatch>;
  /** Changes of Services themselves. */
  readonly changes: ReadonlyMap<ServiceKey, ServiceChange>;
  /** Part of the world of the next pass. */
  readonly grants: ReadonlyMap<string, readonly IpAddress[]>;
  /** Leases of kube-vip that this node needs for what it holds, each with the key that it belongs to. */
  readonly kubeVip: ReadonlyMap<LeaseText, OwnershipKey>;
  /** Names to look up. */
  readonly names: ReadonlySet<string>;
  /** Ports of this node to ask for the health of the data plane. */
  readonly checks: ReadonlySet<number>;
  /** Facts to tell about Services, by what makes each of them one fact. */
  readonly events: ReadonlyMap<string, EventDraft>;
  readonly skipped: ReadonlyMap<ServiceKey, SkipReason>;
  /** What a person has to change and no Service stands for. */
  readonly problems: readonly string[];
  /** False while something is not known yet, so that what an earlier life left must not be judged. */
  readonly settled: boolean;
}
