import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { Cluster } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";

const ELECTION = { svc_election: "true" };
/** Addresses of the Services `web-0` to `web-8`. */
export const ALL = Array.from({ length: 9 }, (_, i) => `10.77.0.${170 + i}`);
/** Address of the only Service, `web`. */
export const ONE = "10.77.0.170";

/** A merge patch on a Node; `status`: `/status` for that part of it. */
export async function mergeNode(cluster: Cluster, node: string, patch: unknown, status = ""): Promise<void> {
  await cluster.api.client.request("PATCH", `/api/v1/nodes/${node}${status}`, patch, "application/merge-patch+json");
}

/** What the kubelet says of itself. */
export async function ready(cluster: Cluster, node: string, status: "True" | "False"): Promise<void> {
  await mergeNode(cluster, node, { status: { conditions: [{ type: "Ready", status, reason: "KubeletReady", message: "" }] } }, "/status");
}

/** Fails where it is not so at some moment of this time. */
export async function stays(is: () => Promise<boolean>, ms: number, what: string): Promise<void> {
  for (const end = performance.now() + ms; performance.now() < end; ) {
    expect(await is(), what).toBe(true);
    await sleep(50);
  }
}

/** Who has which; waits until every address is on exactly one node and none is on one of `without`. */
export async function placed(cluster: Cluster, ms: number, ...without: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const what = `every address on exactly one node${without.length === 0 ? "" : `, none on ${without.join(", ")}`}`;
  return await cluster.lab.waitFor(
    async () => {
      const found = new Map<string, string>();
      for (const ip of ALL) {
        const holders = await cluster.lab.holders(ip);
        if (holders.length === 1 && holders[0] !== undefined && !without.includes(holders[0])) found.set(ip, holders[0]);
      }
      return found.size === ALL.length ? found : undefined;
    },
    ms,
    what,
  );
}

/** A cluster with `svc_election` whose members have shared out the Services of ALL. */
export async function shared(nodes = 3): Promise<Cluster> {
  const cluster = await Cluster.up(nodes, { env: ELECTION });
  const members = async (): Promise<number> => (await cluster.api.client.leases()).filter(({ metadata, spec }) => metadata.name.startsWith("vip-member-") && (spec?.holderIdentity ?? "") !== "").length;
  await cluster.lab.waitFor(async () => (await members()) === nodes, 5000, "every node to be a member");
  for (const [i, ip] of ALL.entries()) await cluster.api.client.createService(loadBalancer({ name: `web-${i}`, ip }));
  await placed(cluster, 6000);
  return cluster;
}

/** A cluster with one Service, which one node holds. */
export async function one(nodes = 2): Promise<{ readonly cluster: Cluster; readonly holder: string; readonly other: string }> {
  const cluster = await Cluster.up(nodes);
  await cluster.api.client.createService(loadBalancer({ name: "web", ip: ONE }));
  const holder = await cluster.heldBy(ONE, 4000);
  return { cluster, holder, other: holder === "n1" ? "n2" : "n1" };
}
