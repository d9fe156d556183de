import { offerTo, wakeBy, type Draft } from "./claim-pass.js";
import type { Plot } from "./claim-state.js";
import { betterFor, isAbove, score, type Seat } from "./placement.js";

/** Moves are made in batches, so far apart: a write to a shard bears several of them. */
const BATCH_MS = 200;

/**
 * Offers keys to members that have fewer, or that the keys prefer. All members together make `rebalanceRate` such moves a second: those who have too many
 * share it. Returns when the next ones may be made.
 */
export function rebalance(draft: Draft): number {
  const { now, env, state, table, me } = draft;
  const { rebalanceRate } = env.config;
  const owner = table.seats.get(me.node);
  if (rebalanceRate <= 0 || env.giving !== "no" || owner === undefined || state.wishes === undefined) return state.nextMoveAt;
  wakeBySteadiness(draft);
  const room = Math.max(1, rebalanceRate) - draft.moving;
  let best = room <= 0 ? undefined : bestMove(draft, owner);
  draft.even = best === undefined && draft.moving === 0 && state.shards.every(({ inFlight }) => inFlight === undefined);
  if (best === undefined) return state.nextMoveAt;
  wakeBy(draft, state.nextMoveAt);
  if (now < state.nextMoveAt) return state.nextMoveAt;
  const above = Math.max(1, [...table.seats.values()].filter((seat) => isAbove(seat, table)).length);
  const most = Math.min(room, Math.max(1, Math.floor((rebalanceRate * BATCH_MS) / 1000 / above)));
  let made = 0;
  for (; made < most && best !== undefined; made += 1) {
    owner.load -= best.lot.plot.weight;
    best.seat.load += best.lot.plot.weight;
    draft.movable.splice(draft.movable.indexOf(best.lot), 1);
    offerTo(draft, best.lot, best.seat, { move: true, offeredAt: now, boundAt: now + env.config.handOverMs });
    best = bestMove(draft, owner);
  }
  const next = now + (1000 * above * made) / rebalanceRate;
  wakeBy(draft, next);
  return next;
}

interface Move {
  readonly lot: Draft["movable"][number];
  readonly seat: Seat;
  readonly score: number;
}

/** The key that the hash would rather see at the other member than any other key of this node, of those whose shard is not being written. */
function bestMove({ movable, table, state }: Draft, owner: Seat): Move | undefined {
  const above = isAbove(owner, table);
  let best: Move | undefined;
  for (const lot of movable) {
    if ((!above && lot.plot.preferred.length === 0) || state.shards[lot.shard]?.inFlight !== undefined) continue;
    const seat = betterFor(lot.plot, table, owner);
    if (seat === undefined) continue;
    const value = moveScore(lot.plot, seat);
    if (best === undefined || value > best.score) best = { lot, seat, score: value };
  }
  return best;
}

function moveScore(plot: Plot, seat: Seat): number {
  return plot.preferred.includes(seat.node) ? Infinity : score(plot.hash, seat.hash, seat.weight);
}

/** A member that becomes steady is a reason to look again. */
function wakeBySteadiness(draft: Draft): void {
  const { steadyMs, returnedMs } = draft.env.config;
  for (const { after, liveSince, state } of draft.env.members.values()) {
    if (state === "live") wakeBy(draft, liveSince + (after === "fenced" ? returnedMs : steadyMs));
  }
}
