import type { Random } from "../ports/random.js";

/** Good enough for jitter and ids; no secrets come from it. */
export function createRandom(): Random {
  return { float: () => Math.random() };
}
