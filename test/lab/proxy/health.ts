import { createServer, type Server, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { HealthPlan } from "./plan.js";

/** Where kube-proxy says how it is itself. */
export const HEALTHZ_PORT = 10_256;

/** How a stand-in says it is: `hang` takes requests and never answers. */
export type ProxyState = "well" | "sick" | "hang";

/** How the stand-in is, asked at each request. */
export interface HealthDeps {
  readonly state: () => ProxyState;
  /** When rules were last applied; undefined before the first time. */
  readonly appliedAt: () => Date | undefined;
}

type Answer = (response: ServerResponse, healthy: boolean) => void;

function begin(response: ServerResponse, ok: boolean): void {
  response.writeHead(ok ? 200 : 503, { "content-type": "application/json", "x-content-type-options": "nosniff" });
}

/** The servers of one node: its own health and one port for each Service with a healthCheckNodePort. */
export class HealthServers {
  readonly #deps: HealthDeps;
  readonly #servers = new Map<number, Server>();
  #plans: ReadonlyMap<number, HealthPlan> = new Map();

  constructor(deps: HealthDeps) {
    this.#deps = deps;
  }

  /** Starts to answer at 10256. */
  async open(): Promise<void> {
    await once(this.#listen(HEALTHZ_PORT, (response, healthy) => {
      begin(response, healthy);
      const applied = this.#deps.appliedAt()?.toISOString() ?? "";
      response.end(`{"lastUpdated": "${applied}","currentTime": "${new Date().toISOString()}", "nodeEligible": true}`);
    }), "listening");
  }

  /** Answers for these ports from now on, and for no others. */
  update(plans: ReadonlyMap<number, HealthPlan>): void {
    const gone = [...this.#plans.keys()].filter((port) => !plans.has(port));
    const added = [...plans.keys()].filter((port) => !this.#plans.has(port));
    this.#plans = plans;
    for (const port of gone) {
      this.#servers.get(port)?.close();
      this.#servers.get(port)?.closeAllConnections();
      this.#servers.delete(port);
    }
    for (const port of added) this.#servers.set(port, this.#listen(port, (response, healthy) => this.#service(port, response, healthy)));
  }

  #listen(port: number, answer: Answer): Server {
    const server = createServer((_request, response) => {
      const state = this.#deps.state();
      if (state === "hang") return;
      answer(response, state === "well" && this.#deps.appliedAt() !== undefined);
    });
    server.on("error", (error) => console.error(`health at port ${port}: ${error.message}`));
    return server.listen(port, "::"); // both families
  }

  #service(port: number, response: ServerResponse, healthy: boolean): void {
    const { namespace = "", name = "", localEndpoints = 0 } = this.#plans.get(port) ?? {};
    response.setHeader("X-Load-Balancing-Endpoint-Weight", String(localEndpoints));
    begin(response, healthy && localEndpoints > 0);
    response.end(
      `{\n\t"service": {\n\t\t"namespace": ${JSON.stringify(namespace)},\n\t\t"name": ${JSON.stringify(name)}\n\t},\n\t"localEndpoints": ${localEndpoints},\n\t"serviceProxyHealthy": ${healthy}\n}`,
    );
  }
}
