import type { Settings } from "../config/settings.js";
import type { Engine, Pass } from "../core/engine.js";
import type { Fence } from "../core/mode.js";
import type { OwnershipKey } from "../core/model.js";
import type { RequestSeen } from "../kube/client.js";
import { Cleanup } from "../lib/cleanup.js";
import type { BgpMode } from "../modes/bgp.js";
import type { Clock } from "../ports/clock.js";
import type { Kernel } from "../ports/kernel.js";
import type { Leases } from "../ports/kube.js";
import type { Log } from "../ports/log.js";
import type { Nft } from "../ports/nft.js";
import { ApiReach } from "./api-reach.js";
import { Heartbeat } from "./heartbeat.js";
import { KernelTap } from "./kernel-tap.js";
import { Metrics } from "./metrics.js";
import { registerGauges } from "./metrics-gauges.js";
import { registerProcess } from "./metrics-process.js";
import { leaseIds, partsOf, vipLink } from "./plan-config.js";
import { healthAnswer, livez, readyz, type HealthView } from "./readiness.js";
import { serveHttp, splitListen, type HttpHandler, type HttpListener } from "./serve-http.js";

/** Whoever asks again within this gets the same text: figures must not keep the loop from what it is for, ms. */
const METRICS_MS = 250;

export interface MonitorConfig {
  readonly settings: Pick<Settings, "prometheusServer" | "healthCheckPort" | "iface" | "bgp" | "renewDeadlineSeconds"> & Parameters<typeof leaseIds>[0];
  readonly node: string;
  readonly version: string;
}

export interface MonitorDeps {
  readonly clock: Clock;
  readonly log: Log;
}

/** What is asked once it runs. */
export interface Monitored {
  readonly engine: Pick<Engine, "newest" | "wake">;
  readonly fence: Pick<Fence, "heldUntil" | "kernelDeadline">;
  /** Undefined in ARP mode. */
  readonly bgp?: Pick<BgpMode, "reports"> | undefined;
}

export interface Monitoring extends AsyncDisposable {
  /** Where metrics, then health, are served; empty where nothing is. */
  readonly listeners: readonly HttpListener[];
  /** From now on /readyz says no. */
  stopping(): void;
}

/** Health and metrics: listens in on the parts of the program, and tells whoever asks by HTTP. */
export class Monitor {
  readonly #leases: ReadonlyMap<OwnershipKey, string>;
  readonly #metrics: Metrics;
  readonly #kernel: KernelTap;
  readonly #api: ApiReach;
  #heartbeat: Heartbeat | undefined;
  #stopping = false;

  constructor(
    private readonly config: MonitorConfig,
    private readonly deps: MonitorDeps,
  ) {
    this.#leases = new Map([...leaseIds(config.settings)].map(([key, { name }]) => [key, name]));
    this.#metrics = new Metrics((key) => this.#leases.get(key));
    this.#api = new ApiReach(deps.clock);
    this.#kernel = new KernelTap({
      clock: deps.clock,
      failed: (operation, code) => this.#metrics.netlinkFailed(operation, code),
      sent: (protocol, kind) => this.#metrics.sent(protocol, kind),
    });
  }

  /** The same, overheard. */
  tap<T extends Kernel | Nft>(kernel: T): T {
    return this.#kernel.tap(kernel);
  }

  tapLeases(leases: Leases): Leases {
    return this.#api.tap(leases);
  }

  requested(seen: RequestSeen): void {
    this.#api.requested(seen);
    this.#metrics.requested(seen);
  }

  planned(after: Pass, before: Pass | undefined): void {
    this.#metrics.planned(after, before, this.deps.clock.now());
  }

  /** Something that a device of the network sent was not used. */
  upnpRefused(reason: string): void {
    this.#metrics.upnpRefused(reason);
  }

  /** A message of a DHCP server was not used. */
  dhcpDropped(reason: string): void {
    this.#metrics.dhcpDropped(reason);
  }

  /** A pass took so long. */
  passed(ms: number): void {
    this.#heartbeat?.beat();
    this.#metrics.passed(ms);
  }

  /** Listens where the settings say, until disposed of. */
  serve(monitored: Monitored): Monitoring {
    const { prometheusServer, healthCheckPort } = this.config.settings;
    const cleanup = new Cleanup();
    const { clock, log } = this.deps;
    const listeners: HttpListener[] = [];
    this.#heartbeat = new Heartbeat({ clock, wake: () => monitored.engine.wake() });
    const health = this.#healthHandlers(monitored);
    if (prometheusServer !== undefined) {
      const delays = registerProcess(this.#metrics.registry, clock);
      cleanup.defer(() => delays[Symbol.dispose]());
      registerGauges(this.#metrics.registry, this.#sources(monitored));
      const handlers = { "/metrics": this.#metricsHandler(), ...health };
      listeners.push(cleanup.use(serveHttp({ name: "metrics", ...splitListen(prometheusServer) }, { handlers, clock, log })));
    }
    if (healthCheckPort > 0) listeners.push(cleanup.use(serveHttp({ name: "health", host: undefined, port: healthCheckPort }, { handlers: health, clock, log })));
    return {
      listeners,
      stopping: () => {
        this.#stopping = true;
      },
      [Symbol.asyncDispose]: async () => cleanup[Symbol.asyncDispose](),
    };
  }

  #healthHandlers(monitored: Monitored): Readonly<Record<string, HttpHandler>> {
    return {
      "/livez": (query) => healthAnswer("livez", livez(this.#view(monitored)), query),
      "/readyz": (query) => healthAnswer("readyz", readyz(this.#view(monitored)), query),
      // kube-vip's name.
      "/healthz": (query) => healthAnswer("healthz", livez(this.#view(monitored)), query),
    };
  }

  #metricsHandler(): HttpHandler {
    const { registry } = this.#metrics;
    const { clock } = this.deps;
    let newest: { readonly at: number; readonly text: Promise<string> } | undefined;
    return async () => {
      if (newest === undefined || clock.now() >= newest.at + METRICS_MS) newest = { at: clock.now(), text: registry.metrics() };
      return { status: 200, text: await newest.text, type: registry.contentType };
    };
  }

  #view({ engine, fence }: Monitored): HealthView {
    return {
      now: this.deps.clock.now(),
      passWaitMs: this.#heartbeat?.ask() ?? 0,
      newest: engine.newest,
      kernel: this.#kernel,
      fence,
      api: this.#api,
      parts: partsOf(this.config.settings),
      elects: (key) => this.#leases.has(key),
      iface: vipLink(this.config.settings),
      stopping: this.#stopping,
    };
  }

  #sources(monitored: Monitored): Parameters<typeof registerGauges>[1] {
    const { engine, fence, bgp } = monitored;
    const { node, version, settings } = this.config;
    return {
      node,
      version,
      newest: () => engine.newest,
      ...(bgp === undefined ? {} : { bgpPeers: () => bgp.reports() }),
      leaseOf: (key) => this.#leases.get(key),
      leaseAgeMs: (key) => {
        const until = fence.heldUntil(key);
        return until === 0 ? undefined : this.deps.clock.now() - (until - settings.renewDeadlineSeconds * 1000);
      },
      passWaitMs: () => this.#heartbeat?.ask() ?? 0,
      netlinkWaitMs: () => this.#kernel.oldest()?.ms ?? 0,
      apiSilentMs: () => this.#api.silentMs,
      checks: () => ({ livez: livez(this.#view(monitored)), readyz: readyz(this.#view(monitored)) }),
    };
  }
}
