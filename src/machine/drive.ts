import type { Step } from "./step.js";

/** The part of a clock that a machine needs to be driven. */
export interface DriveClock {
  now(): number;
  after(ms: number, fn: () => void): { cancel(): void };
}

export interface DriveConfig<S, E, A> {
  readonly start: S;
  readonly step: Step<S, E, A>;
  /** The event that is sent when a machine's wake-up time has come. */
  tick(): E;
  /** Carries out an action. Called after the state has moved; may send events. */
  act(action: A): void;
  /** Called after every step. */
  moved(state: S): void;
}

/** Runs a machine on a clock: one timer, one state. */
export class Drive<S, E, A> {
  #state: S;
  #timer: { cancel(): void } | undefined;
  #stopped = false;

  constructor(
    private readonly config: DriveConfig<S, E, A>,
    private readonly clock: DriveClock,
  ) {
    this.#state = config.start;
  }

  get state(): S {
    return this.#state;
  }

  send(event: E): void {
    if (this.#stopped) return;
    const { state, actions, wakeAt } = this.config.step(this.#state, event, this.clock.now());
    this.#state = state;
    this.#arm(wakeAt);
    this.config.moved(state);
    for (const action of actions) this.config.act(action);
  }

  /** No more steps; the timer is called off. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #arm(wakeAt: number | undefined): void {
    this.#timer?.cancel();
    this.#timer = wakeAt === undefined ? undefined : this.clock.after(Math.max(0, wakeAt - this.clock.now()), () => this.send(this.config.tick()));
  }
}
