import type { LabContext } from "./context.js";
import type { LabNode } from "./topology.js";
import { waitFor } from "./wait.js";

/** What the stand-in for kube-proxy serves. */
export interface ServeOptions {
  /** Where it runs. Default: every node. */
  readonly nodes?: readonly string[];
  /** IPv4 addresses and prefixes of Services. Default 10.77.0.128/25 and 10.99.0.0/16. */
  readonly ipv4?: readonly string[];
  /** IPv6 addresses and prefixes of Services. Default fd77::1:0/112 and fd99::/64. */
  readonly ipv6?: readonly string[];
  /** More TCP ports that lead to the HTTP server, besides 80. */
  readonly ports?: readonly number[];
  /**
   * Serve only addresses that the node holds now, and drop packets to the others. Default false, as kube-proxy: a node
   * also serves packets that still come to it with a Service address that it gave up, or never had (BGP).
   */
  readonly heldOnly?: boolean;
  /** Only the pods: no packets are led to them, and rules of an earlier call are taken away. Default true. */
  readonly rules?: boolean;
}

/** The ports of a pod server. */
export const POD_PORTS = { http: 8080, udp: 9000, tcp: 9001 } as const;

const DEFAULT_IPV4 = ["10.77.0.128/25", "10.99.0.0/16"];
const DEFAULT_IPV6 = ["fd77::1:0/112", "fd99::/64"];

function familyRules(options: { readonly family: "ip" | "ip6"; readonly ranges: readonly string[]; readonly pod: string; readonly http: string }): string[] {
  const { family, ranges, pod, http } = options;
  if (ranges.length === 0) return [];
  const to = `${family} daddr { ${ranges.join(", ")} }`;
  const target = family === "ip" ? pod : `[${pod}]`;
  return [
    `${to} tcp dport { ${http} } dnat ${family} to ${target}:${POD_PORTS.http}`,
    `${to} tcp dport ${POD_PORTS.tcp} dnat ${family} to ${target}:${POD_PORTS.tcp}`,
    `${to} udp dport ${POD_PORTS.udp} dnat ${family} to ${target}:${POD_PORTS.udp}`,
  ];
}

const NO_RULES = "table inet services {}\ndelete table inet services\n";

function ruleset(node: LabNode, { ipv4 = DEFAULT_IPV4, ipv6 = DEFAULT_IPV6, ports = [], heldOnly = false, rules: wanted = true }: ServeOptions): string {
  if (!wanted) return NO_RULES;
  const http = [80, ...ports].join(", ");
  const rules = [
    ...familyRules({ family: "ip", ranges: ipv4, pod: node.podIpv4, http }),
    ...familyRules({ family: "ip6", ranges: ipv6, pod: node.podIpv6, http }),
  ].map((rule) => `    ${rule}`);
  const held = ([["ip", ipv4], ["ip6", ipv6]] as const).filter(([, ranges]) => heldOnly && ranges.length > 0);
  const drops = held.map(([family, ranges]) => `    ${family} daddr { ${ranges.join(", ")} } fib daddr type != local drop`);
  const chain = (name: string, hook: string, lines: readonly string[]) => [`  chain ${name} {`, `    type ${hook};`, ...lines, "  }"];
  return NO_RULES + [
    "table inet services {",
    ...chain("held", "filter hook prerouting priority raw", drops), // before conntrack: known flows are dropped too
    ...chain("pre", "nat hook prerouting priority dstnat", rules),
    ...chain("out", "nat hook output priority -100", rules),
    "}",
    "",
  ].join("\n");
}

/** Whether the node's own pod serves: others may listen at other addresses of the node. */
async function listens(lab: LabContext, node: LabNode): Promise<boolean> {
  const { stdout } = await lab.exec(node.name, ["cat", "/proc/net/tcp"]);
  const address = Buffer.from(node.podIpv4.split(".").map(Number).toReversed()).toString("hex").toUpperCase(); // as a little-endian word
  return stdout.includes(`${address}:${POD_PORTS.http.toString(16).toUpperCase()} 00000000:0000 0A`);
}

async function servePod(lab: LabContext, node: LabNode, options: ServeOptions): Promise<void> {
  await lab.exec(node.name, ["nft", "-f", "-"], { input: ruleset(node, options) });
  if (await listens(lab, node)) return; // it serves already, only the rules change
  const pod = await lab.spawnProgram(node.name, "pod", [node.name, node.podIpv4, node.podIpv6], { name: `pod-${node.name}` });
  await pod.waitFor(/^ready$/);
}

/** Takes the static rules of a node away; its pod goes on. */
export async function dropRules(lab: LabContext, node: string): Promise<void> {
  await lab.exec(node, ["nft", "-f", "-"], { input: NO_RULES });
}

/** Starts a pod on each node and leads Service addresses to it; called again, it replaces the rules. */
export async function servePods(lab: LabContext, options: ServeOptions): Promise<void> {
  const nodes = options.nodes?.map((name) => lab.node(name)) ?? lab.nodes;
  await Promise.all(nodes.map(async (node) => await servePod(lab, node, options)));
}

/** Which node answers HTTP at this address, asked from the client (or another namespace); undefined when none does within a second. */
export async function answeringNode(lab: LabContext, vip: string, from = "client"): Promise<string | undefined> {
  const host = vip.includes(":") ? `[${vip}]` : vip;
  const { code, stdout } = await lab.exec(from, ["curl", "-s", "-g", "-m", "1", `http://${host}/`], { mayFail: true });
  return code === 0 ? stdout.trim() : undefined;
}

/** Waits until HTTP at this address is answered by `node`. */
export async function waitForAnswer(lab: LabContext, vip: string, { node, ms = 5_000 }: { readonly node?: string; readonly ms?: number } = {}): Promise<string> {
  return (await waitFor(async () => {
    const seen = await answeringNode(lab, vip);
    return seen !== undefined && (node === undefined || seen === node) ? { seen } : { ok: false, seen };
  }, ms, `an answer of ${node ?? "any node"} at http://${vip}/`)).seen ?? "";
}
