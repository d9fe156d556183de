import type { Note } from "../machine/claim-state.js";
import { claimHeldUntil, claimMayAnnounce, claimOf, claimView, type ClaimantConfig, type ClaimantState } from "../machine/claimant.js";
import { freshUntil, isAlive, ownRef } from "../machine/member-state.js";
import type { OwnershipKey } from "./model.js";
import type { OwnershipState } from "./world.js";

/** What is not as it was. */
export interface ClaimChange {
  readonly key: OwnershipKey;
  readonly before: OwnershipState | undefined;
  /** Undefined: nobody wishes for it any more. */
  readonly after: OwnershipState | undefined;
}

export interface ClaimChanges {
  readonly changes: readonly ClaimChange[];
  /** Keys that are held and are being given up from now on. */
  readonly leaving: readonly OwnershipKey[];
}

/**
 * What is shown of every key that is wished for. There are thousands of them, and members renew many times a second: only what may have changed is
 * looked at.
 */
export class ClaimStates {
  #shown = new Map<OwnershipKey, OwnershipState>();
  #copy: ReadonlyMap<OwnershipKey, OwnershipState> | undefined;
  #state: ClaimantState | undefined;
  #fresh = false;
  readonly #leaving = new Set<OwnershipKey>();
  /** Keys whose state depends on more than their shard: on offer, taken over by an heir, let go of. A thousand of them at once where a node drains. */
  readonly #inMotion = new Map<string, Motion>();

  constructor(private readonly config: ClaimantConfig) {}

  /** The same map until something changes. */
  get shown(): ReadonlyMap<OwnershipKey, OwnershipState> {
    this.#copy ??= new Map(this.#shown);
    return this.#copy;
  }

  get anyHeld(): boolean {
    for (const { held } of this.#shown.values()) if (held) return true;
    return false;
  }

  update(state: ClaimantState, now: number): ClaimChanges {
    const found = { changes: [] as ClaimChange[], leaving: [] as OwnershipKey[] };
    for (const key of this.#dirty(state, now)) this.#look(key as OwnershipKey, state, now, found);
    if (state.claims.wishes !== this.#state?.claims.wishes) this.#forget(state, found);
    this.#state = state;
    if (found.changes.length > 0) this.#copy = undefined;
    return found;
  }

  /** Keys that may have changed; some of them more than once. */
  *#dirty(state: ClaimantState, now: number): Generator<string> {
    const { member, claims } = state;
    const before = this.#state;
    const fresh = now < freshUntil(member, this.config);
    const wider = fresh !== this.#fresh || before === undefined || member.view !== before.member.view || this.#otherLife(state, before);
    this.#fresh = fresh;
    const moving = this.#moving(claims.notes, claims.notes === before?.claims.notes, now);
    for (const [index, shard] of claims.shards.entries()) {
      if (wider || shard !== before.claims.shards[index]) yield* claims.wishes?.[index]?.keys() ?? [];
    }
    if (wider) return;
    yield* moving;
    if (claims.wishes !== before.claims.wishes) for (const plots of claims.wishes ?? []) for (const key of plots.keys()) if (!this.#shown.has(key as OwnershipKey)) yield key;
  }

  /** Of those in motion, the ones whose time has come, or that move in another way than before; and those that have come to rest. */
  #moving(notes: ReadonlyMap<string, Note>, asBefore: boolean, now: number): readonly string[] {
    const found: string[] = [];
    for (const [key, { until }] of this.#inMotion) if (now >= until || (!asBefore && !isInMotion(notes.get(key)))) found.push(key);
    if (asBefore) return found;
    for (const [key, note] of notes) if (isInMotion(note) && !sameMotion(this.#inMotion.get(key)?.note, note)) found.push(key);
    return found;
  }

  #otherLife(state: ClaimantState, before: ClaimantState): boolean {
    return ownRef(state.member, this.config)?.incarnation !== ownRef(before.member, this.config)?.incarnation;
  }

  #look(key: OwnershipKey, state: ClaimantState, now: number, { changes, leaving }: { changes: ClaimChange[]; leaving: OwnershipKey[] }): void {
    const before = this.#shown.get(key);
    this.#moves(key, state, now);
    // What moves may be of a key that is no longer wished for.
    if (before === undefined && !isWished(key, state)) return;
    const after = this.#stateOf(key, state, now);
    if (!same(before, after)) {
      this.#shown.set(key, after);
      changes.push({ key, before, after });
    }
    const leaves = after.held && !claimMayAnnounce(state, key, { now, config: this.config });
    if (leaves && !this.#leaving.has(key)) leaving.push(key);
    if (leaves) this.#leaving.add(key);
    else this.#leaving.delete(key);
  }

  /** Remembers until when nothing changes about a key that is in motion. */
  #moves(key: OwnershipKey, state: ClaimantState, now: number): void {
    const note = state.claims.notes.get(key);
    if (!isInMotion(note)) {
      this.#inMotion.delete(key);
      return;
    }
    const until = claimHeldUntil(state, key, this.config);
    this.#inMotion.set(key, { note, until: until > now ? until : Infinity });
  }

  #stateOf(key: OwnershipKey, state: ClaimantState, now: number): OwnershipState {
    const view = claimView(state, key, this.config);
    const held = now < claimHeldUntil(state, key, this.config);
    const shown = { held, view: view.type, holder: "node" in view ? view.node : "", created: false };
    const from = view.type === "mine" ? claimOf(state, key)?.from : undefined;
    return from !== undefined && isAlive(from, state.member.view) ? { ...shown, heir: true } : shown;
  }

  #forget(state: ClaimantState, { changes }: { changes: ClaimChange[] }): void {
    const wished = new Set<string>();
    for (const plots of state.claims.wishes ?? []) for (const key of plots.keys()) wished.add(key);
    for (const [key, before] of this.#shown) {
      if (wished.has(key)) continue;
      this.#shown.delete(key);
      this.#leaving.delete(key);
      changes.push({ key, before, after: undefined });
    }
  }
}

function isWished(key: string, { claims }: ClaimantState): boolean {
  return claims.wishes?.some((plots) => plots.has(key)) === true;
}

/** A key in motion: what its note said when it was last looked at, and until when it is held unless something changes. */
interface Motion {
  readonly note: Note;
  readonly until: number;
}

function isInMotion(note: Note | undefined): note is Note {
  return note !== undefined && (note.boundAt !== undefined || note.takenAt !== undefined || note.droppedAt !== undefined);
}

function sameMotion(a: Note | undefined, b: Note): boolean {
  return a !== undefined && a.offeredAt === b.offeredAt && a.boundAt === b.boundAt && a.takenAt === b.takenAt && a.droppedAt === b.droppedAt;
}

function same(a: OwnershipState | undefined, b: OwnershipState): boolean {
  return a !== undefined && a.held === b.held && a.view === b.view && a.holder === b.holder && a.heir === b.heir;
}
