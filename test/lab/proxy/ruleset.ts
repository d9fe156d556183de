import type { Endpoint, Family, PortPlan } from "./plan.js";

/** The node that the rules are for: its own addresses are the source of what is masqueraded. */
export interface ProxyNode {
  readonly ipv4: string;
  readonly ipv6: string;
}

/** The mark of packets that get the node's address as their source, kube-proxy's own. */
const MASQUERADE = "0x4000";
const FAMILIES = [4, 6] as const;

/** Which chain each address, protocol and port leads to; the first Service that asks for one keeps it. */
type Verdicts = ReadonlyMap<string, string>;

interface PortChains {
  readonly plan: PortPlan;
  /** To any endpoint. */
  readonly cluster: string;
  /** From outside, by externalTrafficPolicy. */
  readonly external: string;
}

function ip(family: Family): string {
  return family === 4 ? "ip" : "ip6";
}

function chain(name: string, ...lines: readonly string[]): readonly string[] {
  return [`  chain ${name} {`, ...lines.map((line) => `    ${line}`), "  }"];
}

function dnat({ family, protocol }: PortPlan, endpoints: readonly Endpoint[]): string {
  const targets = endpoints.map(({ address, port }, at) => `${at} : ${address} . ${port}`);
  return `meta l4proto ${protocol} dnat ${ip(family)} to numgen random mod ${targets.length} map { ${targets.join(", ")} }`;
}

function externalChain({ plan, cluster, external }: PortChains): readonly string[] {
  const masquerade = `meta mark set mark or ${MASQUERADE}`;
  if (!plan.local) return chain(external, masquerade, `goto ${cluster}`);
  // What the node itself sends is not from outside: the policy does not bind it.
  return chain(external, `fib saddr type local ${masquerade} goto ${cluster}`, ...(plan.here.length === 0 ? [] : [dnat(plan, plan.here)]));
}

function portRules(one: PortChains): readonly string[] {
  if (one.plan.everywhere.length === 0) return [];
  return [`  # ${one.plan.name}`, ...chain(one.cluster, dnat(one.plan, one.plan.everywhere)), ...externalChain(one)];
}

/** What happens to packets with these addresses, in map notation. */
function verdicts(chains: readonly PortChains[], family: Family, verdictsOf: (one: PortChains) => readonly (readonly [ips: readonly string[], verdict: string])[]): Verdicts {
  const found = new Map<string, string>();
  for (const one of chains.filter(({ plan }) => plan.family === family)) {
    for (const [ips, verdict] of verdictsOf(one)) {
      for (const address of ips) {
        const key = `${address} . ${one.plan.protocol} . ${one.plan.port}`;
        if (!found.has(key)) found.set(key, verdict);
      }
    }
  }
  return found;
}

function led({ plan, cluster, external }: PortChains): readonly (readonly [readonly string[], string])[] {
  if (plan.everywhere.length === 0) return [];
  return [[plan.clusterIps, `goto ${cluster}`], [plan.externalIps, `goto ${external}`]];
}

function unserved({ plan }: PortChains): readonly (readonly [readonly string[], string])[] {
  if (plan.everywhere.length === 0) return [[[...plan.clusterIps, ...plan.externalIps], "goto refuse"]];
  return plan.local && plan.here.length === 0 ? [[plan.externalIps, "drop"]] : [];
}

function verdictMap(name: string, family: Family, found: Verdicts): readonly string[] {
  const elements = [...found].map(([key, verdict]) => `${key} : ${verdict}`);
  return [`  map ${name}${family} {`, `    type ipv${family}_addr . inet_proto . inet_service : verdict`, ...(elements.length === 0 ? [] : [`    elements = { ${elements.join(",\n      ")} }`]), "  }"];
}

function lookUp(name: string): readonly string[] {
  return FAMILIES.map((family) => `${ip(family)} daddr . meta l4proto . th dport vmap @${name}${family}`);
}

function hooks(): readonly string[] {
  const base = (name: string, hook: string, line: string): readonly string[] => chain(name, `type ${hook};`, line);
  return [
    ...base("nat-prerouting", "nat hook prerouting priority dstnat", "jump services"),
    ...base("nat-output", "nat hook output priority -100", "jump services"),
    // Pods of this node live on its lo: packets to them come through input, where those to pods in a namespace would be forwarded.
    ...base("nat-input", "nat hook input priority 100", "jump masquerading"),
    ...base("nat-postrouting", "nat hook postrouting priority srcnat", "jump masquerading"),
    ...(["input", "forward", "output"] as const).flatMap((hook) => base(`filter-${hook}`, `filter hook ${hook} priority filter`, "ct state new jump unserved")), // after all DNAT
  ];
}

/** The whole table, which takes the place of the one before in one transaction of `nft -f -`. */
export function ruleset(plans: readonly PortPlan[], node: ProxyNode): string {
  const chains = plans.map((plan, at): PortChains => ({ plan, cluster: `svc-${at}`, external: `ext-${at}` }));
  return [
    "table inet kube-proxy {}",
    "delete table inet kube-proxy",
    "table inet kube-proxy {",
    ...chain("refuse", "meta l4proto tcp reject with tcp reset", "reject"),
    ...chains.flatMap(portRules),
    ...FAMILIES.flatMap((family) => verdictMap("service-ips", family, verdicts(chains, family, led))),
    ...FAMILIES.flatMap((family) => verdictMap("no-endpoints", family, verdicts(chains, family, unserved))),
    ...chain("services", ...lookUp("service-ips")),
    ...chain("unserved", ...lookUp("no-endpoints")),
    ...chain("masquerading", `meta mark & ${MASQUERADE} == 0 return`, "meta mark set mark and 0xffffbfff", `snat ip to ${node.ipv4}`, `snat ip6 to ${node.ipv6}`),
    ...hooks(),
    "}",
    "",
  ].join("\n");
}
