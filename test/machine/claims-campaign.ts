import type { SimOptions, SimResult } from "./claims-sim-options.js";
import { ClaimsSim } from "./claims-sim.js";

export interface Campaign {
  readonly runs: number;
  /** Worst overlap outside a hand-over, with its seed; empty where there was none. */
  readonly overlap: string;
  readonly overlapMs: number;
  readonly gapMs: number;
  readonly gap: string;
  readonly handOverMs: number;
  readonly handOvers: number;
  readonly moves: number;
  readonly fencedAlive: number;
  /** The first of each, with its seed. */
  readonly broken: readonly string[];
  readonly needless: readonly string[];
  readonly restless: readonly string[];
  readonly unheld: readonly string[];
  readonly worstSpread: readonly [number, number];
}

/** Runs the model with many seeds and keeps the worst of each; a failure names the seed, so that `new ClaimsSim({ ...options, seed })` shows it again. */
export function campaign(options: Omit<SimOptions, "seed">, runs: number, first = 1): Campaign {
  const results: [number, SimResult][] = [];
  for (let seed = first; seed < first + runs; seed += 1) results.push([seed, new ClaimsSim({ ...options, seed }).run()]);
  const texts = (of: (result: SimResult) => readonly string[]): string[] => results.flatMap(([seed, result]) => of(result).slice(0, 1).map((text) => `seed ${seed}, ${text}`));
  const most = (of: (result: SimResult) => number): number => Math.max(...results.map(([, result]) => of(result)));
  const sum = (of: (result: SimResult) => number): number => results.reduce((all, [, result]) => all + of(result), 0);
  const overlapMs = most((r) => r.overlapMs);
  const gapMs = most((r) => r.gapMs);
  return {
    runs: results.length,
    overlap: texts((r) => (r.overlapText === "" ? [] : [r.overlapText]))[0] ?? "",
    overlapMs,
    gapMs,
    gap: texts((r) => (r.gapMs === gapMs ? [r.gapText] : []))[0] ?? "",
    handOverMs: most((r) => r.handOverMs),
    handOvers: sum((r) => r.handOvers),
    moves: sum((r) => r.moves),
    fencedAlive: sum((r) => r.fencedAlive),
    broken: texts((r) => r.broken),
    needless: texts((r) => r.needless),
    restless: texts((r) => (r.restlessWrites > 0 ? [`${r.restlessWrites} writes`] : [])),
    unheld: texts((r) => (r.unheld > 0 ? [`${r.unheld} keys`] : [])),
    worstSpread: [Math.min(...results.map(([, r]) => r.spread[0])), most((r) => r.spread[1])],
  };
}
