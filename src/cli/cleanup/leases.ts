import type { ClusterReader } from "../../kube/lease-list.js";
import type { Clock } from "../../ports/clock.js";
import type { Lease } from "../../ports/kube.js";
import type { Leftover } from "./leftovers.js";

/** Leases that only we make: for each member, each part of the claims, and (earlier) each Romana VIP. `plndr-svcs-lock` and `plndr-cp-lock` are kube-vip's, too. */
const OURS = /^vip-(romana\.|member-|claims-|rebalance$)/;

/** Where the Leases are. */
export interface LeasePlace {
  readonly namespace: string;
  /** Name of the Lease of the Services. */
  readonly services: string;
}

export interface LeaseDeps {
  readonly reader: Pick<ClusterReader, "leases" | "removeLease">;
  readonly clock: Pick<Clock, "after">;
}

/** What was found of Leases: `living` says who renews one, so that nothing may be taken away. */
export interface LeaseFindings {
  readonly living: { readonly holder: string; readonly lease: string } | undefined;
  /** Those of ours. */
  readonly leftovers: readonly Leftover[];
}

/**
 * Looks at the Leases of the Services and of ours, twice: a holder that is dead is told from one that lives by waiting for as long as a Lease lasts, for the
 * times in it are of another machine's clock.
 */
export async function leaseFindings({ namespace, services }: LeasePlace, { reader, clock }: LeaseDeps, signal: AbortSignal): Promise<LeaseFindings> {
  const read = async (): Promise<readonly Lease[]> => (await reader.leases(namespace, signal)).filter(({ id }) => id.name === services || OURS.test(id.name));
  const first = await read();
  const held = first.filter(({ record }) => record.holderIdentity !== "");
  const longestMs = Math.max(0, ...held.map(({ record }) => record.leaseDurationSeconds * 1000));
  if (longestMs > 0) await new Promise<void>((resolve) => clock.after(longestMs, resolve));
  const second = longestMs > 0 ? await read() : first;
  const before = new Map(first.map((lease) => [lease.id.name, lease.resourceVersion]));
  const renewed = second.find(({ id, record, resourceVersion }) => record.holderIdentity !== "" && before.get(id.name) !== resourceVersion);
  return {
    living: renewed === undefined ? undefined : { holder: renewed.record.holderIdentity, lease: `${namespace}/${renewed.id.name}` },
    leftovers: second.filter(({ id }) => OURS.test(id.name)).map((lease) => ({ what: `Lease ${namespace}/${lease.id.name}`, remove: async (by) => reader.removeLease(lease, by) })),
  };
}
