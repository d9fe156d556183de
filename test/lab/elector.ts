import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Cluster } from "./cluster.js";
import type { LabProcess } from "./process.js";

const RECORDER = join(import.meta.dirname, "../golden/client-go/recorder");
/** A build with nothing in the cache compiles all of client-go. */
const BUILD_MS = 280_000;

/** The real elector of client-go, or why it is not here. */
export type Elector = { readonly binary: string } | { readonly missing: string };

/** Builds the program around client-go with what this machine has: Go is optional, and nothing is fetched. */
export async function buildElector(dir: string): Promise<Elector> {
  const binary = join(dir, "recorder");
  // The versions are those of go.sum; -buildvcs=false: the folder need not belong to whoever runs this.
  const env = { ...process.env, GOPROXY: "off", GOTOOLCHAIN: "local", GOFLAGS: "-buildvcs=false" };
  try {
    await promisify(execFile)("go", ["build", "-mod=readonly", "-o", binary, "."], { cwd: RECORDER, env, timeout: BUILD_MS });
    return { binary };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return { missing: "there is no Go here (1.26 or later)" };
    const text = error instanceof Error ? error.message : String(error);
    return { missing: `the elector does not build (run test/golden/client-go/record.sh once, with the network): ${text.split("\n").slice(0, 4).join(" ")}` };
  }
}

export interface ElectorOptions {
  readonly node: string;
  readonly address: string;
  /** A Service of the namespace `default`: elected by a Lease of its own, as kube-vip does with svc_election. Otherwise as for the control plane. */
  readonly service?: string;
  /** By this Lease of kube-system, as kube-vip does for all Services without svc_election. */
  readonly lock?: string;
}

/** Starts a stand-in for kube-vip on a node: it holds the address while it leads. */
export async function startElector(cluster: Cluster, binary: string, options: ElectorOptions): Promise<LabProcess> {
  const { node, address, service, lock: shared } = options;
  const flags = ["-kubeconfig", cluster.api.adminConf, "-identity", node, "-address", `${address}/32`, "-link", "eth0"];
  const one = shared === undefined ? [] : ["-lock", shared];
  const lock = service === undefined ? one : ["-namespace", "default", "-lock", `kubevip-${service}`];
  return await cluster.lab.spawn(node, [binary, "elect", ...flags, ...lock], { name: `elector-${node}${service === undefined ? "" : `-${service}`}` });
}
