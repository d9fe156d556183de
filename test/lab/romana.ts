import { join } from "node:path";
import type { Cluster } from "./cluster.js";
import type { KubeEvent, KubeService } from "./kube-client.js";
import type { LabProcess } from "./process.js";
import { ask, type AskOptions } from "./proxy/sources.js";
import { POD_PORTS } from "./service-plane.js";
import { API_NS, CLIENT_NS, ROUTER_NS } from "./topology.js";

/** A Service as Romana's users have it: of type ClusterIP, TCP 80 and 9001 and UDP 9000, before the pods labelled `app: NAME`. */
export interface RomanaSpec {
  readonly name: string;
  /** The address of annotation `romanaip`. */
  readonly ip?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Over the defaults. */
  readonly spec?: Readonly<Record<string, unknown>>;
}

/** `{"auto": false, "ip": "192.168.99.101"}`, as Romana's guide writes it. */
export function asking(ip: string): string {
  return `{"auto": false, "ip": "${ip}"}`;
}

/** The manifest of a Service with a Romana VIP. */
export function romanaService({ name, ip, annotations = {}, spec = {} }: RomanaSpec): KubeService {
  const ports = [
    { name: "http", port: 80, protocol: "TCP", targetPort: POD_PORTS.http },
    { name: "tcp", port: POD_PORTS.tcp, protocol: "TCP", targetPort: POD_PORTS.tcp },
    { name: "udp", port: POD_PORTS.udp, protocol: "UDP", targetPort: POD_PORTS.udp },
  ];
  const all = { ...(ip === undefined ? {} : { romanaip: asking(ip) }), ...annotations };
  return { apiVersion: "v1", kind: "Service", metadata: { name, annotations: all }, spec: { type: "ClusterIP", selector: { app: name }, ports, ...spec } };
}

/** Makes a ready Pod labelled `app: APP` on a node, at the address of the node's own pod server (which answers with the node's name). */
export async function makePod(cluster: Cluster, app: string, node: string, name = `${app}-${node}`): Promise<void> {
  const containers = [{ name: "pod", image: "lab/pod", ports: [{ containerPort: POD_PORTS.http }] }];
  await cluster.api.client.create("/api/v1/namespaces/default/pods", { apiVersion: "v1", kind: "Pod", metadata: { name, labels: { app } }, spec: { nodeName: node, containers } });
}

/** Makes pods on these nodes and the Service with the VIP before them. */
export async function makeApp(cluster: Cluster, spec: RomanaSpec, nodes: readonly string[]): Promise<KubeService> {
  for (const node of nodes) await makePod(cluster, spec.name, node);
  return await cluster.api.client.createService(romanaService(spec));
}

/** spec.externalIPs. */
export function externalIpsOf({ spec }: KubeService): readonly string[] {
  return (spec?.["externalIPs"] ?? []) as readonly string[];
}

/** The Events about a Service, of one type or of both. */
export async function eventsOf(cluster: Cluster, service: string, type?: "Normal" | "Warning"): Promise<readonly KubeEvent[]> {
  const events = await cluster.api.client.events();
  return events.filter((event) => event.involvedObject?.name === service && (type === undefined || event.type === type));
}

/** Waits for an Event about a Service with this reason; its message. */
export async function messageOf(cluster: Cluster, service: string, reason: string, ms = 2000): Promise<string> {
  const [event] = await cluster.lab.waitFor(async () => (await eventsOf(cluster, service)).filter((e) => e.reason === reason), ms, `Event ${reason} about ${service}`);
  return event?.message ?? "";
}

/** Waits until the pod that answers at an address, as seen from the client, is `pod`; says from which address that pod saw the client. */
export async function reaches(cluster: Cluster, vip: string, pod: string, { ms = 2000, ...options }: AskOptions & { readonly ms?: number } = {}): Promise<string> {
  const sample = await cluster.lab.waitFor(
    async () => {
      const [one] = await ask(cluster.lab, vip, options);
      return one?.pod === pod ? one : { ok: false, one, address: undefined };
    },
    ms,
    `an answer of ${pod} at ${vip}`,
  );
  return sample.address ?? "";
}

/** Which nodes have a table of ours. */
export async function nodesWithRules(cluster: Cluster): Promise<readonly string[]> {
  const lists = await Promise.all(cluster.lab.nodes.map(async ({ name }) => (await cluster.lab.exec(name, ["nft", "list", "tables"])).stdout));
  return cluster.lab.nodes.filter((_, at) => lists[at]?.includes("table inet vip\n")).map(({ name }) => name);
}

/** Follows a Service by a watch of its own: one line for each version, its spec.externalIPs as JSON (nothing where there are none). */
export async function watchExternalIps(cluster: Cluster, service: string): Promise<LabProcess> {
  const { dir } = cluster.lab;
  const what = ["get", "service", service, "--watch", "-o", 'jsonpath={"ips:"}{.spec.externalIPs}{"\\n"}'];
  const common = ["--kubeconfig", join(dir, "api/admin.conf"), "--cache-dir", join(dir, "kubectl")];
  const watch = await cluster.lab.spawn(API_NS, ["/usr/bin/kubectl", ...common, ...what], { name: `watch-${service}`, env: { HOME: dir, KUBECONFIG: "" } });
  await watch.waitFor(/^ips:/);
  return watch;
}

/** Lets hosts of the LAN forget who has an address. */
export async function forget(cluster: Cluster, address: string): Promise<void> {
  for (const ns of [CLIENT_NS, ROUTER_NS]) await cluster.lab.exec(ns, ["ip", "neigh", "flush", "to", address]);
}
