import type { IpAddress } from "../lib/ip.js";
import type { MacAddress } from "../lib/mac.js";
import type { ModeName, OwnershipKey, WantOf } from "./model.js";

/** Why a mode is told to let go. */
export type DownReason = "unwanted" | "notOwner" | "leftover";

/** Something that an earlier life of this program left in the kernel. */
export interface Held<M extends ModeName = ModeName> {
  readonly key: WantOf[M]["key"];
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
  down(key: WantOf[M]["key"], reason: DownReason, signal: AbortSignal): Promise<void>;
  /** What is there by our mark, made by whichever life of this program. */
  held(signal: AbortSignal): Promise<readonly Held<M>[]>;
}

/** How long this node may hold what an ownership key stands for. Read afresh before every use; never kept. */
export interface Fence {
  /** Monotonic ms until which this process may hold; 0 where it may not. */
  heldUntil(ownership: OwnershipKey): number;
  /** Monotonic ms at which a lifetime given to the kernel now has to have ended; 0 where this process may not hold. */
  kernelDeadline(ownership: OwnershipKey): number;
  /** False also while it is being given up: an heir announces by now. */
  mayAnnounce(ownership: OwnershipKey): boolean;
  /** Asks the API whether this node still owns it; true once a renew that started after the call has taken effect, false once it is lost. */
  confirm(ownership: OwnershipKey): Promise<boolean>;
  /**
   * Calls `listener` when `kernelDeadline` has changed: after every renew that took effect, and when it begins to be given up; undefined: that of any key
   * of this fence may have. Returns what ends it.
   */
  onMoved(listener: (ownership: OwnershipKey | undefined) => void): () => void;
}

/** What a mode learns of something that it holds. */
export type ModeReport =
  /** It was found wrong, or need not be missing any more: `up` should run again. */
  | { readonly type: "refresh" }
  /** The mode has taken it off by itself, for now: that it is missing is no drift. */
  | { readonly type: "suspended" }
  /** Another host announces the same address. */
  | { readonly type: "conflict"; readonly mac: MacAddress };

/** The address is held by a host that is none of ours. */
export class AddressInUse extends Error {
  readonly code = "addressInUse";

  constructor(
    readonly address: IpAddress,
    readonly iface: string,
    readonly mac: MacAddress,
    /** That host answers for every address. */
    readonly proxy: boolean,
    readonly retryAfterMs = 10_000,
  ) {
    super(`hold ${address} on ${iface}: ${mac} answers for it${proxy ? ", as for every address (proxy ARP)" : ""}`);
    this.name = "AddressInUse";
  }
}
