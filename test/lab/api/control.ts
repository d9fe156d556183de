import { ipv4Number, ipv4Text } from "./address.js";
import type { AdminCalls, BulkServices } from "./admin-calls.js";
import { PodCalls } from "./controllers/pod-calls.js";
import type { Controllers } from "./controllers/start.js";
import { matches } from "./faults.js";
import type { Filter } from "./faults.js";
import type { KubeObject } from "./object.js";
import { resourceId, resourceOf } from "./resources.js";
import type { Service } from "./service.js";
import type { Store } from "./store.js";

/** What the server itself adds to the calls: its listeners and certificates. */
export type Transport = Pick<AdminCalls, "resetConnections" | "down" | "up" | "kubeconfig"> & { openConnections(): number };

function bulkService(bulk: BulkServices, index: number): KubeObject {
  const wanted = bulk.ipBase === undefined ? {} : { loadBalancerIP: ipv4Text(ipv4Number(bulk.ipBase) + index) };
  const { loadBalancerClass, annotations, labels } = bulk;
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: `${bulk.prefix}-${index}`, namespace: bulk.namespace ?? "default", ...(annotations === undefined ? {} : { annotations }), ...(labels === undefined ? {} : { labels }) },
    // No node ports: there are fewer of them than Services.
    spec: { type: "LoadBalancer", allocateLoadBalancerNodePorts: false, selector: bulk.selector ?? { app: "pods" }, ports: [{ name: "http", port: 80, targetPort: 8080 }], ...wanted, ...(loadBalancerClass === undefined ? {} : { loadBalancerClass }) },
  };
}

/** What the admin calls work on. */
export type Controlled = { readonly store: Store; readonly service: Service; readonly controllers: Controllers; readonly transport: Transport };

type PodAdmin = Pick<AdminCalls, "podAddresses" | "newPodsReady" | "podReady" | "movePod" | "deletePod" | "terminatePod" | "finishPod" | "maxEndpointsPerSlice">;

function podControl(service: Service, { pods, slices }: Controllers): PodAdmin {
  const calls = new PodCalls(service.handlers.registry);
  return {
    podAddresses: (pools) => pods.setAddresses(pools),
    newPodsReady: (ready) => {
      pods.newReady = ready;
    },
    podReady: (pod, ready) => calls.setReady(pod, ready),
    movePod: (pod, node) => calls.move(pod, node),
    deletePod: (pod) => calls.remove(pod),
    terminatePod: (pod) => calls.terminate(pod),
    finishPod: (pod) => calls.remove(pod),
    maxEndpointsPerSlice: (max) => slices.setMax(max),
  };
}

/** The admin calls on a service, its controllers and its transport. */
export function controlOf({ store, service, controllers, transport }: Controlled): AdminCalls {
  const { registry } = service.handlers;
  const services = resourceOf("services");
  return {
    fault: (fault) => service.faults.add(fault),
    clear: (id) => {
      const count = service.faults.clear(id);
      service.pump();
      return count;
    },
    counters: () => service.counters.report(transport.openConnections(), service.watches.size),
    resetCounters: () => service.counters.reset(),
    compact: () => {
      service.handlers.lists.forget();
      return store.compact();
    },
    cutWatches: (filter?: Filter) => {
      const hit = [...service.watches].filter((watch) => matches(filter, watch.described));
      for (const watch of hit) watch.cut();
      return hit.length;
    },
    resetConnections: transport.resetConnections,
    pause: () => service.pause(),
    resume: () => service.resume(),
    down: transport.down,
    up: transport.up,
    bookmarkEvery: (ms) => {
      service.bookmarkMs = ms;
    },
    bulkServices: (bulk) => {
      const namespace = bulk.namespace ?? "default";
      for (let index = 0; index < bulk.count; index += 1) registry.create({ resource: services, namespace, name: "" }, bulkService(bulk, index));
      return bulk.count;
    },
    deleteServices: (prefix, namespace = "default") => {
      const hit = store.list("services").filter(({ object: { metadata } }) => metadata.namespace === namespace && metadata.name.startsWith(prefix));
      for (const { object } of hit) registry.remove({ resource: services, namespace, name: object.metadata.name });
      return hit.length;
    },
    kubeconfig: transport.kubeconfig,
    rights: (user, rules) => service.rights.set(user, rules),
    denyExternalIps: (deny) => {
      registry.denyExternalIps = deny;
    },
    ...podControl(service, controllers),
  };
}

/** The objects a fresh cluster has. */
export function seed(service: Service, addresses: readonly string[], port: number): void {
  const { registry } = service.handlers;
  const make = (plural: string, namespace: string, body: KubeObject): void => {
    const resource = resourceOf(plural);
    if (registry.store.get(resourceId(resource), namespace === "" ? body.metadata.name : `${namespace}/${body.metadata.name}`) !== undefined) return;
    registry.create({ resource, namespace, name: "" }, body);
  };
  for (const name of ["default", "kube-node-lease", "kube-public", "kube-system"]) make("namespaces", "", { apiVersion: "v1", kind: "Namespace", metadata: { name, labels: { "kubernetes.io/metadata.name": name } } });
  const labels = { component: "apiserver", provider: "kubernetes" };
  make("services", "default", { apiVersion: "v1", kind: "Service", metadata: { name: "kubernetes", labels }, spec: { clusterIP: "10.96.0.1", ports: [{ name: "https", port: 443, targetPort: port }] } });
  make("endpointslices", "default", {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "kubernetes", labels: { "kubernetes.io/service-name": "kubernetes" } },
    addressType: "IPv4",
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
    ports: [{ name: "https", port, protocol: "TCP" }],
  });
}
