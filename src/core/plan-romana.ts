import type { IpAddress } from "../lib/ip.js";
import type { Stance } from "../machine/election-state.js";
import type { Fitness } from "./eligible.js";
import { NO_ENDPOINTS, type ServiceEndpoints } from "./endpoints.js";
import { EXTERNAL_IPS_REFUSED, recordedExternalIPs } from "./external-ips.js";
import type { Placed } from "./layout.js";
import type { Dnat, VipKey } from "./model.js";
import type { World } from "./world.js";

/** How the traffic of a Romana VIP reaches the pods, and how that is told. */
export interface RomanaTraffic {
  /** kube-proxy goes by the status, or by spec.externalIPs; or we lead it to endpoints on this node ourselves. */
  readonly type: "status" | "externalIPs" | "nft";
  readonly says: string;
}

/** How the traffic of this VIP is led on this node, and why so. */
export function trafficOf({ service }: Pick<Placed, "service">, world: World, config: { readonly romanaByNft: boolean }): RomanaTraffic {
  const byNft = (why: string): RomanaTraffic => ({ type: "nft", says: `traffic is led to its pods on this node by nftables (${why})` });
  if (config.romanaByNft) return byNft("romana_datapath is nft");
  if (service.type === "LoadBalancer") return { type: "status", says: "traffic is led to its pods by its status" };
  if (service.clusterIP === "None") return byNft("the Service is headless");
  const refused = world.externalIPsRefused.get(service.uid) ?? service.annotations[EXTERNAL_IPS_REFUSED];
  if (refused !== undefined) return byNft(`spec.externalIPs was refused: ${refused}`);
  return { type: "externalIPs", says: "traffic is led to its pods by spec.externalIPs" };
}

/** A Romana VIP is taken where a pod is, stays there, and is handed over make-before-break when that pod goes. */
export function romanaStance(of: { readonly fit: Fitness; readonly usable: boolean; readonly sick: boolean }): Stance {
  if (!of.usable) return "drop";
  // A pod that serves to its end while the one after it is still to come (a StatefulSet's) keeps its VIP: nobody would take it.
  if (of.fit.type === "leaving") return of.fit.heir ? "yield" : "run";
  if (of.fit.type === "fit") return of.sick ? "yield" : "run";
  return of.fit.reason.code === "noEndpoints" ? "drop" : "out";
}

/**
 * The entries that spec.externalIPs should have for it. One comes only once the address is held: kube-proxy leads traffic to it away from whoever has the
 * address. It stays while the VIP moves. Where no node can hold the VIP, the holder of the Services takes back what must not stay. `mine`: this node holds it.
 */
export function externalIPsOf({ service, addresses }: Placed, at: { readonly up: readonly IpAddress[]; readonly lost: readonly IpAddress[]; readonly mine: boolean }): readonly IpAddress[] {
  const recorded = recordedExternalIPs(service);
  const stays = (address: IpAddress): boolean => (at.mine && at.up.includes(address)) || recorded.includes(address);
  return addresses.map(({ address }) => address).filter((address) => !at.lost.includes(address) && stays(address));
}

/** Each port of the Service with the ready endpoints on this node that it leads to. */
export function dnatOf({ service, facts }: Pick<Placed, "service" | "facts">, at: { readonly key: VipKey; readonly address: IpAddress; readonly endpoints: ServiceEndpoints | undefined }): Dnat {
  const { targets } = at.endpoints ?? NO_ENDPOINTS;
  const ports = service.ports.map(({ name, protocol, port }) => ({
    protocol,
    port,
    targets: targets.filter((target) => target.name === name && target.protocol === protocol && sameFamily(target.address, at.address)).map((target) => ({ address: target.address, port: target.port })),
  }));
  return { key: at.key, owners: [facts.key], iface: at.key.slice(0, at.key.indexOf("/")), address: at.address, ports };
}

function sameFamily(a: IpAddress, b: IpAddress): boolean {
  return a.includes(":") === b.includes(":");
}
