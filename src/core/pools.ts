import type { Family } from "../lib/ip.js";
import { countIps, mergeRanges, overlap, parseCidr, parseIpRange, type Cidr, type IpRange } from "../lib/ip-range.js";

/** The addresses that Services of a namespace get theirs from. */
export interface Pool {
  /** Where it is from, for messages: `cidr-default and range-default`, or `svc_addresses`. */
  readonly name: string;
  /** By family; sorted, without overlaps. */
  readonly ranges: Readonly<Record<Family, readonly IpRange[]>>;
  readonly size: Readonly<Record<Family, bigint>>;
  /** `0.0.0.0/32`: a DHCP server gives the addresses; there are no ranges then. */
  readonly dhcp: boolean;
  /** A part of it does not parse, so that nobody can tell whether an address was meant to be in it. */
  readonly damaged: boolean;
}

export interface Pools {
  /** From `cidr-<namespace>` and `range-<namespace>`. */
  readonly named: ReadonlyMap<string, Pool>;
  /** For all other namespaces: from `cidr-global` and `range-global`, else from the setting. */
  readonly common: Pool | undefined;
  /** From `interface-<namespace>`; the key `global` stands for all other namespaces. */
  readonly ifaces: ReadonlyMap<string, string>;
  /** Highest free address first. */
  readonly descending: boolean;
}

export interface ParsedPools {
  readonly pools: Pools;
  /** One line per key that is not, or not wholly, used: key, value, what was expected. The other keys count. */
  readonly problems: readonly string[];
}

export const SVC_ADDRESSES = "svc_addresses";
const GLOBAL = "global";
const EXPECTED_ADDRESSES = "expected unicast CIDRs such as 192.0.2.0/28 or ranges such as 192.0.2.10-192.0.2.20, comma separated, or 0.0.0.0/32 (DHCP) alone";
const EXPECTED_KEYS = "expected cidr-, range-, interface- or allow-share- and a namespace or global, search-order, skip-end-ips-in-cidr";
const LONGEST_QUOTE = 60;

/** Whether the first and the last address of a CIDR are given: see `givenOf`. */
type Ends = "give" | "byFamily" | "skip";

interface Entry {
  readonly key: string;
  readonly ranges: readonly IpRange[];
  readonly dhcp: boolean;
  readonly problem: string | undefined;
}

interface Keys {
  readonly entries: ReadonlyMap<string, readonly Entry[]>;
  readonly ifaces: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
}

/**
 * Pools from the ConfigMap `kubevip` of kube-vip-cloud-provider and from the setting `svc_addresses` (comma list, as a value of the ConfigMap).
 * First of: what the ConfigMap has for the namespace, what it has for `global`, the setting. `cidr-` and `range-` of one scope count together; each takes
 * CIDRs, ranges and single addresses. (kube-vip-cloud-provider takes `cidr-global` before `range-<namespace>`, and one of the two only.)
 */
export function parsePools(data: Readonly<Record<string, string>> | undefined, setting: string | undefined): ParsedPools {
  const order = choice(data, "search-order", ["asc", "desc"]);
  const skip = choice(data, "skip-end-ips-in-cidr", ["true", "false"]);
  const ends = skip.value === undefined ? "byFamily" : skip.value === "true" ? "skip" : "give";
  const keys = readKeys(data ?? {}, ends);
  const fromSetting = setting === undefined || setting.trim() === "" ? [] : [addressesOf(SVC_ADDRESSES, setting, ends)];

  const common = keys.entries.get(GLOBAL) ?? fromSetting;
  const pools: Pools = {
    named: new Map([...keys.entries].filter(([scope]) => scope !== GLOBAL).map(([namespace, entries]) => [namespace, poolFrom(entries)])),
    common: common.length === 0 ? undefined : poolFrom(common),
    ifaces: keys.ifaces,
    descending: order.value === "desc",
  };
  const listed = [...keys.entries.values(), fromSetting];
  const problems = [...order.problems, ...skip.problems, ...keys.problems, ...listed.flatMap(entryProblems)];
  return { pools, problems };
}

/** The pool of a namespace; undefined where nothing is said for it. */
export function poolOf(pools: Pools, namespace: string): Pool | undefined {
  return pools.named.get(namespace) ?? pools.common;
}

/** The interface for addresses of a namespace, whichever pool they are from; undefined where nothing is said. */
export function ifaceOf(pools: Pools, namespace: string): string | undefined {
  return pools.ifaces.get(namespace) ?? pools.ifaces.get(GLOBAL);
}

function readKeys(data: Readonly<Record<string, string>>, ends: Ends): Keys {
  const entries = new Map<string, readonly Entry[]>();
  const ifaces = new Map<string, string>();
  const problems: string[] = [];
  for (const key of Object.keys(data).toSorted()) {
    const value = data[key] ?? "";
    const [, kind, scope = ""] = /^(cidr|range|interface|allow-share)-(.+)$/.exec(key) ?? [];
    if (kind === "cidr" || kind === "range") entries.set(scope, [...(entries.get(scope) ?? []), addressesOf(key, value, ends)]);
    else if (kind === "interface" && isLinkName(value.trim())) ifaces.set(scope, value.trim());
    else problems.push(...otherProblem({ key, value, kind }));
  }
  return { entries, ifaces, problems };
}

function otherProblem({ key, value, kind }: { readonly key: string; readonly value: string; readonly kind: string | undefined }): readonly string[] {
  if (kind === "interface") return [`${key} is ${quote(value)}: expected the name of a link, such as eth0`];
  if (kind === undefined) return key === "search-order" || key === "skip-end-ips-in-cidr" ? [] : [`${key} is no known key: ${EXPECTED_KEYS}`];
  if (value.trim() === "false") return [];
  // Two Services on one address fail and move together: nobody gets into that without having said so.
  return [`${key} is ${quote(value)}, which is not used: Services share an address only where they ask for the same one by kube-vip.io/loadbalancerIPs`];
}

function choice(data: Readonly<Record<string, string>> | undefined, key: string, values: readonly string[]): { readonly value: string | undefined; readonly problems: readonly string[] } {
  const text = data?.[key]?.trim();
  if (text === undefined || values.includes(text)) return { value: text, problems: [] };
  return { value: undefined, problems: [`${key} is ${quote(text)}: expected ${values.join(" or ")}`] };
}

function addressesOf(key: string, value: string, ends: Ends): Entry {
  const parts = value.split(",").map((part) => part.trim()).filter((part) => part !== "");
  if (parts.length === 1 && parts[0] === "0.0.0.0/32") return { key, ranges: [], dhcp: true, problem: undefined };
  const parsed = parts.map((part) => ({ part, range: rangeOf(part, ends) }));
  const bad = parts.length === 0 ? [value] : parsed.filter(({ range }) => range === undefined).map(({ part }) => part);
  return {
    key,
    ranges: parsed.flatMap(({ range }) => range ?? []),
    dhcp: false,
    problem: bad.length === 0 ? undefined : `${key} has ${quote(bad.join(", "))}: ${EXPECTED_ADDRESSES}`,
  };
}

function rangeOf(part: string, ends: Ends): IpRange | undefined {
  const cidr = parseCidr(part);
  const range = cidr ?? parseIpRange(part);
  if (range === undefined || NEVER.some((never) => overlap(never, range))) return undefined;
  return cidr === undefined ? range : givenOf(cidr, ends);
}

/**
 * What is given of a CIDR. IPv4: all but the network and the broadcast address (RFC 1122 3.2.1.3), since the CIDR is often the subnet itself; with
 * `skip-end-ips-in-cidr: "false"` these two as well, which is what kube-vip-cloud-provider does where it is not "true".
 * IPv6: never the all-zero host part, the Subnet-Router anycast address (RFC 4291 2.6.1); with "true" the last address neither.
 * Of /31 and /127 (RFC 3021, RFC 6164) and single addresses: all.
 */
function givenOf(cidr: Cidr, ends: Ends): IpRange {
  const { family, first, last, prefix } = cidr;
  if (prefix >= (family === 4 ? 31 : 127)) return { family, first, last };
  if (family === 4) return ends === "give" ? { family, first, last } : { family, first: first + 1n, last: last - 1n };
  return { family, first: first + 1n, last: ends === "skip" ? last - 1n : last };
}

function poolFrom(entries: readonly Entry[]): Pool {
  const dhcp = entries.some((entry) => entry.dhcp);
  const ranges = dhcp ? [] : mergeRanges(entries.flatMap((entry) => entry.ranges));
  const [four, six] = [ranges.filter(({ family }) => family === 4), ranges.filter(({ family }) => family === 6)];
  return {
    name: entries.map(({ key }) => key).join(" and "),
    ranges: { 4: four, 6: six },
    size: { 4: countIps(four), 6: countIps(six) },
    dhcp,
    damaged: entries.some(({ problem }) => problem !== undefined),
  };
}

function entryProblems(entries: readonly Entry[]): readonly string[] {
  const dhcp = entries.find((entry) => entry.dhcp);
  const unused = dhcp === undefined ? [] : entries.filter((entry) => !entry.dhcp).map(({ key }) => `${key} is not used: ${dhcp.key} is 0.0.0.0/32 (DHCP)`);
  return [...entries.flatMap(({ problem }) => problem ?? []), ...unused];
}

/** dev_valid_name of the kernel: IFNAMSIZ is 16 with the final zero. */
function isLinkName(text: string): boolean {
  return /^[^\s/:]{1,15}$/.test(text) && text !== "." && text !== "..";
}

function quote(text: string): string {
  return JSON.stringify(text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}...` : text);
}

/** What `unusableAsVip` refuses, as ranges. */
const NEVER: readonly IpRange[] = [
  { family: 4, first: 0n, last: 0x00ffffffn },
  { family: 4, first: 0x7f000000n, last: 0x7fffffffn },
  { family: 4, first: 0xe0000000n, last: 0xffffffffn },
  { family: 6, first: 0n, last: 1n },
  { family: 6, first: 0xfe80n << 112n, last: (0xfec0n << 112n) - 1n },
  { family: 6, first: 0xff00n << 112n, last: (1n << 128n) - 1n },
];
