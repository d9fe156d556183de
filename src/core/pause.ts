import type { Clock, Timer } from "../ports/clock.js";

export interface PauseConfig {
  readonly everyMs: number;
  /** Real time that ran ahead of monotonic time by more than this between two looks is a pause, ms. */
  readonly thresholdMs: number;
}

/**
 * Calls `paused` when the machine seems to have stood still without its monotonic clock knowing (a snapshot, a live migration): real time has
 * jumped ahead. Somebody who sets the wall clock ahead looks the same; the cost is one question to the API. Set back, it is never a pause.
 */
export function watchForPause(config: PauseConfig, deps: { readonly clock: Clock; paused(ms: number): void }): Disposable {
  const { clock } = deps;
  let offset = clock.wallTime() - clock.now();
  let timer: Timer;
  const look = (): void => {
    const next = clock.wallTime() - clock.now();
    const jump = next - offset;
    offset = next;
    timer = clock.after(config.everyMs, look);
    if (jump > config.thresholdMs) deps.paused(jump);
  };
  timer = clock.after(config.everyMs, look);
  return { [Symbol.dispose]: () => timer.cancel() };
}
