import { offerTo, wakeBy, type Draft } from "./claim-pass.js";
import type { Lot, Plot } from "./claim-state.js";
import { betterFor, isAbove, score, type Seat } from "./placement.js";

/**
 * Offers at most one key to a member that has fewer, or that the key prefers. All members together make `rebalanceRate` such moves a second: those who
 * have too many share it. Returns when the next one may be made.
 */
export function rebalance(draft: Draft): number {
  const { now, env, state, table, me } = draft;
  const { rebalanceRate } = env.config;
  const owner = table.seats.get(me.node);
  if (rebalanceRate <= 0 || env.giving !== "no" || owner === undefined || state.wishes === undefined) return state.nextMoveAt;
  wakeBySteadiness(draft);
  if (draft.moving >= Math.max(1, rebalanceRate)) return state.nextMoveAt;
  const best = bestMove(draft, owner);
  if (best === undefined) return state.nextMoveAt;
  wakeBy(draft, state.nextMoveAt);
  const busy = state.shards[best.lot.shard]?.inFlight !== undefined;
  if (now < state.nextMoveAt || busy) return state.nextMoveAt;
  const above = [...table.seats.values()].filter((seat) => isAbove(seat, table)).length;
  const next = now + (1000 * Math.max(1, above)) / rebalanceRate;
  wakeBy(draft, next);
  offerTo(draft, best.lot, best.seat, { move: true, offeredAt: now, boundAt: now + env.config.handOverMs });
  return next;
}

interface Move {
  readonly lot: Lot;
  readonly seat: Seat;
  readonly score: number;
}

/** The key that the hash would rather see at the other member than any other key of this node. */
function bestMove({ movable, table }: Draft, owner: Seat): Move | undefined {
  const above = isAbove(owner, table);
  let best: Move | undefined;
  for (const lot of movable) {
    if (!above && lot.plot.preferred.length === 0) continue;
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
