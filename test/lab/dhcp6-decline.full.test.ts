import { expect, test } from "vitest";
import { Cluster } from "./cluster.js";
import { Kea } from "./kea.js";
import { answers, cleared, deploy, expose, shows, told } from "./kubectl-services.js";
import { Stranger } from "./stranger.js";

const PATIENCE = 20_000;
const IPV6 = { ipFamilies: ["IPv6"], ipFamilyPolicy: "SingleStack" };

test("an address that somebody has already is declined, and another one is taken", async () => {
  await using cluster = await Cluster.up(2);
  const { lab } = cluster;
  await deploy(cluster, { replicas: 2 });
  // Kea gives the addresses of its pool one after the other.
  const [taken, next] = ["fd77::1:150", "fd77::1:151"];
  const stranger = await Stranger.of(lab);
  await stranger.take(taken);
  const kea = await Kea.start(lab, { renew: 20, rebind: 40, valid: 60 }, { family: 6 });
  await expose(cluster, "second", { ip: "::", spec: IPV6 });
  const events = await told(cluster, "second", "DhcpFailed", PATIENCE);
  expect(events.map(({ message }) => message)).toEqual([expect.stringMatching(new RegExp(`^${taken}, given by DHCPv6 server fe80::\\S+, is in use by ${stranger.mac}: declined; asked again for ever$`))]);
  await lab.waitFor(async () => (await kea.leases()).get(taken)?.state === 1, PATIENCE, "Kea to know that it is declined");
  await shows(cluster, "second", [next], PATIENCE);
  await answers(cluster, next);
  await stranger.drop(taken);
  await cleared(cluster, []);
  await lab.waitFor(async () => !(await kea.leases()).has(next), PATIENCE, "the lease to be given back");
});
