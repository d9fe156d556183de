import type { LinkAddress } from "../ports/kernel.js";
import type { History, Moment, Subject } from "./history.js";
import type { RouteKey } from "./model.js";
import type { Plan, PlanConfig } from "./plan.js";
import type { World } from "./world.js";

/** All that a report is made of. */
export interface ExplainInput {
  readonly world: World;
  readonly plan: Plan;
  readonly config: PlanConfig;
  readonly history: History;
  /** What the kernel has now; undefined where it could not be read. */
  readonly kernel: readonly LinkAddress[] | undefined;
  /** Undefined in ARP mode. */
  readonly peers?: readonly PeerView[] | undefined;
  readonly at: Moment;
  readonly version: string;
  readonly startedAt: Moment;
}

/** A moment for people and for programs. */
export interface SinceReport {
  /** RFC 3339, by this node's wall clock. */
  readonly at: string;
  /** Seconds ago, by its monotonic clock. */
  readonly seconds: number;
}

/** A BGP peer as reports about Services look at it. */
export interface PeerView {
  readonly name: string;
  /** As RFC 4271 8.2.2 names it: `Established`, `Active` ... */
  readonly state: string;
  /** Why the session is not up, or not all is announced to it; empty where nothing is wrong. */
  readonly problem: string;
  /** Whether the peer has this route of us. */
  has(key: RouteKey): boolean;
}

export function since(moment: Moment, at: Moment): SinceReport {
  return { at: new Date(Math.floor(moment.wallMs)).toISOString(), seconds: Math.max(0, Math.floor((at.now - moment.now) / 1000)) };
}

/** Since when a subject is as it is; null where that is not known. */
export function sinceOf(history: History, subject: Subject, at: Moment): SinceReport | null {
  const current = history.current(subject);
  return current === undefined ? null : since(current.at, at);
}
