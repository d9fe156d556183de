// kube-proxy.mjs {"node","ipv4","ipv6","kubeconfig","stateFile"}: stands in for kube-proxy on one node. Follows Services and EndpointSlices,
// programs nftables, ends stale UDP flows, answers health checks. After each change that it applied it writes one line of JSON:
// {"services","slices"} (the revisions) and {"lagMs"} (from the first event of it to the rules in the kernel); {"flushed"} says how many UDP
// flows were ended, a little later.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../command.js";
import { flushStale } from "../proxy/conntrack.js";
import { HealthServers, type ProxyState } from "../proxy/health.js";
import type { ProxyService, ProxySlice } from "../proxy/objects.js";
import { planHealth, planPorts, type Observed, type PortPlan } from "../proxy/plan.js";
import { accessOf, Reflector } from "../proxy/reflector.js";
import { ruleset } from "../proxy/ruleset.js";
import { monotonicMs } from "../wait.js";

/** After something failed, in ms. */
const RETRY_MS = 100;

interface Task {
  readonly node: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly kubeconfig: string;
  readonly stateFile: string;
}

const task = JSON.parse(process.argv[2] ?? "{}") as Task;

/** Work that waits to be done, and since when. */
class Bell {
  #since: number | undefined;
  #wake: () => void = () => undefined;

  /** There is something to do. */
  readonly ring = (): void => {
    this.#since ??= monotonicMs();
    this.#wake();
  };

  /** Waits for something to do; returns when it first rang for it. */
  async next(): Promise<number> {
    if (this.#since === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
    const since = this.#since ?? monotonicMs();
    this.#since = undefined;
    return since;
  }
}

/** What is in the kernel. */
const done: { rules: string; plans: readonly PortPlan[]; at: Date | undefined } = { rules: "", plans: [], at: undefined };
const changed = new Bell();
const applied = new Bell();
const access = accessOf(task.kubeconfig);
const services = new Reflector<ProxyService>(access, "/api/v1/services", changed.ring);
const slices = new Reflector<ProxySlice>(access, "/apis/discovery.k8s.io/v1/endpointslices", changed.ring);
const health = new HealthServers({
  state: () => readFileSync(task.stateFile, "utf8").trim() as ProxyState,
  appliedAt: () => done.at,
});

/** Brings rules and health servers to what was observed. */
async function apply(observed: Observed): Promise<void> {
  const plans = planPorts(observed, task.node);
  health.update(planHealth(observed, task.node));
  const rules = ruleset(plans, task);
  if (rules !== done.rules) await run(["nft", "-f", "-"], { input: rules });
  Object.assign(done, { rules, plans, at: new Date() });
  applied.ring();
}

/** Does the work each time the bell rings, and again after it failed. */
async function onEach(bell: Bell, work: (since: number) => Promise<void>): Promise<void> {
  for (;;) {
    const since = await bell.next();
    try {
      await work(since);
    } catch (error) {
      console.error(error);
      await sleep(RETRY_MS);
      bell.ring();
    }
  }
}

async function program(since: number): Promise<void> {
  if (!services.listed || !slices.listed) return; // rules from a part of the objects would refuse Services that have endpoints
  const revisions = { services: services.revision, slices: slices.revision };
  await apply({ services: services.objects(), slices: slices.objects() });
  console.log(JSON.stringify({ ...revisions, lagMs: monotonicMs() - since }));
}

// Apart from the rules: those of the next change need not wait for it.
async function flush(): Promise<void> {
  const flushed = await flushStale(done.plans);
  if (flushed > 0) console.log(JSON.stringify({ flushed }));
}

const signal = new AbortController().signal;
await health.open();
await Promise.all([services.run(signal), slices.run(signal), onEach(changed, program), onEach(applied, flush)]);
