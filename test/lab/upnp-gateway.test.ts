import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cluster, VIP } from "./cluster.js";
import { LabGateway, TOLD } from "./gateway.js";
import { forwarded, reachedAt, toldOf, UPNP } from "./upnp.js";

let cluster: Cluster;
let gateway: LabGateway;
const mapped = async (): Promise<boolean> => (await gateway.listed()).some(({ target }) => target === `${VIP}:32380`);
/** Of a Service with a lease of an hour: what brings it back is no refresh. */
const LASTING = "10.77.0.201";
const lasting = async (): Promise<boolean> => (await gateway.listed()).some(({ target }) => target === `${LASTING}:32381`);

// One after the other: each goes on from where the one before ended.
describe("a gateway that comes and goes", () => {
  beforeAll(async () => {
    cluster = await Cluster.up(2, UPNP);
    await cluster.lab.serve({ ports: [32380] });
    gateway = await LabGateway.create(cluster.lab);
  });
  afterAll(async () => await (cluster as Cluster | undefined)?.[Symbol.asyncDispose]());

  test("not there at the start: an Event says so, and once it is there the port is opened", async () => {
    await cluster.api.client.createService(forwarded("web", { annotations: { "kube-vip.io/upnp-lease-duration": "12s" } }));
    const [event] = await toldOf(cluster, "web", "NoGateway", 8000);
    expect(event?.message).toBe(`port 32380/TCP for ${VIP} is not opened: no gateway that opens ports answers on eth0`);
    await gateway.start();
    const holder = await cluster.heldBy(VIP, 1000);
    expect(await cluster.lab.waitFor(async () => await gateway.answering(32380), 8000, "an answer on the outside")).toBe(holder);
    // Both requests for it are over when a restart is tried.
    await cluster.api.client.createService(forwarded("lasting", { ip: LASTING, ports: [{ port: 32381, protocol: "UDP" }] }));
    await cluster.lab.waitFor(lasting, 8000, "the other mapping");
  });

  test("a short lease is asked for again before it ends, and again", async () => {
    // Between its removal and its return to the file a lease that is refreshed is not there.
    const end = (): number => Number(gateway.leases().find((line) => line.includes(VIP))?.split(":")[4] ?? 0);
    let last = await cluster.lab.waitFor(end, 2000, "a lease");
    for (let times = 0; times < 2; times += 1) {
      const later = await cluster.lab.waitFor(() => (end() > last ? end() : undefined), 12_000, "a later end of the lease");
      expect(Date.now() / 1000).toBeLessThan(last + 1);
      last = later;
    }
  });

  test.each([
    ["killed", "SIGKILL"],
    ["stopped", "SIGTERM"],
  ] as const)("%s and started again without its mappings: the port is opened again, also where its address is another one now", async (_name, signal) => {
    expect(await lasting()).toBe(true);
    await gateway.daemon.stop(signal);
    const told = signal === "SIGKILL" ? TOLD : "192.0.3.9";
    await gateway.start({ told });
    await cluster.lab.waitFor(lasting, 8000, "the mapping");
    await reachedAt(cluster, "lasting", `${told}:32381/UDP`, 8000);
    await cluster.lab.waitFor(mapped, 8000, "the other mapping");
  });

  test("the holder leaves: the port stays open, and leads to the new holder", async () => {
    const holder = await cluster.heldBy(VIP, 1000);
    let missed = 0;
    const leaving = cluster.vip(holder).stop("SIGTERM");
    const moved = cluster.lab.waitFor(
      async () => {
        if (!(await mapped())) missed += 1;
        return await gateway.answering(32380) !== holder ? await gateway.answering(32380) : undefined;
      },
      8000,
      "the other node to answer",
    );
    const [next] = await Promise.all([moved, leaving]);
    expect(next).not.toBe(holder);
    expect(missed).toBe(0);
    await reachedAt(cluster, "web", `192.0.3.9:32380/TCP`, 2000);
  });

  test("the last node stops: the port is closed", async () => {
    const holder = await cluster.heldBy(VIP, 2000);
    expect(await mapped()).toBe(true);
    await cluster.vip(holder).stop("SIGTERM");
    expect(gateway.leases()).toEqual([]);
  });
});
