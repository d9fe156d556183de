import type { MemberRecord } from "../../src/machine/claim-codec.js";
import type { Fit } from "../../src/machine/claim-state.js";
import {
  claimHeldUntil,
  claimantStart,
  claimantStep,
  type ClaimantAction,
  type ClaimantConfig,
  type ClaimantEvent,
  type ClaimantState,
} from "../../src/machine/claimant.js";
import { SHARDS, shardOf } from "../../src/machine/placement.js";
import { SIM_CONFIG } from "./claims-sim-options.js";

export const WALL = 1_700_000_000_000;
export const LIFE = 1_700_000_000;
export const KEY = "default/web";
export const SHARD = shardOf(KEY);

type Draft<E> = E extends unknown ? Omit<E, "wallMs"> : never;

/** One node in a cluster with n2, and an API that the test answers for. */
export class Bench {
  state: ClaimantState = claimantStart();
  wakeAt: number | undefined;
  readonly config: ClaimantConfig;

  constructor(config: Partial<ClaimantConfig> = {}) {
    this.config = { ...SIM_CONFIG, node: "n1", process: "p1", ...config };
  }

  at(now: number, event: Draft<ClaimantEvent>): readonly ClaimantAction[] {
    const result = claimantStep(this.state, { ...event, wallMs: WALL }, now, this.config);
    this.state = result.state;
    this.wakeAt = result.wakeAt;
    return result.actions;
  }

  wish(now: number, fit: Fit, key = KEY): readonly ClaimantAction[] {
    return this.at(now, { type: "wishes", wishes: new Map([[key, { fit, nodes: undefined, weight: 1, preferred: ["n1"] }]]) });
  }

  shard(now: number, resourceVersion: string, text: string, read = false): readonly ClaimantAction[] {
    return this.at(now, { type: "shard", shard: SHARD, version: { resourceVersion, text }, read });
  }

  wrote(now: number, id: number, resourceVersion: string, text: string): readonly ClaimantAction[] {
    return this.at(now, { type: "shardWritten", shard: SHARD, id, version: { resourceVersion, text } });
  }

  peer(now: number, resourceVersion: string, record: Partial<MemberRecord> = {}): readonly ClaimantAction[] {
    return this.at(now, { type: "member", node: "n2", version: { resourceVersion, record: member(record) }, read: false });
  }

  until(key = KEY): number {
    return claimHeldUntil(this.state, key, this.config);
  }

  /** Fresh since 1000, all shards known and empty; n2 is live in its life 4. */
  static ready(config: Partial<ClaimantConfig> = {}): Bench {
    const bench = new Bench(config);
    for (let shard = 0; shard < SHARDS; shard += 1) bench.at(900, { type: "shard", shard, version: undefined, read: false });
    bench.peer(950, "5", {});
    bench.at(1000, { type: "membersListed" });
    bench.at(1010, { type: "memberWritten", node: "n1", id: 1, version: { resourceVersion: "10", record: member({ incarnation: LIFE, process: "p1" }) } });
    return bench;
  }

  /** Holds the key by version 20 of its shard, written at 1020. */
  static holding(config: Partial<ClaimantConfig> = {}): Bench {
    const bench = Bench.ready(config);
    bench.wish(1020, "run");
    bench.wrote(1030, 1, "20", MINE);
    return bench;
  }
}

export function member(change: Partial<MemberRecord>): MemberRecord {
  return { incarnation: 4, seq: 1, process: "p2", state: "live", drain: false, weight: 1, after: "nothing", ...change };
}

export const MINE = `{"${KEY}":"n1#${LIFE}"}`;
export const OFFERED = `{"${KEY}":"n1#${LIFE}>n2#4"}`;
export const TAKEN = `{"${KEY}":"n2#4<n1#${LIFE}"}`;

export function writes(actions: readonly ClaimantAction[]): readonly { readonly text: string; readonly base: string | undefined }[] {
  return actions.flatMap((action) => (action.type === "writeShard" ? [{ text: action.text, base: action.base?.resourceVersion }] : []));
}
