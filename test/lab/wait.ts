import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds of the machine's monotonic clock: the same in every process of the lab. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function shown(value: unknown): string {
  if (value instanceof Error) return String(value);
  return JSON.stringify(value) ?? String(value);
}

function isYes(answer: unknown): boolean {
  if (Array.isArray(answer)) return answer.length > 0;
  return Boolean(answer) && (answer as { ok?: unknown }).ok !== false;
}

/** How much longer than on a quiet machine anything may take: how fast things are is measured by benchmarks. */
const PATIENCE = 2.5;

/**
 * Asks `ask` every 10 ms until its answer is truthy, and returns that answer. Fails after 2.5 times `ms` with what it last saw.
 * "Not yet" are also an empty list, an error thrown by `ask`, and `{ ok: false, ... }`, which is shown in the failure.
 */
export async function waitFor<T>(ask: () => T | Promise<T>, ms: number, what: string): Promise<NonNullable<T>> {
  const end = monotonicMs() + PATIENCE * ms;
  for (;;) {
    let last: unknown;
    try {
      const answer = await ask();
      if (isYes(answer)) return answer as NonNullable<T>;
      last = answer;
    } catch (error) {
      last = error;
    }
    if (monotonicMs() >= end) throw new Error(`waited ${PATIENCE * ms} ms for ${what}; last seen: ${shown(last)}`);
    await sleep(10);
  }
}
