/** Exponential back-off with full jitter over the upper half: delay n lies in [d/2, d), d = min(first * 2^n, most). */
export function backoffMs(attempt: number, firstMs: number, mostMs: number, random: number): number {
  const full = Math.min(firstMs * 2 ** Math.min(attempt, 30), mostMs);
  return full / 2 + (full / 2) * random;
}
