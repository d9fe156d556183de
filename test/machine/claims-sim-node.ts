import { claimantStart, type ClaimantAction, type ClaimantEvent, type ClaimantState } from "../../src/machine/claimant.js";
import type { Fit } from "../../src/machine/claim-state.js";
import type { Stored } from "./claims-sim-api.js";

/** A node of the model: one process of ours, one kernel. */
export interface SimNode {
  readonly name: string;
  readonly rate: number;
  readonly offset: number;
  state: ClaimantState;
  process: number;
  alive: boolean;
  frozenUntil: number;
  cutUntil: number;
  watchSlowUntil: number;
  watchDeadUntil: number;
  lastTold: number;
  wake: number;
  goodSince: number;
  readonly fits: Map<string, Fit>;
  /** Real time at which this kernel's address of a key ends. */
  readonly kernel: Map<string, number>;
  readonly renewed: Map<string, string>;
}

/** A node that has not been started; its clock runs up to 1 % fast or slow. */
export function simNode(name: string, random: () => number): SimNode {
  return {
    name,
    rate: 1 + (random() - 0.5) * 0.02,
    offset: random() * 1e6,
    state: claimantStart(),
    process: 0,
    alive: false,
    frozenUntil: -1,
    cutUntil: -1,
    watchSlowUntil: -1,
    watchDeadUntil: -1,
    lastTold: 0,
    wake: 0,
    goodSince: 0,
    fits: new Map(),
    kernel: new Map(),
    renewed: new Map(),
  };
}

type Request = Exclude<ClaimantAction, { readonly type: "relist" }>;

/** The event of a request that was refused, or had no answer. */
export function failure(action: Request, conflict: boolean, wallMs: number): ClaimantEvent {
  switch (action.type) {
    case "readMember":
      return { type: "memberReadFailed", node: action.node, wallMs };
    case "readShard":
      return { type: "shardReadFailed", shard: action.shard, wallMs };
    case "writeShard":
      return { type: "shardFailed", shard: action.shard, id: action.id, conflict, wallMs };
    default:
      return { type: "memberFailed", node: action.node, id: action.id, conflict, wallMs };
  }
}

/** The event of a request that was answered. */
export function success(action: Request, stored: Stored, wallMs: number): ClaimantEvent {
  if (action.type === "readMember" || action.type === "readShard") return { ...stored, read: true, wallMs };
  if (stored.type === "member") return { type: "memberWritten", node: stored.node, id: "id" in action ? action.id : 0, version: stored.version, wallMs };
  if (stored.version === undefined) throw new Error("a shard was written and is not there");
  return { type: "shardWritten", shard: stored.shard, id: "id" in action ? action.id : 0, version: stored.version, wallMs };
}
