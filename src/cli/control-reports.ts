import { serviceReport, type ServiceReport } from "../core/explain-service.js";
import { nodeReport, type ExplainInput, type NodeReport } from "../core/explain.js";
import type { History, Moment } from "../core/history.js";
import type { ServiceKey } from "../core/model.js";
import type { Plan, PlanConfig } from "../core/plan.js";
import type { World } from "../core/world.js";
import type { Clock } from "../ports/clock.js";
import type { Addresses, LinkAddress } from "../ports/kernel.js";
import type { Reports } from "./control-socket.js";

/** While somebody holds the rtnl lock the kernel does not answer; a report then goes without. */
const KERNEL_MS = 1000;

export interface ReportsConfig {
  readonly plan: PlanConfig;
  readonly version: string;
}

export interface ReportsDeps {
  readonly clock: Clock;
  readonly kernel: Pick<Addresses, "addresses">;
  readonly history: History;
  /** World and plan of the newest pass; undefined before the first. */
  newest(): { readonly world: World; readonly plan: Plan } | undefined;
}

/** Reports of this process, each made from what is known at the moment of asking. */
export function createReports(config: ReportsConfig, deps: ReportsDeps): Reports {
  const startedAt = momentOf(deps.clock);
  const input = async (): Promise<ExplainInput> => {
    const kernel = await kernelNow(deps);
    const newest = deps.newest();
    if (newest === undefined) throw new Error("vip is starting: nothing is known yet");
    return { ...newest, kernel, config: config.plan, history: deps.history, at: momentOf(deps.clock), version: config.version, startedAt };
  };
  return {
    status: async (): Promise<NodeReport> => nodeReport(await input()),
    why: async (service): Promise<ServiceReport> => serviceReport(await input(), service as ServiceKey),
  };
}

/** This moment on both clocks. */
export function momentOf(clock: Clock): Moment {
  return { now: clock.now(), wallMs: clock.wallTime() };
}

/** Undefined where the kernel does not answer, or refuses. */
async function kernelNow({ kernel, clock }: ReportsDeps): Promise<readonly LinkAddress[] | undefined> {
  const abort = new AbortController();
  const late = clock.after(KERNEL_MS, () => abort.abort(new DOMException("too late", "AbortError")));
  const aborted = new Promise<undefined>((resolve) => abort.signal.addEventListener("abort", () => resolve(undefined), { once: true }));
  try {
    return await Promise.race([kernel.addresses(abort.signal), aborted]);
  } catch {
    // The report says that the kernel could not be read; why, is in the log of who needs it.
    return undefined;
  } finally {
    late.cancel();
  }
}
