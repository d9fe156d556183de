import { messageOf } from "../lib/errors.js";
import { Work } from "../lib/work.js";
import type { Wish } from "../machine/claim-state.js";
import {
  claimantStart,
  claimantStep,
  claimHeldUntil,
  claimHolds,
  claimKernelDeadline,
  claimMayAnnounce,
  claimRefusals,
  hasLeft,
  type ClaimantAction,
  type ClaimantConfig,
  type ClaimantEvent,
  type ClaimantState,
} from "../machine/claimant.js";
import { Drive } from "../machine/drive.js";
import type { MemberTerms } from "../machine/member-state.js";
import type { Clock } from "../ports/clock.js";
import type { KubeErrorShape, Lease, Leases } from "../ports/kube.js";
import type { Log } from "../ports/log.js";
import { ClaimFeed } from "./claim-feed.js";
import { ClaimLeases, failureOf, isConflict, OWNERSHIP_LABEL, type ClaimInput, type ClaimRequest } from "./claim-leases.js";
import { ClaimStates } from "./claim-states.js";
import { ClaimStory } from "./claim-story.js";
import { Complaints } from "./complaints.js";
import type { Fence } from "./mode.js";
import type { OwnershipKey } from "./model.js";
import { sameWishes } from "./wishes.js";
import type { OwnershipState } from "./world.js";

export interface ClaimsConfig extends ClaimantConfig {
  /** Of the Leases of members and claims. */
  readonly namespace: string;
  /** Become a member also while there is nothing to share out: who is there when the first key comes gets its share. */
  readonly fromTheStart?: boolean;
}

export interface ClaimsDeps {
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Log;
  /** What `states` returns has changed. */
  changed(): void;
}

type Machine = Drive<ClaimantState, ClaimantEvent, ClaimantAction>;
type Listener = (ownership: OwnershipKey | undefined) => void;

/** How long a process that holds nothing any more tries to tell others that it has left, ms. */
const RELEASE_MS = 1000;
/**
 * Ownership of many keys, shared out among the nodes: one Lease per node and a fixed number of Leases with claims, however many keys there are. Nothing is
 * asked of the API before the first key is wished for. Losing a key never ends the process; it only changes what `states` says.
 */
export class Claims implements Fence, AsyncDisposable {
  readonly #machine: Machine;
  readonly #requests: ClaimLeases;
  readonly #feed: ClaimFeed;
  readonly #states: ClaimStates;
  readonly #complaints: Complaints;
  readonly #story: ClaimStory;
  readonly #listeners = new Set<Listener>();
  readonly #work = new Work();
  readonly #movedOnce: (() => void)[] = [];
  readonly #closing = new AbortController();
  #watching: AbortController | undefined;
  #wishes: ReadonlyMap<OwnershipKey, Wish> | undefined;
  #terms: MemberTerms;
  #leaving = false;
  #renewedAt: number | undefined;
  readonly #failed: Promise<never>;
  #fail: (error: unknown) => void = () => undefined;

  constructor(
    private readonly config: ClaimsConfig,
    private readonly deps: ClaimsDeps,
  ) {
    this.#complaints = new Complaints(deps.clock);
    this.#story = new ClaimStory(deps.log);
    this.#terms = { drain: false, weight: config.weight };
    this.#requests = new ClaimLeases(config, deps.leases);
    this.#states = new ClaimStates(config);
    this.#feed = new ClaimFeed(config.node, (lease, error) => this.#unreadable(lease, error));
    this.#machine = new Drive<ClaimantState, ClaimantEvent, ClaimantAction>(
      {
        start: claimantStart(),
        step: (state, event, now) => claimantStep(state, event, now, config),
        tick: () => ({ type: "tick", wallMs: deps.clock.wallTime() }),
        act: (action) => this.#act(action),
        moved: (state) => this.#moved(state),
      },
      deps.clock,
    );
    this.#failed = new Promise<never>((_resolve, reject) => {
      this.#fail = reject;
    });
    // Whoever asks `failed` hears of it; that nobody does is no unhandled rejection.
    this.#failed.catch(() => undefined);
  }

  /** What this node wants of every key there is; undefined: not known yet. */
  wish(wishes: ReadonlyMap<OwnershipKey, Wish> | undefined): void {
    if (wishes === undefined || this.#closing.signal.aborted) return;
    if (this.#watching === undefined) {
      if ((wishes.size === 0 && this.config.fromTheStart !== true) || this.#leaving) return;
      this.#watch();
    } else if (this.#wishes !== undefined && sameWishes(this.#wishes, wishes)) return;
    this.#wishes = wishes;
    this.#send({ type: "wishes", wishes });
  }

  /** How this node takes part from now on. */
  terms({ drain, weight }: MemberTerms): void {
    if (this.#leaving || (drain === this.#terms.drain && weight === this.#terms.weight)) return;
    if (drain !== this.#terms.drain) this.#stance(drain ? "drain" : "in");
    if (weight !== this.#terms.weight) this.#send({ type: "weight", weight });
    this.#terms = { drain, weight };
  }

  /** Has all members make the load even now, by a Lease that all of them watch. Rejects where nothing is shared out, or the API refuses it. */
  async rebalance(): Promise<void> {
    if (this.#watching === undefined) throw new Error("no keys are shared out here (svc_election is off and there is no Romana VIP): there is nothing to spread");
    await this.#requests.callForBalance(this.deps.clock.wallTime(), this.#closing.signal);
  }

  /** Hands every key over and ends the membership; addresses may stay until the heirs have them, for a bounded time (`heldUntil` says how long). */
  leave(): void {
    this.#leaving = true;
    this.#stance("leave");
  }

  /** This machine seems to have stood still: nothing is held until the API has confirmed it anew. */
  suspect(): void {
    if (this.#watching !== undefined) this.#send({ type: "confirm", stop: true });
  }

  /** Of every key that is wished for; the same map until something in it changes. */
  states(): ReadonlyMap<OwnershipKey, OwnershipState> {
    return this.#states.shown;
  }

  heldUntil(key: OwnershipKey): number {
    return claimHeldUntil(this.#machine.state, key, this.config);
  }

  kernelDeadline(key: OwnershipKey): number {
    const { state } = this.#machine;
    return claimHolds(state, key, this.#at()) ? claimKernelDeadline(state, key, this.config) : 0;
  }

  mayAnnounce(key: OwnershipKey): boolean {
    return claimMayAnnounce(this.#machine.state, key, this.#at());
  }

  async confirm(key: OwnershipKey): Promise<boolean> {
    if (!this.mayAnnounce(key)) return false;
    const asked = this.deps.clock.now();
    this.#send({ type: "confirm", stop: false });
    for (;;) {
      const { renewedAt } = this.#machine.state.member;
      if (!this.mayAnnounce(key) || this.#closing.signal.aborted) return false;
      if (renewedAt !== undefined && renewedAt >= asked) return true;
      await new Promise<void>((resolve) => this.#movedOnce.push(resolve));
    }
  }

  onMoved(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves when, after `leave`, nothing is held any more and the end of the membership has been written. */
  async left(): Promise<void> {
    const isOver = (): boolean => this.#watching === undefined || this.#closing.signal.aborted || hasLeft(this.#machine.state, this.config);
    await this.#until(() => isOver() || this.#machine.state.member.stance === "out");
    // Nothing is held from here on. Where the API does not answer, others find out by themselves.
    let late = false;
    const timer = this.deps.clock.after(RELEASE_MS, () => {
      late = true;
      this.#wakeAll();
    });
    await this.#until(() => late || isOver());
    timer.cancel();
  }

  /** Rejects when the watch ends although nobody ended it: a bug, which must not pass in silence. */
  async failed(): Promise<never> {
    return this.#failed;
  }

  /** Stops without a word to the others: what is held ends by itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    const reason = new DOMException("closing", "AbortError");
    this.#closing.abort(reason);
    this.#watching?.abort(reason);
    this.#machine.stop();
    this.#wakeAll();
    await this.#work.ended();
  }

  async #until(is: () => boolean): Promise<void> {
    while (!is()) await new Promise<void>((resolve) => this.#movedOnce.push(resolve));
  }

  #wakeAll(): void {
    for (const resolve of this.#movedOnce.splice(0)) resolve();
  }

  #at(): { readonly now: number; readonly config: ClaimantConfig } {
    return { now: this.deps.clock.now(), config: this.config };
  }

  #stance(stance: "in" | "drain" | "leave"): void {
    this.#send({ type: "stance", stance });
  }

  #send(event: ClaimInput): void {
    this.#machine.send({ ...event, wallMs: this.deps.clock.wallTime() });
  }

  /** Starts the watch, or starts it again in place of one that has fallen silent. */
  #watch(): void {
    this.#watching?.abort(new DOMException("watched anew", "AbortError"));
    const abort = new AbortController();
    this.#watching = abort;
    const seen = (leases: ReadonlyMap<string, Lease>): void => {
      if (!abort.signal.aborted) for (const event of this.#feed.events(leases, this.deps.clock.wallTime())) this.#send(event);
    };
    const where = { namespace: this.config.namespace, label: OWNERSHIP_LABEL };
    this.#work.add(
      this.deps.leases.watchLabelled(where, seen, abort.signal).catch((error: unknown) => {
        if (!abort.signal.aborted) this.#fail(error);
      }),
    );
  }

  #moved(state: ClaimantState): void {
    const { changes, leaving } = this.#states.update(state, this.deps.clock.now());
    const renewed = state.member.renewedAt !== this.#renewedAt;
    this.#renewedAt = state.member.renewedAt;
    this.#story.tell(claimRefusals(state), changes);
    if (changes.length > 0) this.deps.changed();
    this.#wakeAll();
    const [first, second] = leaving;
    if ((renewed && this.#states.anyHeld) || second !== undefined) this.#told(undefined);
    else if (first !== undefined) this.#told(first);
  }

  #told(ownership: OwnershipKey | undefined): void {
    for (const listener of this.#listeners) listener(ownership);
  }

  #act(action: ClaimantAction): void {
    if (action.type === "relist") {
      const repeated = this.#complaints.worthSaying("watch", "silent");
      if (repeated !== undefined) this.deps.log.warn("watch of members and claims shows nothing, started anew", { repeated });
      this.#watch();
      return;
    }
    this.#work.add(this.#carryOut(action));
  }

  async #carryOut(action: ClaimRequest): Promise<void> {
    const { signal } = this.#closing;
    const event = await this.#request(action, signal);
    if (!signal.aborted) this.#send(event);
  }

  async #request(action: ClaimRequest, signal: AbortSignal): Promise<ClaimInput> {
    try {
      return await this.#requests.ask(action, this.deps.clock.wallTime(), signal);
    } catch (error) {
      const conflict = isConflict(action, error);
      if (!conflict && !signal.aborted) this.#complain(action, error);
      return failureOf(action, conflict);
    }
  }

  #complain(action: ClaimRequest, error: unknown): void {
    const { log } = this.deps;
    const code = (error as Partial<KubeErrorShape>).code ?? "";
    const lease = this.#requests.nameOf(action);
    const repeated = this.#complaints.worthSaying(`${lease} ${action.type}`, code);
    if (repeated === undefined) return;
    const told = { lease, request: action.type, error: messageOf(error), repeated };
    // Nothing is held without it, until somebody changes the access rules.
    if (code === "forbidden") log.error("lease request failed", told);
    else log.warn("lease request failed", told);
  }

  #unreadable({ id: { name } }: Lease, error: Error): void {
    const repeated = this.#complaints.worthSaying(name, "unreadable");
    if (repeated !== undefined) this.deps.log.warn("lease of a member is not readable, what was known of it stays", { lease: name, error: messageOf(error), repeated });
  }
}
