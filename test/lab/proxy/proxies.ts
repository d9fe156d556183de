import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ApiAdmin } from "../api/admin.js";
import type { LabContext } from "../context.js";
import type { LabApi } from "../daemons.js";
import type { KubeObject } from "../kube-client.js";
import type { LabProcess } from "../process.js";
import { dropRules } from "../service-plane.js";
import { waitFor } from "../wait.js";
import type { ProxyState } from "./health.js";
import { routePods } from "./pods.js";

/** The user that the stand-ins come as, in the API server's counters and faults. */
export const PROXY_USER = "system:kube-proxy";

/** A change that a stand-in applied, as it logs it. */
export interface Applied {
  /** The revisions of both collections that it stands for. */
  readonly services: string;
  readonly slices: string;
  /** From the arrival of the first event to the rules in the kernel, in ms. */
  readonly lagMs: number;
}

/** The running stand-ins for kube-proxy. */
export interface Proxies extends AsyncDisposable {
  /** /healthz and healthCheckNodePorts of a node answer 503 from now on. Rules stay and follow. */
  sick(node: string): void;
  /** Undoes sick and hang. */
  well(node: string): void;
  /** Requests for its health are taken and never answered. */
  hang(node: string): void;
  /** Ends it; the rules stay as they are, as with kube-proxy. */
  stop(node: string): Promise<void>;
  /** Starts it again after stop; resolves when it has applied what the API says. */
  start(node: string): Promise<void>;
  /** What a node applied so far (since it was last started). */
  applied(node: string): readonly Applied[];
  /** Waits until every running one has applied this version of a Service or EndpointSlice. Default 2,000 ms. */
  settled(object: KubeObject, ms?: number): Promise<void>;
}

function has(applied: readonly Applied[], { kind, metadata }: KubeObject): boolean {
  const last = applied.at(-1);
  const revision = kind === "EndpointSlice" ? last?.slices : last?.services;
  return Number(revision ?? -1) >= Number(metadata.resourceVersion);
}

/** Starts the stand-ins on these nodes (default: all) in place of the static rules there; resolves when each has applied what the API says. */
export async function startProxies(lab: LabContext, api: LabApi, nodes: readonly string[] = lab.nodes.map(({ name }) => name)): Promise<Proxies> {
  const kubeconfig = join(lab.dir, "kube-proxy.conf");
  writeFileSync(kubeconfig, await new ApiAdmin(api.adminSocket).kubeconfig(PROXY_USER));
  const running = new Map<string, LabProcess>();
  const stateFile = (node: string): string => join(lab.dir, `kube-proxy-${node}.state`);
  const set = (node: string, state: ProxyState): void => writeFileSync(stateFile(node), state);
  const applied = (node: string): readonly Applied[] => (running.get(node)?.logs() ?? []).filter((line) => "lagMs" in line) as unknown as readonly Applied[];
  const start = async (node: string): Promise<void> => {
    const { ipv4, ipv6 } = lab.node(node);
    set(node, "well");
    const program = await lab.spawnProgram(node, "kube-proxy", [JSON.stringify({ node, ipv4, ipv6, kubeconfig, stateFile: stateFile(node) })], { name: `kube-proxy-${node}` });
    await program.waitFor(/"lagMs"/, 10_000);
    running.set(node, program);
  };
  const stop = async (node: string): Promise<void> => {
    await running.get(node)?.stop("SIGKILL");
    running.delete(node);
  };
  await Promise.all([routePods(lab), ...nodes.map(async (node) => {
    await start(node);
    await dropRules(lab, node); // after ours are there: in between, nobody sees a node without rules
  })]);
  return {
    sick: (node) => set(node, "sick"),
    well: (node) => set(node, "well"),
    hang: (node) => set(node, "hang"),
    stop,
    start,
    applied,
    settled: async (object, ms = 2_000) => {
      for (const node of running.keys()) await waitFor(() => has(applied(node), object), ms, `${node} to apply ${object.kind} ${object.metadata.name}`);
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...running.keys()].map(stop));
    },
  };
}
