import type { PodAddresses } from "./controllers/pod-status.js";
import type { CounterReport } from "./counters.js";
import type { Fault, Filter } from "./faults.js";
import type { PolicyRule } from "./rights.js";

/** Which Services to make at once. */
export type BulkServices = {
  readonly count: number;
  /** Names are prefix-0, prefix-1 and so on. */
  readonly prefix: string;
  readonly namespace?: string;
  /** First address; each Service asks for the next one by spec.loadBalancerIP. Left out: none is asked for. */
  readonly ipBase?: string;
  readonly loadBalancerClass?: string;
  readonly annotations?: { readonly [key: string]: string };
  readonly labels?: { readonly [key: string]: string };
  /** Default `app: pods`: the pods that a Cluster has on every node. */
  readonly selector?: { readonly [key: string]: string };
};

/** What can be asked of the server besides the API: the same calls in-process and over the admin socket. */
export type AdminCalls = {
  /** Puts a fault in force. */
  fault(fault: Fault): string;
  /** Ends one fault or all; returns how many ended. */
  clear(id?: string): number;
  /** Requests and connections since the last reset. */
  counters(): CounterReport;
  /** Counts from zero. */
  resetCounters(): void;
  /** Forgets the history: watches and continue tokens from before get 410; returns the revision. */
  compact(): number;
  /** Ends open watches which match; returns how many. */
  cutWatches(filter?: Filter): number;
  /** Resets all open connections, or those from one remote address; returns how many. */
  resetConnections(remote?: string): number;
  /** Nothing is answered until resume, connections are still accepted. */
  pause(): void;
  /** Ends the pause. */
  resume(): void;
  /** Stops listening and resets all connections: connecting is refused. The objects stay. */
  down(): Promise<void>;
  /** Listens again. */
  up(): Promise<void>;
  /** Time between bookmarks of watches opened from now on; default 60,000 ms. */
  bookmarkEvery(ms: number): void;
  /** Makes many Services at once; returns how many. */
  bulkServices(bulk: BulkServices): number;
  /** Deletes the Services of a namespace whose names start so; returns how many. */
  deleteServices(prefix: string, namespace?: string): number;
  /** A kubeconfig with a new token for a user, for the first address or another. */
  kubeconfig(user: string, server?: string): string;
  /** From now on the user may do exactly what these rules say, or everything without rules. */
  rights(user: string, rules?: readonly PolicyRule[]): void;
  /** Sets which addresses pods get on some nodes; pods that wait for one run now. */
  podAddresses(pools: readonly PodAddresses[]): void;
  /** Whether pods that start from now on are ready at once, default true. */
  newPodsReady(ready: boolean): void;
  /** A pod becomes ready, or unready. A pod is "name" (in default) or "namespace/name" here and below. */
  podReady(pod: string, ready: boolean): void;
  /** A pod of the same name, labels and owner starts on another node instead. */
  movePod(pod: string, node: string): void;
  /** A pod goes away at once; what controls it makes another. */
  deletePod(pod: string): void;
  /** A pod is told to end: it terminates, and serves while it is ready. */
  terminatePod(pod: string): void;
  /** A terminating pod is gone. */
  finishPod(pod: string): void;
  /** Most endpoints in one EndpointSlice, default 100. */
  maxEndpointsPerSlice(max: number): void;
  /** Refuses new spec.externalIPs, as the admission plugin DenyServiceExternalIPs does; default false. */
  denyExternalIps(deny: boolean): void;
};
