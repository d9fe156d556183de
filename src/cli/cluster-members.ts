import { partOfLease } from "../core/claim-leases.js";
import { CLAIMS_ANNOTATION, ClaimError, decodeMember, decodeShard, MEMBER_ANNOTATION, sameRef, type MemberRecord } from "../machine/claim-codec.js";
import type { Lease } from "../ports/kube.js";

/** One member of svc_election and of Romana VIPs, as its Lease `vip-member-<node>` has it. */
export interface ClusterMember {
  readonly node: string;
  /** `unreadable`: the annotation of the Lease is not ours. */
  readonly state: MemberRecord["state"] | "unreadable";
  readonly draining: boolean;
  readonly weight: number;
  /** Seconds since its last write by the clock of the one who asks; null where the Lease has no time. */
  readonly renewedSecondsAgo: number | null;
  readonly leaseSeconds: number;
  /** Ownership keys that it has, by the claims of this life. */
  readonly keys: number;
}

/** Who owns a key by the claims: `svc/…`, `romana/…`. */
export interface ClusterClaim {
  readonly key: string;
  readonly node: string;
  /** To whom it is being handed over. */
  readonly heir: string | null;
  /** False: that life of the member is over, and somebody will take the key. */
  readonly valid: boolean;
}

/** All members and claims among these Leases, by name. What cannot be read of claims is named in `errors`. */
export function membersOf(leases: readonly Lease[], wallMs: number): { readonly members: readonly ClusterMember[]; readonly claims: readonly ClusterClaim[]; readonly errors: readonly string[] } {
  const errors: string[] = [];
  const records = new Map<string, { readonly lease: Lease; readonly record: MemberRecord | undefined }>();
  for (const lease of leases) {
    const part = partOfLease(lease);
    if (part !== undefined && "node" in part) records.set(part.node, { lease, record: read(() => decodeMember(lease.annotations[MEMBER_ANNOTATION]), lease, errors) });
  }
  const claims = leases.flatMap((lease) => {
    const part = partOfLease(lease);
    return part !== undefined && "shard" in part ? claimsOf(lease, records, errors) : [];
  });
  const members = [...records].map(([node, { lease, record }]) => {
    const renewed = Date.parse(lease.record.renewTime ?? "");
    return {
      node,
      state: record?.state ?? ("unreadable" as const),
      draining: record?.drain ?? false,
      weight: record?.weight ?? 1,
      renewedSecondsAgo: Number.isNaN(renewed) ? null : Math.max(0, Math.floor((wallMs - renewed) / 1000)),
      leaseSeconds: lease.record.leaseDurationSeconds,
      keys: claims.filter((claim) => claim.valid && claim.node === node).length,
    };
  });
  return { members: members.toSorted((a, b) => (a.node < b.node ? -1 : 1)), claims: claims.toSorted((a, b) => (a.key < b.key ? -1 : 1)), errors };
}

function claimsOf(lease: Lease, records: ReadonlyMap<string, { readonly record: MemberRecord | undefined }>, errors: string[]): readonly ClusterClaim[] {
  const content = read(() => decodeShard(lease.annotations[CLAIMS_ANNOTATION]), lease, errors);
  return [...(content?.claims ?? [])].map(([key, { owner, heir }]) => {
    const record = records.get(owner.node)?.record;
    const valid = record?.state === "live" && sameRef(owner, { node: owner.node, incarnation: record.incarnation });
    return { key, node: owner.node, heir: heir?.node ?? null, valid };
  });
}

function read<T>(decode: () => T, { id }: Lease, errors: string[]): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof ClaimError)) throw error;
    errors.push(`Lease ${id.namespace}/${id.name}: ${error.message}`);
    return undefined;
  }
}
