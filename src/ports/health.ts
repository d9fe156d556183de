import type { HealthResult } from "../lib/health-result.js";

export type { HealthResult } from "../lib/health-result.js";

/** Looks once whether something is well. */
export interface HealthProbe {
  /** A failure of any kind is a result with its reason; rejects only with the reason of `signal`, when that aborts. */
  check(signal: AbortSignal): Promise<HealthResult>;
}
