import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Cluster, ingressOf } from "./cluster.js";
import { loadBalancer } from "./kube-client.js";
import { cleared, decided, shows } from "./kubectl-services.js";
import { Stranger } from "./stranger.js";

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

describe("the allocator", () => {
  beforeAll(async () => void (cluster = await Cluster.up(2)));
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
  cluster = await Cluster.up(1, { env: { svc_addresses: "10.77.0.230-10.77.0.231" } });
  await create("web");
  expect(await given("web")).toEqual(["10.77.0.230"]);
  await end();
});
