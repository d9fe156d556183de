import { expect } from "vitest";
import { VIP, type Cluster } from "./cluster.js";
import { TOLD, type LabGateway } from "./gateway.js";
import { loadBalancer, type KubeEvent, type KubeService } from "./kube-client.js";

/** The annotation that says where the ports of a Service are reached from outside. */
export const EXTERNAL = "vip.internal/external";
/** What UPnP needs of the settings. */
export const UPNP = { env: { enable_upnp: "true" } };

/** What is asked for. */
export interface ForwardedOptions {
  readonly ip?: string;
  /** Default 32380; the pods' is 8080. */
  readonly port?: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A Service as `kubectl expose --port=32380 --target-port=8080` and `kubectl annotate kube-vip.io/forwardUPNP=true` make it. */
export function forwarded(name: string, { ip = VIP, port = 32380, annotations = {} }: ForwardedOptions = {}): KubeService {
  const service = loadBalancer({ name, ip, spec: { ports: [{ port, protocol: "TCP", targetPort: 8080 }] } });
  return { ...service, metadata: { ...service.metadata, annotations: { ...service.metadata.annotations, "kube-vip.io/forwardUPNP": "true", ...annotations } } };
}

/** Waits until the Service says that its ports are reached there; undefined: nowhere. */
export async function reachedAt(cluster: Cluster, name: string, external: string | undefined, ms: number): Promise<void> {
  await cluster.service(name, ms, `${name} to be reached at ${external ?? "nothing"}`, (s) => s.metadata.annotations?.[EXTERNAL] === external);
}

/** Starts the gateway and a Service `web` whose port it opens, from the API to an answer on the outside; which node holds the VIP. */
export async function opened(cluster: Cluster, gateway: LabGateway): Promise<string> {
  const { lab, api } = cluster;
  await lab.serve({ ports: [32380] });
  await gateway.start();
  await api.client.createService(forwarded("web"));
  const holder = await cluster.heldBy(VIP, 5000);
  expect(await lab.waitFor(async () => await gateway.answering(32380), 20_000, "an answer on the outside")).toBe(holder);
  await reachedAt(cluster, "web", `${TOLD}:32380/TCP`, 5000);
  return holder;
}

/** Waits for Events of this reason about a Service. */
export async function toldOf(cluster: Cluster, name: string, reason: string, ms = 5000): Promise<readonly KubeEvent[]> {
  const find = async (): Promise<readonly KubeEvent[] | undefined> => {
    const found = (await cluster.api.client.events()).filter((event) => event.reason === reason && event.involvedObject?.name === name);
    return found.length > 0 ? found : undefined;
  };
  return await cluster.lab.waitFor(find, ms, `an Event ${reason} about ${name}`);
}
