import { describe, expect, test } from "vitest";
import { Cluster } from "./cluster.js";
import { LabGateway, TOLD } from "./gateway.js";
import { forwarded, reachedAt, toldOf, UPNP } from "./upnp.js";

const VIP = "fd77::1:c8";
const IPV4 = "10.77.0.200";
const OPEN = `[${VIP}]:32380`;

describe.each([
  ["UPnP (WANIPv6FirewallControl)", { speaks: "upnp" }],
  ["PCP", { speaks: "pcp" }],
] as const)("a router whose firewall opens pinholes by %s", (_name, options) => {
  test("lets the Internet through to the port of an IPv6 VIP, again after a restart, and not any more when the Service is deleted", async () => {
    await using cluster = await Cluster.up(2, UPNP);
    const { lab, api } = cluster;
    await lab.serve({ ports: [32380] });
    const gateway = await LabGateway.create(lab, options);
    await gateway.start();
    await api.client.createService(forwarded("web", { ip: VIP, annotations: { "kube-vip.io/upnp-lease-duration": "12s" } }));
    const holder = await cluster.heldBy(VIP, 5000);
    expect(await lab.waitFor(async () => await gateway.answering(32380, `[${VIP}]`), 20_000, "an answer from the Internet")).toBe(holder);
    expect(await gateway.pinholes()).toEqual([OPEN]);
    // No other port is open.
    expect(await gateway.answering(80, `[${VIP}]`)).toBeUndefined();
    await reachedAt(cluster, "web", `${OPEN}/TCP`, 5000);
    const [event] = await toldOf(cluster, "web", "PortOpened");
    expect(event?.message).toContain(`${OPEN}/TCP leads to ${OPEN}, opened at gateway`);

    // Its announcements may be lost: the next refresh finds out all the same.
    await gateway.daemon.stop("SIGKILL");
    await gateway.start();
    await lab.waitFor(async () => (await gateway.pinholes()).length > 0, 8_000, "the pinhole after a restart");

    await api.client.deleteService("web");
    await lab.waitFor(async () => (await gateway.pinholes()).length === 0, 20_000, "no pinhole");
    await cluster.free(VIP, 5000);
  });
});

test("a gateway that opens ports for IPv4 only: the port of a dual-stack Service is open there, and one Event says so of IPv6", async () => {
  await using cluster = await Cluster.up(1, UPNP);
  const { lab, api } = cluster;
  await lab.serve({ ports: [32380] });
  const gateway = await LabGateway.create(lab, { igd1: true, pcpOfIpv6: false });
  await gateway.start();
  const ports = [{ port: 32380, protocol: "TCP" }, { port: 32381, protocol: "UDP" }] as const;
  await api.client.createService(forwarded("web", { ip: `${IPV4},${VIP}`, ports }));
  await reachedAt(cluster, "web", `${TOLD}:32380/TCP,${TOLD}:32381/UDP`, 20_000);
  expect(await gateway.answering(32380)).toBe("n1");
  const events = await toldOf(cluster, "web", "NoGateway", 20_000);
  expect(events.map(({ type, message }) => ({ type, message }))).toEqual([
    { type: "Normal", message: expect.stringMatching(/^the ports of fd77::1:c8 are not opened: no gateway that opens ports for IPv6 answers on eth0.*; they are reached where no firewall is in the way$/) as unknown },
  ]);
});
