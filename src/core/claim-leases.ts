import { assertNever } from "../lib/errors.js";
import { CLAIMS_ANNOTATION, ClaimError, decodeMember, encodeMember, MEMBER_ANNOTATION, memberLease, type MemberRecord } from "../machine/claim-codec.js";
import type { ShardVersion } from "../machine/claim-state.js";
import type { ClaimantAction, ClaimantEvent } from "../machine/claimant.js";
import { microTime } from "../machine/election.js";
import type { MemberVersion } from "../machine/member-state.js";
import { hashText } from "../machine/placement.js";
import type { KubeErrorShape, Lease, LeaseId, Leases, LeaseWrite } from "../ports/kube.js";

/** Label of every Lease of members and claims; its value says which: `member` or `claims`. */
export const OWNERSHIP_LABEL = "vip.internal/ownership";
/** Annotation of a member Lease whose name had to be cut: the node's name in full. */
const NODE_ANNOTATION = "vip.internal/node";
const MEMBER_PREFIX = "vip-member-";
const CLAIMS_PREFIX = "vip-claims-";
/** RFC 1123 subdomain, as the API server checks names. */
const NAME_LIMIT = 253;

/** A Lease whose every write asks all members to make the load even now. */
export const BALANCE_NAME = "vip-rebalance";
const BALANCE_TIMEOUT_MS = 3000;

/** An event of the machine before its wall time is put in. */
export type ClaimInput = WithoutWall<ClaimantEvent>;
type WithoutWall<E> = E extends unknown ? Omit<E, "wallMs"> : never;

/** A request of the machine. */
export type ClaimRequest = Exclude<ClaimantAction, { readonly type: "relist" }>;

export interface ClaimLeasesConfig {
  readonly namespace: string;
  /** Name of this node. */
  readonly node: string;
  readonly leaseDurationMs: number;
}

/** `vip-member-<node>`; a name that would be too long is cut, with a hash of the whole at its end. */
export function memberName(node: string): string {
  const name = `${MEMBER_PREFIX}${node}`;
  if (name.length <= NAME_LIMIT) return name;
  const hash = hashText(node).toString(16).padStart(8, "0");
  return `${name.slice(0, NAME_LIMIT - hash.length - 1).replace(/[.-]+$/, "")}-${hash}`;
}

/** `vip-claims-<shard>` */
export function shardName(shard: number): string {
  return `${CLAIMS_PREFIX}${shard}`;
}

/** Whose Lease it is; undefined where it is neither a member's nor one of claims. */
export function partOfLease({ id: { name }, annotations }: Lease): { readonly node: string } | { readonly shard: number } | undefined {
  const shard = /^vip-claims-(\d|1[0-5])$/.exec(name)?.[1];
  if (shard !== undefined) return { shard: Number(shard) };
  if (!name.startsWith(MEMBER_PREFIX)) return undefined;
  const node = annotations[NODE_ANNOTATION] ?? name.slice(MEMBER_PREFIX.length);
  // A copy under another name is nobody's.
  return memberName(node) === name ? { node } : undefined;
}

export function shardVersionOf(lease: Lease): ShardVersion {
  return { resourceVersion: lease.resourceVersion, text: lease.annotations[CLAIMS_ANNOTATION], origin: lease };
}

/**
 * Throws ClaimError where another member's Lease is not readable: then what was known of it stays. Of this node, it is the end of a life, so that the next
 * write makes it readable; that life is numbered by the clock, as a first one.
 */
export function memberVersionOf(lease: Lease, own: boolean, wallMs: number): MemberVersion {
  return { resourceVersion: lease.resourceVersion, record: recordOf(lease, own, wallMs), origin: lease };
}

function recordOf(lease: Lease, own: boolean, wallMs: number): MemberRecord {
  try {
    return decodeMember(lease.annotations[MEMBER_ANNOTATION]);
  } catch (error) {
    if (!own || !(error instanceof ClaimError)) throw error;
    return { incarnation: Math.max(1, Math.floor(wallMs / 1000)), seq: 0, process: "", state: "released", drain: false, weight: 1, after: "nothing" };
  }
}

/** The requests of the machine to the API, and what their answers are to it. */
export class ClaimLeases {
  constructor(
    private readonly config: ClaimLeasesConfig,
    private readonly leases: Leases,
  ) {}

  /** Name of the Lease that a request is about. */
  nameOf(action: ClaimRequest): string {
    return "node" in action ? memberName(action.node) : shardName(action.shard);
  }

  /** Rejects with what the API refused, or ClaimError. */
  async ask(action: ClaimRequest, wallMs: number, signal: AbortSignal): Promise<ClaimInput> {
    const id: LeaseId = { namespace: this.config.namespace, name: this.nameOf(action) };
    const { timeoutMs } = action;
    switch (action.type) {
      case "readMember":
        return this.#memberRead(action.node, await this.leases.get(id, timeoutMs, signal), wallMs);
      case "readShard": {
        const lease = await this.leases.get(id, timeoutMs, signal);
        return { type: "shard", shard: action.shard, version: lease === undefined ? undefined : shardVersionOf(lease), read: true };
      }
      case "deleteMember":
        await this.leases.remove(leaseOf(action.base), timeoutMs, signal);
        return { type: "memberWritten", node: action.node, id: action.id, version: undefined };
      case "writeMember": {
        const lease = await this.#put({ id, base: action.base, write: this.#member(action, wallMs), timeoutMs }, signal);
        const version = memberVersionOf(lease, action.node === this.config.node, wallMs);
        return { type: "memberWritten", node: action.node, id: action.id, version };
      }
      case "writeShard": {
        const lease = await this.#put({ id, base: action.base, write: this.#shard(action, wallMs), timeoutMs }, signal);
        return { type: "shardWritten", shard: action.shard, id: action.id, version: shardVersionOf(lease) };
      }
      default:
        return assertNever(action);
    }
  }

  /** Writes the Lease that all members take as a call to make the load even. */
  async callForBalance(wallMs: number, signal: AbortSignal): Promise<void> {
    const id: LeaseId = { namespace: this.config.namespace, name: BALANCE_NAME };
    const base = await this.leases.get(id, BALANCE_TIMEOUT_MS, signal);
    const time = microTime(wallMs, 0);
    const write = { holderIdentity: "", leaseDurationSeconds: this.#leaseSeconds(), acquireTime: time, renewTime: time, leaseTransitions: (base?.record.leaseTransitions ?? 0) + 1, labels: { [OWNERSHIP_LABEL]: "rebalance" } };
    if (base === undefined) await this.leases.create(id, write, BALANCE_TIMEOUT_MS, signal);
    else await this.leases.replace(base, write, BALANCE_TIMEOUT_MS, signal);
  }

  #memberRead(node: string, lease: Lease | undefined, wallMs: number): ClaimInput {
    const version = lease === undefined ? undefined : memberVersionOf(lease, node === this.config.node, wallMs);
    return { type: "member", node, version, read: true };
  }

  async #put(put: { readonly id: LeaseId; readonly base: Based | undefined; readonly write: LeaseWrite; readonly timeoutMs: number }, signal: AbortSignal): Promise<Lease> {
    const { id, base, write, timeoutMs } = put;
    return base === undefined ? this.leases.create(id, write, timeoutMs, signal) : this.leases.replace(leaseOf(base), write, timeoutMs, signal);
  }

  #member({ node, record, id }: ClaimRequest & { readonly type: "writeMember" }, wallMs: number): LeaseWrite {
    const cut = memberName(node) !== `${MEMBER_PREFIX}${node}`;
    return {
      ...memberLease(node, record, { time: microTime(wallMs, id), leaseSeconds: this.#leaseSeconds() }),
      labels: { [OWNERSHIP_LABEL]: "member" },
      annotations: { [MEMBER_ANNOTATION]: encodeMember(record), ...(cut ? { [NODE_ANNOTATION]: node } : {}) },
    };
  }

  /** Who wrote last is of interest to people alone: `kubectl get leases` shows it. */
  #shard({ text, id }: ClaimRequest & { readonly type: "writeShard" }, wallMs: number): LeaseWrite {
    return {
      holderIdentity: this.config.node,
      leaseDurationSeconds: this.#leaseSeconds(),
      acquireTime: undefined,
      renewTime: microTime(wallMs, id),
      leaseTransitions: 0,
      labels: { [OWNERSHIP_LABEL]: "claims" },
      annotations: { [CLAIMS_ANNOTATION]: text },
    };
  }

  #leaseSeconds(): number {
    return Math.max(1, Math.round(this.config.leaseDurationMs / 1000));
  }
}

/** What the machine is told where a request failed. */
export function failureOf(action: ClaimRequest, conflict: boolean): ClaimInput {
  switch (action.type) {
    case "readMember":
      return { type: "memberReadFailed", node: action.node };
    case "readShard":
      return { type: "shardReadFailed", shard: action.shard };
    case "writeShard":
      return { type: "shardFailed", shard: action.shard, id: action.id, conflict };
    default:
      return { type: "memberFailed", node: action.node, id: action.id, conflict };
  }
}

/** Somebody else was quicker. A Lease that cannot be found is one that was deleted, unless it was to be made: then its namespace is missing. */
export function isConflict(action: ClaimRequest, error: unknown): boolean {
  const { code } = error as Partial<KubeErrorShape>;
  return code === "conflict" || code === "alreadyExists" || (code === "notFound" && "base" in action && action.base !== undefined);
}

type Based = MemberVersion | ShardVersion;

/** Every version that the machine is told of comes with the Lease that it was read from. */
function leaseOf(version: Based): Lease {
  return version.origin as Lease;
}
