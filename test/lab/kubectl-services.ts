import type { Cluster } from "./cluster.js";
import type { KubeEvent } from "./kube-client.js";

/** The deployment that is exposed, with a pod on each node. */
export const DEPLOYMENT = "test-deploy";

/** How the deployment is exposed. */
export interface ExposeOptions {
  /** Port of the Service. Default 80; the pods' is 8080. */
  readonly port?: number;
  /** For `--load-balancer-ip`. */
  readonly ip?: string;
  readonly namespace?: string;
  /** More of the spec, as `--overrides`. */
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** `kubectl create deployment`, with so many pods; resolves when they are ready. */
export async function deploy(cluster: Cluster, { replicas, namespace = "default" }: { readonly replicas: number; readonly namespace?: string }): Promise<void> {
  await cluster.kubectl(["create", "deployment", DEPLOYMENT, "--image=lab/pod", "--port=8080", `--replicas=${replicas}`], { namespace });
  await cluster.kubectl(["rollout", "status", `deployment/${DEPLOYMENT}`, "--timeout=5s"], { namespace });
}

/** `kubectl expose deployment ... --type=LoadBalancer`. */
export async function expose(cluster: Cluster, name: string, { port = 80, ip, namespace = "default", spec, annotations }: ExposeOptions = {}): Promise<void> {
  const overrides = { ...(spec && { spec }), ...(annotations && { metadata: { annotations } }) };
  await cluster.kubectl([
    "expose", "deployment", DEPLOYMENT, `--port=${port}`, "--target-port=8080", "--type=LoadBalancer", "--name", name,
    ...(ip === undefined ? [] : [`--load-balancer-ip=${ip}`]),
    ...(Object.keys(overrides).length === 0 ? [] : ["--overrides", JSON.stringify({ apiVersion: "v1", kind: "Service", ...overrides })]),
  ], { namespace });
}

/** `kubectl annotate`; `key=value`, or `key-` to take it away. */
export async function annotate(cluster: Cluster, name: string, ...what: readonly string[]): Promise<void> {
  await cluster.kubectl(["annotate", "--overwrite", "service", name, ...what]);
}

/** What `kubectl get service` prints as EXTERNAL-IP, without `<pending>`: `--load-balancer-ip` is not shown there. */
export async function externalIp(cluster: Cluster, name: string): Promise<string> {
  return await cluster.kubectl(["get", "service", name, "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}"]);
}

/** Waits until the status of a Service names exactly these addresses. */
export async function shows(cluster: Cluster, name: string, ips: readonly string[], ms = 2000): Promise<void> {
  await cluster.service(name, ms, `${name} to show ${ips.join() || "nothing"}`, (s) => (s.status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip).join() === ips.join());
}

/** The node whose pod answers HTTP at this address and port within a second; undefined when none does. */
export async function answering(cluster: Cluster, ip: string, port = 80): Promise<string | undefined> {
  const host = ip.includes(":") ? `[${ip}]` : ip;
  const { code, stdout } = await cluster.lab.exec("client", ["curl", "-s", "-g", "-m", "1", `http://${host}:${port}/`], { mayFail: true });
  return code === 0 ? stdout.trim() : undefined;
}

/** Waits until a pod answers at this address and port. */
export async function answers(cluster: Cluster, ip: string, port = 80): Promise<string> {
  return await cluster.lab.waitFor(async () => await answering(cluster, ip, port), 3000, `an answer at ${ip}:${port}`);
}

/** The Events of a Service with this reason; waits for the first one. */
export async function told(cluster: Cluster, service: string, reason: string, ms = 2000): Promise<readonly KubeEvent[]> {
  const found = async (): Promise<KubeEvent[]> => (await cluster.api.client.events()).filter((event) => event.reason === reason && event.involvedObject?.name === service);
  return await cluster.lab.waitFor(found, ms, `an Event ${reason} of ${service}`);
}

/**
 * Waits until a Service made now is served: whatever was decided before it is then decided. For what must not happen: look at it afterwards.
 * The Service is gone when this resolves.
 */
export async function decided(cluster: Cluster, ip = "10.77.0.254"): Promise<void> {
  const { client } = cluster.api;
  await client.createService({ apiVersion: "v1", kind: "Service", metadata: { name: "later" }, spec: { type: "LoadBalancer", loadBalancerClass: "kube-vip.io/kube-vip-class", loadBalancerIP: ip, selector: { app: "pods" }, ports: [{ port: 7 }] } });
  await cluster.heldBy(ip, 2000);
  await shows(cluster, "later", [ip]);
  await client.deleteService("later");
  await cluster.free(ip, 2000);
}

/** Deletes all Services of type LoadBalancer and waits until none of these addresses is held. */
export async function cleared(cluster: Cluster, addresses: readonly string[]): Promise<void> {
  const { client } = cluster.api;
  const all = (await client.services()).filter(({ spec }) => spec?.["type"] === "LoadBalancer");
  await Promise.all(all.map(async ({ metadata }) => await client.deleteService(metadata.name, metadata.namespace)));
  await Promise.all(addresses.map(async (address) => await cluster.free(address, 3000)));
}
