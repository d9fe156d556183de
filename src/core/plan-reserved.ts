import { hostPrefix, parseIp, type IpAddress } from "../lib/ip.js";
import { configured } from "./plan-links.js";
import type { ServiceFacts, SkipReason } from "./plan-service.js";
import { VIP_HOST } from "./status.js";
import type { OwnershipKey } from "./model.js";
import type { Service } from "../ports/kube.js";
import type { World } from "./world.js";

/** What the allocator never gives out. */
export function reservedAddresses({ subnets, nodeAddresses, gateways, apiHost }: World): ReadonlySet<IpAddress> {
  const own = [...subnets.values()].flatMap((ofLink) => ofLink.map(({ address }) => address));
  const nodes = [...nodeAddresses.keys(), apiHost ?? ""].flatMap((text) => parseIp(text) ?? []);
  return new Set([...own, ...nodes, ...gateways]);
}

export interface AskedAddress {
  readonly address: IpAddress;
  readonly ownership: OwnershipKey;
  readonly service: Service;
  readonly facts: ServiceFacts;
}

/** Why an address is somebody's whom a VIP would cut off; undefined where it is free for one. */
export function reservedFor(asked: AskedAddress, world: World): SkipReason | undefined {
  const { address, ownership, facts } = asked;
  const own = configured(world, address);
  if (own?.controlPlane === true) {
    return { code: "addressOfApi", message: `${address} is the control-plane VIP, held on node ${world.node} by another process: expected another address, or cp_enable and address=${address} in the same process` };
  }
  if (own !== undefined && !isLeftover(own.prefix, asked, world.node)) {
    return { code: "addressOfNode", message: `${address}/${own.prefix} is configured on ${own.link} of node ${world.node} by somebody else: not touched` };
  }
  // What was announced before is not given up: a kubelet may count a VIP among the addresses of its node.
  if (ownership === "control-plane" || facts.recorded?.includes(address) === true) return undefined;
  const node = world.nodeAddresses.get(address);
  if (node !== undefined && own === undefined) return { code: "addressOfNode", message: `${address} is an address of node ${node}: expected one that nobody has` };
  if (world.gateways.has(address)) return { code: "addressOfGateway", message: `${address} is a gateway of node ${world.node}: expected an address that nobody has` };
  if (world.apiHost === address) {
    return { code: "addressOfApi", message: `${address} is where this node reaches the API server: expected another address, or cp_enable and address=${address} in the same process` };
  }
  return undefined;
}

/**
 * A host address that a kube-vip left behind when it was killed: of the control plane, or of a Service that it says is announced by this node. Such
 * a one is taken over.
 */
function isLeftover(prefix: number, { address, ownership, service }: AskedAddress, node: string): boolean {
  if (prefix !== hostPrefix(address)) return false;
  return ownership === "control-plane" || service.annotations[VIP_HOST] === node;
}
