import type { Claim, Ref } from "./claim-codec.js";
import { isGivenUp, offerBound, type ClaimEnv, type ClaimState, type Lot, type Note, type Plot } from "./claim-state.js";
import { isAlive } from "./member-state.js";
import { firstFor, hashText, mixed, rankFor, tableOf, type Seat, type Table } from "./placement.js";

/** A wanted change of one entry; `note` is what to remember of the key once the write has been sent. */
export interface Edit {
  readonly kind: "claim" | "offer" | "release" | "other";
  /** Undefined: the entry goes. */
  readonly claim: Claim | undefined;
  readonly note: Note | undefined;
}

/** What one look at all claims comes to; filled by the functions of this file and of claim-moves. */
export interface Draft {
  readonly state: ClaimState;
  readonly now: number;
  readonly env: ClaimEnv;
  readonly me: Ref;
  readonly table: Table;
  readonly notes: Map<string, Note>;
  readonly edits: Map<number, Map<string, Edit>>;
  /** Keys of this node that stay unless the load is to be made more even. */
  readonly movable: (Lot & { readonly plot: Plot })[];
  /** Keys that this node is giving up, from the offer until it has let go of them. */
  giving: number;
  /** Moves under way that only make the load more even. */
  moving: number;
  /** There is no move left that would make the load more even. */
  even: boolean;
  /** Shards in which a key of this node is on offer: they are read until it is taken. */
  readonly onOffer: Set<number>;
  wakeAt: number;
}

/** A claim of a key that nobody wishes for any more, and whose owner is gone, is cleared after so long. */
const PRUNE_MS = 60_000;
/** Beyond so many, all come at the same time, spread by hash. */
const MAX_TURNS = 5;

/** Looks at every claim and every wish once. `me`: this life of this node, which has to be fresh. */
export function lookAround(state: ClaimState, now: number, env: ClaimEnv, me: Ref): Draft {
  const table = tableOf(env.members, state.totalWeight, { steadyMs: env.config.steadyMs, returnedMs: env.config.returnedMs, now });
  const draft: Draft = {
    state,
    now,
    env,
    me,
    table,
    notes: new Map(),
    edits: new Map(),
    movable: [],
    giving: 0,
    moving: 0,
    even: false,
    onOffer: new Set(),
    wakeAt: Infinity,
  };
  for (const lots of state.lots) for (const lot of lots) addLoad(draft, lot);
  const free: Lot[] = [];
  for (const lots of state.lots) {
    for (const lot of lots) {
      if (!stands(draft, lot.claim?.owner)) free.push(lot);
      else if (isMine(draft, lot.claim?.owner)) mine(draft, lot);
      else if (isMine(draft, lot.claim?.heir) || isMine(draft, lot.claim?.from)) others(draft, lot);
    }
  }
  // In the same order on every node, so that all come to the same loads.
  free.sort((a, b) => (a.key < b.key ? -1 : 1));
  for (const lot of free) placeFree(draft, lot);
  return draft;
}

export function wakeBy(draft: Draft, at: number): void {
  if (at > draft.now && at < draft.wakeAt) draft.wakeAt = at;
}

export function edit(draft: Draft, { shard, key }: Lot, change: Edit): void {
  const edits = draft.edits.get(shard) ?? new Map<string, Edit>();
  draft.edits.set(shard, edits.set(key, change));
}

/** True while what `ref` has counts. Of this node, only this life does. */
function stands(draft: Draft, ref: Ref | undefined): ref is Ref {
  if (ref === undefined) return false;
  return ref.node === draft.me.node ? ref.incarnation === draft.me.incarnation : isAlive(ref, draft.env.members);
}

function isMine(draft: Draft, ref: Ref | undefined): boolean {
  return ref?.node === draft.me.node && ref.incarnation === draft.me.incarnation;
}

function addLoad(draft: Draft, { claim, plot }: Lot): void {
  if (claim === undefined || plot === undefined) return;
  if (isMine(draft, claim.from) || (isMine(draft, claim.owner) && claim.heir !== undefined)) draft.giving += 1;
  const holder = stands(draft, claim.heir) ? claim.heir : stands(draft, claim.owner) ? claim.owner : undefined;
  const seat = holder === undefined ? undefined : draft.table.seats.get(holder.node);
  if (seat !== undefined) seat.load += plot.weight;
}

/** A key of this node. */
function mine(draft: Draft, lot: Lot): void {
  const { env } = draft;
  const { key, claim, plot } = lot;
  if (claim === undefined) return;
  const note = ownNote(draft, lot, claim);
  draft.notes.set(key, note);
  if (plot === undefined || plot.fit === "drop") return letGo(draft, lot);
  const owned = { ...lot, claim, plot };
  if (claim.heir !== undefined) return offered(draft, owned, note);
  const from = stands(draft, claim.from) ? claim.from : undefined;
  const give = plot.fit === "yield" || env.giving !== "no";
  // Who still has the address from before is not given a third one to reckon with.
  if (give && from === undefined && mayAsk(draft, owned, note)) return offer(draft, owned, note);
  if (claim.from !== undefined && from === undefined) edit(draft, lot, { kind: "other", claim: { ...claim, from }, note });
  else if (!give && from === undefined && note.boundAt === undefined && note.askAgainAt === undefined) draft.movable.push(owned);
}

type Owned = Lot & { readonly claim: Claim; readonly plot: Plot };

/**
 * What to remember of a key of this node. One on offer that had to be let go of stays so until the offer is off: an heir may have it, and addresses do not
 * come and go.
 */
function ownNote(draft: Draft, { shard: index, key, plot }: Lot, claim: Claim): Note {
  const { now, env, state } = draft;
  const note: Note = state.notes.get(key) ?? {};
  const shard = state.shards[index];
  const boundAt = shard === undefined ? Infinity : offerBound(shard, key, claim, note, env.config);
  if (boundAt === Infinity) {
    const gone = plot === undefined || plot.fit === "drop" || env.giving === "leave";
    const kept: Note = gone && note.droppedAt !== undefined ? { droppedAt: note.droppedAt } : {};
    if (note.askAgainAt !== undefined && note.askAgainAt <= now) return kept;
    const asked: Note = note.tried === undefined ? kept : { ...kept, tried: note.tried };
    if (note.askAgainAt === undefined) return asked;
    wakeBy(draft, note.askAgainAt);
    return { ...asked, askAgainAt: note.askAgainAt };
  }
  wakeBy(draft, boundAt);
  const late = now >= Math.min(boundAt, note.boundAt ?? Infinity);
  return note.droppedAt === undefined && late ? { ...note, boundAt, droppedAt: now } : { ...note, boundAt };
}

/** An heir has been named and has not taken it yet. */
function offered(draft: Draft, lot: Owned, note: Note): void {
  const { now, env } = draft;
  const { handOverMs } = env.config;
  const offeredAt = note.offeredAt ?? now;
  draft.onOffer.add(lot.shard);
  draft.notes.set(lot.key, { ...note, offeredAt });
  if (stands(draft, lot.claim.heir) && now < offeredAt + handOverMs) {
    if (note.move === true) draft.moving += 1;
    return wakeBy(draft, offeredAt + handOverMs);
  }
  const tried = [...(note.tried ?? []), lot.claim.heir?.node ?? ""];
  if (lot.plot.fit === "yield" || env.giving !== "no") offer(draft, lot, { ...note, tried });
  else withdraw(draft, lot, note);
}

/** Those who did not take it are asked again in a while, and who joins at once. */
function mayAsk(draft: Draft, lot: Owned, note: Note): boolean {
  return note.askAgainAt === undefined || draft.env.giving === "leave" || heirFor(draft, lot, note) !== undefined;
}

/** The first one who has not been asked yet. */
function heirFor({ table, me }: Draft, { plot }: Owned, { tried = [] }: Note): Seat | undefined {
  return firstFor(plot, table, new Set([...tried, me.node]));
}

/** Names the first one who has not been asked yet as heir; where many are given up, when its turn comes. */
function offer(draft: Draft, lot: Owned, note: Note): void {
  const { now, env } = draft;
  const isFirst = lot.claim.heir === undefined;
  if (isFirst && draft.giving >= env.config.giveAtOnce) return;
  const seat = heirFor(draft, lot, note);
  if (seat === undefined) return env.giving === "leave" ? letGo(draft, lot) : withdraw(draft, lot, note);
  if (isFirst) draft.giving += 1;
  seat.load += lot.plot.weight;
  const shard = draft.state.shards[lot.shard];
  // What is not held yet is not taken up to be given away.
  const absent: Note = note.droppedAt === undefined && shard !== undefined && isGivenUp(shard, lot.key) ? { droppedAt: now } : {};
  offerTo(draft, lot, seat, { ...note, ...absent, offeredAt: now, boundAt: now + env.config.handOverMs });
}

/** The write that makes `seat` the heir; also used for moves that make the load more even. */
export function offerTo(draft: Draft, lot: Lot, seat: Seat, note: Note): void {
  const heir = { node: seat.node, incarnation: seat.incarnation };
  edit(draft, lot, { kind: "offer", claim: { owner: draft.me, heir, from: undefined }, note });
}

/** Nobody is there to take it: it stays here for the time being. Until that is written, an heir may still have taken it. */
function withdraw(draft: Draft, lot: Owned, note: Note): void {
  const askAgainAt = draft.now + draft.env.config.offerAgainMs;
  if (lot.claim.heir !== undefined) edit(draft, lot, { kind: "other", claim: { ...lot.claim, heir: undefined }, note: { ...note, askAgainAt } });
  else draft.notes.set(lot.key, { ...note, askAgainAt });
  wakeBy(draft, askAgainAt);
}

/** The address goes first, then the claim. */
function letGo(draft: Draft, lot: Lot): void {
  const note: Note = draft.notes.get(lot.key) ?? {};
  const droppedAt = note.droppedAt ?? draft.now;
  const clearAt = droppedAt + draft.env.config.dropMs;
  draft.notes.set(lot.key, { ...note, droppedAt });
  wakeBy(draft, clearAt);
  const from = lot.claim?.from;
  // A former owner that may still have the address says itself when it is gone.
  if (draft.now >= clearAt && !(stands(draft, from) && !isMine(draft, from))) edit(draft, lot, { kind: "release", claim: undefined, note: { droppedAt } });
}

/** A key of another member that lives: nothing to do, unless this node is its heir or had it before. */
function others(draft: Draft, lot: Lot): void {
  const { now, env, me, state } = draft;
  const { key, claim, plot } = lot;
  if (claim === undefined) return;
  if (isMine(draft, claim.heir) && plot?.fit === "run" && env.giving === "no") {
    edit(draft, lot, { kind: "claim", claim: { owner: me, heir: undefined, from: claim.owner }, note: undefined });
  }
  if (!isMine(draft, claim.from)) return;
  const note = state.notes.get(key);
  // What had to be let go of before does not come back for this.
  const kept = note?.droppedAt === undefined && now < (note?.boundAt ?? -Infinity);
  const takenAt = note?.takenAt ?? (kept ? now : -Infinity);
  const goneAt = takenAt + env.config.heirMs;
  draft.notes.set(key, { takenAt });
  wakeBy(draft, goneAt);
  wakeBy(draft, goneAt + env.config.dropMs);
  if (now >= goneAt + env.config.dropMs) edit(draft, lot, { kind: "other", claim: { ...claim, from: undefined }, note: undefined });
}

/** A key without an owner that counts. */
function placeFree(draft: Draft, lot: Lot): void {
  const { now, env, me, state, table } = draft;
  const { key, claim, plot } = lot;
  const freeSince = state.notes.get(key)?.freeSince ?? now;
  draft.notes.set(key, { freeSince });
  if (plot === undefined) return prune(draft, lot, freeSince);
  const from = stands(draft, claim?.from) ? claim?.from : undefined;
  const first = from ?? (stands(draft, claim?.heir) ? claim?.heir : undefined);
  const seat = first === undefined ? firstFor(plot, table, NOBODY) : table.seats.get(first.node);
  const delay = delayOf(draft, plot, { first: seat?.node, from });
  // An heir is counted already.
  if (seat !== undefined && (first === undefined || first === from)) seat.load += plot.weight;
  if (delay === undefined) return;
  wakeBy(draft, freeSince + delay);
  const keep = isMine(draft, from) ? undefined : from;
  if (now >= freeSince + delay) edit(draft, lot, { kind: "claim", claim: { owner: me, heir: undefined, from: keep }, note: { freeSince } });
  else if (env.giving === "leave") draft.notes.delete(key);
}

const NOBODY: ReadonlySet<string> = new Set();

/** How long after it became free this node claims it; undefined: never. */
function delayOf(draft: Draft, plot: Plot, who: { readonly first: string | undefined; readonly from: Ref | undefined }): number | undefined {
  const { env, me, table } = draft;
  const { turnMs, patienceMs } = env.config;
  if (plot.fit === "drop" || env.giving === "leave") return undefined;
  // It still has the address of what it gave to one that died since: it takes it back.
  if (isMine(draft, who.from)) return 0;
  const wait = who.from === undefined ? 0 : patienceMs;
  const spread = mixed(plot.hash ^ hashText(me.node)) % turnMs;
  if (plot.fit === "yield" || env.giving === "drain") return wait + patienceMs + spread;
  if (who.first === me.node) return wait;
  const rank = rankFor(plot, table, me.node) ?? MAX_TURNS;
  return wait + (rank < MAX_TURNS ? Math.max(1, rank) * turnMs : MAX_TURNS * turnMs + spread);
}

function prune(draft: Draft, lot: Lot, freeSince: number): void {
  const at = freeSince + PRUNE_MS;
  const { table, me, state, now } = draft;
  if (state.wishes === undefined) return;
  wakeBy(draft, at);
  const anyone = { hash: hashText(lot.key), weight: 0, nodes: undefined, preferred: [] };
  const mayStill = stands(draft, lot.claim?.from) || stands(draft, lot.claim?.heir);
  if (now >= at && !mayStill && firstFor(anyone, table, NOBODY)?.node === me.node) edit(draft, lot, { kind: "other", claim: undefined, note: undefined });
}
