import type { LeaseView } from "../machine/election.js";
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
}

/** Everything known, as one immutable value. Whoever learns something replaces a part of it and wakes the loop. */
export interface World {
  readonly node: string;
  /** By name. */
  readonly links: ReadonlyMap<string, Link>;
  /** Name of the link of the default route, IPv4 before IPv6. */
  readonly defaultLink: string | undefined;
  /** Undefined until the first complete list. */
  readonly services: ReadonlyMap<ServiceKey, Service> | undefined;
  readonly ownership: ReadonlyMap<OwnershipKey, OwnershipState>;
  readonly observed: ReadonlyMap<VipKey, Observation<void>>;
}

export function emptyWorld(node: string): World {
  return {
    node,
    links: new Map(),
    defaultLink: undefined,
    services: undefined,
    ownership: new Map(),
    observed: new Map(),
  };
}
