import type { Clock, Timer } from "../ports/clock.js";

/** Node fires a timer above this at once. */
const LONGEST_DELAY = 2 ** 31 - 1;

/** The clock of this machine. */
export function createClock(): Clock {
  return {
    // libuv's hrtime, which is CLOCK_MONOTONIC.
    now: () => performance.now(),
    wallTime: () => Date.now(),
    after,
  };
}

function after(ms: number, fn: () => void): Timer {
  const due = performance.now() + ms;
  let timer = setTimeout(step, Math.min(Math.ceil(ms), LONGEST_DELAY));
  function step(): void {
    const left = due - performance.now();
    // Node counts whole milliseconds from a time that it takes once per turn, and so may fire a little early.
    if (left <= 0) fn();
    else timer = setTimeout(step, Math.min(Math.ceil(left), LONGEST_DELAY));
  }
  return { cancel: () => clearTimeout(timer) };
}
