import { existsSync, mkdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { KubeClient } from "./kube-client.js";
import type { LabContext } from "./context.js";
import type { LabProcess } from "./process.js";
import { API_NS, type LabNode } from "./topology.js";
import { waitFor } from "./wait.js";

/** Where the Kubernetes API of the lab listens. */
export const API_LISTEN = "10.78.0.1:6443";

/** The Kubernetes API of a lab. */
export interface LabApi {
  readonly process: LabProcess;
  /** A kubeconfig for an administrator. */
  readonly adminConf: string;
  /** Where the server takes calls that make it fail (see api/admin.ts). */
  readonly adminSocket: string;
  /** A client with an administrator's rights, which reaches the API whatever is cut. */
  readonly client: KubeClient;
}

/** How a `vip` is started. */
export interface VipOptions {
  /** Settings, over the defaults of the lab. An empty string takes a default away. */
  readonly env?: Readonly<Record<string, string>>;
  /** Another binary than dist/vip. */
  readonly binary?: string;
  /** Default `start`. */
  readonly args?: readonly string[];
  /** Its /etc/resolv.conf. Default: that of the machine. */
  readonly resolvConf?: string;
}

/** Starts the API server in its namespace, or again after it was killed (what it stores is up to the server). */
export async function startApi(lab: LabContext): Promise<LabApi> {
  const dir = join(lab.dir, "api");
  mkdirSync(dir, { recursive: true });
  const server = await lab.spawnProgram(API_NS, "api", ["--listen", API_LISTEN, "--dir", dir]);
  const { adminSocket } = JSON.parse(await server.waitFor(/"ready":true/, 10_000)) as { readonly adminSocket: string };
  const adminConf = join(dir, "admin.conf");
  await waitFor(() => existsSync(adminConf), 1_000, adminConf);
  return { process: server, adminConf, adminSocket, client: KubeClient.from(adminConf) };
}

// Each node has a /run/vip of its own, which outlives the process as on a real node. The shell becomes the program, so the pid stays.
const OWN_RUN = 'mkdir -p /run/vip && mount --bind "$0/run-vip" /run/vip && { [ ! -e "$0/resolv.conf" ] || mount --bind "$0/resolv.conf" /etc/resolv.conf; } && exec "$@"';

// What the process is before it is the program.
const STARTERS = /\/(nsenter|unshare|sh|dash|bash|mount)$/;

/** Starts the binary under test on a node, with short lease times. */
export async function startVip(lab: LabContext, node: LabNode, { env, binary, args = ["start"], resolvConf }: VipOptions): Promise<LabProcess> {
  const defaults = {
    vip_arp: "true",
    svc_enable: "true",
    vip_interface: "eth0",
    vip_nodename: node.name,
    k8s_config_file: join(lab.dir, "api/admin.conf"),
    vip_leaseduration: "5",
    vip_renewdeadline: "3",
    vip_retryperiod: "1",
  };
  const nodeDir = join(lab.dir, node.name);
  mkdirSync(join(nodeDir, "run-vip"), { recursive: true });
  if (resolvConf !== undefined) writeFileSync(join(nodeDir, "resolv.conf"), resolvConf);
  const settings = Object.fromEntries(Object.entries({ ...defaults, ...env }).filter(([, value]) => value !== ""));
  const argv = ["unshare", "--mount", "sh", "-c", OWN_RUN, nodeDir, binary ?? lab.built("vip"), ...args];
  const started = await lab.spawn(node.name, argv, { name: `vip-${node.name}`, env: settings });
  await waitFor(() => started.ended !== undefined || !STARTERS.test(readlinkSync(`/proc/${started.pid}/exe`)), 5_000, `${node.name} to run vip`);
  return started;
}
