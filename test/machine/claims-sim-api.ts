import { decodeShard, sameRef, type Claim, type MemberRecord, type Ref } from "../../src/machine/claim-codec.js";
import type { ClaimantAction } from "../../src/machine/claimant.js";
import type { ShardVersion } from "../../src/machine/claim-state.js";
import type { MemberVersion } from "../../src/machine/member-state.js";

/** One Lease as a watch tells of it. */
export type Stored =
  | { readonly type: "member"; readonly node: string; readonly version: MemberVersion | undefined }
  | { readonly type: "shard"; readonly shard: number; readonly version: ShardVersion | undefined };

export type Outcome = "conflict" | Stored;

/** One change of an entry, as the API server sees it. */
export interface Change {
  readonly key: string;
  readonly old: Claim | undefined;
  readonly next: Claim | undefined;
  readonly writer: string;
}

export interface ApiDeps {
  now(): number;
  leaseDurationMs: number;
  /** The key stands for something that still exists. */
  wanted(key: string): boolean;
  /** Something was written: to all watches. */
  wrote(stored: Stored): void;
  changed(change: Change): void;
  /** A member was fenced by another. */
  fenced(node: string): void;
  /** A rule that the server can check has been broken. */
  broken(rule: string): void;
}

/** The API server of the model: one store, one order, a resourceVersion per write. It also checks who changes whose entries. */
export class ModelApi {
  readonly members = new Map<string, MemberVersion>();
  readonly shards = new Map<number, ShardVersion>();
  memberWrites = 0;
  /** Without those that only clear away entries of keys that are gone. */
  shardWrites = 0;
  reads = 0;
  conflicts = 0;
  #version = 0;
  readonly #changedAt = new Map<string, number>();

  constructor(private readonly deps: ApiDeps) {}

  all(): Stored[] {
    return [
      ...[...this.members].map(([node, version]) => ({ type: "member", node, version }) as const),
      ...[...this.shards].map(([shard, version]) => ({ type: "shard", shard, version }) as const),
    ];
  }

  /** `blind`: what another node writes to a member Lease goes through whatever it is based on. */
  apply(action: Exclude<ClaimantAction, { readonly type: "relist" }>, writer: string, blind = false): Outcome {
    const fence = blind && action.type === "writeMember" && action.node !== writer;
    const base = fence ? this.members.get(action.node) : undefined;
    const outcome = this.#apply(fence ? { ...action, base } : action, writer);
    if (outcome === "conflict") this.conflicts += 1;
    return outcome;
  }

  #apply(action: Exclude<ClaimantAction, { readonly type: "relist" }>, writer: string): Outcome {
    switch (action.type) {
      case "readMember":
        this.reads += 1;
        return { type: "member", node: action.node, version: this.members.get(action.node) };
      case "readShard":
        this.reads += 1;
        return { type: "shard", shard: action.shard, version: this.shards.get(action.shard) };
      case "deleteMember":
        if (this.members.get(action.node)?.resourceVersion !== action.base.resourceVersion) return "conflict";
        this.members.delete(action.node);
        return this.#tell({ type: "member", node: action.node, version: undefined });
      case "writeMember":
        if (this.members.get(action.node)?.resourceVersion !== action.base?.resourceVersion) return "conflict";
        return this.#writeMember(action.node, action.record, writer);
      case "writeShard":
        if (this.shards.get(action.shard)?.resourceVersion !== action.base?.resourceVersion) return "conflict";
        return this.#writeShard(action.shard, action.text, writer);
    }
  }

  #writeMember(node: string, record: MemberRecord, writer: string): Outcome {
    this.memberWrites += 1;
    if (writer !== node) {
      this.deps.fenced(node);
      const silent = this.deps.now() - (this.#changedAt.get(node) ?? 0);
      if (silent < this.deps.leaseDurationMs * 0.98) this.deps.broken(`${writer} fences ${node} after ${Math.round(silent)} ms`);
    }
    this.#changedAt.set(node, this.deps.now());
    const version = { resourceVersion: this.#next(), record };
    this.members.set(node, version);
    return this.#tell({ type: "member", node, version });
  }

  #writeShard(shard: number, text: string, writer: string): Outcome {
    const old = decodeShard(this.shards.get(shard)?.text).claims;
    const next = decodeShard(text).claims;
    const changed = [...new Set([...old.keys(), ...next.keys()])].filter((key) => !sameClaim(old.get(key), next.get(key)));
    if (changed.length === 0 || changed.some((key) => next.has(key) || this.deps.wanted(key))) this.shardWrites += 1;
    for (const key of changed) this.#compare({ key, old: old.get(key), next: next.get(key), writer });
    const version = { resourceVersion: this.#next(), text };
    this.shards.set(shard, version);
    return this.#tell({ type: "shard", shard, version });
  }

  #compare(change: Change): void {
    const { key, old, next, writer } = change;
    if (this.#lives(old?.owner) && old?.owner.node !== writer) {
      const taken = old?.heir?.node === writer && next?.owner.node === writer && sameRef(next.from, old.owner);
      const left = old?.from?.node === writer && sameRef(next?.owner, old.owner) && sameRef(next?.heir, old.heir);
      if (!taken && !left) this.deps.broken(`${writer} changes what ${old?.owner.node} has: ${key} ${JSON.stringify(old)} -> ${JSON.stringify(next)}`);
    }
    const back = old?.from?.node === writer;
    if (this.#lives(old?.from) && !sameRef(old?.from, next?.from) && !back) this.deps.broken(`${writer} forgets who ${key} came from`);
    this.deps.changed(change);
  }

  #lives(ref: Ref | undefined): boolean {
    const record = ref === undefined ? undefined : this.members.get(ref.node)?.record;
    return record?.state === "live" && record.incarnation === ref?.incarnation;
  }

  #next(): string {
    this.#version += 1;
    return String(this.#version);
  }

  #tell(stored: Stored): Stored {
    this.deps.wrote(stored);
    return stored;
  }
}

function sameClaim(a: Claim | undefined, b: Claim | undefined): boolean {
  return sameRef(a?.owner, b?.owner) && sameRef(a?.heir, b?.heir) && sameRef(a?.from, b?.from);
}
