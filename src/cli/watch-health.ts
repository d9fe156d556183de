import { controlPlaneHealthUrl, type Settings } from "../config/settings.js";
import { createHealthProbe } from "../kube/health.js";
import { Drive } from "../machine/drive.js";
import { healthStart, healthStep, type Health, type HealthAction, type HealthConfig, type HealthEvent, type HealthState } from "../machine/health.js";
import type { Clock } from "../ports/clock.js";
import type { HealthProbe } from "../ports/health.js";
import type { Log } from "../ports/log.js";

export interface WatchHealthDeps {
  readonly clock: Clock;
  readonly log: Log;
  changed(health: Health): void;
}

/** Asks this node's API server for its health from now on, where the settings want it; `changed` is told at once that nothing is known yet. */
export function watchHealth(settings: Settings, deps: WatchHealthDeps): AsyncDisposable | undefined {
  const url = controlPlaneHealthUrl(settings);
  if (url === undefined) return undefined;
  const config: HealthConfig = {
    periodMs: settings.healthPeriodSeconds * 1000,
    timeoutMs: settings.healthTimeoutSeconds * 1000,
    failureThreshold: settings.healthFailureThreshold,
  };
  const probe = createHealthProbe({ url, caPath: settings.healthCaPath, refusalCounts: settings.healthAddress === undefined });
  return new HealthWatch(config, probe, deps);
}

class HealthWatch implements AsyncDisposable {
  readonly #machine: Drive<HealthState, HealthEvent, HealthAction>;
  readonly #checks = new Map<number, { readonly abort: AbortController; readonly done: Promise<void> }>();
  #shown: Health = "unknown";

  constructor(
    config: HealthConfig,
    private readonly probe: HealthProbe,
    private readonly deps: WatchHealthDeps,
  ) {
    this.#machine = new Drive<HealthState, HealthEvent, HealthAction>(
      {
        start: healthStart(),
        step: (state, event, now) => healthStep(state, event, now, config),
        tick: () => ({ type: "tick" }),
        act: (action) => this.#act(action),
        moved: (state) => this.#moved(state),
      },
      deps.clock,
    );
    deps.changed(this.#shown);
    this.#machine.send({ type: "tick" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#machine.stop();
    for (const { abort } of this.#checks.values()) abort.abort(new DOMException("closing", "AbortError"));
    await Promise.all([...this.#checks.values()].map(({ done }) => done));
  }

  #moved({ health, reason }: HealthState): void {
    if (health === this.#shown) return;
    this.#shown = health;
    if (health === "healthy") this.deps.log.info("this node's api server is healthy");
    else this.deps.log.warn("this node's api server is sick", { reason });
    this.deps.changed(health);
  }

  #act(action: HealthAction): void {
    if (action.type === "cancel") {
      this.#checks.get(action.id)?.abort.abort(new DOMException("too late", "AbortError"));
      return;
    }
    const { id } = action;
    const abort = new AbortController();
    const done = this.probe
      .check(abort.signal)
      .then(
        (result) => this.#machine.send({ type: "answer", id, result }),
        () => undefined, // Rejects only with the reason of the signal: nobody waits for the answer any more.
      )
      .finally(() => this.#checks.delete(id));
    this.#checks.set(id, { abort, done });
  }
}
