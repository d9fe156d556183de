import type { Agent } from "node:http";
import type { RequestOptions } from "node:https";
import { messageOf } from "../lib/errors.js";
import type { Clock } from "../ports/clock.js";
import type { Log } from "../ports/log.js";
import { hostOf, loadConnection } from "./config.js";
import type { ConnectionConfig, LoadedConfig } from "./config.js";
import { KubeError } from "./errors.js";

/** Certificates, keys and tokens on disk may be up to this old, ms. */
const CREDENTIALS_MS = 10_000;

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

  constructor(config: ConnectionConfig, deps: { readonly clock: Clock; readonly log: Log }) {
    this.#config = config;
    this.#clock = deps.clock;
    this.#log = deps.log;
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

  /** The server refused these credentials: nothing of them is kept (an exec plugin runs again). */
  refused(): void {
    this.#doubt = "all of it";
    this.#memo = undefined;
  }

  /** The server could not be reached: perhaps the kubeconfig was replaced. */
  unreachable(): void {
    if (this.#doubt === "none") this.#doubt = "unchanged file is fine";
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
    return targetOf(loaded, options);
  }

  #current(): LoadedConfig {
    const before = this.#loaded;
    if (before !== undefined && this.#doubt === "none") return before;
    const read = this.#read(before);
    this.#doubt = "none";
    if (before !== undefined && read.fingerprint !== before.fingerprint) this.#log.info("kubeconfig changed", { source: read.source, server: read.url.host });
    if (before === undefined) this.#log.info("kubeconfig read", { source: read.source, server: read.url.host });
    this.#loaded = read;
    return read;
  }

  #read(before: LoadedConfig | undefined): LoadedConfig {
    if (before === undefined || this.#doubt === "all of it") return loadConnection(this.#config);
    try {
      const read = loadConnection(this.#config);
      // The same object keeps what an exec plugin said: an API server that is down does not start the plugin for every attempt.
      return read.fingerprint === before.fingerprint ? before : read;
    } catch (error) {
      this.#log.warn("kubeconfig can not be read again, using the earlier one", { source: before.source, reason: messageOf(error) });
      return before;
    }
  }
}

function targetOf(loaded: LoadedConfig, applied: RequestOptions): Target {
  const { agent, ...options } = applied;
  const { url, originalHost } = loaded;
  return {
    protocol: url.protocol === "http:" ? "http:" : "https:",
    originalHost,
    prefix: url.pathname.replace(/\/+$/, ""),
    options: {
      ...withoutUndefined(options),
      host: hostOf(url),
      port: url.port === "" ? undefined : Number(url.port),
    },
    proxy: loaded.kubeConfig.getCurrentCluster()?.proxyUrl === undefined || typeof agent === "boolean" ? undefined : agent,
  };
}

function withoutUndefined(options: RequestOptions): RequestOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined && value !== null));
}
