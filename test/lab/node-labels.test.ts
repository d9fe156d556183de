import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import { Cluster, VIP } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";
import { printedRole, rightsIn, userWith } from "./roles.js";

const OTHER = "10.77.0.201";
const WEB = "service-provided.kube-vip.io/web.default";
const API = "service-provided.kube-vip.io/api.default";
/** For what only has to happen, however busy the machine is, ms. */
const PATIENCE_MS = 20_000;

interface LabelledNode {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
}

/** Labels of what a node holds. */
async function labels(cluster: Cluster, node: string): Promise<Readonly<Record<string, string>>> {
  const { metadata } = await cluster.api.client.request<LabelledNode>("GET", `/api/v1/nodes/${node}`);
  return Object.fromEntries(Object.entries(metadata.labels ?? {}).filter(([name]) => name.includes("kube-vip.io/")));
}

async function labelled(cluster: Cluster, node: string, wanted: Readonly<Record<string, string>>): Promise<void> {
  let last: Readonly<Record<string, string>> = {};
  const same = async (): Promise<boolean> => {
    last = await labels(cluster, node);
    return isDeepStrictEqual(last, wanted);
  };
  await cluster.lab.waitFor(same, PATIENCE_MS, `labels of ${node}: ${JSON.stringify(wanted)}`).catch((error: unknown) => {
    throw new Error(`labels are ${JSON.stringify(last)}`, { cause: error });
  });
}

describe("labels of Nodes (enable_node_labeling), with the rights of `vip manifest rbac` and no more", () => {
  test("say what a node holds, follow it, and go with the process; what a killed one left goes with the next", async () => {
    await using cluster = await Cluster.bare(2);
    const role = await printedRole(cluster.lab, ["--enableNodeLabeling"]);
    expect(rightsIn(role)).toContain("patch nodes");
    const env = { enable_node_labeling: "true", k8s_config_file: await userWith(cluster, "vip", role) };
    for (const { name } of cluster.lab.nodes) await cluster.startVip(name, { env });
    await cluster.owner();
    const { client } = cluster.api;
    await client.createService(loadBalancer({ name: "web", ip: VIP }));
    await client.createService(loadBalancer({ name: "api", ip: OTHER }));
    const first = await cluster.heldBy(VIP, PATIENCE_MS);
    const second = first === "n1" ? "n2" : "n1";
    await labelled(cluster, first, { [WEB]: VIP, [API]: OTHER });
    expect(await labels(cluster, second)).toEqual({});
    await client.deleteService("api");
    await labelled(cluster, first, { [WEB]: VIP });

    await cluster.vip(first).stop("SIGKILL");
    await labelled(cluster, second, { [WEB]: VIP });
    expect(await labels(cluster, first)).toEqual({ [WEB]: VIP });
    await cluster.startVip(first, { env });
    await labelled(cluster, first, {});

    await cluster.vip(second).stop("SIGTERM");
    expect(await labels(cluster, second)).toEqual({});
    await labelled(cluster, first, { [WEB]: VIP });
    await cluster.vip(first).stop("SIGKILL");
    const { stdout } = await cluster.lab.exec("n1", [cluster.lab.built("vip"), "cleanup", "--api", "--yes", "--kubeconfig", cluster.api.adminConf]);
    expect(stdout).toContain(`removed labels of Node ${first}: ${WEB}`);
    expect(await labels(cluster, first)).toEqual({});
  });

  test("say which node has the control plane", async () => {
    await using cluster = await Cluster.bare(1);
    const env = { enable_node_labeling: "true", cp_enable: "true", svc_enable: "", address: VIP, vip_leaderelection: "true" };
    await cluster.startVip("n1", { env });
    await cluster.heldBy(VIP, PATIENCE_MS);
    await labelled(cluster, "n1", { "kube-vip.io/has-ip": VIP });
    await cluster.vip("n1").stop("SIGTERM");
    expect(await labels(cluster, "n1")).toEqual({});
  });
});
