import type { OwnershipKey, Vip } from "./model.js";
import type { Plan } from "./plan.js";
import type { Observation } from "./sync.js";
import type { World } from "./world.js";

/** What figures are made of: world and plan of one pass of the loop. */
export interface Pass {
  readonly world: Pick<World, "ownership" | "observed" | "observedLinks" | "observedDnat">;
  readonly plan: { readonly wants: Pick<Plan["wants"], "arp">; readonly settled: boolean };
}

/** A verb of a mode failed, for the first time or again. */
export interface Failure {
  readonly what: "vip" | "link" | "dnat";
  /** The code of the error (`EPERM`, `addressInUse`), or `other`. */
  readonly reason: string;
}

/** An ownership came here, and everything that stands behind it is decided. */
export interface Takeover {
  readonly key: OwnershipKey;
  /** From the pass that first knew of the ownership to the one that found no VIP of it on its way any more, ms. */
  readonly ms: number;
  /** VIPs that are up by then. */
  readonly vips: number;
}

/** VIPs that are wanted and known to be there. */
export function heldVips({ world, plan }: Pass): readonly Vip[] {
  return [...plan.wants.arp.values()].filter(({ key }) => world.observed.get(key)?.state === "up");
}

/** What failed from one pass to the next. */
export function failuresBetween(before: Pass | undefined, after: Pass): readonly Failure[] {
  return [
    ...newFailures("vip", before?.world.observed, after.world.observed),
    ...newFailures("link", before?.world.observedLinks, after.world.observedLinks),
    ...newFailures("dnat", before?.world.observedDnat, after.world.observedDnat),
  ];
}

function* newFailures<K>(what: Failure["what"], before: ReadonlyMap<K, Observation<void>> | undefined, after: ReadonlyMap<K, Observation<void>>): Generator<Failure> {
  for (const [key, observation] of after) {
    if (observation.state === "failed" && before?.get(key) !== observation) yield { what, reason: reasonOf(observation.error) };
  }
}

/** The code of an error as a label: one of a bounded set, whoever made the error. */
export function reasonOf(error: unknown): string {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" && /^\w{1,40}$/.test(code) ? code : "other";
}

/** Times take-overs. Time is an argument: monotonic ms. */
export class Takeovers {
  /** Since when a key has been held; undefined once its take-over was told. */
  readonly #held = new Map<OwnershipKey, number | undefined>();

  /** To be called with every pass; returns the take-overs that it ended, and the keys that were lost. */
  pass({ world, plan }: Pass, now: number): { readonly done: readonly Takeover[]; readonly lost: readonly OwnershipKey[] } {
    const lost = [...this.#held.keys()].filter((key) => world.ownership.get(key)?.held !== true);
    for (const key of lost) this.#held.delete(key);
    for (const [key, { held }] of world.ownership) if (held && !this.#held.has(key)) this.#held.set(key, now);
    const done: Takeover[] = [];
    if (!plan.settled) return { done, lost };
    for (const [key, since] of this.#held) {
      if (since === undefined) continue;
      const vips = vipsOf(key, { world, plan });
      if (vips === undefined) continue;
      this.#held.set(key, undefined);
      // An ownership without VIPs is no take-over of anything.
      if (vips > 0) done.push({ key, ms: now - since, vips });
    }
    return { done, lost };
  }
}

/** How many VIPs of this key are up; undefined while one is on its way. */
function vipsOf(key: OwnershipKey, { world, plan }: Pass): number | undefined {
  let up = 0;
  for (const vip of plan.wants.arp.values()) {
    if (vip.ownership !== key) continue;
    const state = world.observed.get(vip.key)?.state ?? "pending";
    if (state === "pending") return undefined;
    if (state === "up") up += 1;
  }
  return up;
}
