import type { LabContext } from "../context.js";
import type { LabApi } from "../daemons.js";
import type { KubeObject } from "../kube-client.js";
import { Lab } from "../lab.js";
import { waitFor } from "../wait.js";
import { SERVICE_NAME_LABEL, type ProxySlice } from "./objects.js";
import type { Pod } from "./pods.js";
import type { Proxies } from "./proxies.js";

/** An endpoint: a pod of a node (default: the node's own one), and its conditions (default: ready). */
export interface Spot {
  readonly node: string;
  readonly pod?: Pod;
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}

/** How a Service is served, in both families, TCP 80 and UDP 9000. */
export interface Serving {
  readonly spots: readonly Spot[];
  /** The node that holds its VIPs; without one, it has none. */
  readonly heldBy?: string;
  /** externalTrafficPolicy Local. */
  readonly local?: boolean;
  readonly externalIPs?: readonly string[];
}

/** An IPv4 and an IPv6 address. */
export type VipPair = readonly [string, string];

const SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";

/** Puts VIPs on a node's eth0, by hand. */
export async function holdVip(lab: LabContext, node: string, vips: readonly string[]): Promise<void> {
  for (const vip of vips) await lab.exec(node, ["ip", "addr", "add", vip.includes(":") ? `${vip}/128` : `${vip}/32`, "dev", "eth0", ...(vip.includes(":") ? ["nodad"] : [])]);
}

/** Takes VIPs from one node to another and lets the client ask anew who has them. */
export async function movedVip(lab: LabContext, vips: readonly string[], { from, to }: { readonly from: string; readonly to: string }): Promise<void> {
  for (const vip of vips) await lab.exec(from, ["ip", "addr", "del", vip.includes(":") ? `${vip}/128` : `${vip}/32`, "dev", "eth0"]);
  await holdVip(lab, to, vips);
  for (const vip of vips) await lab.exec("client", ["ip", "neigh", "flush", "to", vip]);
}

/** What a health server of a node says; status 0 when there is none. */
export async function healthOf(lab: LabContext, node: string, port: number): Promise<{ readonly status: number; readonly body: unknown }> {
  const path = port === 10_256 ? "/healthz" : "/";
  const { stdout } = await lab.exec(node, ["curl", "-s", "-m", "1", "-w", "\n%{http_code}", `http://127.0.0.1:${port}${path}`], { mayFail: true });
  const end = stdout.lastIndexOf("\n");
  const status = Number(stdout.slice(end + 1));
  return { status, body: status === 0 ? undefined : JSON.parse(stdout.slice(0, end)) };
}

/** A lab with the stand-in on every node, and Services with EndpointSlices and a status written by hand: for the tests of the stand-in itself. */
export class ProxyBench implements AsyncDisposable {
  readonly #slices = new Set<string>();
  #count = 0;

  private constructor(
    readonly lab: Lab,
    readonly api: LabApi,
    readonly proxies: Proxies,
  ) {}

  /** Starts everything; all ends with the bench. */
  static async up(): Promise<ProxyBench> {
    const lab = await Lab.create();
    try {
      const [api] = await Promise.all([lab.startApi(), lab.serve({ rules: false })]);
      return new ProxyBench(lab, api, await lab.startProxies(api));
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Makes a Service of type LoadBalancer with its slices and status; resolves with its VIPs when every stand-in has applied all of it. */
  async serve(name: string, { spots, heldBy, local = false, externalIPs }: Serving): Promise<VipPair> {
    this.#count += 1;
    const vips = [`10.77.0.${150 + this.#count}`, `fd77::1:${150 + this.#count}`] as const;
    const { client } = this.api;
    await client.createService({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name },
      spec: {
        type: "LoadBalancer",
        ipFamilyPolicy: "RequireDualStack",
        ipFamilies: ["IPv4", "IPv6"],
        externalTrafficPolicy: local ? "Local" : "Cluster",
        ...(externalIPs === undefined ? {} : { externalIPs }),
        ports: [{ name: "http", port: 80, targetPort: 8080 }, { name: "udp", port: 9000, protocol: "UDP", targetPort: 9000 }],
      },
    });
    await this.endpoints(name, spots);
    if (heldBy !== undefined) await holdVip(this.lab, heldBy, vips);
    const ingress = heldBy === undefined ? [] : vips.map((ip) => ({ ip }));
    const path = `/api/v1/namespaces/default/services/${name}/status`;
    await this.proxies.settled(await client.request<KubeObject>("PATCH", path, { status: { loadBalancer: { ingress } } }, "application/merge-patch+json"));
    return vips;
  }

  /** Makes or replaces the slices of a Service; resolves when every stand-in has applied them. */
  async endpoints(service: string, spots: readonly Spot[]): Promise<void> {
    const { client } = this.api;
    const written = await Promise.all(([4, 6] as const).map(async (family) => {
      const slice = this.#slice(service, family, spots);
      const { name } = slice.metadata;
      if (this.#slices.has(name)) return await client.request<KubeObject>("PUT", `${SLICES}/${name}`, slice);
      this.#slices.add(name);
      return await client.create<KubeObject>(SLICES, slice);
    }));
    for (const slice of written) await this.proxies.settled(slice);
  }

  /** Waits until a node has a flow from a Service's address to this pod. */
  async flow(node: string, vip: string, podAddress: string): Promise<void> {
    const family = vip.includes(":") ? "ipv6" : "ipv4";
    await waitFor(async () => {
      const { stdout } = await this.lab.exec(node, ["conntrack", "-L", "-p", "udp", "-f", family, "-d", vip, "-r", podAddress]);
      return stdout.includes("[UNREPLIED]") ? "" : stdout;
    }, 3_000, `a UDP flow on ${node} from ${vip} to ${podAddress}`);
  }

  /** How long the stand-ins took from the first event of each change to its rules, in ms, in ascending order. */
  lags(): readonly number[] {
    return this.lab.nodes.flatMap(({ name }) => this.proxies.applied(name).slice(1).map(({ lagMs }) => lagMs)).sort((a, b) => a - b);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.api.client[Symbol.dispose]();
    await this.lab[Symbol.asyncDispose]();
  }

  #slice(service: string, family: 4 | 6, spots: readonly Spot[]): KubeObject & ProxySlice {
    return {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: `${service}-${family}`, labels: { [SERVICE_NAME_LABEL]: service } },
      addressType: `IPv${family}`,
      ports: [{ name: "http", port: 8080, protocol: "TCP" }, { name: "udp", port: 9000, protocol: "UDP" }],
      endpoints: spots.map(({ node, pod, ready = true, serving = ready, terminating = false }) => {
        const { podIpv4, podIpv6 } = this.lab.node(node);
        const address = family === 4 ? (pod?.ipv4 ?? podIpv4) : (pod?.ipv6 ?? podIpv6);
        return { addresses: [address], nodeName: node, conditions: { ready, serving, terminating } };
      }),
    };
  }
}
