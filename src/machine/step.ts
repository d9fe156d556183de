/**
 * The shape of every protocol rule here: no clock, no socket, no timer. `now` is monotonic milliseconds; `wakeAt` is when the machine wants to
 * be called with a `tick`, at the latest.
 */
export type Step<S, E, A> = (state: S, event: E, now: number) => StepResult<S, A>;

export interface StepResult<S, A> {
  readonly state: S;
  readonly actions: readonly A[];
  readonly wakeAt: number | undefined;
}
