import type { Settings } from "../config/settings.js";
import type { ServiceKey } from "../core/model.js";
import { parsePools } from "../core/pools.js";
import type { World } from "../core/world.js";
import type { EndpointSlice, Kube, Node, Service } from "../ports/kube.js";
import type { Log } from "../ports/log.js";

export interface WatchApiDeps {
  readonly kube: Kube;
  readonly log: Log;
  learn(this: void, part: Partial<Pick<World, "services" | "nodeAddresses" | "nodes" | "pools" | "apiHost">>): void;
  learnSlices(this: void, slices: ReadonlyMap<string, EndpointSlice>): void;
}

/** Tells what the API knows of Services and of what they need, until `signal` aborts; then it resolves. Rejects where a watch ends by itself, which is a bug. */
export async function watchApi(settings: Settings, deps: WatchApiDeps, signal: AbortSignal): Promise<void> {
  const { kube, learn } = deps;
  const namespace = settings.serviceNamespace;
  const pools = { namespace: settings.poolNamespace ?? "kube-system", name: settings.poolConfigMap ?? "kubevip" };
  await Promise.all([
    kube.services.watch(namespace, (all) => learn({ services: byKey(all), apiHost: kube.server() }), signal),
    kube.endpointSlices.watch(namespace, (all) => deps.learnSlices(all), signal),
    kube.nodes.watch(nodesSeen(deps), signal),
    kube.configMaps.watch(pools, poolsSeen(settings, deps), signal),
  ]);
}

function poolsSeen(settings: Settings, { learn, log }: WatchApiDeps): (data: Readonly<Record<string, string>> | undefined) => void {
  let told: readonly string[] = [];
  return (data) => {
    const { pools, problems } = parsePools(data, settings.addresses);
    for (const problem of problems) if (!told.includes(problem)) log.warn("pool of addresses", { problem });
    told = problems;
    learn({ pools });
  };
}

/** What depends on the addresses of nodes is a lot, and they hardly ever change; whether a node is ready does. */
function nodesSeen({ learn }: WatchApiDeps): (nodes: ReadonlyMap<string, Node>) => void {
  let last: ReadonlyMap<string, string> = new Map();
  return (nodes) => {
    const now = addressesOf(nodes);
    if (now.size !== last.size || [...now].some(([address, node]) => last.get(address) !== node)) last = now;
    learn({ nodes, nodeAddresses: last });
  };
}

function addressesOf(nodes: ReadonlyMap<string, Node>): ReadonlyMap<string, string> {
  return new Map([...nodes.values()].flatMap(({ name, addresses }) => addresses.map((address): [string, string] => [address, name])));
}

function byKey(services: ReadonlyMap<string, Service>): ReadonlyMap<ServiceKey, Service> {
  return services as ReadonlyMap<ServiceKey, Service>;
}
