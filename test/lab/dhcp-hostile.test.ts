import { expect, test } from "vitest";
import { Cluster, ingressOf } from "./cluster.js";
import { Dnsmasq, macvlans } from "./dhcp-servers.js";
import { answers, deploy, expose, shows } from "./kubectl-services.js";

const PATIENCE = 20_000;
/** Of a process that has read some hundred thousand frames. */
const MOST_MEMORY = 250e6;

/** The series of one metric of the node, by what is in its braces. */
async function metric(cluster: Cluster, node: string, name: string): Promise<ReadonlyMap<string, number>> {
  const { stdout } = await cluster.lab.exec(node, ["curl", "-s", "-m", "5", "http://127.0.0.1:2112/metrics"]);
  const rows = stdout.split("\n").flatMap((line) => /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line)?.slice(1) ?? []);
  const series = Array.from({ length: rows.length / 3 }, (_, at) => rows.slice(at * 3, at * 3 + 3));
  return new Map(series.filter(([metricName]) => metricName === name).map(([, labels = "", value]) => [labels, Number(value)]));
}

test("a server that answers with nonsense and floods the link: others are served meanwhile, metrics say why, and the right server's address is taken", async () => {
  await using cluster = await Cluster.up(2);
  const { lab } = cluster;
  await deploy(cluster, { replicas: 2 });
  const owner = await cluster.owner();
  const hostile = await lab.spawnProgram("client", "dhcp-hostile", [JSON.stringify({ floodPerTick: 50 })]);
  await hostile.waitFor(/^ready$/);
  await expose(cluster, "poor", { ip: "0.0.0.0" });
  await lab.waitFor(async () => (await macvlans(lab, owner)).length === 1, PATIENCE, "a macvlan");
  const reasons = async (): Promise<string> => [...(await metric(cluster, owner, "vip_dhcp_dropped_total")).keys()].toSorted().join();
  const expected = ["malformed", "noLeaseTime", "noServer", "unexpectedType", "unusableAddress"].map((reason) => `reason="${reason}"`).join();
  await lab.waitFor(async () => (await reasons()) === expected, PATIENCE, "every reason in the metrics");
  await expose(cluster, "other", { ip: "10.77.0.200" });
  await shows(cluster, "other", ["10.77.0.200"], PATIENCE);
  await answers(cluster, "10.77.0.200");
  expect(ingressOf(await cluster.api.client.service("poor"))).toEqual([]);

  await Dnsmasq.start(lab);
  const served = await cluster.service("poor", 60_000, "poor to have an address", (s) => ingressOf(s).length > 0);
  const address = ingressOf(served)[0] ?? "";
  expect(address).toMatch(/^10\.77\.0\.1[5-9]\d$/);
  await answers(cluster, address);
  const malformed = (await metric(cluster, owner, "vip_dhcp_dropped_total")).get('reason="malformed"') ?? 0;
  const memory = (await metric(cluster, owner, "process_resident_memory_bytes")).get("") ?? Infinity;
  process.stdout.write(`${JSON.stringify({ figure: "a hostile DHCP server: frames dropped, memory", malformed, megabytes: Math.round(memory / 1e6) })}\n`);
  expect(malformed).toBeGreaterThan(1000);
  expect(memory).toBeLessThan(MOST_MEMORY);
  expect(cluster.vip(owner).ended).toBeUndefined();
  expect((await metric(cluster, owner, "vip_dhcp_leases")).get('state="bound"')).toBe(1);
  await hostile.stop("SIGKILL");
});
