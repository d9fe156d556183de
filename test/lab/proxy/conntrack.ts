import { run } from "../command.js";
import type { PortPlan } from "./plan.js";

/** An entry of the kernel's table of flows, as far as it is looked at. */
interface Flow {
  readonly dst: string;
  readonly dport: string;
  readonly replySrc: string;
  readonly replySport: string;
}

function flowOf(line: string): Flow | undefined {
  const fields = [...line.matchAll(/\b(src|dst|sport|dport)=(\S+)/g)].map(([, , value = ""]) => value);
  const [, dst, , dport, replySrc, , replySport] = fields;
  if (dst === undefined || dport === undefined || replySrc === undefined || replySport === undefined) return undefined;
  return { dst, dport, replySrc, replySport };
}

function groups(value: string): readonly string[] {
  return value === "" ? [] : value.split(":");
}

/** One spelling for each IPv6 address: those of objects and those of conntrack need not be the same. */
function plain(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.toLowerCase().split("::");
  const left = groups(head);
  const right = groups(tail ?? "");
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  return [...left, ...Array.from({ length: zeros }, () => "0"), ...right].map((group) => Number.parseInt(group, 16).toString(16)).join(":");
}

function isStale(flow: Flow, serving: ReadonlyMap<string, ReadonlySet<string>>): boolean {
  const endpoints = serving.get(`${plain(flow.dst)} ${flow.dport}`);
  return endpoints !== undefined && !endpoints.has(`${plain(flow.replySrc)} ${flow.replySport}`);
}

async function flush(family: 4 | 6, serving: ReadonlyMap<string, ReadonlySet<string>>): Promise<number> {
  const { stdout } = await run(["conntrack", "-L", "-p", "udp", "-f", `ipv${family}`]);
  const stale = stdout.split("\n").flatMap((line) => flowOf(line) ?? []).filter((flow) => isStale(flow, serving));
  const kinds = [...new Set(stale.map(({ dst, dport, replySrc, replySport }) => ["-d", dst, "--dport", dport, "-r", replySrc, "--reply-port-src", replySport].join(" ")))];
  // Exit 1: the last of them ended by itself meanwhile.
  for (const kind of kinds) await run(["conntrack", "-D", "-p", "udp", "-f", `ipv${family}`, ...kind.split(" ")], { mayFail: true });
  return stale.length;
}

/**
 * Ends UDP flows to Service addresses which do not lead to a serving endpoint, as kube-proxy does after each change: the client sends on from
 * the same port and would never get to another one. Policies do not matter here, as for TCP. Returns how many flows were ended.
 */
export async function flushStale(plans: readonly PortPlan[]): Promise<number> {
  const ended = await Promise.all(([4, 6] as const).map(async (family) => {
    const udp = plans.filter((plan) => plan.protocol === "udp" && plan.family === family);
    const serving = new Map(udp.flatMap((plan) => {
      const endpoints = new Set(plan.serving.map(({ address, port }) => `${plain(address)} ${port}`));
      return [...plan.clusterIps, ...plan.externalIps].map((address) => [`${plain(address)} ${plan.port}`, endpoints] as const);
    }));
    return serving.size === 0 ? 0 : await flush(family, serving);
  }));
  return ended.reduce((sum, count) => sum + count, 0);
}
