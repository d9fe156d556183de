import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { AddressLog } from "./address-log.js";
import { Cluster, ingressOf } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";
import { annotate, cleared, decided, shows } from "./kubectl-services.js";
import type { Lab } from "./lab.js";
import { Stranger } from "./stranger.js";
import { BRIDGE_NS } from "./topology.js";

const [A, B, C] = ["10.77.0.220", "10.77.0.221", "10.77.0.222"] as const;
const [A6, B6] = ["fd77::1:220", "fd77::1:221"] as const;
const IPS = "kube-vip.io/loadbalancerIPs";

let cluster: Cluster;

const end = async (): Promise<void> => await (cluster as Cluster | undefined)?.[Symbol.asyncDispose]();

/** The addresses that the status of a Service names, once it names as many. */
async function given(name: string, count = 1, namespace?: string): Promise<readonly string[]> {
  const found = async (): Promise<readonly string[]> => ingressOf(await cluster.api.client.service(name, namespace)).flatMap((ip) => ip ?? []);
  await cluster.lab.waitFor(async () => {
    const ips = await found();
    return { ok: ips.length === count, ips };
  }, 3000, `${count} addresses of ${name}`);
  return await found();
}

async function create(name: string, spec: Readonly<Record<string, unknown>> = {}, namespace?: string): Promise<void> {
  await cluster.api.client.createService(loadBalancer({ name, spec, ...(namespace === undefined ? {} : { namespace }) }));
}

/** Starts `vip` on these nodes and waits for an owner. */
async function up(nodes: number, env: Readonly<Record<string, string>> = {}): Promise<void> {
  cluster = await Cluster.up(nodes, { env });
}

describe("the allocator", () => {
  beforeAll(async () => await up(2));
  afterAll(end);
  afterEach(async () => {
    await cleared(cluster, []);
    await cluster.api.client.deleteConfigMap("kubevip").catch(() => undefined); // a test may have had none
  });

  const pools = async (data: Readonly<Record<string, string>>): Promise<void> => void (await cluster.api.client.putConfigMap("kubevip", data));

  test("gives addresses of the namespace's pool, else of the global one, and follows the ConfigMap at run time", async () => {
    await create("early");
    await decided(cluster);
    expect(ingressOf(await cluster.api.client.service("early"))).toEqual([]);
    await cluster.kubectl(["create", "namespace", "shop"]);
    await cluster.kubectl(["create", "configmap", "kubevip", "--namespace=kube-system", "--from-literal=range-global=10.77.0.200-10.77.0.201", "--from-literal=cidr-shop=10.77.0.208/30"]);
    expect(await given("early")).toEqual(["10.77.0.200"]);
    await cluster.heldBy("10.77.0.200", 1000);
    await create("in-shop", { selector: {} }, "shop");
    await annotateAnyway("in-shop", "shop");
    expect(await given("in-shop", 1, "shop")).toEqual(["10.77.0.209"]); // not the network's address
    await pools({ "range-default": "10.77.0.210-10.77.0.211", "cidr-global": "10.77.0.212/31" });
    await create("late");
    expect(await given("late")).toEqual(["10.77.0.210"]);
    expect(await given("early")).toEqual(["10.77.0.200"]); // what was given stays
  });

  test("says that a pool is exhausted, and serves who waits as soon as an address is free", async () => {
    await pools({ "range-global": "10.77.0.200-10.77.0.201" });
    for (const name of ["one", "two", "three"]) await create(name);
    const all = ["one", "two", "three"];
    const waiting = await cluster.lab.waitFor(async () => (await cluster.api.client.events()).find(({ reason }) => reason === "PoolExhausted"), 2000, "an Event PoolExhausted");
    const last = waiting.involvedObject?.name ?? "";
    const [first = "", second = ""] = all.filter((name) => name !== last);
    const got = [...await given(first), ...await given(second)];
    expect(got.toSorted()).toEqual(["10.77.0.200", "10.77.0.201"]);
    expect(waiting.message).toContain("all 2 IPv4 addresses of range-global are taken");
    expect(ingressOf(await cluster.api.client.service(last))).toEqual([]);
    await cluster.api.client.deleteService(first);
    expect(await given(last)).toEqual([got[0]]);
    await cluster.heldBy(got[0] ?? "", 1000);
  });

  test("takes nobody's address: neither one that is asked for, nor of nodes, gateways or the API", async () => {
    await pools({ "range-global": "10.77.0.1-10.77.0.13,10.78.0.1,10.77.0.200-10.77.0.202" });
    await cluster.api.client.createService(loadBalancer({ name: "asked", ip: "10.77.0.200" }));
    await shows(cluster, "asked", ["10.77.0.200"]);
    for (let i = 0; i < 12; i += 1) await create(`any-${i}`);
    const got = (await Promise.all(Array.from({ length: 12 }, async (_, i) => await given(`any-${i}`)))).flat();
    const free = [...Array.from({ length: 9 }, (_, i) => `10.77.0.${i + 2}`), "10.77.0.13", "10.77.0.201", "10.77.0.202"];
    expect(got.toSorted()).toEqual(free.toSorted());
  });

  test("gives both families to dual-stack Services, and to two at once different ones", async () => {
    await pools({ "cidr-global": "10.77.0.208/29,fd77::1:0/120" });
    const spec = { ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv4", "IPv6"] };
    await Promise.all([create("one", spec), create("two", spec)]);
    const [one, two] = await Promise.all([given("one", 2), given("two", 2)]);
    expect(new Set([...one, ...two]).size).toBe(4);
    for (const [v4 = "", v6 = ""] of [one, two]) {
      expect(v4).toMatch(/^10\.77\.0\.2(09|10)$/);
      expect(v6).toMatch(/^fd77::1:[12]$/);
      await Promise.all([cluster.heldBy(v4, 1000), cluster.heldBy(v6, 1000)]);
    }
  });

  test("skips an address that a stranger on the LAN has, and gives the next one", async () => {
    await pools({ "range-global": "10.77.0.200-10.77.0.205" });
    const stranger = await Stranger.of(cluster.lab);
    await stranger.take("10.77.0.200");
    await create("web");
    expect(await given("web")).toEqual(["10.77.0.201"]);
    await cluster.heldBy("10.77.0.201", 1000);
    expect(await cluster.lab.holders("10.77.0.200")).toEqual([]);
    await stranger.drop("10.77.0.200");
  });

  test("serves thirty Services made at once within two seconds, each with its own address", async () => {
    await pools({ "cidr-global": "10.77.0.128/26" });
    const started = cluster.lab.now();
    await cluster.admin.bulkServices({ count: 30, prefix: "bulk" });
    const shown = await cluster.lab.waitFor(async () => {
      const ips = (await cluster.api.client.services("default")).filter(({ metadata }) => metadata.name.startsWith("bulk")).flatMap((one) => ingressOf(one));
      return ips.length === 30 ? ips : undefined;
    }, 4000, "thirty statuses");
    const ms = cluster.lab.now() - started;
    console.log(JSON.stringify({ figure: "30 Services from the pool", ms: Math.round(ms) }));
    expect(new Set(shown).size).toBe(30);
    expect(ms).toBeLessThan(2000);
  });

  test("gives everybody the same address after all of it was restarted, and what it gave to nobody else", async () => {
    await pools({ "range-global": "10.77.0.240-10.77.0.243" });
    const names = ["zeta", "mid", "alpha"];
    for (const name of names) {
      await create(name);
      await given(name);
    }
    const before = (await Promise.all(names.map(async (name) => await given(name)))).flat();
    for (const { name } of cluster.lab.nodes) await cluster.vip(name).stop("SIGKILL");
    await cluster.api.client.deleteService("mid");
    await create("a-new-one");
    for (const { name } of cluster.lab.nodes) await cluster.startVip(name);
    expect(await cluster.lab.waitFor(async () => await given("a-new-one"), 9000, "the new one's address")).toEqual([before[1]]);
    expect(await given("zeta")).toEqual([before[0]]);
    expect(await given("alpha")).toEqual([before[2]]);
    for (const ip of before) await cluster.heldBy(ip, 2000);
  });
});

/** Services of other namespaces have no pods here. */
async function annotateAnyway(name: string, namespace: string): Promise<void> {
  await cluster.kubectl(["annotate", "service", name, "kube-vip.io/allow-reconcile-without-endpoints=true"], { namespace });
}

test("svc_addresses is the pool where there is no ConfigMap", async () => {
  await up(1, { svc_addresses: "10.77.0.230-10.77.0.231" });
  await create("web");
  expect(await given("web")).toEqual(["10.77.0.230"]);
  await end();
});

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

/** All routes of a node, of both families, without what counts down. */
async function routes(lab: Lab, node: string): Promise<string> {
  const shown = await Promise.all(["-4", "-6"].map(async (family) => (await lab.exec(node, ["ip", family, "route", "show", "table", "main"])).stdout));
  return shown.join("").replaceAll(/ expires \S+/g, "");
}

describe("vip_subnet", () => {
  afterEach(async () => await end());

  test.each([
    ["24,64", 24, 64],
    ["auto", 24, 64],
  ])("%s: the link has the address with that prefix and no route more, and it goes whole, also after a crash", async (vip_subnet, v4, v6) => {
    await up(1, { vip_subnet });
    const { lab, api } = cluster;
    const before = await routes(lab, "n1");
    const asked = loadBalancer({ name: "web", ip: `${A},${A6}` });
    await api.client.createService(asked);
    await shows(cluster, "web", [A, A6]);
    const ours = async (): Promise<readonly string[]> => (await lab.addresses("n1", "eth0")).filter(({ local }) => local === A || local === A6).map(({ local, prefixlen }) => `${local}/${prefixlen}`);
    expect(await ours()).toEqual([`${A}/${v4}`, `${A6}/${v6}`]);
    expect(await routes(lab, "n1")).toBe(before);
    for (const [target, source] of [["10.77.0.100", "10.77.0.11"], ["fd77::100", "fd77::11"]] as const) {
      expect((await lab.exec("n1", ["ip", "route", "get", target])).stdout).toContain(` src ${source} `);
      await lab.exec("client", ["ping", "-c1", "-W1", source === "10.77.0.11" ? A : A6]);
    }
    await api.client.deleteService("web");
    await lab.waitFor(async () => (await ours()).length === 0, 1000, "both to be gone");
    expect(await routes(lab, "n1")).toBe(before);

    await api.client.createService(asked);
    await shows(cluster, "web", [A, A6]);
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
    expect((await routes(lab, "n1")).split("\n").toSorted()).toEqual(before.split("\n").toSorted());
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
