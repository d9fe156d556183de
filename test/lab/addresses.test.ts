import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { AddressLog } from "./address-log.js";
import { Cluster } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";
import { annotate, cleared, decided, shows } from "./kubectl-services.js";
import type { Lab } from "./lab.js";
import { BRIDGE_NS } from "./topology.js";

const [A, B, C] = ["10.77.0.220", "10.77.0.221", "10.77.0.222"] as const;
const [A6, B6] = ["fd77::1:220", "fd77::1:221"] as const;
const IPS = "kube-vip.io/loadbalancerIPs";

let cluster: Cluster;

const end = async (): Promise<void> => await (cluster as Cluster | undefined)?.[Symbol.asyncDispose]();

/** Starts `vip` on so many nodes and waits for an owner. */
async function up(nodes: number, env: Readonly<Record<string, string>> = {}): Promise<void> {
  cluster = await Cluster.up(nodes, { env });
}

describe("addresses of a Service that change", () => {
  beforeAll(async () => await up(2));
  afterAll(end);
  afterEach(async () => await cleared(cluster, [A, B, C, A6, B6]));

  test("in place: one that stays never leaves the link", async () => {
    await cluster.api.client.createService(loadBalancer({ name: "web", ip: `${A},${B}` }));
    await shows(cluster, "web", [A, B]);
    const holder = await cluster.heldBy(A, 1000);
    await using log = await AddressLog.start(cluster.lab);
    await annotate(cluster, "web", `${IPS}=${C},${A}`);
    await cluster.free(B, 1000);
    await shows(cluster, "web", [C, A]);
    await cluster.heldBy(C, 1000, holder);
    await log.when(holder, B, "removed");
    expect(log.of(holder, A, "removed")).toEqual([]);
  });

  test("by metallb.io/loadBalancerIPs, which counts where kube-vip's annotation is not there", async () => {
    await cluster.api.client.createService(loadBalancer({ name: "web", annotations: { "metallb.io/loadBalancerIPs": A } }));
    await shows(cluster, "web", [A]);
    await annotate(cluster, "web", `${IPS}=${B}`);
    await shows(cluster, "web", [B]);
    await cluster.free(A, 1000);
    await annotate(cluster, "web", `${IPS}-`);
    await shows(cluster, "web", [A]);
  });

  test("from one family to both and to the other", async () => {
    const spec = { ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv4", "IPv6"] };
    await cluster.api.client.createService(loadBalancer({ name: "web", ip: `${A}, ${A6}`, spec }));
    await shows(cluster, "web", [A, A6]);
    const holder = await cluster.heldBy(A6, 1000);
    expect(await cluster.heldBy(A, 1000)).toBe(holder);
    await annotate(cluster, "web", `${IPS}=${A}`);
    await cluster.free(A6, 1000);
    await annotate(cluster, "web", `${IPS}=${B6}`);
    await shows(cluster, "web", [B6]);
    await cluster.free(A, 1000);
  });
});

describe("DNS names in kube-vip.io/loadbalancerIPs", () => {
  const NAME = "web.example.test";
  afterAll(end);

  test("are followed in place by TTL, both families where asked; an outage of DNS takes nothing away, and a new holder keeps the addresses", async () => {
    cluster = await Cluster.bare(2);
    const { lab, api } = cluster;
    const zone = join(lab.dir, "zone.json");
    // Renamed into place: the server never reads a half.
    const write = (ips: readonly string[]): void => {
      writeFileSync(`${zone}.new`, JSON.stringify({ [NAME]: ips }));
      renameSync(`${zone}.new`, zone);
    };
    write([A, A6]);
    const server = await lab.spawnProgram("client", "dns", ["10.77.0.100", zone]);
    await server.waitFor(/^ready$/);
    for (const { name } of lab.nodes) await cluster.startVip(name, { env: { dns_mode: "dual" }, resolvConf: "nameserver 10.77.0.100\n" });
    const spec = { ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv4", "IPv6"] };
    await api.client.createService(loadBalancer({ name: "web", ip: `${C},${NAME}`, spec }));
    await shows(cluster, "web", [C, A, A6], 12_000);
    const holder = await cluster.heldBy(A, 1000);
    await using log = await AddressLog.start(lab);

    write([B, A6]);
    await shows(cluster, "web", [C, B, A6], 8000); // a TTL below five seconds counts as five
    await Promise.all([cluster.heldBy(B, 1000, holder), cluster.free(A, 1000), cluster.heldBy(A6, 1000, holder)]);
    expect(log.of(holder, C, "removed")).toEqual([]);

    await server.stop("SIGKILL");
    await cluster.vip(holder).waitFor(/name not resolved/, 20_000);
    await decided(cluster);
    await shows(cluster, "web", [C, B, A6]);
    await cluster.vip(holder).stop("SIGTERM");
    const next = holder === "n1" ? "n2" : "n1";
    await Promise.all([B, C, A6].map(async (ip) => await cluster.heldBy(ip, 3000, next)));
    await decided(cluster);
    await shows(cluster, "web", [C, B, A6]);
  });
});

/** All routes of a node, of both families, without what counts down and without those to a single IPv6 address, which Linux adds with it. */
async function routes(lab: Lab, node: string): Promise<string> {
  const shown = await Promise.all(["-4", "-6"].map(async (family) => (await lab.exec(node, ["ip", family, "route", "show", "table", "main"])).stdout));
  return shown.join("").replaceAll(/ expires \S+/g, "").split("\n").filter((line) => !/^fd[^/]* dev /.test(line)).toSorted().join("\n");
}

describe("vip_subnet", () => {
  afterEach(async () => await end());

  test.each([
    ["24,64", 24, 64],
    ["auto", 24, 64],
  ])("%s: the link has an address of its subnet with that prefix and no route more, and it goes whole, also after a crash", async (vip_subnet, v4, v6) => {
    await up(1, { vip_subnet });
    const { lab, api } = cluster;
    const before = await routes(lab, "n1");
    const all = [A, "10.99.0.5", A6, "fd99::220"];
    const asked = loadBalancer({ name: "web", ip: all.join() });
    await api.client.createService(asked);
    await shows(cluster, "web", all);
    const ours = async (): Promise<readonly string[]> => (await lab.addresses("n1", "eth0")).filter(({ local }) => all.includes(local)).map(({ local, prefixlen }) => `${local}/${prefixlen}`);
    // Of another subnet than the node's: an IPv4 address would be the first of it, which is no place for a VIP.
    expect((await ours()).toSorted()).toEqual([`${A}/${v4}`, "10.99.0.5/32", `${A6}/${v6}`, `fd99::220/${vip_subnet === "auto" ? 128 : v6}`].toSorted());
    expect(await routes(lab, "n1")).toBe(before);
    for (const [target, source] of [["10.77.0.100", "10.77.0.11"], ["fd77::100", "fd77::11"]] as const) {
      expect((await lab.exec("n1", ["ip", "route", "get", target])).stdout).toContain(` src ${source} `);
      await lab.exec("client", ["ping", "-c1", "-W1", source === "10.77.0.11" ? A : A6]);
    }
    await api.client.deleteService("web");
    await lab.waitFor(async () => (await ours()).length === 0, 1000, "both to be gone");
    expect(await routes(lab, "n1")).toBe(before);

    await api.client.createService(asked);
    await shows(cluster, "web", all);
    await cluster.vip("n1").stop("SIGKILL");
    await api.client.deleteService("web");
    const killed = lab.now();
    await cluster.startVip("n1", { env: { vip_subnet, vip_leaseduration: "60", vip_renewdeadline: "40" } });
    await lab.waitFor(async () => (await ours()).length === 0, 2500, "the leftovers to be gone");
    console.log(JSON.stringify({ figure: `leftover of vip_subnet ${vip_subnet} removed`, ms: Math.round(lab.now() - killed) }));
    expect(await routes(lab, "n1")).toBe(before);
    expect((await lab.addresses("n1", "eth0")).map(({ local }) => local)).toEqual(expect.arrayContaining(["10.77.0.11", "fd77::11"]));
  });

  test("24 is no danger to the node's own address: where that goes and comes again, it is the first of its subnet", async () => {
    await up(1, { vip_subnet: "24,64" });
    const { lab, api } = cluster;
    await api.client.createService(loadBalancer({ name: "web", ip: A }));
    await shows(cluster, "web", [A]);
    const before = await routes(lab, "n1");
    await lab.exec("n1", ["ip", "addr", "del", "10.77.0.11/24", "dev", "eth0"]);
    const prefix = async (): Promise<number | undefined> => (await lab.addresses("n1", "eth0")).find(({ local }) => local === A)?.prefixlen;
    await lab.waitFor(async () => (await prefix()) === 32, 1000, `${A}/32`);
    await lab.exec("n1", ["ip", "addr", "add", "10.77.0.11/24", "dev", "eth0"]);
    await lab.waitFor(async () => (await prefix()) === 24, 1000, `${A}/24`);
    // In one breath, too.
    await lab.exec("n1", ["ip", "-batch", "-"], { input: "addr del 10.77.0.11/24 dev eth0\naddr add 10.77.0.11/24 dev eth0\n" });
    await lab.waitFor(async () => (await prefix()) === 24, 1000, `${A}/24 again`);
    await lab.waitFor(async () => (await lab.addresses("n1", "eth0")).filter(({ local }) => local === A).length === 1, 1000, "one address");
    await lab.exec("n1", ["ip", "route", "replace", "default", "via", "10.77.0.1"]);
    await api.client.deleteService("web");
    await lab.waitFor(async () => (await prefix()) === undefined, 1000, "no VIP");
    expect((await lab.addresses("n1", "eth0")).map(({ local }) => local)).toContain("10.77.0.11");
    expect(await routes(lab, "n1")).toBe(before);
  });
});

describe("kube-vip.io/serviceInterface", () => {
  beforeAll(async () => {
    await up(2);
    // A second network: nodes and client have a leg in it.
    const { lab } = cluster;
    await lab.exec(BRIDGE_NS, ["ip", "link", "add", "br2", "up", "type", "bridge", "forward_delay", "0", "stp_state", "0", "mcast_snooping", "0"]);
    for (const [host, ns, number] of [["n1", "lab-n1", 11], ["n2", "lab-n2", 12], ["cl", "lab-cl", 100]] as const) {
      await lab.exec(BRIDGE_NS, ["ip", "link", "add", `s-${host}`, "master", "br2", "up", "type", "veth", "peer", "name", "eth1", "netns", ns]);
      await lab.exec(ns, ["ip", "link", "set", "eth1", "up"]);
      await lab.exec(ns, ["ip", "addr", "add", `10.79.0.${number}/24`, "dev", "eth1"]);
    }
  });
  afterAll(end);
  afterEach(async () => await cleared(cluster, [A, "10.79.0.200"]));

  const where = async (ip: string): Promise<readonly string[]> => (await Promise.all(cluster.lab.nodes.map(async ({ name }) => await cluster.lab.addresses(name)))).flat().filter(({ local }) => local === ip).map(({ iface }) => iface);

  test.each([["eth1"], ["auto"]])("%s: the address is on that link, is answered for there, and moves when the annotation goes", async (iface) => {
    await cluster.api.client.createService(loadBalancer({ name: "web", ip: "10.79.0.200", annotations: { "kube-vip.io/serviceInterface": iface } }));
    await shows(cluster, "web", ["10.79.0.200"]);
    expect(await where("10.79.0.200")).toEqual(["eth1"]);
    await cluster.lab.exec("client", ["ping", "-c1", "-W1", "10.79.0.200"]);
    await annotate(cluster, "web", "kube-vip.io/serviceInterface-");
    await cluster.lab.waitFor(async () => (await where("10.79.0.200")).join() === "eth0", 2000, "eth0");
  });

  test("auto takes the main link for an address of its subnet, and says where no link has it", async () => {
    const annotations = { "kube-vip.io/serviceInterface": "auto" };
    await cluster.api.client.createService(loadBalancer({ name: "web", ip: A, annotations }));
    await shows(cluster, "web", [A]);
    expect(await where(A)).toEqual(["eth0"]);
    await cluster.api.client.createService(loadBalancer({ name: "lost", ip: "192.0.2.77", annotations }));
    await decided(cluster);
    expect(await where("192.0.2.77")).toEqual([]);
  });
});
