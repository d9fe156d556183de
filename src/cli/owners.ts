import type { Settings } from "../config/settings.js";
import { Claims } from "../core/claims.js";
import { KubeVipLeases, type KubeVipLeasesDeps } from "../core/kube-vip-leases.js";
import { NodeLabeler, type NodeLabelerDeps } from "../core/node-labeler.js";
import { Owners } from "../core/owners.js";
import { Ownership, type OwnershipDeps } from "../core/ownership.js";
import type { Random } from "../ports/random.js";
import { claimsConfig, electionConfig, partsOf } from "./plan-config.js";

/** All that this process may own. Of two processes on a node only the one for Services takes part in what is shared out: there is one member for a node. */
export function createOwners(settings: Settings, node: string, deps: OwnershipDeps & { readonly random: Random }): Owners {
  const single = new Ownership(electionConfig(settings, node), deps);
  const claims = settings.services ? new Claims(claimsConfig(settings, { node, process: processId(deps.random) }), deps) : undefined;
  return new Owners(single, claims);
}

/** What heeds the Leases of kube-vip; undefined where each Service has no owner of its own. */
export function createKubeVipLeases(settings: Settings, node: string, deps: KubeVipLeasesDeps): KubeVipLeases | undefined {
  if (!settings.services || !(settings.election || settings.electionOnDemand)) return undefined;
  return new KubeVipLeases({ node, namespace: settings.serviceNamespace }, deps);
}

/** What labels the Node; undefined where nobody asked for it. */
export function createNodeLabels(settings: Settings, node: string, deps: NodeLabelerDeps): NodeLabeler | undefined {
  return settings.nodeLabels ? new NodeLabeler({ node, parts: partsOf(settings) }, deps) : undefined;
}

/** Rejects where the watch ends in error, which is a bug; never resolves. */
export async function followed(watcher: { follow(): Promise<void> } | undefined): Promise<never> {
  await watcher?.follow();
  return new Promise<never>(() => undefined);
}

/** 64 random bits, as hexadecimal digits. */
function processId(random: Random): string {
  const half = (): string => Math.floor(random.float() * 2 ** 32).toString(16).padStart(8, "0");
  return `${half()}${half()}`;
}
