import { inNamespace, run } from "./command.js";

/** The namespace that holds both bridges. */
export const BRIDGE_NS = "lab-br";
/** The namespace of the router between the LAN and elsewhere, 10.77.0.1. */
export const ROUTER_NS = "lab-rt";
/** The namespace of the client on the LAN, 10.77.0.100. */
export const CLIENT_NS = "lab-cl";
/** The namespace of the Kubernetes API, 10.78.0.1 on a network of its own. */
export const API_NS = "lab-api";

/** The interface on the API network of the namespace that the tests themselves run in, 10.78.0.254: it is never cut. */
export const TEST_IFACE = "lab0";

/** A network of the lab: the bridge and what its ports are called. */
export const NETWORKS = {
  lan: { bridge: "br0", port: "l-", ipv4: "10.77.0.", ipv6: "fd77::" },
  api: { bridge: "br1", port: "a-", ipv4: "10.78.0.", ipv6: "fd78::" },
} as const;

/** The networks by name: `lan` carries the VIPs, `api` leads to the Kubernetes API. */
export type NetworkName = keyof typeof NETWORKS;

/** One end of a cable: an interface of a namespace, plugged into a bridge. */
interface Plug {
  readonly network: NetworkName;
  readonly ns: string;
  readonly host: string;
  readonly iface: string;
  readonly number: number;
}

/** A node of the lab. */
export interface LabNode {
  /** Also its Kubernetes node name: n1, n2 ... */
  readonly name: string;
  readonly ns: string;
  /** Its number, from 1. */
  readonly index: number;
  readonly ipv4: string;
  readonly ipv6: string;
  /** Its address on the API network. */
  readonly apiIpv4: string;
  /** Where its own pod server listens, on lo. */
  readonly podIpv4: string;
  readonly podIpv6: string;
}

/** Describes node number `index` (from 1). */
export function labNode(index: number): LabNode {
  return {
    name: `n${index}`,
    ns: `lab-n${index}`,
    index,
    ipv4: `10.77.0.${10 + index}`,
    ipv6: `fd77::${10 + index}`,
    apiIpv4: `10.78.0.${10 + index}`,
    podIpv4: `10.244.${index}.1`,
    podIpv6: `fd44:0:0:${index}::1`,
  };
}

/** The name of the bridge's port for a host in a network. */
export function portName(network: NetworkName, host: string): string {
  return NETWORKS[network].port + host;
}

function plugs(nodes: readonly LabNode[]): Plug[] {
  return [
    { network: "lan", ns: ROUTER_NS, host: "rt", iface: "eth0", number: 1 },
    { network: "lan", ns: CLIENT_NS, host: "cl", iface: "eth0", number: 100 },
    { network: "api", ns: API_NS, host: "api", iface: "eth0", number: 1 },
    ...nodes.flatMap((node): Plug[] => [
      { network: "lan", ns: node.ns, host: node.name, iface: "eth0", number: 10 + node.index },
      { network: "api", ns: node.ns, host: node.name, iface: "api0", number: 10 + node.index },
    ]),
  ];
}

/** All namespaces of a lab with these nodes. */
export function namespaces(nodes: readonly LabNode[]): string[] {
  return [BRIDGE_NS, ROUTER_NS, CLIENT_NS, API_NS, ...nodes.map((node) => node.ns)];
}

// No duplicate address detection, no router advertisements: an address works at once. Nodes and router forward, as in a cluster.
const SYSCTLS = `for d in all default; do cd /proc/sys/net/ipv6/conf/$d; echo 0 >accept_dad; echo 0 >accept_ra; echo 0 >dad_transmits; done
cd /proc/sys/net/ipv6/conf; for d in eth0 api0; do [ ! -d $d ] || { echo 0 >$d/accept_dad; echo 0 >$d/accept_ra; echo 0 >$d/dad_transmits; }; done`;
const FORWARD = "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding";

function bridgeBatch(all: readonly Plug[]): string {
  const lines = ["link set lo up"];
  for (const { bridge } of Object.values(NETWORKS)) {
    lines.push(`link add ${bridge} type bridge forward_delay 0 stp_state 0 mcast_snooping 0`, `link set ${bridge} up`);
  }
  for (const plug of all) {
    const port = portName(plug.network, plug.host);
    lines.push(`link add ${port} type veth peer name ${plug.iface} netns ${plug.ns}`, `link set ${port} master ${NETWORKS[plug.network].bridge} up`);
  }
  return lines.join("\n");
}

function testBatch(): string {
  const { ipv4 } = NETWORKS.api;
  const port = portName("api", "test");
  return [
    "link set lo up",
    `link add ${TEST_IFACE} type veth peer name ${port} netns ${BRIDGE_NS}`,
    `addr add ${ipv4}254/24 dev ${TEST_IFACE}`,
    `link set ${TEST_IFACE} up`,
  ].join("\n");
}

function hostBatch(ns: string, all: readonly Plug[], node: LabNode | undefined): string {
  const lines = ["link set lo up"];
  for (const { network, iface, number } of all.filter((plug) => plug.ns === ns)) {
    const { ipv4, ipv6 } = NETWORKS[network];
    lines.push(`link set ${iface} up`, `addr add ${ipv4}${number}/24 dev ${iface}`, `addr add ${ipv6}${number}/64 dev ${iface} nodad`);
    if (network === "lan" && ns !== ROUTER_NS) lines.push("route add default via 10.77.0.1", "route add default via fd77::1");
  }
  if (node) lines.push(`addr add ${node.podIpv4}/32 dev lo`, `addr add ${node.podIpv6}/128 dev lo nodad`);
  return lines.join("\n");
}

/** Builds the namespaces, bridges and cables; about 100 ms. */
export async function buildTopology(nodes: readonly LabNode[]): Promise<void> {
  const all = plugs(nodes);
  const names = namespaces(nodes);
  await run(["ip", "-batch", "-"], { input: names.map((ns) => `netns add ${ns}`).join("\n") });
  await run(inNamespace(BRIDGE_NS, ["ip", "-batch", "-"]), { input: bridgeBatch(all) });
  await run(["ip", "-batch", "-"], { input: testBatch() });
  await run(inNamespace(BRIDGE_NS, ["ip", "link", "set", portName("api", "test"), "master", NETWORKS.api.bridge, "up"]));
  await Promise.all(names.filter((ns) => ns !== BRIDGE_NS).map(async (ns) => {
    const node = nodes.find((one) => one.ns === ns);
    const script = [SYSCTLS, node || ns === ROUTER_NS ? FORWARD : "", "exec ip -batch -"].join("\n");
    await run(inNamespace(ns, ["sh", "-ec", script]), { input: hostBatch(ns, all, node) });
  }));
}
