import type { LabContext } from "../context.js";
import type { LabProcess } from "../process.js";
import type { LabNode } from "../topology.js";

/** A pod to start. */
export interface PodOptions {
  /** What it says when it is asked who it is. */
  readonly name: string;
  /** Its addresses, at least one, new in the lab: 10.244.NODE.2 and up, fd44:0:0:NODE::2 and up. */
  readonly ipv4?: string;
  readonly ipv6?: string;
}

/** A running pod. */
export interface Pod extends AsyncDisposable {
  readonly name: string;
  readonly node: string;
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  readonly process: LabProcess;
  /** Ends it and takes its addresses away. */
  stop(): Promise<void>;
}

/** Lets every node reach the pods of every other through the node that they run on; again is harmless. */
export async function routePods(lab: LabContext): Promise<void> {
  const routes = (node: LabNode): string => lab.nodes.filter(({ name }) => name !== node.name).flatMap((other) => [
    `route replace 10.244.${other.index}.0/24 via ${other.ipv4}`,
    `route replace fd44:0:0:${other.index}::/64 via ${other.ipv6}`,
  ]).join("\n");
  await Promise.all(lab.nodes.map(async (node) => await lab.exec(node.name, ["ip", "-batch", "-"], { input: routes(node) })));
}

/** Starts one more pod on a node, at addresses of its own on lo; resolves when it serves (ports as in service-plane.ts). */
export async function startPod(lab: LabContext, node: string, { name, ipv4, ipv6 }: PodOptions): Promise<Pod> {
  const addresses = [ipv4, ipv6].filter((address) => address !== undefined);
  if (addresses.length === 0) throw new Error(`pod ${name}: no address`);
  await routePods(lab);
  const prefixes = addresses.map((address) => (address.includes(":") ? `${address}/128` : `${address}/32`));
  const change = async (verb: "add" | "del"): Promise<void> => {
    await lab.exec(node, ["ip", "-batch", "-"], { input: prefixes.map((prefix) => `addr ${verb} ${prefix} dev lo`).join("\n") });
  };
  await change("add");
  const program = await lab.spawnProgram(node, "pod", [name, ...addresses], { name: `pod-${name}` });
  await program.waitFor(/^ready$/);
  const stop = async (): Promise<void> => {
    if (program.ended !== undefined) return;
    await program.stop("SIGKILL");
    await change("del");
  };
  return { name, node, ipv4, ipv6, process: program, stop, [Symbol.asyncDispose]: stop };
}
