import type { ModeName, OwnershipKey, VipKey, WantOf } from "./model.js";

/** Why a mode is told to let go. */
export type DownReason = "unwanted" | "notOwner" | "leftover" | "shutdown";

/** Something that an earlier life of this program left in the kernel. */
export interface Held {
  readonly key: VipKey;
  /** For the log: `192.0.2.10/32 on eth0, 3 s left`. */
  readonly describe: string;
}

/**
 * The contract of a mode. All three verbs are idempotent and may be called in any order; test/modes/conformance.ts is run against every mode.
 */
export interface VipMode<M extends ModeName = ModeName> extends AsyncDisposable {
  readonly name: M;
  /** Holds and announces `want`. Again with the same or a changed want: harmless, and repairs what is missing. */
  up(want: WantOf[M], signal: AbortSignal): Promise<void>;
  /** Lets go. Absent is success; works from the key alone. */
  down(key: VipKey, reason: DownReason, signal: AbortSignal): Promise<void>;
  /** What is there by our mark, made by whichever life of this program. */
  held(signal: AbortSignal): Promise<readonly Held[]>;
}

/** How long this node may hold what an ownership key stands for. Read afresh before every use; never kept. */
export interface Fence {
  /** Monotonic ms until which this process may hold and announce; 0 where it may not. */
  heldUntil(ownership: OwnershipKey): number;
  /** Monotonic ms at which a lifetime given to the kernel now has to have ended; 0 where this process may not hold. */
  kernelDeadline(ownership: OwnershipKey): number;
  /** Calls `listener` after every renew that took effect. Returns what ends it. */
  onRenewed(listener: (ownership: OwnershipKey) => void): () => void;
}
