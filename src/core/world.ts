import type { IpAddress } from "../lib/ip.js";
import type { MacAddress } from "../lib/mac.js";
import type { LeaseView } from "../machine/election-state.js";
import type { Health } from "../machine/health.js";
import type { Link } from "../ports/kernel.js";
import type { Service } from "../ports/kube.js";
import type { OwnershipKey, ServiceKey, VipKey } from "./model.js";
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
}

export interface Subnet {
  readonly address: IpAddress;
  readonly prefix: number;
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
  readonly ownership: ReadonlyMap<OwnershipKey, OwnershipState>;
  readonly observed: ReadonlyMap<VipKey, Observation<void>>;
  /** Hosts that announced an address that is held here, by the newest such announcement. */
  readonly conflicts: ReadonlyMap<VipKey, MacAddress>;
  /** Of this node's API server; undefined where nobody asks. */
  readonly controlPlaneHealth: Health | undefined;
}

export function emptyWorld(node: string): World {
  return {
    node,
    links: new Map(),
    badLinks: new Set(),
    subnets: new Map(),
    defaultLink: undefined,
    services: undefined,
    ownership: new Map(),
    observed: new Map(),
    conflicts: new Map(),
    controlPlaneHealth: undefined,
  };
}
