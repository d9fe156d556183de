import type { Agent } from "node:http";
import type { RequestOptions } from "node:https";
import { isIP } from "node:net";
import { messageOf } from "../lib/errors.js";
import type { Clock } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import { hasSuperAdmin, hostOf, loadConnection } from "./config.js";
import type { ConnectionConfig, LoadedConfig } from "./config.js";
import { KubeError } from "./errors.js";
import { StandingLog, standingOf } from "./standing.js";

/** Certificates, keys and tokens on disk may be up to this old, ms. */
const CREDENTIALS_MS = 10_000;

/** For so long super-admin.conf is used where admin.conf has no rights; then these are looked at again, ms. */
const SUPER_ADMIN_MS = 30_000;

/** Everything about a request that comes from the kubeconfig. */
export interface Target {
  readonly protocol: "http:" | "https:";
  /** Host of the server in the kubeconfig: with kubernetes_addr its certificate may be made out to this one only. */
  readonly originalHost: string;
  /** Put before every path: `` or `/some/prefix`. */
  readonly prefix: string;
  readonly options: RequestOptions;
  /** Only where the kubeconfig names a proxy. */
  readonly proxy: Agent | undefined;
}

/** Reads the kubeconfig when it is first needed, and again after a refusal; hands out what a request needs. */
export class Connector {
  readonly #config: ConnectionConfig;
  readonly #clock: Clock;
  readonly #log: Log;
  #loaded: LoadedConfig | undefined;
  #doubt: "none" | "unchanged file is fine" | "all of it" = "none";
  #memo: { readonly until: number; readonly target: Promise<Target> } | undefined;
  readonly #standing: StandingLog;
  /** Kubeconfigs with which something was allowed. */
  readonly #allowed = new Set<string>();
  #superAdminUntil = -Infinity;
  #readAsSuperAdmin = false;
  /** Which of the routes is in use, counted on over all of them. */
  #route = 0;
  #newest: Target | undefined;
  /** The failure that is told next is one of a server that did not answer. */
  #silent = false;

  constructor(config: ConnectionConfig, deps: { readonly clock: Clock; readonly log: Log }) {
    this.#config = config;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#standing = new StandingLog(deps.log);
  }

  /** Throws a KubeError `config` where there is no usable kubeconfig or credential yet; the next call looks again. */
  async target(): Promise<Target> {
    if (this.#memo !== undefined && this.#clock.now() < this.#memo.until) return this.#memo.target;
    const target = this.#prepare();
    const memo = { until: this.#clock.now() + CREDENTIALS_MS, target };
    this.#memo = memo;
    try {
      return await target;
    } catch (error) {
      if (this.#memo === memo) this.#memo = undefined;
      throw error;
    }
  }

  /** Host of the server in use, without port and brackets; undefined before the kubeconfig was first read. */
  server(): string | undefined {
    return this.#loaded === undefined ? undefined : hostOf(this.#loaded.url);
  }

  /** An answer came that is none of the errors: these credentials are good for something. */
  answered(): void {
    if (this.#loaded === undefined) return;
    this.#allowed.add(this.#loaded.source);
    this.#standing.reached(this.#loaded.source, this.#routeOf(this.#loaded).host);
  }

  /** Nobody answered a request to this target: the next one goes another way, where there is one. */
  unanswered(target: Target): void {
    this.#silent = true;
    // Many requests fail together; only the first of them changes the way.
    if (target !== this.#newest) return;
    this.#newest = undefined;
    this.#route += 1;
    this.#memo = undefined;
  }

  /** A call failed: perhaps the kubeconfig was replaced, or another has more rights. */
  failed(error: KubeError): void {
    const lost = error.code === "network" || error.code === "timeout";
    // An answer that breaks off is no server that is away.
    if (!lost || this.#silent) this.#standing.failed(error, this.#loaded?.source);
    this.#silent = false;
    if (standingOf(error) === "reached") this.answered();
    if (lost) this.#readAgain("unchanged file is fine");
    // Of a refusal nothing is kept (an exec plugin runs again).
    if (error.code === "unauthorized") this.#readAgain("all of it");
    if (error.code === "forbidden" || error.code === "unauthorized") this.#standIn();
  }

  /** Rights that admin.conf once had are not replaced when they are taken away: that was meant. */
  #standIn(): void {
    const source = this.#loaded?.source;
    if (source === undefined || !hasSuperAdmin(source) || this.#allowed.has(source)) return;
    this.#superAdminUntil = this.#clock.now() + SUPER_ADMIN_MS;
    this.#memo = undefined;
  }

  #readAgain(doubt: "unchanged file is fine" | "all of it"): void {
    if (this.#doubt !== "all of it") this.#doubt = doubt;
    this.#memo = undefined;
  }

  async #prepare(): Promise<Target> {
    const loaded = this.#current();
    const options: RequestOptions = {};
    try {
      await loaded.kubeConfig.applyToHTTPSOptions(options);
    } catch (error) {
      // A token file or a certificate is missing, an exec plugin failed.
      throw new KubeError("config", `get credentials of ${loaded.source}`, { cause: error });
    }
    const target = targetOf(loaded, this.#routeOf(loaded), options);
    this.#newest = target;
    return target;
  }

  #routeOf({ routes }: LoadedConfig): URL {
    return routes[this.#route % routes.length] ?? routes[0];
  }

  #current(): LoadedConfig {
    const before = this.#loaded;
    const superAdmin = this.#clock.now() < this.#superAdminUntil;
    if (before !== undefined && this.#doubt === "none" && superAdmin === this.#readAsSuperAdmin) return before;
    const read = this.#read(before, superAdmin);
    this.#doubt = "none";
    this.#readAsSuperAdmin = superAdmin;
    if (before !== undefined && read.fingerprint !== before.fingerprint) this.#log.info("kubeconfig changed", { source: read.source, server: read.url.host });
    if (before === undefined) this.#log.info("kubeconfig read", { source: read.source, server: read.url.host });
    if (before !== undefined && read.url.href !== before.url.href) this.#route = 0;
    this.#loaded = read;
    return read;
  }

  #read(before: LoadedConfig | undefined, superAdmin: boolean): LoadedConfig {
    if (before === undefined || this.#doubt === "all of it") return loadConnection(this.#config, superAdmin);
    try {
      const read = loadConnection(this.#config, superAdmin);
      // The same object keeps what an exec plugin said: an API server that is down does not start the plugin for every attempt.
      return read.fingerprint === before.fingerprint ? before : read;
    } catch (error) {
      this.#log.warn("kubeconfig can not be read again, using the earlier one", { source: before.source, reason: messageOf(error) });
      return before;
    }
  }
}

function targetOf(loaded: LoadedConfig, url: URL, applied: RequestOptions): Target {
  const { agent, ...options } = applied;
  const { originalHost } = loaded;
  // A server that has more than one certificate chooses by the name that it is asked for.
  const named = url !== loaded.url && isIP(originalHost) === 0 && applied.servername === undefined;
  return {
    protocol: url.protocol === "http:" ? "http:" : "https:",
    originalHost,
    prefix: url.pathname.replace(/\/+$/, ""),
    options: {
      ...withoutUndefined(options),
      ...(named ? { servername: originalHost } : {}),
      host: hostOf(url),
      port: url.port === "" ? undefined : Number(url.port),
    },
    proxy: loaded.kubeConfig.getCurrentCluster()?.proxyUrl === undefined || typeof agent === "boolean" ? undefined : agent,
  };
}

function withoutUndefined(options: RequestOptions): RequestOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined && value !== null));
}
