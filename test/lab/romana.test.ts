import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AddressLog } from "./address-log.js";
import { Cluster } from "./cluster.js";
import type { KubeObject } from "./kube-client.js";
import { asking, eventsOf, externalIpsOf, makeApp, makePod, messageOf, reaches, romanaService } from "./romana.js";
import { Stranger } from "./stranger.js";

/** The allocator's pool: two addresses. */
const POOL = { "range-global": "10.77.0.240-10.77.0.241" };

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.up(3);
  await cluster.lab.startProxies(cluster.api);
});

// Where it never came up, there is nothing to end.
afterAll(async () => await (cluster as Cluster | undefined)?.[Symbol.asyncDispose]());

describe("row 1: VIP from annotation", () => {
  test.each([
    ["romanaip", "10.77.0.201"],
    ["romanavip", "10.77.0.202"],
  ])("%s on a Service of type ClusterIP: within 2 s one node with a ready pod has the address, it is in externalIPs, and the LAN reaches the pod", async (key, ip) => {
    const { lab } = cluster;
    const start = lab.now();
    await makeApp(cluster, { name: key, annotations: { [key]: asking(ip) } }, ["n2"]);
    await cluster.heldBy(ip, 2000, "n2");
    const heldMs = lab.now() - start;
    await cluster.service(key, 2000, "externalIPs", (service) => externalIpsOf(service).join() === ip);
    await reaches(cluster, ip, "n2");
    console.log(JSON.stringify({ figure: `${key} to VIP`, heldMs: Math.round(heldMs), answeredMs: Math.round(lab.now() - start) }));
    expect(lab.now() - start).toBeLessThan(2500);
    expect((await lab.addresses("n2")).find(({ local }) => local === ip)).toMatchObject({ iface: "eth0", prefixlen: 32 });
    expect(await eventsOf(cluster, key, "Warning")).toEqual([]);
    await cluster.api.client.deleteService(key);
    await cluster.free(ip, 3000);
  });

  test("what is wrong with an annotation is told by one Warning, and nothing is configured", async () => {
    const broken: readonly (readonly [string, Readonly<Record<string, string>>, string])[] = [
      ["two-values", { romanaip: asking("10.77.0.203"), romanavip: asking("10.77.0.204") }, "romanaip and romanavip ask for different things"],
      ["auto-and-ip", { romanaip: asking("10.77.0.203"), romanavip: '{"auto": true}' }, "romanaip and romanavip ask for different things"],
      ["bad-json", { romanaip: '{"ip": "10.77.0.203"' }, "which is no JSON object"],
      ["a-list", { romanavip: '["10.77.0.203"]' }, "which is no JSON object"],
      ["bad-ip", { romanaip: asking("10.77.0.300") }, 'ip "10.77.0.300", which is no IP address'],
      ["no-ip", { romanaip: '{"auto": false}' }, "no ip"],
      ["text-auto", { romanaip: '{"auto": "false", "ip": "10.77.0.203"}' }, 'auto "false", which is neither true nor false'],
      ["number-ip", { romanaip: '{"ip": 10}' }, "ip 10, which is no text"],
      ["loopback", { romanaip: asking("127.0.0.1") }, "ip 127.0.0.1"],
    ];
    for (const [name, annotations] of broken) await makeApp(cluster, { name, annotations }, ["n1"]);
    await makeApp(cluster, { name: "after", ip: "10.77.0.205" }, ["n1"]);
    await cluster.heldBy("10.77.0.205", 2000, "n1");
    for (const [name, , words] of broken) {
      expect(await messageOf(cluster, name, "InvalidRomana"), name).toContain(words);
      expect(await eventsOf(cluster, name), name).toHaveLength(1);
      expect(externalIpsOf(await cluster.api.client.service(name)), name).toEqual([]);
    }
    for (const ip of ["10.77.0.203", "10.77.0.204"]) expect(await cluster.lab.holders(ip)).toEqual([]);
    for (const [name] of [...broken, ["after"]]) await cluster.api.client.deleteService(name ?? "");
  });
});

describe("row 2: auto", () => {
  test("without a pool there is an Event and no address; with one, the lowest free one, until none is left", async () => {
    const { client } = cluster.api;
    await makeApp(cluster, { name: "early", annotations: { romanaip: '{"auto": true}' } }, ["n2"]);
    expect(await messageOf(cluster, "early", "NoAddress")).toContain("there is no pool");
    expect(externalIpsOf(await client.service("early"))).toEqual([]);
    await client.putConfigMap("kubevip", POOL);
    await cluster.heldBy("10.77.0.240", 2000, "n2");
    await reaches(cluster, "10.77.0.240", "n2");
    await makeApp(cluster, { name: "second", annotations: { romanavip: '{"auto": true}' } }, ["n3"]);
    await cluster.heldBy("10.77.0.241", 2000, "n3");
    await makeApp(cluster, { name: "third", annotations: { romanaip: '{"auto": true}' } }, ["n3"]);
    expect(await messageOf(cluster, "third", "PoolExhausted")).toContain("all 2 IPv4 addresses");
    await client.deleteService("early");
    await cluster.heldBy("10.77.0.240", 2000, "n3");
  });

  test("is kept when every vip restarts, and when the pod moves", async () => {
    const { lab, admin } = cluster;
    for (const { name } of lab.nodes) await cluster.vip(name).stop("SIGKILL");
    for (const { name } of lab.nodes) await cluster.startVip(name);
    // The addresses outlive their processes for some seconds: what the new ones do is to be seen.
    for (const service of ["second", "third"]) await cluster.vip("n3").waitFor((line) => line.includes("ownership taken") && line.includes(`default/${service}`), 10_000);
    await reaches(cluster, "10.77.0.240", "n3");
    await cluster.heldBy("10.77.0.241", 1000, "n3");
    await admin.movePod("second-n3", "n1");
    await cluster.heldBy("10.77.0.241", 3000, "n1");
    expect(await lab.holders("10.77.0.240")).toEqual(["n3"]);
  });

  test("changed to an address by name, it gives the pool's back; and asked again, it takes the lowest free one", async () => {
    const { client } = cluster.api;
    const granted = ({ metadata }: KubeObject) => metadata.annotations?.["vip.internal/granted"];
    await client.patchService("second", { metadata: { annotations: { romanavip: null, romanaip: asking("10.77.0.245") } } });
    await cluster.heldBy("10.77.0.245", 3000, "n1");
    await cluster.free("10.77.0.241", 3000);
    await cluster.service("second", 2000, "nothing granted", (service) => granted(service) === undefined);
    await client.deleteService("third");
    await cluster.free("10.77.0.240", 3000);
    await client.patchService("second", { metadata: { annotations: { romanaip: '{"auto": true}' } } });
    await cluster.heldBy("10.77.0.240", 3000, "n1");
    await cluster.service("second", 2000, "the new entry only", (service) => externalIpsOf(service).join() === "10.77.0.240");
    await client.deleteService("second");
    await client.deleteConfigMap("kubevip");
  });
});

describe("row 6: conflicts", () => {
  test("a second Service that asks for the address gets an Event; the first is unaffected, and gone it makes place", async () => {
    const ip = "10.77.0.206";
    await makeApp(cluster, { name: "first", ip }, ["n1"]);
    await reaches(cluster, ip, "n1");
    await using log = await AddressLog.start(cluster.lab);
    await makePod(cluster, "rival", "n2");
    await cluster.api.client.createService(romanaService({ name: "rival", ip, spec: { ports: [{ name: "http", port: 81, targetPort: 8080 }] } }));
    expect(await messageOf(cluster, "rival", "AddressTaken")).toContain("belongs to Service default/first");
    expect(await cluster.lab.holders(ip)).toEqual(["n1"]);
    expect(externalIpsOf(await cluster.api.client.service("rival"))).toEqual([]);
    await reaches(cluster, ip, "n1");
    expect(log.of("n1", ip, "removed")).toEqual([]);
    await cluster.api.client.deleteService("first");
    await cluster.heldBy(ip, 3000, "n2");
    await reaches(cluster, ip, "n2", { port: 81 });
    await cluster.api.client.deleteService("rival");
  });

  test("an address that a stranger on the LAN answers for is not claimed, and the Event names the stranger", async () => {
    const ip = "10.77.0.207";
    const stranger = await Stranger.of(cluster.lab);
    await stranger.take(ip);
    await makeApp(cluster, { name: "squatted", ip }, ["n2"]);
    expect(await messageOf(cluster, "squatted", "AddressInUse")).toContain(stranger.mac);
    expect(await cluster.lab.holders(ip)).toEqual([]);
    expect(externalIpsOf(await cluster.api.client.service("squatted"))).toEqual([]);
    await stranger.drop(ip);
    await cluster.api.client.deleteService("squatted");
  });
});
