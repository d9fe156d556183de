import type { Wish } from "../machine/claim-state.js";
import type { Stance } from "../machine/election-state.js";
import type { MemberTerms } from "../machine/member-state.js";
import type { LeaseId } from "../ports/kube.js";
import type { LeaseOwnership } from "./bootstrap.js";
import type { Claims } from "./claims.js";
import { isShared, type OwnershipKey } from "./model.js";
import type { Fence } from "./mode.js";
import type { Ownership } from "./ownership.js";
import type { OwnershipState } from "./world.js";

type States = ReadonlyMap<OwnershipKey, OwnershipState>;

/** All that this process may own: keys with a Lease each, and keys that are shared out among the nodes. */
export class Owners implements LeaseOwnership, AsyncDisposable {
  #states: { readonly of: readonly OwnershipState[]; readonly shared: States; readonly all: States } | undefined;

  /** `claims` undefined: this process takes no part in keys that are shared out. */
  constructor(
    private readonly single: Ownership,
    private readonly claims: Claims | undefined,
  ) {}

  /** Starts to watch the Lease of a key that has one of its own, without taking part. */
  watch(key: OwnershipKey, id: LeaseId): void {
    this.single.watch(key, id);
  }

  /** The same map until something in it changes. */
  states(): States {
    const single = this.single.states();
    const shared = this.claims?.states() ?? NONE;
    const of = [...single.values()];
    const known = this.#states;
    if (known?.shared === shared && known.of.length === of.length && known.of.every((state, index) => state === of[index])) return known.all;
    const all = new Map([...single, ...shared]);
    this.#states = { of, shared, all };
    return all;
  }

  /** `wishes`: what this node wants of every key that is shared out; undefined: not known yet. `terms`: how it takes part in that. */
  campaign(stances: ReadonlyMap<OwnershipKey, Stance>, wishes?: ReadonlyMap<OwnershipKey, Wish>, terms?: MemberTerms): void {
    this.single.campaign(stances);
    if (terms !== undefined) this.claims?.terms(terms);
    this.claims?.wish(wishes);
  }

  /** Has all members spread the keys that are shared out evenly now. Rejects where none are, or the API refuses it. */
  async rebalance(): Promise<void> {
    if (this.claims === undefined) throw new Error("this process serves no Services: there is nothing to spread");
    await this.claims.rebalance();
  }

  /** Gives everything up; addresses may stay until the heirs have them, for a bounded time. */
  leave(): void {
    this.single.leave();
    this.claims?.leave();
  }

  /** Resolves when, after `leave`, nothing is held any more and everybody can know. */
  async left(): Promise<void> {
    await Promise.all([this.single.left(), this.claims?.left()]);
  }

  /** This machine seems to have stood still: nothing is held until the API has confirmed it anew. */
  suspect(): void {
    this.single.suspect();
    this.claims?.suspect();
  }

  /** Rejects when a watch ends although nobody ended it. */
  async failed(): Promise<never> {
    return this.claims === undefined ? this.single.failed() : Promise.race([this.single.failed(), this.claims.failed()]);
  }

  heldUntil(key: OwnershipKey): number {
    return this.#of(key)?.heldUntil(key) ?? 0;
  }

  kernelDeadline(key: OwnershipKey): number {
    return this.#of(key)?.kernelDeadline(key) ?? 0;
  }

  mayAnnounce(key: OwnershipKey): boolean {
    return this.#of(key)?.mayAnnounce(key) ?? false;
  }

  async confirm(key: OwnershipKey): Promise<boolean> {
    return (await this.#of(key)?.confirm(key)) ?? false;
  }

  onMoved(listener: (ownership: OwnershipKey | undefined) => void): () => void {
    const ends = [this.single.onMoved(listener), this.claims?.onMoved(listener)];
    return () => ends.forEach((end) => end?.());
  }

  /** Stops without a word to the others: what is held ends by itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.single[Symbol.asyncDispose](), this.claims?.[Symbol.asyncDispose]()]);
  }

  #of(key: OwnershipKey): Fence | undefined {
    return isShared(key) ? this.claims : this.single;
  }
}

const NONE: States = new Map();
