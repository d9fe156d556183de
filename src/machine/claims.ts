import { assertNever } from "../lib/errors.js";
import { isOlderVersion } from "../lib/resource-version.js";
import { bytesOf, ClaimError, decodeShard, encodeShard, type Claim, type ShardContent } from "./claim-codec.js";
import { rebalance } from "./claim-moves.js";
import { lookAround, wakeBy, type Draft, type Edit } from "./claim-pass.js";
import { lotsOf, type ClaimEnv, type ClaimState, type Doubt, type Gives, type Note, type Plot, type ShardState, type ShardVersion, type Wish } from "./claim-state.js";
import { hashText, mixed, shardOfHash, SHARDS } from "./placement.js";
import type { StepResult } from "./step.js";

/*
 * Who has which key: 16 Leases `vip-claims-<shard>`. Every change is a PUT with the resourceVersion last seen, all changes of a shard in one; at most one
 * is under way per shard. What a live member has is changed by that member alone, so that this node knows best what it has; only what it gives away
 * (an heir named, a claim cleared) can move without it, and that is held no longer than what was asked of the API since bears out.
 */

export type ClaimEvent =
  /** The watch, or a read that was asked for, shows this version of a shard; undefined: there is none. */
  | { readonly type: "shard"; readonly shard: number; readonly version: ShardVersion | undefined; readonly read: boolean }
  | { readonly type: "shardWritten"; readonly shard: number; readonly id: number; readonly version: ShardVersion }
  | { readonly type: "shardFailed"; readonly shard: number; readonly id: number; readonly conflict: boolean }
  | { readonly type: "shardReadFailed"; readonly shard: number }
  /** What this node wants of every key there is; not sent before everything has been listed. */
  | { readonly type: "wishes"; readonly wishes: ReadonlyMap<string, Wish> }
  /** Time has passed, or the members or this node's freshness have changed. `lapsed`: it was not fresh before. */
  | { readonly type: "look"; readonly lapsed: boolean };

export type ClaimAction =
  /** PUT of the Lease `vip-claims-<shard>` with the resourceVersion of `base`, POST where there is none; `text` is its annotation. renewTime has to differ from before. */
  | {
      readonly type: "writeShard";
      readonly shard: number;
      readonly id: number;
      readonly base: ShardVersion | undefined;
      readonly text: string;
      readonly timeoutMs: number;
    }
  | { readonly type: "readShard"; readonly shard: number; readonly timeoutMs: number };

const MAX_BACKOFF = 6;
const BACKOFF_MS = 20;

/** One event in, new state and the requests to send out. */
export function claimStep(state: ClaimState, event: ClaimEvent, now: number, env: ClaimEnv): StepResult<ClaimState, ClaimAction> {
  const { me } = env;
  const fresh = me !== undefined && now < env.freshUntil;
  const next = laidOut(absorb(!fresh || (event.type === "look" && event.lapsed) ? lapsed(state, now) : state, event, now, env), state);
  if (!fresh || next.shards.some(({ known }) => !known)) {
    return { state: { ...next, wakeAt: undefined }, actions: [], wakeAt: undefined };
  }
  const draft = lookAround(next, now, env, me);
  const nextMoveAt = rebalance(draft);
  const actions: ClaimAction[] = [];
  let { nextId } = next;
  const shards = next.shards.map((shard, index) => {
    const read = reading(shard, index, draft, actions);
    const written = writing(read, index, { draft, actions, id: nextId });
    if (written !== read && written.inFlight?.id === nextId) nextId += 1;
    return written;
  });
  const wakeAt = draft.wakeAt === Infinity ? undefined : Math.max(now, draft.wakeAt);
  return { state: { ...next, shards, notes: draft.notes, nextId, nextMoveAt, even: draft.even, wakeAt }, actions, wakeAt };
}

/** Brings `lots` up to date. */
function laidOut(state: ClaimState, before: ClaimState): ClaimState {
  const lots = state.shards.map((shard, index) => {
    const old = before.shards[index];
    const same = old?.content === shard.content && old.known === shard.known && old.unreadable === shard.unreadable && before.wishes === state.wishes;
    return (same ? before.lots[index] : undefined) ?? lotsOf(index, shard, state.wishes?.[index]);
  });
  return { ...state, lots };
}

/** What was being given away when everything had to be let go of does not come back for the rest of the hand-over. */
function lapsed(state: ClaimState, now: number): ClaimState {
  const notes = new Map<string, Note>();
  for (const [key, note] of state.notes) {
    if (note.boundAt !== undefined && note.droppedAt === undefined) notes.set(key, { ...note, droppedAt: now });
    else notes.set(key, note.takenAt === undefined ? note : { ...note, takenAt: -Infinity });
  }
  return { ...state, notes };
}

function absorb(state: ClaimState, event: ClaimEvent, now: number, env: ClaimEnv): ClaimState {
  switch (event.type) {
    case "look":
      return state;
    case "wishes":
      return { ...state, wishes: plotted(event.wishes, state), totalWeight: [...event.wishes.values()].reduce((sum, { weight }) => sum + weight, 0) };
    case "shard":
      return withShard(state, event.shard, (shard) => {
        const seen = observe(shard, event.version, env);
        if (!event.read || shard.reading === undefined) return seen;
        return { ...seen, reading: undefined, stale: false, asOf: Math.max(shard.asOf, shard.reading.startedAt) };
      });
    case "shardReadFailed":
      return withShard(state, event.shard, (shard) => ({ ...shard, reading: undefined, readAt: now + env.config.retryPeriodMs / 4 }));
    case "shardWritten":
      return withShard(state, event.shard, (shard) => {
        if (shard.inFlight?.id !== event.id) return shard;
        const asOf = Math.max(shard.asOf, shard.inFlight.startedAt);
        return observe({ ...shard, inFlight: undefined, conflicts: 0, failures: 0, asOf }, event.version, env);
      });
    case "shardFailed":
      return withShard(state, event.shard, (shard) => failed(shard, event, now, env));
    default:
      return assertNever(event);
  }
}

function withShard(state: ClaimState, index: number, change: (shard: ShardState) => ShardState): ClaimState {
  return { ...state, shards: state.shards.map((shard, i) => (i === index ? change(shard) : shard)) };
}

function plotted(wishes: ReadonlyMap<string, Wish>, state: ClaimState): ClaimState["wishes"] {
  const old = new Map<string, number>();
  for (const plots of state.wishes ?? []) for (const [key, plot] of plots) old.set(key, plot.hash);
  const all = Array.from({ length: SHARDS }, () => new Map<string, Plot>());
  for (const [key, wish] of wishes) {
    const hash = old.get(key) ?? hashText(key);
    all[shardOfHash(hash)]?.set(key, { ...wish, hash });
  }
  return all;
}

function observe(shard: ShardState, version: ShardVersion | undefined, env: ClaimEnv): ShardState {
  const known = shard.version?.resourceVersion;
  // A Lease that was deleted is made again with what was last known of it.
  if (version === undefined) return known === undefined ? { ...shard, known: true } : settled({ ...shard, known: true, version: undefined, stale: false });
  const { resourceVersion } = version;
  if (resourceVersion === known || (shard.newest !== undefined && isOlderVersion(resourceVersion, shard.newest))) return shard;
  const next = settled({ ...shard, known: true, version, newest: resourceVersion, stale: false, ...readContent(shard, version) });
  if (shard.known) return next;
  // What an earlier process of this node has sent may still take effect, until the shard has moved past it.
  const doubt: Doubt = { base: resourceVersion, startedAt: -Infinity, all: true, offers: NOTHING, releases: NOTHING };
  return names(next.content, env) ? { ...next, doubts: [doubt] } : next;
}

const NOTHING: ReadonlySet<string> = new Set();

function readContent(shard: ShardState, version: ShardVersion): Pick<ShardState, "content" | "unreadable"> {
  try {
    return { content: decodeShard(version.text), unreadable: undefined };
  } catch (error) {
    if (!(error instanceof ClaimError)) throw error;
    return { content: shard.content, unreadable: error.message };
  }
}

function settled(shard: ShardState): ShardState {
  const base = shard.version?.resourceVersion;
  return { ...shard, doubts: shard.doubts.filter((doubt) => doubt.base === base) };
}

function names({ claims }: ShardContent, { node }: ClaimEnv): boolean {
  for (const { owner, heir, from } of claims.values()) if (owner.node === node || heir?.node === node || from?.node === node) return true;
  return false;
}

function failed(shard: ShardState, { id, conflict }: ClaimEvent & { readonly type: "shardFailed" }, now: number, env: ClaimEnv): ShardState {
  const { inFlight } = shard;
  if (inFlight?.id !== id) return shard;
  const moved = shard.version?.resourceVersion !== inFlight.base;
  const next = { ...shard, inFlight: undefined, stale: !moved, readAt: Math.min(shard.readAt, now) };
  if (conflict) {
    // The more have lost the race, the longer each of them waits before the next.
    const range = shard.conflicts === 0 ? 1 : BACKOFF_MS * 2 ** Math.min(shard.conflicts, MAX_BACKOFF);
    return { ...next, conflicts: shard.conflicts + 1, writeAt: now + (mixed(hashText(env.node) ^ (id * 0x9e3779b1)) % range) };
  }
  return settled({ ...next, failures: shard.failures + 1, doubts: [...shard.doubts, { ...inFlight, all: false }] });
}

/** Reads after a write whose outcome is not known, and while a key is on offer. */
function reading(shard: ShardState, index: number, draft: Draft, actions: ClaimAction[]): ShardState {
  const { now, env } = draft;
  const poll = draft.onOffer.has(index) ? shard.asOf + env.config.handOverMs / 4 : Infinity;
  const at = Math.max(shard.stale ? -Infinity : poll, shard.readAt);
  if (shard.reading !== undefined || at === Infinity) return shard;
  wakeBy(draft, at);
  if (now < at) return shard;
  actions.push({ type: "readShard", shard: index, timeoutMs: timeoutOf(shard, env) });
  return { ...shard, reading: { startedAt: now } };
}

function timeoutOf({ failures }: ShardState, { config }: ClaimEnv): number {
  return Math.min(config.renewDeadlineMs, config.retryPeriodMs * 2 ** Math.min(failures, MAX_BACKOFF));
}

interface Out {
  readonly draft: Draft;
  readonly actions: ClaimAction[];
  readonly id: number;
}

function writing(shard: ShardState, index: number, { draft, actions, id }: Out): ShardState {
  const { now, env } = draft;
  const wanted = draft.edits.get(index);
  if (wanted === undefined && !hasToMove(shard, env)) return shard;
  if (shard.inFlight !== undefined || shard.stale || shard.unreadable !== undefined) return shard;
  wakeBy(draft, shard.writeAt);
  if (now < shard.writeAt) return shard;
  const { edits, refused, text } = fitting(shard, index, wanted ?? new Map<string, Edit>(), env);
  if (edits.size === 0 && !hasToMove(shard, env)) return { ...shard, refused };
  for (const [key, { note }] of edits) {
    if (note === undefined) draft.notes.delete(key);
    else draft.notes.set(key, note);
    if (note?.boundAt !== undefined) wakeBy(draft, note.boundAt);
  }
  actions.push({ type: "writeShard", shard: index, id, base: shard.version, text, timeoutMs: timeoutOf(shard, env) });
  return { ...shard, refused, inFlight: { id, base: shard.version?.resourceVersion, startedAt: now, ...givesOf(edits) } };
}

/** A write is needed for its own sake: an earlier one that may still land would give something away, or the Lease was deleted. */
function hasToMove(shard: ShardState, env: ClaimEnv): boolean {
  if (shard.version === undefined) return names(shard.content, env);
  return shard.doubts.some(({ all, offers, releases }) => all || offers.size > 0 || releases.size > 0);
}

function givesOf(edits: ReadonlyMap<string, Edit>): Gives {
  const of = (kind: Edit["kind"]): ReadonlySet<string> => new Set([...edits].filter(([, edit]) => edit.kind === kind).map(([key]) => key));
  return { offers: of("offer"), releases: of("release") };
}

interface Fitting {
  readonly edits: ReadonlyMap<string, Edit>;
  readonly text: string;
  readonly refused: string | undefined;
}

/** Leaves new claims out where the annotation would become larger than it may be. */
function fitting(shard: ShardState, index: number, edits: ReadonlyMap<string, Edit>, env: ClaimEnv): Fitting {
  const { content } = shard;
  const limit = env.config.shardLimitBytes;
  const text = encodeShard(edited(content, edits));
  const bytes = bytesOf(text);
  if (bytes <= limit || bytes <= bytesOf(shard.version?.text ?? "")) return { edits, text, refused: undefined };
  const rest = new Map([...edits].filter(([key]) => content.claims.has(key)));
  const out = edits.size - rest.size;
  if (out === 0) return { edits, text, refused: undefined };
  const refused = `vip-claims-${index} would have ${bytes} bytes, more than the limit of ${limit} bytes per shard: ${out} keys stay without an owner`;
  return { edits: rest, text: encodeShard(edited(content, rest)), refused };
}

function edited({ claims, kept }: ShardContent, edits: ReadonlyMap<string, Edit>): ShardContent {
  const next = new Map<string, Claim>(claims);
  for (const [key, { claim }] of edits) {
    if (claim === undefined) next.delete(key);
    else next.set(key, claim);
  }
  return { claims: next, kept };
}
