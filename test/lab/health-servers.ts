import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.js";
import type { Lab } from "./lab.js";
import type { LabProcess } from "./process.js";

const PORT = "6443";

/** How an API server answers when it is asked for its health. */
export type HealthState = "ok" | "sick" | "hang";

/** Something at 127.0.0.1:6443 of nodes that answers for their API servers; the cluster's own API is elsewhere and always well. */
export class HealthServers {
  readonly #running = new Map<string, LabProcess>();

  private constructor(
    private readonly lab: Lab,
    private readonly dir: string,
  ) {}

  /** Starts one on each of these nodes, well. */
  static async start(lab: Lab, nodes: readonly string[]): Promise<HealthServers> {
    const dir = join(lab.dir, "health");
    mkdirSync(dir);
    await run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=kube-apiserver", "-keyout", join(dir, "key.pem"), "-out", join(dir, "cert.pem")]);
    const servers = new HealthServers(lab, dir);
    await Promise.all(nodes.map(async (node) => await servers.open(node)));
    return servers;
  }

  /** From its next answer on it answers so. */
  set(node: string, state: HealthState): void {
    const path = join(this.dir, node);
    writeFileSync(`${path}.new`, state);
    renameSync(`${path}.new`, path);
  }

  /** Nobody listens any more. */
  async close(node: string): Promise<void> {
    await this.#process(node).stop("SIGKILL");
  }

  /** Connections are still accepted, by the kernel; nothing is ever said. */
  freeze(node: string): void {
    this.#process(node).kill("SIGSTOP");
  }

  /** Listens on this node, well. */
  async open(node: string): Promise<void> {
    this.set(node, "ok");
    const args = [PORT, join(this.dir, "cert.pem"), join(this.dir, "key.pem"), join(this.dir, node)];
    const server = await this.lab.spawnProgram(node, "health", args, { name: `health-${node}` });
    await server.waitFor(/^ready$/);
    this.#running.set(node, server);
  }

  #process(node: string): LabProcess {
    const found = this.#running.get(node);
    if (found === undefined) throw new Error(`no health server on ${node}`);
    return found;
  }
}
