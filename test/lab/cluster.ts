import { join } from "node:path";
import { ApiAdmin } from "./api/admin.js";
import type { LabApi, VipOptions } from "./daemons.js";
import type { KubeService } from "./kube-client.js";
import { kubectl, type KubectlOptions } from "./kubectl.js";
import { Lab } from "./lab.js";
import { registerNodes } from "./nodes.js";
import type { LabProcess } from "./process.js";

/** Addresses behind which every node's pods answer (service-plane.ts). */
export const VIP = "10.77.0.200";

/** A lab with an API, pods behind every VIP, and a `vip` on each node. */
export class Cluster implements AsyncDisposable {
  readonly #vips = new Map<string, LabProcess>();

  private constructor(
    readonly lab: Lab,
    readonly api: LabApi,
    readonly admin: ApiAdmin,
  ) {}

  /** Starts the lab and its API with Node objects and a ready Pod (`app: pods`) on each node, without any `vip`. */
  static async bare(nodes = 3): Promise<Cluster> {
    const lab = await Lab.create({ nodes });
    try {
      const [api] = await Promise.all([lab.startApi(), lab.serve()]);
      const cluster = new Cluster(lab, api, new ApiAdmin(join(lab.dir, "api/admin.sock")));
      await registerNodes({ client: api.client, admin: cluster.admin }, lab.nodes);
      return cluster;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts everything and waits until somebody owns the Services. */
  static async up(nodes = 3, options: VipOptions = {}): Promise<Cluster> {
    const cluster = await Cluster.bare(nodes);
    try {
      for (const { name } of cluster.lab.nodes) await cluster.startVip(name, options);
      await cluster.owner();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  async startVip(node: string, options: VipOptions = {}): Promise<LabProcess> {
    const started = await this.lab.startVip(node, options);
    this.#vips.set(node, started);
    return started;
  }

  /** The `vip` process of a node. */
  vip(node: string): LabProcess {
    const found = this.#vips.get(node);
    if (found === undefined) throw new Error(`no vip was started on ${node}`);
    return found;
  }

  /** The node that owns the Services; waits until there is one. */
  async owner(lease = "plndr-svcs-lock", ms = 12_000): Promise<string> {
    return await this.lab.waitFor(async () => (await this.leaseHolder(lease)) ?? "", ms, `a holder of ${lease}`);
  }

  async leaseHolder(lease = "plndr-svcs-lock"): Promise<string | undefined> {
    const leases = await this.api.client.leases();
    return leases.find(({ metadata }) => metadata.name === lease)?.spec?.holderIdentity;
  }

  /** Waits until exactly this one node (or exactly one, where none is named) has the address; returns its name. */
  async heldBy(address: string, ms: number, node?: string): Promise<string> {
    const what = node === undefined ? `${address} on one node` : `${address} on ${node} only`;
    const [holder] = await this.lab.waitFor(
      async () => {
        const holders = await this.lab.holders(address);
        return holders.length === 1 && (node === undefined || holders[0] === node) ? holders : undefined;
      },
      ms,
      what,
    );
    return holder ?? "";
  }

  /** Waits until no node has the address. */
  async free(address: string, ms: number): Promise<void> {
    await this.lab.waitFor(async () => (await this.lab.holders(address)).length === 0, ms, `${address} on no node`);
  }

  /** Waits until the Service is as asked for; returns it. */
  async service(name: string, ms: number, what: string, is: (service: KubeService) => boolean): Promise<KubeService> {
    return await this.lab.waitFor(
      async () => {
        const service = await this.api.client.service(name);
        return is(service) ? service : undefined;
      },
      ms,
      what,
    );
  }

  /** Runs kubectl against this cluster's API; its stdout. Throws with its stderr where it fails. */
  async kubectl(args: readonly string[], options: KubectlOptions = {}): Promise<string> {
    return (await kubectl(this.lab, args, options)).stdout;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.api.client[Symbol.dispose]();
    await this.lab[Symbol.asyncDispose]();
  }
}

/** The addresses in a Service's status. */
export function ingressOf(service: KubeService): readonly (string | undefined)[] {
  return (service.status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip);
}
