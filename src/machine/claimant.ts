import type { Claim, Ref } from "./claim-codec.js";
import { claimStart, isGivenUp, isMe, offerBound, type ClaimConfig, type ClaimEnv, type ClaimState, type ShardState } from "./claim-state.js";
import { claimStep, type ClaimAction, type ClaimEvent } from "./claims.js";
import { freshUntil, isAlive, memberKernelDeadline, memberStart, ownRef, type MemberConfig, type MemberState } from "./member-state.js";
import { memberStep, type MemberAction, type MemberEvent } from "./membership.js";
import { shardOf, someStay } from "./placement.js";
import type { StepResult } from "./step.js";

/*
 * One node's part in sharing out many keys: membership and claims, run together. What to feed: every version of every member Lease and of every shard
 * that the watches show, answers to the actions, wishes, stance. What to ask after every step: `heldUntil` and the rest below, which change with time alone.
 */

/** So long after somebody asked for it the load is made even, however short a while members have been there. */
const EVEN_MS = 60_000;
/** It is over as soon as there is nothing left to move, but no sooner than this: members that have only just started may have yet to join. */
const EVEN_LEAST_MS = 10_000;
/** With so many moves a second, or more where the configuration allows more. */
const EVEN_RATE = 50;

export interface ClaimantConfig extends MemberConfig, ClaimConfig {
  /** A process that ends waits no longer than this for others to take another key of it, ms. */
  readonly leaveMs: number;
  /** The same for all of its keys, ms. */
  readonly leaveAllMs: number;
}

export interface ClaimantState {
  readonly member: MemberState;
  readonly claims: ClaimState;
  readonly leaving: Leaving | undefined;
  readonly even: Evening;
}

/** A process that ends: since when, and when it was last named by fewer claims than before. */
interface Leaving {
  readonly since: number;
  readonly named: number;
  readonly progressAt: number;
}

/** Somebody asked for it: until then the load is made even at once, whoever came when. */
interface Evening {
  readonly askedAt: number;
  readonly until: number;
}

export type ClaimantEvent = WithWall<Exclude<ClaimEvent, { readonly type: "look" }>> | MemberEvent | { readonly type: "rebalance"; readonly wallMs: number };
type WithWall<E> = E extends unknown ? E & { readonly wallMs: number } : never;
export type ClaimantAction = MemberAction | ClaimAction;

/** Nothing known. */
export function claimantStart(): ClaimantState {
  return { member: memberStart(), claims: claimStart(), leaving: undefined, even: { askedAt: -Infinity, until: -Infinity } };
}

/** One event in, new state and the requests to send out. */
export function claimantStep(state: ClaimantState, event: ClaimantEvent, now: number, config: ClaimantConfig): StepResult<ClaimantState, ClaimantAction> {
  const run = new Run(state, now, config, event.wallMs);
  switch (event.type) {
    case "shard":
      if (!event.read) run.member({ type: "heard", wallMs: event.wallMs });
      run.claim(event);
      break;
    case "shardWritten":
    case "shardFailed":
    case "shardReadFailed":
    case "wishes":
      run.claim(event);
      break;
    case "rebalance":
      run.even();
      break;
    default:
      run.member(event);
  }
  return run.end();
}

/** One step: what is passed from membership to claims and back. */
class Run {
  #member: MemberState;
  #claims: ClaimState;
  #looked = false;
  #leaving: Leaving | undefined;
  #even: Evening;
  readonly #actions: ClaimantAction[] = [];
  #memberWakeAt: number | undefined;

  constructor(
    private readonly before: ClaimantState,
    private readonly now: number,
    private readonly config: ClaimantConfig,
    private readonly wallMs: number,
  ) {
    this.#member = before.member;
    this.#claims = before.claims;
    this.#leaving = before.leaving;
    this.#even = before.even;
  }

  even(): void {
    this.#even = { askedAt: this.now, until: this.now + EVEN_MS };
    this.claim({ type: "look", lapsed: false });
  }

  member(event: MemberEvent): void {
    const { state, actions, wakeAt } = memberStep(this.#member, event, this.now, this.config);
    this.#member = state;
    this.#memberWakeAt = wakeAt;
    this.#actions.push(...actions);
  }

  claim(event: ClaimEvent): void {
    const env = envOf(this.#member, this.config);
    const { askedAt, until } = this.#even;
    const evens = this.now < until;
    const { state, actions } = claimStep(this.#claims, event, this.now, evens ? { ...env, config: evening(env.config) } : env);
    this.#claims = state;
    this.#looked = true;
    this.#actions.push(...actions);
    if (evens) this.#even = { askedAt, until: askedAt + (state.even ? EVEN_LEAST_MS : EVEN_MS) };
  }

  end(): StepResult<ClaimantState, ClaimantAction> {
    if (!this.#looked && this.#lookIsDue()) this.claim({ type: "look", lapsed: this.now >= freshUntil(this.before.member, this.config) });
    if (this.#contentChanged()) this.member({ type: "named", nodes: namedBy(this.#claims), wallMs: this.wallMs });
    this.#leave();
    if (this.#memberWakeAt === undefined) this.member({ type: "tick", wallMs: this.wallMs });
    const state = { member: this.#member, claims: this.#claims, leaving: this.#leaving, even: this.#even };
    return { state, actions: this.#actions, wakeAt: this.#wakeAt() };
  }

  /** Whether anything that claims depend on is not as it was: they are many, and a renew somewhere is no reason to go through all of them. */
  #lookIsDue(): boolean {
    const [a, b] = [this.before.member, this.#member];
    const fresh = (state: MemberState): boolean => this.now < freshUntil(state, this.config);
    const { wakeAt } = this.#claims;
    if (a.view !== b.view || a.stance !== b.stance || (wakeAt !== undefined && this.now >= wakeAt)) return true;
    return fresh(b) ? !fresh(a) || !sameLife(a, b, this.config) : wakeAt !== undefined;
  }

  #contentChanged(): boolean {
    if (this.before.member.listed !== this.#member.listed) return true;
    return this.#claims.shards.some(({ content }, index) => content !== this.before.claims.shards[index]?.content);
  }

  /** Ends the membership when nothing is left to be handed over, or it has taken too long. */
  #leave(): void {
    if (this.#member.stance !== "leave") return;
    const named = countNamed(this.#claims, this.config.node);
    const before = this.#leaving ?? { since: this.now, named: Infinity, progressAt: this.now };
    this.#leaving = named < before.named ? { ...before, named, progressAt: this.now } : before;
    const fresh = this.now < freshUntil(this.#member, this.config);
    const over = this.now >= this.#leaveBy(this.#leaving);
    if (over || !fresh || this.#claims.wishes === undefined || named === 0) {
      this.member({ type: "stance", stance: "out", wallMs: this.wallMs });
    }
  }

  #leaveBy({ since, progressAt }: Leaving): number {
    return Math.min(progressAt + this.config.leaveMs, since + this.config.leaveAllMs);
  }

  #wakeAt(): number | undefined {
    const leaveAt = this.#member.stance === "leave" && this.#leaving !== undefined ? this.#leaveBy(this.#leaving) : Infinity;
    const at = Math.min(this.#memberWakeAt ?? Infinity, this.#claims.wakeAt ?? Infinity, leaveAt);
    return at === Infinity ? undefined : Math.max(this.now, at);
  }
}

function evening(config: ClaimConfig): ClaimConfig {
  return { ...config, steadyMs: 0, returnedMs: 0, rebalanceRate: Math.max(EVEN_RATE, config.rebalanceRate) };
}

function sameLife(a: MemberState, b: MemberState, config: MemberConfig): boolean {
  return ownRef(a, config)?.incarnation === ownRef(b, config)?.incarnation;
}

function envOf(member: MemberState, config: ClaimantConfig): ClaimEnv {
  const giving = member.stance === "in" ? "no" : member.stance !== "drain" ? "leave" : someStay(member.view) ? "drain" : "no";
  return { config, node: config.node, me: ownRef(member, config), freshUntil: freshUntil(member, config), members: member.view, giving };
}

function namedBy({ shards }: ClaimState): ReadonlySet<string> {
  const nodes = new Set<string>();
  for (const { content } of shards) {
    for (const { owner, heir, from } of content.claims.values()) {
      nodes.add(owner.node);
      if (heir !== undefined) nodes.add(heir.node);
      if (from !== undefined) nodes.add(from.node);
    }
  }
  return nodes;
}

/** Claims that name the node as owner or former owner; a write that is under way may be of one, too. */
function countNamed({ shards }: ClaimState, node: string): number {
  let named = 0;
  for (const { content, inFlight } of shards) {
    if (inFlight !== undefined) named += 1;
    for (const { owner, from } of content.claims.values()) if (owner.node === node || from?.node === node) named += 1;
  }
  return named;
}

/** Who has a key, by the newest version known. */
export type ClaimView =
  /** The shard has not been seen yet, or cannot be read. */
  | { readonly type: "unknown"; readonly reason: string }
  | { readonly type: "free" }
  /** `heir`: it is being handed over. */
  | { readonly type: "mine" | "other"; readonly node: string; readonly heir: string | undefined };

/** What an observer may say of a key. */
export function claimView({ claims, member }: ClaimantState, key: string, config: ClaimantConfig): ClaimView {
  const shard = shardAt(claims, key);
  if (shard?.known !== true) return { type: "unknown", reason: "the claims have not been read yet" };
  if (shard.unreadable !== undefined) return { type: "unknown", reason: `vip-claims-${shardOf(key)} is not readable: ${shard.unreadable}` };
  if (shard.content.kept.has(key)) return { type: "unknown", reason: "its claim is of another version of this program" };
  const claim = shard.content.claims.get(key);
  if (claim === undefined || !counts(claim.owner, member, config)) return { type: "free" };
  const { owner, heir } = claim;
  return { type: isMe(owner, envOf(member, config)) ? "mine" : "other", node: owner.node, heir: heir?.node };
}

/** Monotonic ms until which this node may hold the address of `key` unless something changes; 0 where it may not. */
export function claimHeldUntil(state: ClaimantState, key: string, config: ClaimantConfig): number {
  const env = envOf(state.member, config);
  const shard = shardAt(state.claims, key);
  const claim = shard?.content.claims.get(key);
  const note = state.claims.notes.get(key);
  if (env.me === undefined || shard === undefined || claim === undefined || isGivenUp(shard, key)) return 0;
  if (isMe(claim.owner, env)) {
    return note?.droppedAt === undefined ? Math.min(env.freshUntil, offerBound(shard, key, claim, note, config)) : 0;
  }
  if (!isMe(claim.from, env) || note?.takenAt === undefined) return 0;
  // Make before break: the heir has yet to add it.
  return Math.max(0, Math.min(env.freshUntil, note.takenAt + config.heirMs));
}

/** True while this node may hold the address of `key`. */
export function claimHolds(state: ClaimantState, key: string, at: { readonly now: number; readonly config: ClaimantConfig }): boolean {
  return at.now < claimHeldUntil(state, key, at.config);
}

/** True while it is this node whose MAC others should learn: not from the moment on at which an heir may have it. */
export function claimMayAnnounce(state: ClaimantState, key: string, at: { readonly now: number; readonly config: ClaimantConfig }): boolean {
  return claimHolds(state, key, at) && !isLeaving(state, key, at.config);
}

/** Monotonic ms at which a kernel lifetime set now has to have ended: before anybody else may take over. */
export function claimKernelDeadline(state: ClaimantState, key: string, config: ClaimantConfig): number {
  const held = claimHeldUntil(state, key, config);
  if (held === 0) return 0;
  const deadline = memberKernelDeadline(state.member, config);
  // Should this process die now, an heir may take over at any moment. Lifetimes are whole seconds, so nearly one more is allowed.
  return isLeaving(state, key, config) ? Math.min(deadline, held + 999) : deadline;
}

/** It is on offer, or an heir has it already. */
function isLeaving({ claims, member }: ClaimantState, key: string, config: ClaimantConfig): boolean {
  const shard = shardAt(claims, key);
  const claim = shard?.content.claims.get(key);
  if (shard === undefined || claim === undefined) return true;
  return !isMe(claim.owner, envOf(member, config)) || offerBound(shard, key, claim, undefined, config) !== Infinity;
}

/** Why some keys stay without an owner: a shard that is full. */
export function claimRefusals({ claims }: ClaimantState): readonly string[] {
  return claims.shards.flatMap(({ refused }) => (refused === undefined ? [] : [refused]));
}

/** True once the process may end: the membership is over, and no write of it is under way. */
export function hasLeft({ member }: ClaimantState, config: ClaimantConfig): boolean {
  return member.stance === "out" && member.inFlight.length === 0 && ownRef(member, config) === undefined;
}

function counts(ref: Ref, member: MemberState, config: ClaimantConfig): boolean {
  const me = ownRef(member, config);
  return me !== undefined && ref.node === me.node ? ref.incarnation === me.incarnation : isAlive(ref, member.view);
}

function shardAt(claims: ClaimState, key: string): ShardState | undefined {
  return claims.shards[shardOf(key)];
}

/** The claim itself, for reports. */
export function claimOf({ claims }: ClaimantState, key: string): Claim | undefined {
  return shardAt(claims, key)?.content.claims.get(key);
}
