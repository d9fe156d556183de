import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Cluster } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";

/*
 * What Services say of their place, with the built program. Together they count for 12, so that each of three nodes has its share with 4: the heavy one alone, or
 * four of the others.
 */

const NODES = ["n1", "n2", "n3"];
const HEAVY = { name: "heavy", annotations: { "vip.internal/load": "4" } };
const LIGHT = Array.from({ length: 6 }, (_, i) => ({ name: `light-${i}`, annotations: {} }));
const CHOOSY = { name: "choosy", annotations: { "vip.internal/preferred-nodes": "n3, n2" } };
const WRONG = { name: "wrong", annotations: { "vip.internal/load": "-3", "vip.internal/preferred-nodes": "n2_!" } };
const SERVICES = [HEAVY, ...LIGHT, CHOOSY, WRONG].map((service, i) => ({ ...service, ip: `10.77.0.${170 + i}` }));
const SHARE = 4;

/** Node by name of the Service; undefined while one of them is not on exactly one node. */
async function placement({ lab }: Cluster): Promise<ReadonlyMap<string, string> | undefined> {
  const found = new Map<string, string>();
  for (const { name, ip } of SERVICES) {
    const [holder, more] = await lab.holders(ip);
    if (holder === undefined || more !== undefined) return undefined;
    found.set(name, holder);
  }
  return found;
}

/** What the VIPs of a node count for together. */
function load(found: ReadonlyMap<string, string>, node: string): number {
  return SERVICES.filter(({ name }) => found.get(name) === node).reduce((sum, { name }) => sum + (name === HEAVY.name ? SHARE : 1), 0);
}

async function placed(cluster: Cluster, ms: number, what: string, is: (found: ReadonlyMap<string, string>) => boolean): Promise<ReadonlyMap<string, string>> {
  let last: unknown = "not each VIP on one node";
  const found = cluster.lab.waitFor(async () => {
    const now = await placement(cluster);
    last = now === undefined ? last : Object.fromEntries(now);
    return now !== undefined && is(now) ? now : undefined;
  }, ms, what);
  return await found.catch((error: unknown) => {
    throw new Error(`${what}: ${JSON.stringify(last)}`, { cause: error });
  });
}

async function rebalance({ lab }: Cluster): Promise<void> {
  await lab.exec("n1", [lab.built("vip"), "rebalance", "--directory", join(lab.dir, "n1", "run-vip")]);
}

function isEven(found: ReadonlyMap<string, string>): boolean {
  return NODES.every((node) => load(found, node) === SHARE);
}

test("loads are spread by their sum, preferred nodes are used and used again, and what cannot be read is told", async () => {
  await using cluster = await Cluster.up(NODES.length, { env: { svc_election: "true" } });
  const { client } = cluster.api;
  const members = async (): Promise<number> => (await client.leases()).filter(({ metadata, spec }) => metadata.name.startsWith("vip-member-") && (spec?.holderIdentity ?? "") !== "").length;
  await cluster.lab.waitFor(async () => (await members()) === NODES.length, 5000, "every node to be a member");
  for (const service of SERVICES) await client.createService(loadBalancer(service));
  await placed(cluster, 8000, "every VIP on one node, the choosy one on n3", (found) => found.get("choosy") === "n3");
  await rebalance(cluster);
  await placed(cluster, 8000, "4 on each node, the choosy one on n3", (found) => isEven(found) && found.get("choosy") === "n3");

  const told = async (): Promise<readonly string[]> => (await client.events()).flatMap(({ reason, message, involvedObject }) => (reason === "InvalidPlacement" ? [`${involvedObject?.name ?? ""}: ${String(message)}`] : []));
  const load3 = 'wrong: vip.internal/load is "-3": expected a number above 0, up to 1000';
  const nodes3 = 'wrong: vip.internal/preferred-nodes has "n2_!": expected names of nodes, comma separated';
  await cluster.lab.waitFor(async () => (await told()).length >= 2, 4000, "Events that tell what cannot be read");
  expect((await told()).toSorted()).toEqual([load3, nodes3]);

  // The second best node has it while the best one is away.
  await cluster.vip("n3").stop("SIGKILL");
  await placed(cluster, 9000, "none on n3, the choosy one on n2", (found) => found.get("choosy") === "n2" && ![...found.values()].includes("n3"));
  await cluster.startVip("n3", { env: { svc_election: "true" } });
  await cluster.lab.waitFor(() => /"started"/.test(readFileSync(cluster.vip("n3").logFile, "utf8")), 4000, "n3 to start");
  await cluster.lab.waitFor(async () => (await members()) === NODES.length, 5000, "n3 to be a member again");
  await rebalance(cluster);
  await placed(cluster, 8000, "4 on each node, the choosy one on n3 again", (found) => isEven(found) && found.get("choosy") === "n3");
}, 120_000);
