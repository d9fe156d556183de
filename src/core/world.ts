import type { IpAddress } from "../lib/ip.js";
import type { MacAddress } from "../lib/mac.js";
import type { LeaseView } from "../machine/election-state.js";
import type { Health } from "../machine/health.js";
import type { ArpConf, Link } from "../ports/kernel.js";
import type { Node, Service } from "../ports/kube.js";
import type { Readiness } from "./dataplane.js";
import type { ServiceEndpoints } from "./endpoints.js";
import type { KubeVipLeasesSeen } from "./kube-vip-leases.js";
import type { LeaseKey, LeaseSeen, LinkKey, MappingKey, MappingView, OwnershipKey, RouteKey, ServiceKey, VipKey } from "./model.js";
import type { NameResult } from "./names.js";
import type { Pools } from "./pools.js";
import type { Observation } from "./sync.js";

/** What is known of the owner of one key. */
export interface OwnershipState {
  /** This process may hold it now. */
  readonly held: boolean;
  readonly view: LeaseView;
  /** Node name of the holder by the newest version known; empty where there is none. */
  readonly holder: string;
  /** This process made the Lease and has held it since: nobody else can have held it. */
  readonly created: boolean;
  /** Another node handed it over a moment ago, and may still have what stands behind it. */
  readonly heir?: boolean;
  /** The last one to write its Lease was none of ours, but a kube-vip, whether it still renews it or not. */
  readonly foreign?: boolean;
}

export interface Subnet {
  readonly address: IpAddress;
  readonly prefix: number;
  /** It is the control-plane VIP, held by another process of ours. */
  readonly controlPlane?: true | undefined;
}

/** Everything known, as one immutable value. Whoever learns something replaces a part of it and wakes the loop. */
export interface World {
  readonly node: string;
  /** By name. */
  readonly links: ReadonlyMap<string, Link>;
  /** Links that have been down or without carrier for longer than a blink. */
  readonly badLinks: ReadonlySet<string>;
  /** Addresses that are not ours, by link name. */
  readonly subnets: ReadonlyMap<string, readonly Subnet[]>;
  /** Name of the link of the default route, IPv4 before IPv6. */
  readonly defaultLink: string | undefined;
  /** Undefined until the first complete list. */
  readonly services: ReadonlyMap<ServiceKey, Service> | undefined;
  /** What counts of the endpoints of each Service; undefined until the first complete list. */
  readonly endpoints: ReadonlyMap<ServiceKey, ServiceEndpoints> | undefined;
  /** Node name by address, of all nodes; empty where nodes cannot be listed. */
  readonly nodeAddresses: ReadonlyMap<string, string>;
  /** By name; empty where nodes cannot be listed. */
  readonly nodes: ReadonlyMap<string, Node>;
  /** The Leases that kube-vip takes for Services. */
  readonly kubeVip: KubeVipLeasesSeen;
  /** Somebody asked this process to hand over what it holds (`vip drain`). */
  readonly drained: boolean;
  /** Next hops of this node's routes. */
  readonly gateways: ReadonlySet<IpAddress>;
  /** Links below macvlans of ours that answer ARP for what is on these, too, by name. */
  readonly answering: ReadonlyMap<string, ArpConf>;
  /** Host of the API server's URL. */
  readonly apiHost: string | undefined;
  /** Where addresses for Services come from; undefined until the ConfigMap, or its absence, is known. */
  readonly pools: Pools | undefined;
  /** By uid of the Service: addresses that were given to it and are not in its status yet. */
  readonly grants: ReadonlyMap<string, readonly IpAddress[]>;
  /** Addresses for which a host that is none of ours answered lately. */
  readonly inUse: ReadonlySet<IpAddress>;
  readonly names: ReadonlyMap<string, NameResult>;
  /** Of those that this node asks for. */
  readonly leases: ReadonlyMap<LeaseKey, LeaseSeen>;
  /** By port on this node, as far as it was asked. */
  readonly dataplane: ReadonlyMap<number, Readiness>;
  /** By uid: why the API refused our entry in spec.externalIPs. */
  readonly externalIPsRefused: ReadonlyMap<string, string>;
  /** Uids of Services whose status somebody else keeps replacing. */
  readonly rivals: ReadonlySet<string>;
  readonly ownership: ReadonlyMap<OwnershipKey, OwnershipState>;
  readonly observed: ReadonlyMap<VipKey, Observation<void>>;
  readonly observedLinks: ReadonlyMap<LinkKey, Observation<void>>;
  readonly observedDnat: ReadonlyMap<VipKey, Observation<void>>;
  /** Routes that the BGP mode has taken; whether a peer has them is the business of its sessions. */
  readonly observedRoutes: ReadonlyMap<RouteKey, Observation<void>>;
  /** What became of the ports that are asked of gateways. */
  readonly mappings: ReadonlyMap<MappingKey, MappingView>;
  readonly stage: Stage;
  /** Hosts that announced an address that is held here, by the newest such announcement. */
  readonly conflicts: ReadonlyMap<VipKey, MacAddress>;
  /** Of this node's API server; undefined where nobody asks. */
  readonly controlPlaneHealth: Health | undefined;
}

/**
 * Of the life of this process. `leaving`: whoever takes over from it has had the time to show; `ending`: what nobody has to own is not served here any more;
 * `restarting`: that is left for the process that follows.
 */
export type Stage = "running" | "leaving" | "ending" | "restarting";

export function emptyWorld(node: string): World {
  return {
    node,
    links: new Map(),
    badLinks: new Set(),
    subnets: new Map(),
    defaultLink: undefined,
    services: undefined,
    endpoints: undefined,
    nodeAddresses: new Map(),
    nodes: new Map(),
    kubeVip: "none",
    drained: false,
    gateways: new Set(),
    answering: new Map(),
    apiHost: undefined,
    pools: undefined,
    grants: new Map(),
    inUse: new Set(),
    names: new Map(),
    leases: new Map(),
    dataplane: new Map(),
    externalIPsRefused: new Map(),
    rivals: new Set(),
    ownership: new Map(),
    observed: new Map(),
    observedLinks: new Map(),
    observedDnat: new Map(),
    observedRoutes: new Map(),
    mappings: new Map(),
    stage: "running",
    conflicts: new Map(),
    controlPlaneHealth: undefined,
  };
}
