import type { Clock } from "../ports/clock.js";
import type { Kube } from "../ports/kube.js";
import type { Log } from "../ports/log.js";
import type { Random } from "../ports/random.js";
import { Client } from "./client.js";
import type { RequestSeen } from "./client.js";
import type { ConnectionConfig } from "./config.js";
import { createConfigMaps } from "./config-maps.js";
import { Connector } from "./connector.js";
import { createEndpointSlices } from "./endpoint-slices.js";
import { createEvents } from "./events.js";
import { createLeases } from "./leases.js";
import { createNodes } from "./nodes.js";
import { createSecrets } from "./secrets.js";
import { createServices } from "./services.js";

export interface KubeConfigOptions {
  readonly connection: ConnectionConfig;
  /** Named in Events and in the user agent. */
  readonly nodeName: string;
}

export interface KubeDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  /** Called once per request, for metrics. */
  readonly onRequest?: ((seen: RequestSeen) => void) | undefined;
}

/** The Kubernetes API. Nothing is read or opened before the first call; abort what is under way, then dispose. */
export function createKube(config: KubeConfigOptions, deps: KubeDeps): Kube {
  const log = deps.log.with({ part: "kube" });
  const connector = new Connector(config.connection, { clock: deps.clock, log });
  const client = new Client({ clock: deps.clock, connector, userAgent: `vip (${config.nodeName})`, onRequest: deps.onRequest });
  const reflectDeps = { client, clock: deps.clock, log, random: deps.random };
  return {
    leases: createLeases(reflectDeps),
    services: createServices(reflectDeps),
    endpointSlices: createEndpointSlices(reflectDeps),
    nodes: createNodes(reflectDeps),
    configMaps: createConfigMaps(reflectDeps),
    secrets: createSecrets(reflectDeps),
    events: createEvents(config.nodeName, { client, clock: deps.clock }),
    server: () => connector.server(),
    [Symbol.asyncDispose]: async () => client[Symbol.asyncDispose](),
  };
}
