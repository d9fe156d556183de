import { messageOf } from "../lib/errors.js";
import { troubleText } from "./dhcp-pending.js";
import { leaseSubject, ownershipSubject, routeSubject, serviceSubject, vipSubject, type History, type Moment, type Subject } from "./history.js";
import type { Plan } from "./plan.js";
import type { Observation } from "./sync.js";
import type { OwnershipState, World } from "./world.js";

/** What one pass of the loop knew and decided. */
export interface Pass {
  readonly world: Pick<World, "ownership" | "observed" | "observedRoutes" | "services" | "leases">;
  readonly plan: Pick<Plan, "skipped">;
}

export interface Passes {
  /** Undefined for the first. */
  readonly before: Pass | undefined;
  readonly after: Pass;
}

/** Writes down what changed from one pass to the next, and runs with every pass: costs next to nothing for what stayed the same. */
export function recordPass(history: History, passes: Passes, at: Moment): void {
  const { before, after } = passes;
  for (const [key, state] of after.world.ownership) {
    if (before?.world.ownership.get(key) !== state) history.record(ownershipSubject(key), { ...ownershipWords(state), at });
  }
  recordHeld(history, { was: before?.world.observed, is: after.world.observed, subject: vipSubject }, at);
  recordHeld(history, { was: before?.world.observedRoutes, is: after.world.observedRoutes, subject: routeSubject }, at);
  if (before?.world.leases !== after.world.leases) recordLeases(history, passes, at);
  recordReasons(history, passes, at);
  if (before?.world.services !== after.world.services) recordServices(history, passes, at);
}

/** State and detail of an ownership key. */
export function ownershipWords({ held, view, holder }: OwnershipState): { readonly state: string; readonly detail: string } {
  if (held) return { state: "mine", detail: view === "unknown" ? "without a Lease, the API has not been reached yet" : "" };
  if (view === "unknown") return { state: "unknown", detail: "the Lease has not been seen yet" };
  if (view === "free" || holder === "") return { state: "free", detail: "nobody holds it" };
  return { state: `held by ${holder}`, detail: view === "mine" ? "named here, not confirmed since" : "" };
}

interface Observed<K> {
  readonly was: ReadonlyMap<K, Observation<void>> | undefined;
  readonly is: ReadonlyMap<K, Observation<void>>;
  readonly subject: (key: K) => Subject;
}

/** Addresses, or routes. */
function recordHeld<K>(history: History, { was, is, subject: subjectOf }: Observed<K>, at: Moment): void {
  for (const [key, observation] of is) {
    const old = was?.get(key);
    if (old === observation) continue;
    const subject = subjectOf(key);
    history.record(subject, { state: observation.state, detail: "", at });
    if (observation.state === "up") history.cleared(subject, at);
    if (observation.state === "failed") history.failed(subject, messageOf(observation.error), at);
  }
  for (const key of was?.keys() ?? []) {
    if (!is.has(key)) history.record(subjectOf(key), { state: "gone", detail: "", at });
  }
}

/** Leases that came, moved, were lost or refused; a renewal is nothing new. */
function recordLeases(history: History, { before, after }: Passes, at: Moment): void {
  const [was, is] = [before?.world.leases, after.world.leases];
  for (const [key, seen] of is) {
    const old = was?.get(key);
    if (old === seen) continue;
    const { lease, trouble } = seen;
    const subject = leaseSubject(key);
    history.record(subject, lease === undefined ? { state: "asking", detail: "", at } : { state: `leased ${lease.address}`, detail: `from ${lease.server}`, at });
    if (trouble !== undefined && trouble !== old?.trouble) history.failed(subject, troubleText(trouble), at);
    if (trouble === undefined && lease !== undefined) history.cleared(subject, at);
  }
  for (const key of was?.keys() ?? []) if (!is.has(key)) history.record(leaseSubject(key), { state: "gone", detail: "", at });
}

/** Services that are skipped for another reason than before, or not any more. */
function recordReasons(history: History, { before, after }: Passes, at: Moment): void {
  for (const [key, reason] of after.plan.skipped) {
    const old = before?.plan.skipped.get(key);
    if (old === reason || (old?.code === reason.code && old.message === reason.message)) continue;
    history.record(serviceSubject(key), { state: reason.code, detail: reason.message, at });
  }
  for (const key of before?.plan.skipped.keys() ?? []) {
    if (!after.plan.skipped.has(key) && after.world.services?.has(key) === true) history.record(serviceSubject(key), { state: "wanted", detail: "", at });
  }
}

/** Services that have come and gone. */
function recordServices(history: History, { before, after }: Passes, at: Moment): void {
  const [was, is] = [before?.world.services, after.world.services];
  for (const key of is?.keys() ?? []) {
    if (was?.has(key) !== true && !after.plan.skipped.has(key)) history.record(serviceSubject(key), { state: "wanted", detail: "", at });
  }
  for (const key of was?.keys() ?? []) {
    if (is?.has(key) === false) history.record(serviceSubject(key), { state: "deleted", detail: "", at });
  }
}
