import { describe, expect, test } from "vitest";
import { Cluster, VIP } from "./cluster.js";
import { LabGateway, TOLD } from "./gateway.js";
import { opened, toldOf, UPNP } from "./upnp.js";

/** What the lease file says: `TCP:32380:10.77.0.200:32380:<end>:<description>`. */
const leads = (gateway: LabGateway): readonly string[] => gateway.leases().map((line) => line.split(":").slice(0, 4).join(":"));

describe.each([
  ["PCP", { speaks: "pcp" }],
  ["NAT-PMP", { speaks: "nat-pmp" }],
] as const)("a router that speaks %s and no UPnP", (name, options) => {
  test("opens the port to the Internet, again after a restart, for the next holder, and closes it when the Service is deleted", async () => {
    await using cluster = await Cluster.up(2, UPNP);
    const { lab, api } = cluster;
    const gateway = await LabGateway.create(lab, options);
    const holder = await opened(cluster, gateway);
    expect(leads(gateway)).toEqual([`TCP:32380:${VIP}:32380`]);
    const [event] = await toldOf(cluster, "web", "PortOpened");
    expect(event?.message).toBe(`${TOLD}:32380/TCP leads to ${VIP}:32380, opened at gateway ${name} (10.77.0.1)`);

    await gateway.daemon.stop("SIGKILL");
    await gateway.start();
    await lab.waitFor(() => gateway.leases().length > 0, 20_000, "the mapping after a restart");

    await cluster.vip(holder).stop("SIGTERM");
    await lab.waitFor(async () => ![holder, undefined].includes(await gateway.answering(32380)), 20_000, "the other node to answer");
    expect(leads(gateway)).toEqual([`TCP:32380:${VIP}:32380`]);

    // What the first node asked for, the second may take away.
    await cluster.vip(await cluster.heldBy(VIP, 5000)).waitFor(/port opened at the gateway/, 20_000);
    await api.client.deleteService("web");
    await lab.waitFor(() => gateway.leases().length === 0, 20_000, "no mapping");
    await cluster.free(VIP, 5000);
  });
});
