import type { ApiAdmin } from "./api/admin.js";
import { POD_LABELS, type KubeClient, type KubeObject } from "./kube-client.js";
import { POD_PORTS } from "./service-plane.js";
import type { LabNode } from "./topology.js";

/** The name of the pod that a node has from the start. */
export function podName(node: string): string {
  return `pods-${node}`;
}

function nodeObject({ name, ipv4, ipv6 }: LabNode): KubeObject {
  const condition = { type: "Ready", status: "True", reason: "KubeletReady", message: "kubelet is posting ready status" };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { "kubernetes.io/hostname": name, "kubernetes.io/os": "linux" } },
    spec: {},
    status: {
      addresses: [{ type: "InternalIP", address: ipv4 }, { type: "InternalIP", address: ipv6 }, { type: "Hostname", address: name }],
      conditions: [condition],
      nodeInfo: { kubeletVersion: "v1.36.0" },
    },
  };
}

function podObject({ name }: LabNode): KubeObject {
  const ports = [
    { name: "http", containerPort: POD_PORTS.http, protocol: "TCP" },
    { name: "tcp", containerPort: POD_PORTS.tcp, protocol: "TCP" },
    { name: "udp", containerPort: POD_PORTS.udp, protocol: "UDP" },
  ];
  return { apiVersion: "v1", kind: "Pod", metadata: { name: podName(name), labels: POD_LABELS }, spec: { nodeName: name, containers: [{ name: "web", image: "lab/pod", ports }] } };
}

/** What is asked to register nodes. */
interface Apis {
  readonly client: KubeClient;
  readonly admin: ApiAdmin;
}

/** Makes the Node objects of the lab's nodes, and on each a ready Pod labelled `app: pods` at the address of its pod server. */
export async function registerNodes({ client, admin }: Apis, nodes: readonly LabNode[]): Promise<void> {
  await admin.podAddresses(nodes.map(({ name, podIpv4, podIpv6 }) => ({ node: name, ipv4: [podIpv4], ipv6: [podIpv6] })));
  await Promise.all(nodes.map(async (node) => await client.create("/api/v1/nodes", nodeObject(node))));
  await Promise.all(nodes.map(async (node) => await client.create("/api/v1/namespaces/default/pods", podObject(node))));
}
