import { hostname } from "node:os";
import type { Settings } from "../config/settings.js";
import { DATA_PLANE_PACE, DataPlane } from "../core/dataplane.js";
import { Engine } from "../core/engine.js";
import { recordPass } from "../core/explain-history.js";
import { History } from "../core/history.js";
import { Names } from "../core/names.js";
import { watchForPause } from "../core/pause.js";
import { configured } from "../core/plan-links.js";
import { createKube } from "../kube/kube.js";
import { Cleanup } from "../lib/cleanup.js";
import { createClock } from "../linux/clock.js";
import { createDhcp6Sockets } from "../linux/dhcp6.js";
import { createDns } from "../linux/dns.js";
import { createHttpProbe } from "../linux/http-probe.js";
import { createKernel } from "../linux/kernel.js";
import { createNft } from "../linux/nft.js";
import { createRandom } from "../linux/random.js";
import { DHCP_TIMING } from "../machine/dhcp-client-state.js";
import { DHCP6_TIMING } from "../machine/dhcp6-client-state.js";
import { NAME_DEFAULTS } from "../machine/name.js";
import { READINESS_DEFAULTS } from "../machine/readiness.js";
import type { DhcpConfig } from "../modes/dhcp.js";
import { createAddressMode, createArpMode, createDhcpMode, createDnatMode, createLinkMode } from "../modes/index.js";
import type { Clock } from "../ports/clock.js";
import { createBgp } from "./bgp-setup.js";
import { createBootstrap } from "./bootstrap.js";
import { createReports, momentOf } from "./control-reports.js";
import { CONTROL_DIRECTORY, serveControl } from "./control-socket.js";
import { followKernel } from "./follow-kernel.js";
import { debugBySignal, type SwitchableLog } from "./log.js";
import { Monitor } from "./monitor.js";
import { createKubeVipLeases, createNodeLabels, createOwners, followed } from "./owners.js";
import { connection, engineConfig, HAND_OVER_MS, LEAVE_MS, leaseIds, MARKS, partsOf, vipLink } from "./plan-config.js";
import { createUpnp } from "./upnp-setup.js";
import { watchApi } from "./watch-api.js";
import { watchPeerSources } from "./watch-bgp.js";
import { watchHealth } from "./watch-health.js";

const BURST_MS = [0, 50, 200, 1000, 2000];
/** When real time jumps ahead of monotonic time by more than a second, the machine has stood still, or somebody set the clock. */
const PAUSE = { everyMs: 200, thresholdMs: 1000 };
/** By then an heir has taken what is left to it; what nobody takes is cleaned up while it is still held, ms. */
const HEIR_SHOWS_MS = 400;
/** How long a clean stop may take in all beyond the hand-over. */
const STOP_MS = 2000;

export interface StartDeps {
  readonly version: string;
  readonly log: SwitchableLog;
}

/** Runs the daemon until `signal` aborts, then lets go of everything in order: VIPs handed over or removed, Leases released, sockets closed. */
export async function start(settings: Settings, { version, log }: StartDeps, signal: AbortSignal): Promise<void> {
  const node = (settings.nodeName ?? hostname()).toLowerCase();
  await using cleanup = new Cleanup();
  const debug = debugBySignal(log);
  cleanup.defer(() => debug[Symbol.dispose]());
  const leases = leaseIds(settings);
  const clock = createClock();
  const random = createRandom();
  const monitor = new Monitor({ settings, node, version }, { clock, log });
  const kernel = monitor.tap(cleanup.use(createKernel({ log, clock })));
  const kube = cleanup.use(
    createKube(
      { connection: connection(settings), nodeName: node },
      { clock, log, random, onRequest: (seen) => monitor.requested(seen) },
    ),
  );
  const watching = new AbortController();
  const ownership = cleanup.use(createOwners(settings, node, { leases: monitor.tapLeases(kube.leases), clock, random, log, changed: () => ownershipChanged() }));
  const bootstrap = createBootstrap(settings, { ownership, kernel, clock, random, log, world: () => engine.world, changed: () => engine.wake() });
  if (bootstrap !== undefined) cleanup.use(bootstrap);
  const fence = bootstrap ?? ownership;
  const ownershipChanged = (): void => {
    bootstrap?.learn();
    engine.ownershipChanged();
  };
  const serves = new Set(partsOf(settings));
  const nft = monitor.tap(cleanup.use(createNft()));
  const history = new History();
  const names = cleanup.use(new Names(NAME_DEFAULTS, { clock, dns: createDns(), log, random, changed: () => engine.learn({ names: names.results() }) }));
  const dataplane = cleanup.use(
    new DataPlane({ ...READINESS_DEFAULTS, ...DATA_PLANE_PACE }, { clock, probe: createHttpProbe(), log, changed: () => engine.learn({ dataplane: dataplane.results() }) }),
  );
  const bgp = createBgp(settings, { node, fence, clock, log, random, events: kube.events, world: () => engine.world });
  if (bgp !== undefined) cleanup.use(bgp);
  const kubeVip = createKubeVipLeases(settings, node, { leases: kube.leases, clock, log, changed: (seen) => engine.learn({ kubeVip: seen }) });
  if (kubeVip !== undefined) cleanup.use(kubeVip);
  const labels = createNodeLabels(settings, node, { nodes: kube.nodes, clock, log });
  if (labels !== undefined) cleanup.use(labels);
  const config = engineConfig(settings, node);
  const links = () => engine.world.links.values();
  const addresses = createAddressMode({ marks: MARKS, serves }, { kernel, clock, log, links });
  const engine: Engine = cleanup.use(
    new Engine(config, {
      clock,
      log,
      random,
      services: kube.services,
      events: kube.events,
      ownership: fence,
      modes: {
        arp: (report) => {
          const announce = { burstMs: BURST_MS, refreshMs: settings.arpRateMs, packetsPerSecond: settings.arpPacketsPerSecond };
          if (bgp !== undefined) return addresses;
          return createArpMode({ announce, marks: MARKS, serves, duplicateCheck: settings.duplicateCheck }, { kernel, fence, clock, log, links, report, taken: (address) => configured(engine.world, address)?.controlPlane === true });
        },
        link: () => createLinkMode({ serves, manageParent: settings.dhcpManageParent }, { kernel, log, answers: (parent, conf) => engine.learn({ answering: replaced(engine.world.answering, parent, conf) }) }),
        dhcp: (report) => createDhcpMode(dhcpConfig(settings), { kernel, sockets6: createDhcp6Sockets(), clock, random, log, report, dropped: (reason) => monitor.dhcpDropped(reason) }),
        dnat: () => createDnatMode({ nft }),
        bgp: bgp?.mode,
        ...(settings.upnp && {
          upnp: (report) => createUpnp({ kernel, clock, random, log, report, nextHops: () => engine.world.gateways, refused: (trouble) => monitor.upnpRefused(trouble) }),
        }),
      },
      passed: (ms) => monitor.passed(ms),
      planned: (after, before) => {
        monitor.planned(after, before);
        names.follow(after.plan.names);
        dataplane.watch(after.plan.checks);
        bgp?.planned(after, before);
        kubeVip?.take(after.plan.kubeVip);
        labels?.planned(after);
        recordPass(history, { before, after }, momentOf(clock));
      },
    }),
  );
  const monitoring = cleanup.use(monitor.serve({ engine, fence, bgp: bgp?.mode }));
  const reports = createReports({ plan: config.plan, version, node }, { clock, kernel, history, bgp: bgp?.mode, newest: () => engine.newest });
  const orders = { drain: (drained: boolean) => engine.learn({ drained }), rebalance: async () => ownership.rebalance() };
  cleanup.use(await serveControl({ directory: settings.controlDirectory ?? CONTROL_DIRECTORY, pid: process.pid }, { reports, log, orders }));
  const following = cleanup.use(followKernel({ wantsDefaultLink: vipLink(settings) === undefined }, { kernel, engine, clock, log }));
  await following.ready;
  const pause = watchForPause(PAUSE, {
    clock,
    paused: (ms) => {
      log.warn("real time jumped ahead: nothing is held until the API has confirmed it", { ms: Math.round(ms) });
      ownership.suspect();
      bootstrap?.suspect();
    },
  });
  cleanup.defer(() => pause[Symbol.dispose]());
  const health = watchHealth(settings, { clock, log, changed: (controlPlaneHealth) => engine.learn({ controlPlaneHealth }) });
  if (health !== undefined) cleanup.use(health);
  if (kubeVip !== undefined) engine.learn({ kubeVip: "unknown" });
  for (const [key, id] of leases) ownership.watch(key, id);
  const services = settings.services
    ? watchApi(settings, { kube, log, learn: (part) => engine.learn(part), learnSlices: (slices) => engine.learnSlices(slices) }, watching.signal)
    : aborted(watching.signal);
  const sources =
    bgp === undefined ? aborted(watching.signal) : watchPeerSources(settings, { node, kube, clock, log, learn: (part) => bgp.learn(part) }, watching.signal);
  log.info("started", { node, interface: vipLink(settings) ?? engine.world.defaultLink ?? "", services: settings.services, controlPlane: settings.address });

  await Promise.race([aborted(signal), engine.failed, ownership.failed(), services, sources, followed(kubeVip), followed(labels)]);

  log.info("stopping");
  monitoring.stopping();
  // Heirs announce what is handed over before it is withdrawn here.
  const left = bgp?.leave(addresses);
  bootstrap?.leave();
  ownership.leave();
  const heirsShown = clock.after(HEIR_SHOWS_MS, () => engine.learn({ stage: "leaving" }));
  await Promise.race([ownership.left(), delay(clock, (settings.election ? LEAVE_MS : HAND_OVER_MS) + STOP_MS)]);
  const stage = (await left) ?? "ending";
  heirsShown.cancel();
  engine.learn({ stage });
  await Promise.race([engine.settle(), delay(clock, STOP_MS)]);
  await Promise.race([labels?.clear(), delay(clock, STOP_MS)]);
  await kubeVip?.release((key) => (ownership.states().get(key)?.holder ?? "") !== "");
  watching.abort(new DOMException("stopping", "AbortError"));
  await Promise.allSettled([services, sources]);
  log.info("stopped");
}

/** The same with this entry, or without it. */
function replaced<K, V>(map: ReadonlyMap<K, V>, key: K, value: V | undefined): ReadonlyMap<K, V> {
  const others = [...map].filter(([other]) => other !== key);
  return new Map(value === undefined ? others : [...others, [key, value]]);
}

function dhcpConfig({ duplicateCheck }: Settings): DhcpConfig {
  return { timing: DHCP_TIMING, timing6: DHCP6_TIMING, vendorClass: "vip", duplicateCheck };
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

async function delay(clock: Clock, ms: number): Promise<void> {
  await new Promise<void>((resolve) => clock.after(ms, resolve));
}
