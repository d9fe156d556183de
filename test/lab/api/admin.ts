import { request } from "node:http";
import type { AdminCalls, BulkServices } from "./admin-calls.js";
import type { PodAddresses } from "./controllers/pod-status.js";
import type { CounterReport } from "./counters.js";
import type { Fault, Filter } from "./faults.js";
import type { PolicyRule } from "./rights.js";

type Remote = { readonly [K in keyof AdminCalls]: (...given: Parameters<AdminCalls[K]>) => Promise<Awaited<ReturnType<AdminCalls[K]>>> };

/** The admin calls of an API server in another process, by its admin.sock. */
export class ApiAdmin implements Remote {
  readonly #path: string;

  constructor(socketPath: string) {
    this.#path = socketPath;
  }

  /** Puts a fault in force; returns its id. */
  async fault(fault: Fault): Promise<string> {
    return await this.#call("fault", fault);
  }

  /** Ends one fault or all. */
  async clear(id?: string): Promise<number> {
    return await this.#call("clear", id);
  }

  /** Requests and connections since the last reset. */
  async counters(): Promise<CounterReport> {
    return await this.#call("counters");
  }

  /** Counts from zero. */
  async resetCounters(): Promise<void> {
    await this.#call("resetCounters");
  }

  /** Forgets the history; returns the revision. */
  async compact(): Promise<number> {
    return await this.#call("compact");
  }

  /** Ends open watches which match. */
  async cutWatches(filter?: Filter): Promise<number> {
    return await this.#call("cutWatches", filter);
  }

  /** Resets open connections. */
  async resetConnections(remote?: string): Promise<number> {
    return await this.#call("resetConnections", remote);
  }

  /** Nothing is answered until resume. */
  async pause(): Promise<void> {
    await this.#call("pause");
  }

  /** Ends the pause. */
  async resume(): Promise<void> {
    await this.#call("resume");
  }

  /** Stops listening. */
  async down(): Promise<void> {
    await this.#call("down");
  }

  /** Listens again. */
  async up(): Promise<void> {
    await this.#call("up");
  }

  /** Time between bookmarks of watches opened from now on. */
  async bookmarkEvery(ms: number): Promise<void> {
    await this.#call("bookmarkEvery", ms);
  }

  /** Makes many Services at once. */
  async bulkServices(bulk: BulkServices): Promise<number> {
    return await this.#call("bulkServices", bulk);
  }

  /** Deletes Services by the start of their names. */
  async deleteServices(prefix: string, namespace?: string): Promise<number> {
    return await this.#call("deleteServices", prefix, namespace);
  }

  /** A kubeconfig with a new token for a user. */
  async kubeconfig(user: string, server?: string): Promise<string> {
    return await this.#call("kubeconfig", user, server);
  }

  /** Sets what a user may do. */
  async rights(user: string, rules?: readonly PolicyRule[]): Promise<void> {
    await this.#call("rights", user, rules);
  }

  /** Sets which addresses pods get on some nodes. */
  async podAddresses(pools: readonly PodAddresses[]): Promise<void> {
    await this.#call("podAddresses", pools);
  }

  /** Whether pods that start from now on are ready at once. */
  async newPodsReady(ready: boolean): Promise<void> {
    await this.#call("newPodsReady", ready);
  }

  /** A pod becomes ready, or unready. */
  async podReady(pod: string, ready: boolean): Promise<void> {
    await this.#call("podReady", pod, ready);
  }

  /** A pod of the same name starts on another node instead. */
  async movePod(pod: string, node: string): Promise<void> {
    await this.#call("movePod", pod, node);
  }

  /** A pod goes away at once. */
  async deletePod(pod: string): Promise<void> {
    await this.#call("deletePod", pod);
  }

  /** A pod terminates, and serves while it is ready. */
  async terminatePod(pod: string): Promise<void> {
    await this.#call("terminatePod", pod);
  }

  /** A terminating pod is gone. */
  async finishPod(pod: string): Promise<void> {
    await this.#call("finishPod", pod);
  }

  /** Most endpoints in one EndpointSlice. */
  async maxEndpointsPerSlice(max: number): Promise<void> {
    await this.#call("maxEndpointsPerSlice", max);
  }

  /** Refuses new spec.externalIPs. */
  async denyExternalIps(deny: boolean): Promise<void> {
    await this.#call("denyExternalIps", deny);
  }

  async #call<K extends keyof AdminCalls>(name: K, ...given: Parameters<AdminCalls[K]>): Promise<Awaited<ReturnType<AdminCalls[K]>>> {
    return await new Promise<Awaited<ReturnType<AdminCalls[K]>>>((resolve, reject) => {
      const outgoing = request({ socketPath: this.#path, path: `/${name}`, method: "POST", headers: { connection: "close" }, agent: false }, (incoming) => {
        const parts: Buffer[] = [];
        incoming.on("data", (part: Buffer) => parts.push(part));
        incoming.on("error", reject);
        incoming.on("end", () => {
          const text = Buffer.concat(parts).toString("utf8");
          if (incoming.statusCode !== 200) return reject(new Error(`admin call ${name}: ${text}`));
          // The server answers with what AdminCalls says.
          return resolve(JSON.parse(text) as Awaited<ReturnType<AdminCalls[K]>>);
        });
      });
      outgoing.on("error", reject);
      outgoing.end(JSON.stringify(given));
    });
  }
}
