import { CLOCK_DRIFT, KERNEL_LATENESS_MS } from "../config/load.js";
import { addressesAmong } from "../config/setting-types.js";
import type { Settings } from "../config/settings.js";
import type { ClaimsConfig } from "../core/claims.js";
import { controlPlaneDhcp } from "../core/dhcp.js";
import type { EngineConfig } from "../core/engine.js";
import type { Marks, OwnershipKey, Part } from "../core/model.js";
import type { Family } from "../lib/ip.js";
import type { ElectionConfig } from "../machine/election-state.js";
import type { ConnectionConfig } from "../kube/config.js";
import type { LeaseId } from "../ports/kube.js";

/** IFA_PROTO of the addresses that we make. */
export const MARKS: Marks = { services: 118, "control-plane": 119 };
/** How long a leaving holder keeps its addresses while no heir shows up. */
export const HAND_OVER_MS = 1000;
/** How long a process that ends takes to hand over a thousand keys, at the most. */
export const LEAVE_MS = 15_000;
/** How long it keeps them beside its heir, at the most: it lets go when it hears the heir announce them. */
const HEIR_MS = 60;
/** How long a node whose API server is sick leaves a free Lease to others (less than it keeps the addresses), and when it offers it again. */
const PATIENCE_MS = 700;
const OFFER_AGAIN_MS = 30_000;
/** The same where it is only to be relieved. A better node would have taken the Lease when it was offered; one that comes later is not worth many offers. */
const SPARE_AGAIN_MS = 600_000;
/** The node that offered a Lease takes it back first; this and PATIENCE_MS end before it would have to let go. */
const MODESTY_MS = 200;

/** A kernel takes off an address well within this time once it is told to, ms. */
const DROP_MS = 50;
const CLAIM_TIMINGS = {
  handOverMs: HAND_OVER_MS,
  heirMs: HEIR_MS,
  dropMs: DROP_MS,
  giveAtOnce: 256,
  /** Claims of one shard are written one after the other: three nodes that all lose a race once need some 100 ms. */
  turnMs: 200,
  patienceMs: PATIENCE_MS,
  offerAgainMs: OFFER_AGAIN_MS,
  steadyMs: 30_000,
  returnedMs: 300_000,
  /** The API server takes 256 KiB of annotations. */
  shardLimitBytes: 200 * 1024,
  fenceTurnMs: 50,
  echoMs: 900,
  collectMs: 3_600_000,
  /** Time for one heir that does not answer, and for another. */
  leaveMs: 2 * HAND_OVER_MS,
  leaveAllMs: LEAVE_MS,
} as const;

export function electionConfig(settings: Settings, node: string): ElectionConfig {
  return {
    identity: node,
    leaseDurationMs: settings.leaseSeconds * 1000,
    renewDeadlineMs: settings.renewDeadlineSeconds * 1000,
    retryPeriodMs: settings.retrySeconds * 1000,
    drift: CLOCK_DRIFT,
    kernelLatenessMs: KERNEL_LATENESS_MS,
    handOverMs: HAND_OVER_MS,
    heirMs: HEIR_MS,
    patienceMs: PATIENCE_MS,
    offerAgainMs: OFFER_AGAIN_MS,
    spareAgainMs: SPARE_AGAIN_MS,
    modestyMs: MODESTY_MS,
  };
}

/** `process`: random, anew in every process. */
export function claimsConfig(settings: Settings, { node, process }: { readonly node: string; readonly process: string }): ClaimsConfig {
  return {
    ...CLAIM_TIMINGS,
    node,
    process,
    namespace: leaseNamespace(settings),
    fromTheStart: settings.election || settings.electionOnDemand,
    weight: 1,
    leaseDurationMs: settings.leaseSeconds * 1000,
    renewDeadlineMs: settings.renewDeadlineSeconds * 1000,
    retryPeriodMs: settings.retrySeconds * 1000,
    drift: CLOCK_DRIFT,
    kernelLatenessMs: KERNEL_LATENESS_MS,
    // Without an election for each Service there are only keys that nobody wants to see moved.
    rebalanceRate: settings.election || settings.electionOnDemand ? settings.rebalanceRate : 0,
  };
}

/** How the API is found; not by way of the VIP alone that this process provides. */
export function connection({ kubeconfig, kubernetesAddress, controlPlane, address, port }: Pick<Settings, "kubeconfig" | "kubernetesAddress" | "controlPlane" | "address" | "port">): ConnectionConfig {
  return { kubeconfigPath: kubeconfig, kubernetesAddr: kubernetesAddress, controlPlane: controlPlane ? { addresses: address, port } : undefined };
}

export function engineConfig(settings: Settings, node: string): EngineConfig {
  return {
    node,
    marks: MARKS,
    plan: {
      services: settings.services,
      controlPlane: settings.controlPlane ? addressesAmong(settings.address) : [],
      controlPlaneDhcp: settings.controlPlane && settings.ddns ? controlPlaneDhcp(settings.address.join(), dhcpFamilies(settings)) : [],
      dhcpFamilies: dhcpFamilies(settings),
      controlPlanePort: settings.port,
      iface: vipLink(settings),
      servicesIface: settings.servicesIface,
      prefixes: settings.prefixes,
      election: settings.election,
      electionOnDemand: settings.electionOnDemand,
      moveCordoned: settings.moveCordoned,
      dnsMode: settings.dnsMode,
      loadBalancerClass: settings.loadBalancerClass ?? "",
      legacyClasses: settings.legacyClasses,
      classOnly: settings.classOnly,
      dataplaneCheck: settings.dataplaneCheck === "auto",
      romanaByNft: settings.romanaDatapath === "nft",
      bgp: settings.bgp ? { electControlPlane: settings.bgpElection, attachServices: settings.bgpAttach } : undefined,
      upnp: settings.upnp,
      upnpStatus: settings.upnpStatus,
    },
  };
}

/** Which addresses are asked for under a name. */
function dhcpFamilies({ dhcpMode, dnsMode }: Pick<Settings, "dhcpMode" | "dnsMode">): readonly Family[] {
  const mode = dhcpMode === "first" ? dnsMode : dhcpMode;
  return mode === "dual" ? [4, 6] : [mode === "ipv6" ? 6 : 4];
}

/** Link for VIPs where nothing else is said; undefined: that of the default route. Routes lead to the node, so that `lo` is as good as any. */
export function vipLink({ iface, bgp }: Pick<Settings, "iface" | "bgp">): string | undefined {
  return iface ?? (bgp ? "lo" : undefined);
}

/** What this process serves. */
export function partsOf({ services, controlPlane }: Pick<Settings, "services" | "controlPlane">): readonly Part[] {
  return [...(services ? (["services"] as const) : []), ...(controlPlane ? (["control-plane"] as const) : [])];
}

/** The Leases that this process takes part in from the start. */
export function leaseIds(settings: Settings): ReadonlyMap<OwnershipKey, LeaseId> {
  const ids = new Map<OwnershipKey, LeaseId>();
  if (settings.services) ids.set("services", leaseId(settings.servicesLease ?? "plndr-svcs-lock", settings));
  if (settings.controlPlane && (settings.arp || settings.bgpElection)) ids.set("control-plane", leaseId(settings.controlPlaneLease ?? "plndr-cp-lock", settings));
  return ids;
}

/** `name` or `namespace/name`, as in kube-vip. */
function leaseId(text: string, settings: Settings): LeaseId {
  const [first = "", second] = text.split("/");
  return second === undefined ? { namespace: leaseNamespace(settings), name: first } : { namespace: first, name: second };
}

function leaseNamespace({ controlPlaneNamespace }: Settings): string {
  return controlPlaneNamespace ?? "kube-system";
}
