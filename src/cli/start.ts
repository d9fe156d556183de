import { hostname } from "node:os";
import { CLOCK_DRIFT, KERNEL_LATENESS_MS } from "../config/load.js";
import { followKernel } from "./follow-kernel.js";
import { watchHealth } from "./watch-health.js";
import type { Settings } from "../config/settings.js";
import { Engine, type EngineConfig } from "../core/engine.js";
import { partOf, type Marks, type OwnershipKey, type ServiceKey } from "../core/model.js";
import { watchForPause } from "../core/pause.js";
import { Ownership } from "../core/ownership.js";
import { createKube } from "../kube/kube.js";
import { Cleanup } from "../lib/cleanup.js";
import { createClock } from "../linux/clock.js";
import { createKernel } from "../linux/kernel.js";
import { createRandom } from "../linux/random.js";
import type { ElectionConfig } from "../machine/election-state.js";
import { createArpMode } from "../modes/index.js";
import type { Clock } from "../ports/clock.js";
import type { LeaseId, Service } from "../ports/kube.js";
import type { Log } from "../ports/log.js";

/** IFA_PROTO of the addresses that we make. */
const MARKS: Marks = { services: 118, "control-plane": 119 };
const BURST_MS = [0, 50, 200, 1000, 2000];
/** How long a leaving holder keeps its addresses while no heir shows up. */
const HAND_OVER_MS = 1000;
/** How long it keeps them beside its heir, at the most: it lets go when it hears the heir announce them. */
const HEIR_MS = 60;
/** How long a node whose API server is sick leaves a free Lease to others (less than it keeps the addresses), and when it offers it again. */
const PATIENCE_MS = 700;
const OFFER_AGAIN_MS = 30_000;
/** When real time jumps ahead of monotonic time by more than a second, the machine has stood still, or somebody set the clock. */
const PAUSE = { everyMs: 200, thresholdMs: 1000 };
/** How long a clean stop may take in all beyond the hand-over. */
const STOP_MS = 2000;

/** Runs the daemon until `signal` aborts, then lets go of everything in order: VIPs handed over or removed, Leases released, sockets closed. */
export async function start(settings: Settings, log: Log, signal: AbortSignal): Promise<void> {
  const node = (settings.nodeName ?? hostname()).toLowerCase();
  await using cleanup = new Cleanup();
  const leases = leaseIds(settings);
  const clock = createClock();
  const random = createRandom();
  const kernel = cleanup.use(createKernel({ log, clock }));
  const kube = cleanup.use(
    createKube(
      { connection: { kubeconfigPath: settings.kubeconfig, kubernetesAddr: settings.kubernetesAddress }, nodeName: node },
      { clock, log, random },
    ),
  );
  const watching = new AbortController();
  const ownership = cleanup.use(new Ownership(electionConfig(settings, node), { leases: kube.leases, clock, log, changed: () => engine.wake() }));
  const engine: Engine = cleanup.use(
    new Engine(engineConfig(settings, node), {
      clock,
      log,
      random,
      services: kube.services,
      events: kube.events,
      ownership,
      arp: (report) => {
        const announce = { burstMs: BURST_MS, refreshMs: settings.arpRateMs, packetsPerSecond: settings.arpPacketsPerSecond };
        const links = () => engine.world.links.values();
        return createArpMode({ announce, marks: MARKS, serves: new Set([...leases.keys()].map(partOf)), duplicateCheck: settings.duplicateCheck }, { kernel, fence: ownership, clock, log, links, report });
      },
    }),
  );
  const following = cleanup.use(followKernel({ wantsDefaultLink: settings.iface === undefined }, { kernel, engine, clock, log }));
  await following.ready;
  const pause = watchForPause(PAUSE, {
    clock,
    paused: (ms) => {
      log.warn("real time jumped ahead: nothing is held until the API has confirmed it", { ms: Math.round(ms) });
      ownership.suspect();
    },
  });
  cleanup.defer(() => pause[Symbol.dispose]());
  const health = watchHealth(settings, { clock, log, changed: (controlPlaneHealth) => engine.learn({ controlPlaneHealth }) });
  if (health !== undefined) cleanup.use(health);
  for (const [key, id] of leases) ownership.watch(key, id);
  const services = settings.services
    ? kube.services.watch(settings.serviceNamespace, (all) => engine.learn({ services: byKey(all) }), watching.signal)
    : aborted(watching.signal);
  log.info("started", { node, interface: settings.iface ?? engine.world.defaultLink ?? "", services: settings.services, controlPlane: settings.address });

  await Promise.race([aborted(signal), engine.failed, ownership.failed(), services]);

  log.info("stopping");
  ownership.leave();
  await Promise.race([ownership.left(), delay(clock, HAND_OVER_MS + STOP_MS)]);
  await Promise.race([engine.settle(), delay(clock, STOP_MS)]);
  watching.abort(new DOMException("stopping", "AbortError"));
  await services.catch(() => undefined);
  log.info("stopped");
}

function electionConfig(settings: Settings, node: string): ElectionConfig {
  return {
    identity: node,
    leaseDurationMs: settings.leaseSeconds * 1000,
    renewDeadlineMs: settings.renewDeadlineSeconds * 1000,
    retryPeriodMs: settings.retrySeconds * 1000,
    drift: CLOCK_DRIFT,
    kernelLatenessMs: KERNEL_LATENESS_MS,
    handOverMs: HAND_OVER_MS,
    heirMs: HEIR_MS,
    patienceMs: PATIENCE_MS,
    offerAgainMs: OFFER_AGAIN_MS,
  };
}

function engineConfig(settings: Settings, node: string): EngineConfig {
  return {
    node,
    marks: MARKS,
    plan: {
      services: settings.services,
      controlPlane: settings.controlPlane ? settings.address : [],
      controlPlanePort: settings.port,
      iface: settings.iface,
      servicesIface: settings.servicesIface,
      loadBalancerClass: settings.loadBalancerClass ?? "",
    },
  };
}

function leaseIds(settings: Settings): ReadonlyMap<OwnershipKey, LeaseId> {
  const ids = new Map<OwnershipKey, LeaseId>();
  if (settings.services) ids.set("services", leaseId(settings.servicesLease ?? "plndr-svcs-lock", settings));
  if (settings.controlPlane) ids.set("control-plane", leaseId(settings.controlPlaneLease ?? "plndr-cp-lock", settings));
  return ids;
}

/** `name` or `namespace/name`, as in kube-vip. */
function leaseId(text: string, settings: Settings): LeaseId {
  const [first = "", second] = text.split("/");
  const namespace = settings.controlPlaneNamespace ?? "kube-system";
  return second === undefined ? { namespace, name: first } : { namespace: first, name: second };
}

function byKey(services: ReadonlyMap<string, Service>): ReadonlyMap<ServiceKey, Service> {
  return services as ReadonlyMap<ServiceKey, Service>;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

async function delay(clock: Clock, ms: number): Promise<void> {
  await new Promise<void>((resolve) => clock.after(ms, resolve));
}
