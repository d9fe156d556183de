import type { BfdTiming } from "../lib/bgp-peer.js";
import type { BfdReport, BfdTarget } from "../ports/bfd.js";
import type { LogFields } from "../ports/log.js";

/** What the thread of BFD is told. A session is known by a number that is never used again. */
export type ToBfdThread =
  | {
      readonly type: "open";
      readonly id: number;
      readonly target: BfdTarget;
      readonly timing: BfdTiming;
      /** In memory that both threads see. */
      readonly counters: Float64Array;
    }
  | { readonly type: "timing"; readonly id: number; readonly timing: BfdTiming }
  | { readonly type: "close"; readonly id: number }
  /** All sessions end; `ended` is the answer. */
  | { readonly type: "end" };

export type FromBfdThread =
  /** How long ago the state changed: the clocks of two threads do not begin at the same time. */
  | { readonly type: "report"; readonly id: number; readonly report: BfdReport; readonly ageMs: number }
  | { readonly type: "log"; readonly level: "debug" | "info" | "warn" | "error"; readonly message: string; readonly fields: LogFields }
  | { readonly type: "ended" };
