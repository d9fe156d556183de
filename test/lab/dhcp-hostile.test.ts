import { expect, test } from "vitest";
import { Cluster, ingressOf } from "./cluster.js";
import { Dnsmasq, macvlans } from "./dhcp-servers.js";
import { answers, deploy, expose, shows } from "./kubectl-services.js";
import { metric } from "./metrics.js";

const PATIENCE = 20_000;
/** Of a process that has read some hundred thousand frames. */
const MOST_MEMORY = 250e6;

test("a server that answers with nonsense and floods the link: others are served meanwhile, metrics say why, and the right server's address is taken", async () => {
  await using cluster = await Cluster.up(2);
  const { lab } = cluster;
  await deploy(cluster, { replicas: 2 });
  const owner = await cluster.owner();
  const hostile = await lab.spawnProgram("client", "dhcp-hostile", [JSON.stringify({ floodPerTick: 50 })]);
  await hostile.waitFor(/^ready$/);
  await expose(cluster, "poor", { ip: "0.0.0.0" });
  await lab.waitFor(async () => (await macvlans(lab, owner)).length === 1, PATIENCE, "a macvlan");
  const reasons = async (): Promise<string> => [...(await metric(lab, owner, "vip_dhcp_dropped_total")).keys()].toSorted().join();
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
  const malformed = (await metric(lab, owner, "vip_dhcp_dropped_total")).get('reason="malformed"') ?? 0;
  const memory = (await metric(lab, owner, "process_resident_memory_bytes")).get("") ?? Infinity;
  process.stdout.write(`${JSON.stringify({ figure: "a hostile DHCP server: frames dropped, memory", malformed, megabytes: Math.round(memory / 1e6) })}\n`);
  expect(malformed).toBeGreaterThan(1000);
  expect(memory).toBeLessThan(MOST_MEMORY);
  expect(cluster.vip(owner).ended).toBeUndefined();
  expect((await metric(lab, owner, "vip_dhcp_leases")).get('state="bound"')).toBe(1);
  await hostile.stop("SIGKILL");
});
