import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "../../lab/cluster.js";
import type { CounterReport } from "../../lab/api/counters.js";

/** Of a network that is routed to nobody: only ARP is asked for these. The pods of the lab answer here too. */
const FIRST = [10, 99, 0, 1] as const;

/** The address of Service number `index` (from 0). */
export function bulkAddress(index: number): string {
  const [a, b, c, d] = FIRST;
  const last = c * 256 + d + index;
  return `${a}.${b}.${last >> 8}.${last & 255}`;
}

/** Makes Services number `from` to `to - 1` in one go. */
export async function makeServices(cluster: Cluster, from: number, to: number): Promise<void> {
  if (to > from) await cluster.admin.bulkServices({ count: to - from, prefix: `bulk-${from}`, ipBase: bulkAddress(from) });
}

/** Waits until nothing is written any more but renews of Leases: all statuses and Events are there. */
export async function quiet(cluster: Cluster, ms = 60_000): Promise<void> {
  const end = performance.now() + ms;
  for (;;) {
    await cluster.admin.resetCounters();
    await sleep(2000);
    const writes = byNodes(cluster, await cluster.admin.counters()).filter(({ resource, verb }) => resource !== "leases" && verb !== "watch");
    if (writes.length === 0) return;
    if (performance.now() > end) throw new Error(`waited ${ms} ms for a quiet cluster; last seen: ${JSON.stringify(writes)}`);
  }
}

/** Requests that came from a node of the lab. */
export function byNodes(cluster: Cluster, { requests }: CounterReport): readonly { readonly node: string; readonly verb: string; readonly resource: string; readonly count: number }[] {
  return requests.flatMap(({ remote, verb, resource, count }) => {
    const node = cluster.lab.nodes.find(({ apiIpv4 }) => remote === apiIpv4 || remote.startsWith(`${apiIpv4}:`));
    return node === undefined ? [] : [{ node: node.name, verb, resource, count }];
  });
}
