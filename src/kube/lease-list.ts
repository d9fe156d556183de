import type { Clock } from "../ports/clock.js";
import type { Lease, LeaseId, NodeMarks, Service } from "../ports/kube.js";
import type { Log } from "../ports/log.js";
import { Client } from "./client.js";
import type { ConnectionConfig } from "./config.js";
import { Connector } from "./connector.js";
import { decodeService } from "./decode-service.js";
import { listAll, listWarnings, type Warning } from "./event-list.js";
import { collectionOf, createLeases, decodeLease } from "./leases.js";
import { nodeTexts, patchNode } from "./nodes.js";
import { fieldsOf, textOf } from "./raw.js";

const TIMEOUT_MS = 10_000;

/** What a command reads of a cluster, and takes away there, once: every method fails with a KubeError instead of trying again. */
export interface ClusterReader extends AsyncDisposable {
  /** Undefined where there is none. */
  lease(id: LeaseId, signal: AbortSignal): Promise<Lease | undefined>;
  /** All of a namespace. */
  leases(namespace: string, signal: AbortSignal): Promise<readonly Lease[]>;
  /** Of all namespaces and types. */
  services(signal: AbortSignal): Promise<readonly Service[]>;
  /** That version of it; another one is a KubeError `conflict`, none is success. */
  removeLease(lease: Lease, signal: AbortSignal): Promise<void>;
  /** Labels of each Node, by its name. */
  nodeLabels(signal: AbortSignal): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>>;
  /** Labels and annotations of a Node; null removes one. */
  patchNode(name: string, marks: NodeMarks, signal: AbortSignal): Promise<void>;
  /** Warning Events about Services, of all namespaces. */
  warnings(signal: AbortSignal): Promise<readonly Warning[]>;
}

/** Reads from the API server that the kubeconfig names. Nothing is read or opened before the first call. */
export function createClusterReader(connection: ConnectionConfig, deps: { readonly clock: Clock; readonly log: Log }): ClusterReader {
  const connector = new Connector(connection, deps);
  const client = new Client({ clock: deps.clock, connector, userAgent: "vip (status)" });
  const leases = createLeases({ client, ...deps, random: { float: () => 0 } });
  return {
    lease: async (id, signal) => leases.get(id, TIMEOUT_MS, signal),
    leases: async (namespace, signal) => {
      const items = await listAll(client, { resource: "leases", path: collectionOf({ namespace }), query: {} }, signal);
      return items.flatMap((raw) => decodeLease(raw) ?? []);
    },
    removeLease: async (lease, signal) => leases.remove(lease, TIMEOUT_MS, signal),
    services: async (signal) => {
      const items = await listAll(client, { resource: "services", path: "/api/v1/services", query: {} }, signal);
      return items.flatMap((raw) => decodeService(raw) ?? []);
    },
    nodeLabels: async (signal) => {
      const items = await listAll(client, { resource: "nodes", path: "/api/v1/nodes", query: {} }, signal);
      return new Map(items.map((raw) => [textOf(fieldsOf(fieldsOf(raw)["metadata"])["name"]) ?? "", nodeTexts(raw).labels]));
    },
    patchNode: async (name, marks, signal) => patchNode(client, { name, marks }, signal),
    warnings: async (signal) => listWarnings(client, signal),
    [Symbol.asyncDispose]: async () => client[Symbol.asyncDispose](),
  };
}
