import type { MemberView } from "./member-state.js";

/** So many Leases `vip-claims-<shard>` hold all claims. The same in every version: two programs that differ would each claim a key of their own. */
export const SHARDS = 16;
/** A member is full at so much above the average. */
export const CAP = 1.1;
const ROOM = 1 / CAP;

/** FNV-1a, 32 bit, over the UTF-8 bytes. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return hashBytes(new TextEncoder().encode(text));
    hash = Math.imul(hash ^ code, 0x01000193);
  }
  return hash >>> 0;
}

function hashBytes(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** The shard that a key lives in: `(hash ^ hash >>> 16) mod 16` of its FNV-1a hash. */
export function shardOf(key: string): number {
  return shardOfHash(hashText(key));
}

export function shardOfHash(hash: number): number {
  return ((hash ^ (hash >>> 16)) >>> 0) % SHARDS;
}

/** Highest random weight: the key goes to the member with the highest score. Twice the weight, twice the keys. */
export function score(keyHash: number, nodeHash: number, weight: number): number {
  return -weight / Math.log((mixed(keyHash ^ mixed(nodeHash)) + 0.5) / 4294967296);
}

/** murmur3's finalizer: FNV-1a alone leaves neighbours alike. */
export function mixed(value: number): number {
  let h = value >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A member that may be given keys, with the load that it has; changed while keys are placed. */
export interface Seat {
  readonly node: string;
  readonly hash: number;
  readonly incarnation: number;
  readonly weight: number;
  /** False for a member that came back from a crash a while ago: it comes last. */
  readonly trusted: boolean;
  /** It has been live for long enough to be handed keys of others. */
  readonly steady: boolean;
  load: number;
}

export interface Table {
  readonly seats: ReadonlyMap<string, Seat>;
  /** Sum of the weights of all keys by sum of the weights of all seats. */
  readonly average: number;
}

/** What placing a key needs to know of it. */
export interface Placed {
  readonly hash: number;
  readonly weight: number;
  /** On which nodes it may be, as far as is known; undefined: on all. */
  readonly nodes: ReadonlySet<string> | undefined;
  /** Nodes that come first, the best one first. */
  readonly preferred: readonly string[];
}

export interface SeatTimes {
  readonly steadyMs: number;
  readonly returnedMs: number;
  readonly now: number;
}

/** Whether a member that drains has anybody to give its keys to: where all of them drain, none does. */
export function someStay(members: ReadonlyMap<string, MemberView>): boolean {
  for (const { state, drain } of members.values()) if (state === "live" && !drain) return true;
  return false;
}

/** Live members that do not drain; where all of them do, all of them. `total`: weight of all keys. */
export function tableOf(members: ReadonlyMap<string, MemberView>, total: number, times: SeatTimes): Table {
  const seats = new Map<string, Seat>();
  const stay = someStay(members);
  let weights = 0;
  for (const [node, member] of members) {
    if (member.state !== "live" || (member.drain && stay)) continue;
    weights += member.weight;
    const age = times.now - member.liveSince;
    const trusted = member.after !== "fenced" || age >= times.returnedMs;
    const { incarnation, weight, hash } = member;
    seats.set(node, { node, hash, incarnation, weight, trusted, steady: trusted && age >= times.steadyMs, load: 0 });
  }
  return { seats, average: weights === 0 ? 0 : total / weights };
}

/**
 * Where a key goes that has no owner: preferred nodes first, then by hash among those below the cap, then those that are back from a crash, then by
 * load. Everybody computes the same from the same view; who errs only loses a race.
 */
export function firstFor(key: Placed, table: Table, skip: ReadonlySet<string>): Seat | undefined {
  let best: Standing | undefined;
  for (const seat of table.seats.values()) {
    if (skip.has(seat.node) || !mayServe(key, seat)) continue;
    const standing = standingOf(key, seat, table);
    if (best === undefined || comesBefore(standing, best)) best = standing;
  }
  return best?.seat;
}

/** How many come before this node; undefined where the key may not be on it. */
export function rankFor(key: Placed, table: Table, node: string): number | undefined {
  const seat = table.seats.get(node);
  if (seat === undefined || !mayServe(key, seat)) return undefined;
  const mine = standingOf(key, seat, table);
  let rank = 0;
  for (const other of table.seats.values()) if (other !== seat && mayServe(key, other) && comesBefore(standingOf(key, other, table), mine)) rank += 1;
  return rank;
}

/**
 * Who should be handed this key by `owner`, so that the load becomes more even (or the key comes to a node that it prefers); undefined: it stays.
 * Each such move makes the difference between two members smaller, so that they come to an end.
 */
export function betterFor(key: Placed, table: Table, owner: Seat): Seat | undefined {
  const wished = preferredFor(key, table, owner);
  if (wished !== undefined) return wished;
  if (key.preferred.includes(owner.node)) return undefined;
  let best: Seat | undefined;
  for (const seat of table.seats.values()) {
    if (!seat.steady || seat === owner || !mayServe(key, seat) || !evens(key, table, owner, seat)) continue;
    if (best === undefined || seat.load / seat.weight < best.load / best.weight) best = seat;
  }
  return best;
}

/** True where rebalancing may have something to do for this member. */
export function isAbove(seat: Seat, table: Table): boolean {
  return seat.load > table.average * seat.weight;
}

function preferredFor(key: Placed, table: Table, owner: Seat): Seat | undefined {
  for (const node of key.preferred) {
    if (node === owner.node) return undefined;
    const seat = table.seats.get(node);
    if (seat !== undefined && seat.steady && mayServe(key, seat)) return seat;
  }
  return undefined;
}

/** One of the two is more than a tenth off the average, and the move brings them nearer to each other. */
function evens(key: Placed, { average }: Table, owner: Seat, seat: Seat): boolean {
  const full = owner.load > average * CAP * owner.weight && owner.load > average * owner.weight;
  const empty = seat.load < average * ROOM * seat.weight && owner.load > average * owner.weight;
  return (full || empty) && (seat.load + key.weight) / seat.weight <= (owner.load - key.weight) / owner.weight;
}

function mayServe(key: Placed, seat: Seat): boolean {
  return key.nodes === undefined || key.nodes.has(seat.node);
}

interface Standing {
  readonly seat: Seat;
  readonly group: number;
  readonly value: number;
}

function standingOf(key: Placed, seat: Seat, { average }: Table): Standing {
  const preferred = key.preferred.indexOf(seat.node);
  if (preferred !== -1) return { seat, group: preferred, value: 0 };
  // Rounded up: three keys on two members are two and one, whatever the average says.
  const full = seat.load + key.weight > Math.max(average * CAP * seat.weight, Math.ceil(average * seat.weight));
  if (!seat.trusted) return { seat, group: 1e6 + 2, value: -seat.load / seat.weight };
  if (full) return { seat, group: 1e6 + 1, value: -seat.load / seat.weight };
  return { seat, group: 1e6, value: score(key.hash, seat.hash, seat.weight) };
}

function comesBefore(a: Standing, b: Standing): boolean {
  if (a.group !== b.group) return a.group < b.group;
  return a.value !== b.value ? a.value > b.value : a.seat.node < b.seat.node;
}
