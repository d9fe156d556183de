import { expect } from "vitest";
import { Cluster, VIP } from "./cluster.js";
import { LabGateway, TOLD } from "./gateway.js";
import { loadBalancer, type KubeEvent, type KubeService } from "./kube-client.js";

/** The annotation that says where the ports of a Service are reached from outside. */
export const EXTERNAL = "vip.internal/external";
/** What UPnP needs of the settings. */
export const UPNP = { env: { enable_upnp: "true" } };

/** What is asked for. */
export interface ForwardedOptions {
  readonly ip?: string;
  /** Default 32380/TCP; the pods' is 8080. */
  readonly ports?: readonly { readonly port: number; readonly protocol: "TCP" | "UDP" }[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A Service as `kubectl expose --port=32380 --target-port=8080` and `kubectl annotate kube-vip.io/forwardUPNP=true` make it. */
export function forwarded(name: string, { ip = VIP, ports = [{ port: 32380, protocol: "TCP" }], annotations = {} }: ForwardedOptions = {}): KubeService {
  const service = loadBalancer({ name, ip, spec: { ports: ports.map((one) => ({ ...one, name: `p${one.port}`, targetPort: 8080 })) } });
  return { ...service, metadata: { ...service.metadata, annotations: { ...service.metadata.annotations, "kube-vip.io/forwardUPNP": "true", ...annotations } } };
}

/** Waits until the Service says that its ports are reached there; undefined: nowhere. */
export async function reachedAt(cluster: Cluster, name: string, external: string | undefined, ms: number): Promise<void> {
  await cluster.service(name, ms, `${name} to be reached at ${external ?? "nothing"}`, (s) => s.metadata.annotations?.[EXTERNAL] === external);
}

/** Starts the gateway and a Service `web` whose port it opens, from the API to an answer on the outside; which node holds the VIP. */
export async function opened(cluster: Cluster, gateway: LabGateway, options: ForwardedOptions = {}): Promise<string> {
  const { lab, api } = cluster;
  await lab.serve({ ports: [32380] });
  await gateway.start();
  await api.client.createService(forwarded("web", options));
  const holder = await cluster.heldBy(VIP, 5000);
  expect(await lab.waitFor(async () => await gateway.answering(32380), 20_000, "an answer on the outside")).toBe(holder);
  const ports = options.ports ?? [{ port: 32380, protocol: "TCP" }];
  await reachedAt(cluster, "web", ports.map(({ port, protocol }) => `${TOLD}:${port}/${protocol}`).join(","), 5000);
  return holder;
}

/** From the API to the Internet and back, at a gateway of this kind; what is mapped is asked of its own client, and of `nat-upnp` where that can. */
export async function opensAndCloses(options: { readonly igd1: boolean; readonly secure: boolean }): Promise<void> {
  await using cluster = await Cluster.up(2, UPNP);
  const { lab, api } = cluster;
  const gateway = await LabGateway.create(lab, options);
  await opened(cluster, gateway, { ports: [{ port: 32380, protocol: "TCP" }, { port: 32381, protocol: "UDP" }] });
  await lab.waitFor(async () => (await gateway.listed()).length === 2, 8000, "both ports");
  expect(await gateway.listed()).toMatchObject([
    { protocol: "TCP", externalPort: 32380, target: `${VIP}:32380` },
    { protocol: "UDP", externalPort: 32381, target: `${VIP}:32381` },
  ]);
  if (options.igd1) {
    expect(await gateway.listedByNatUpnp()).toMatchObject([
      { public: { host: "", port: 32380 }, private: { host: VIP, port: 32380 }, protocol: "tcp", enabled: true },
      { public: { host: "", port: 32381 }, private: { host: VIP, port: 32381 }, protocol: "udp", enabled: true },
    ]);
  }
  await api.client.deleteService("web");
  await lab.waitFor(async () => (await gateway.listed()).length === 0, 8000, "no mapping");
  await cluster.free(VIP, 8000);
  expect(gateway.leases()).toEqual([]);
  if (options.igd1) expect(await gateway.listedByNatUpnp()).toEqual([]);
}

/** Waits for Events of this reason about a Service. */
export async function toldOf(cluster: Cluster, name: string, reason: string, ms = 5000): Promise<readonly KubeEvent[]> {
  const find = async (): Promise<readonly KubeEvent[] | undefined> => {
    const found = (await cluster.api.client.events()).filter((event) => event.reason === reason && event.involvedObject?.name === name);
    return found.length > 0 ? found : undefined;
  };
  return await cluster.lab.waitFor(find, ms, `an Event ${reason} about ${name}`);
}
