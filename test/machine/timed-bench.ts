/** A machine with its clock: of an address by DHCP, of a port at the router. `random` stays 0.5 unless a test sets it. */
export abstract class TimedBench<E extends { readonly type: string }, A> {
  now = 0;
  random = 0.5;
  /** `1000 DISCOVER * ...`: all that happened, with its time in ms. */
  readonly log: string[] = [];
  wakeAt: number | undefined;

  /** Takes the event at `now`. */
  protected abstract step(event: E | { readonly type: "tick" }): { readonly actions: readonly A[]; readonly wakeAt?: number | undefined };

  /** What the log says of an action. */
  protected abstract did(action: A): string;

  send(event: E | { readonly type: "tick" }): this {
    const { actions, wakeAt } = this.step(event);
    this.wakeAt = wakeAt;
    for (const action of actions) this.log.push(`${Math.round(this.now)} ${this.did(action)}`);
    return this;
  }

  /** Runs the timer until then. */
  until(time: number): this {
    while (this.wakeAt !== undefined && this.wakeAt <= time) {
      this.now = Math.max(this.now, this.wakeAt);
      this.send({ type: "tick" });
    }
    this.now = time;
    return this;
  }

  /** What was logged since the last call. */
  news(): readonly string[] {
    return this.log.splice(0);
  }
}
