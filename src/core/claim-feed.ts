import { ClaimError } from "../machine/claim-codec.js";
import { SHARDS } from "../machine/placement.js";
import type { Lease } from "../ports/kube.js";
import { BALANCE_NAME, memberVersionOf, partOfLease, shardName, shardVersionOf, type ClaimInput } from "./claim-leases.js";

/** Turns the maps that a watch brings into events: one for each Lease that is not as it was. */
export class ClaimFeed {
  #last: ReadonlyMap<string, Lease> | undefined;

  /** `unreadable` is told of the Lease of a member that says nothing that can be understood. */
  constructor(
    private readonly node: string,
    private readonly unreadable: (lease: Lease, error: ClaimError) => void,
  ) {}

  /** `leases`: all of members and claims, by name. */
  events(leases: ReadonlyMap<string, Lease>, wallMs: number): readonly ClaimInput[] {
    const last = this.#last;
    this.#last = leases;
    const events: ClaimInput[] = [];
    for (const [name, lease] of leases) if (last?.get(name) !== lease) events.push(...this.#seen(lease, wallMs, last !== undefined));
    for (const [name, lease] of last ?? []) if (!leases.has(name)) events.push(...gone(lease));
    if (last !== undefined) return events;
    for (let shard = 0; shard < SHARDS; shard += 1) {
      if (!leases.has(shardName(shard))) events.push({ type: "shard", shard, version: undefined, read: false });
    }
    return [...events, { type: "membersListed" }];
  }

  #seen(lease: Lease, wallMs: number, listed: boolean): readonly ClaimInput[] {
    const part = partOfLease(lease);
    // What was asked for before this process started is done with.
    if (lease.id.name === BALANCE_NAME) return listed ? [{ type: "rebalance" }] : [];
    if (part === undefined) return [];
    if ("shard" in part) return [{ type: "shard", shard: part.shard, version: shardVersionOf(lease), read: false }];
    try {
      return [{ type: "member", node: part.node, version: memberVersionOf(lease, part.node === this.node, wallMs), read: false }];
    } catch (error) {
      if (!(error instanceof ClaimError)) throw error;
      this.unreadable(lease, error);
      return [{ type: "heard" }];
    }
  }
}

function gone(lease: Lease): readonly ClaimInput[] {
  const part = partOfLease(lease);
  if (part === undefined) return [];
  if ("shard" in part) return [{ type: "shard", shard: part.shard, version: undefined, read: false }];
  return [{ type: "member", node: part.node, version: undefined, read: false }];
}
