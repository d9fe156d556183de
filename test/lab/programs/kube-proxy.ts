// kube-proxy.mjs {"node","ipv4","ipv6","kubeconfig","stateFile"}: stands in for kube-proxy on one node. Follows Services and EndpointSlices,
// programs nftables, ends stale UDP flows, answers health checks. After each change that it applied it writes one line of JSON:
// {"services","slices"} (the revisions), {"lagMs"} (from the first event of it to the rules in the kernel) and {"flushed"} (UDP flows ended).
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../command.js";
import { flushStale } from "../proxy/conntrack.js";
import { HealthServers, type ProxyState } from "../proxy/health.js";
import type { ProxyService, ProxySlice } from "../proxy/objects.js";
import { planHealth, planPorts, type Observed } from "../proxy/plan.js";
import { accessOf, Reflector } from "../proxy/reflector.js";
import { ruleset } from "../proxy/ruleset.js";
import { monotonicMs } from "../wait.js";

interface Task {
  readonly node: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly kubeconfig: string;
  readonly stateFile: string;
}

const task = JSON.parse(process.argv[2] ?? "{}") as Task;

/** What was applied, and the first event that was not. */
class Progress {
  rules = "";
  appliedAt: Date | undefined;
  #since: number | undefined;
  #wake: () => void = () => undefined;

  /** Something arrived. */
  readonly changed = (): void => {
    this.#since ??= monotonicMs();
    this.#wake();
  };

  /** Waits for something to apply; returns when the first of it arrived. */
  async next(): Promise<number> {
    if (this.#since === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
    const since = this.#since ?? monotonicMs();
    this.#since = undefined;
    return since;
  }
}

const progress = new Progress();
const access = accessOf(task.kubeconfig);
const services = new Reflector<ProxyService>(access, "/api/v1/services", progress.changed);
const slices = new Reflector<ProxySlice>(access, "/apis/discovery.k8s.io/v1/endpointslices", progress.changed);
const health = new HealthServers({
  state: () => readFileSync(task.stateFile, "utf8").trim() as ProxyState,
  appliedAt: () => progress.appliedAt,
});

/** Brings the kernel to what was observed; returns when the rules were there and how many UDP flows were ended. */
async function apply(observed: Observed): Promise<{ readonly at: number; readonly flushed: number }> {
  const plans = planPorts(observed, task.node);
  health.update(planHealth(observed, task.node));
  const rules = ruleset(plans, task);
  if (rules === progress.rules) return { at: monotonicMs(), flushed: 0 };
  await run(["nft", "-f", "-"], { input: rules });
  const at = monotonicMs();
  const flushed = await flushStale(plans);
  progress.rules = rules; // only now: what failed in between is done again
  return { at, flushed };
}

async function applyForever(): Promise<void> {
  for (;;) {
    const since = await progress.next();
    if (!services.listed || !slices.listed) continue; // rules from a part of the objects would refuse Services that have endpoints
    const revisions = { services: services.revision, slices: slices.revision };
    try {
      const { at, flushed } = await apply({ services: services.objects(), slices: slices.objects() });
      progress.appliedAt = new Date();
      console.log(JSON.stringify({ ...revisions, lagMs: at - since, flushed }));
    } catch (error) {
      console.error(error);
      await sleep(100);
      progress.changed();
    }
  }
}

const signal = new AbortController().signal;
await health.open();
await Promise.all([services.run(signal), slices.run(signal), applyForever()]);
