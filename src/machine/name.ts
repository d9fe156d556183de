import { familyOf, ipToBytes, type IpAddress } from "../lib/ip.js";
import { backoffMs } from "./backoff.js";
import type { StepResult } from "./step.js";

/**
 * The addresses of one DNS name, followed. Asked at once, then again when the smallest TTL of the answer has run out.
 *
 * An address never goes because DNS is down: a failure (no answer, SERVFAIL, refused) keeps the addresses of the last good answer, sets `error`,
 * and is tried again with back-off. Where one family fails, the answer of the other counts; where one family has nothing and the other has
 * addresses, that is believed at once.
 * "No such name" and "no address of either family" are answers, but also what a half-loaded zone or a broken resolver says: they drop the addresses
 * only after `goneAnswers` such answers in a row, of which the last came at least `goneMs` after the first. A failure in between starts the count anew.
 */
export interface NameConfig {
  /** A smaller TTL counts as this one, a larger one as `mostMs`. */
  readonly leastMs: number;
  readonly mostMs: number;
  /** Back-off after a failure: the first is between half of `retryFirstMs` and all of it, then doubled up to `retryMostMs`. */
  readonly retryFirstMs: number;
  readonly retryMostMs: number;
  /** A question without an answer for so long has failed. */
  readonly timeoutMs: number;
  readonly goneAnswers: number;
  readonly goneMs: number;
}

/** TTLs of 5 s to 5 min; failures are tried again after 1 s to 30 s; three times gone within 30 s is gone. */
export const NAME_DEFAULTS: NameConfig = {
  leastMs: 5000,
  mostMs: 300_000,
  retryFirstMs: 2000,
  retryMostMs: 30_000,
  timeoutMs: 15_000,
  goneAnswers: 3,
  goneMs: 30_000,
};

/** What is known of a name. */
export interface NameResult {
  /** Of both families, IPv4 first, each in numeric order, so that a rotated answer is no change. Empty before the first good answer, and when the name is gone. */
  readonly addresses: readonly IpAddress[];
  /** Why the newest question brought no full answer: `resolve A web.example.org: ESERVFAIL`. The addresses are then those of an earlier one. */
  readonly error: string | undefined;
  /** Monotonic ms of the answer that first gave exactly these addresses; undefined where there are none. */
  readonly resolvedAt: number | undefined;
}

/** What one query, for one family, showed. `addresses` is empty where the name has none of that family (NODATA); `absent`: there is no such name. */
export type NameAnswer =
  | { readonly kind: "addresses"; readonly addresses: readonly IpAddress[]; readonly ttlMs: number }
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly reason: string };

export interface NameAnswers {
  readonly ipv4: NameAnswer;
  readonly ipv6: NameAnswer;
}

export interface NameState {
  /** Undefined until the first question is over. The same object for as long as it says the same. */
  readonly result: NameResult | undefined;
  readonly question: { readonly id: number; readonly startedAt: number } | undefined;
  /** Questions since the last full answer. */
  readonly attempts: number;
  /** Answers in a row that said the name is gone, and when the first of them came. */
  readonly gone: { readonly answers: number; readonly since: number } | undefined;
  readonly nextAt: number;
  readonly nextId: number;
}

/** `random` is uniform in [0, 1). */
export type NameEvent =
  | { readonly type: "tick"; readonly random: number }
  | { readonly type: "answer"; readonly id: number; readonly answers: NameAnswers; readonly random: number };

/** `ask`: for both families. `cancel`: the answer is of no more interest; it may still come, and is ignored. */
export type NameAction = { readonly type: "ask"; readonly id: number } | { readonly type: "cancel"; readonly id: number };

/** Nothing asked yet. The first event, a `tick`, asks the first question. */
export function nameStart(): NameState {
  return { result: undefined, question: undefined, attempts: 0, gone: undefined, nextAt: -Infinity, nextId: 1 };
}

/** One event in, new state and the questions to ask or to drop. At most one question is under way. */
export function nameStep(state: NameState, event: NameEvent, now: number, config: NameConfig): StepResult<NameState, NameAction> {
  const actions: NameAction[] = [];
  const moment = { now, random: event.random, config };
  let next = state;
  if (event.type === "answer" && event.id === state.question?.id) next = judged(state, event.answers, moment);
  if (next.question !== undefined && now >= next.question.startedAt + config.timeoutMs) {
    actions.push({ type: "cancel", id: next.question.id });
    const late: NameAnswer = { kind: "failed", reason: `no answer within ${config.timeoutMs} ms` };
    next = judged(next, { ipv4: late, ipv6: late }, moment);
  }
  if (next.question === undefined && now >= next.nextAt) {
    actions.push({ type: "ask", id: next.nextId });
    next = { ...next, question: { id: next.nextId, startedAt: now }, nextId: next.nextId + 1 };
  }
  return { state: next, actions, wakeAt: next.question === undefined ? next.nextAt : next.question.startedAt + config.timeoutMs };
}

/** Without doubles; IPv4 before IPv6, each in numeric order. */
export function inOrder(addresses: Iterable<IpAddress>): readonly IpAddress[] {
  return [...new Set(addresses)].toSorted(compareAddresses);
}

interface Moment {
  readonly now: number;
  readonly random: number;
  readonly config: NameConfig;
}

function judged(state: NameState, { ipv4, ipv6 }: NameAnswers, moment: Moment): NameState {
  const given = [...addressesOf(ipv4), ...addressesOf(ipv6)];
  const failure = reasonOf(ipv4) ?? reasonOf(ipv6);
  if (given.length === 0 && failure === undefined) return judgedGone(state, ipv4.kind === "absent" && ipv6.kind === "absent", moment);
  const known = state.result?.addresses ?? [];
  // Without any address a round is no evidence against the ones that are known, whatever the family that did not fail says.
  const addresses = given.length === 0 ? known : inOrder([...given, ...keptOf(known, ipv4, 4), ...keptOf(known, ipv6, 6)]);
  const next: NameState = { ...state, question: undefined, gone: undefined, result: resultOf(state.result, { addresses, error: failure }, moment.now) };
  if (failure !== undefined) return { ...next, attempts: state.attempts + 1, nextAt: retryAt(state, moment) };
  const ttlMs = Math.min(ttlOf(ipv4), ttlOf(ipv6));
  return { ...next, attempts: 0, nextAt: moment.now + Math.min(Math.max(ttlMs, moment.config.leastMs), moment.config.mostMs) };
}

function judgedGone(state: NameState, absent: boolean, moment: Moment): NameState {
  const { now, config } = moment;
  const gone = { answers: (state.gone?.answers ?? 0) + 1, since: state.gone?.since ?? now };
  const confirmed = gone.answers >= config.goneAnswers && now >= gone.since + config.goneMs;
  const addresses = confirmed ? [] : (state.result?.addresses ?? []);
  const error = absent ? "no such name" : "no A and no AAAA records";
  // The question that confirms it is not left to the back-off.
  const confirmAt = now < gone.since + config.goneMs ? gone.since + config.goneMs : Infinity;
  return {
    ...state,
    question: undefined,
    gone,
    result: resultOf(state.result, { addresses, error }, now),
    attempts: state.attempts + 1,
    nextAt: Math.min(retryAt(state, moment), confirmAt),
  };
}

function resultOf(old: NameResult | undefined, { addresses, error }: Pick<NameResult, "addresses" | "error">, now: number): NameResult {
  const same = old !== undefined && old.addresses.join() === addresses.join();
  if (same && old.error === error) return old;
  if (same) return { ...old, error };
  return { addresses, error, resolvedAt: addresses.length === 0 ? undefined : now };
}

function retryAt({ attempts }: NameState, { now, random, config }: Moment): number {
  return now + backoffMs(attempts, config.retryFirstMs, config.retryMostMs, random);
}

function addressesOf(answer: NameAnswer): readonly IpAddress[] {
  return answer.kind === "addresses" ? answer.addresses : [];
}

function reasonOf(answer: NameAnswer): string | undefined {
  return answer.kind === "failed" ? answer.reason : undefined;
}

/** A negative answer has no TTL here: that of the other family counts. */
function ttlOf(answer: NameAnswer): number {
  return answer.kind === "addresses" && answer.addresses.length > 0 ? answer.ttlMs : Infinity;
}

function keptOf(known: readonly IpAddress[], answer: NameAnswer, family: 4 | 6): readonly IpAddress[] {
  return answer.kind === "failed" ? known.filter((address) => familyOf(address) === family) : [];
}

function compareAddresses(a: IpAddress, b: IpAddress): number {
  if (familyOf(a) !== familyOf(b)) return familyOf(a) - familyOf(b);
  const [left, right] = [ipToBytes(a), ipToBytes(b)];
  const at = left.findIndex((byte, index) => byte !== right[index]);
  return at < 0 ? 0 : (left[at] ?? 0) - (right[at] ?? 0);
}
