import { messageOf } from "../lib/errors.js";
import { ownershipSubject, serviceSubject, vipSubject, type History, type Moment, type Subject } from "./history.js";
import type { ServiceKey } from "./model.js";
import type { Plan } from "./plan.js";
import type { OwnershipState, World } from "./world.js";

/** What one pass of the loop knew and decided. */
export interface Pass {
  readonly world: Pick<World, "ownership" | "observed" | "services">;
  readonly plan: Pick<Plan, "skipped">;
}

/** Writes down what changed from one pass to the next; `before` is undefined for the first. Costs nothing for what stayed the same. */
export function recordPass(history: History, passes: { readonly before: Pass | undefined; readonly after: Pass }, at: Moment): void {
  const { before, after } = passes;
  for (const [key, state] of after.world.ownership) {
    if (before?.world.ownership.get(key) !== state) history.record(ownershipSubject(key), { ...ownershipWords(state), at });
  }
  recordVips(history, passes, at);
  for (const key of after.world.services?.keys() ?? []) recordService(history, { key, before, after }, at);
  for (const key of before?.world.services?.keys() ?? []) {
    if (after.world.services?.has(key) === false) history.record(serviceSubject(key), { state: "deleted", detail: "", at });
  }
}

/** State and detail of an ownership key. */
export function ownershipWords({ held, view, holder }: OwnershipState): { readonly state: string; readonly detail: string } {
  if (held) return { state: "mine", detail: "" };
  if (view === "unknown") return { state: "unknown", detail: "the Lease has not been seen yet" };
  if (view === "free" || holder === "") return { state: "free", detail: "nobody holds it" };
  return { state: `held by ${holder}`, detail: view === "mine" ? "named here, not confirmed since" : "" };
}

function recordVips(history: History, { before, after }: { readonly before: Pass | undefined; readonly after: Pass }, at: Moment): void {
  for (const [key, observation] of after.world.observed) {
    const old = before?.world.observed.get(key);
    if (old === observation) continue;
    const subject = vipSubject(key);
    history.record(subject, { state: observation.state, detail: "", at });
    if (observation.state === "up") history.cleared(subject, at);
    if (observation.state === "failed") history.failed(subject, messageOf(observation.error), at);
  }
  for (const key of before?.world.observed.keys() ?? []) {
    if (!after.world.observed.has(key)) history.record(vipSubject(key), { state: "gone", detail: "", at });
  }
}

function recordService(history: History, { key, before, after }: { key: ServiceKey; before: Pass | undefined; after: Pass }, at: Moment): void {
  const reason = after.plan.skipped.get(key);
  const old = before?.plan.skipped.get(key);
  const subject: Subject = serviceSubject(key);
  if (reason !== undefined) {
    if (old?.code !== reason.code || old.message !== reason.message) history.record(subject, { state: reason.code, detail: reason.message, at });
    return;
  }
  if (old === undefined && before?.world.services?.has(key) === true) return;
  history.record(subject, { state: "wanted", detail: "", at });
}
