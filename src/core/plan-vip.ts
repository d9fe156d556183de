import { familyOf, hostPrefix, type IpAddress } from "../lib/ip.js";
import { vipKey, type OwnershipKey, type Port, type ServiceKey, type Vip } from "./model.js";
import { subnetOf } from "./plan-links.js";
import type { PlanConfig } from "./plan-model.js";
import type { World } from "./world.js";

/** An address that somebody asked for, and the link that was chosen for it. */
export interface AskedVip {
  readonly address: IpAddress;
  readonly iface: string;
  readonly ownership: OwnershipKey;
  /** The Service; undefined for the control plane. */
  readonly owner: ServiceKey | undefined;
  readonly ports: readonly Port[];
  readonly fresh: boolean;
  /** The end of its lease. */
  readonly until?: number | undefined;
}

/** What is to be held for it. In BGP mode always a host address: routes lead to the nodes that have it, and no subnet does. */
export function vipOf(asked: AskedVip, world: World, config: Pick<PlanConfig, "prefixes" | "bgp">): Vip {
  const { address, iface, ownership, owner, ports, fresh, until } = asked;
  const anycast = config.bgp !== undefined;
  return {
    key: vipKey(iface, address),
    owners: owner === undefined ? [] : [owner],
    iface,
    address,
    ...(anycast ? { prefix: hostPrefix(address), anycast } : subnetOf(world, { iface, address, asked: config.prefixes[familyOf(address)] })),
    ports: ports.map(({ protocol, port }) => ({ protocol, port })),
    ownership,
    fresh,
    ...(until !== undefined && { until }),
  };
}
