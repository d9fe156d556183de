// Each sentence of kube-vip's page on Services of type LoadBalancer, as its users type it. Not here: DHCP, UPnP, the spread of svc_election.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Cluster } from "./cluster.js";
import type { VipOptions } from "./daemons.js";
import { annotate, answering, answers, cleared, decided, deploy, expose, externalIp, shows, told } from "./kubectl-services.js";
import { HAVE_KUBECTL } from "./kubectl.js";

const [A, B, C] = ["10.77.0.220", "10.77.0.221", "10.77.0.222"] as const;
const CLASS = "kube-vip.io/kube-vip-class";

let cluster: Cluster;

async function begin(nodes: number): Promise<void> {
  cluster = await Cluster.bare(nodes);
  await cluster.lab.startProxies(cluster.api);
  await deploy(cluster, { replicas: nodes });
}

// Where it never came up, there is nothing to end.
const end = async (): Promise<void> => await (cluster as Cluster | undefined)?.[Symbol.asyncDispose]();

describe.skipIf(!HAVE_KUBECTL)("the watcher", () => {
  beforeAll(async () => {
    await begin(2);
    for (const { name } of cluster.lab.nodes) await cluster.startVip(name);
    await cluster.owner();
  });
  afterAll(end);
  afterEach(async () => await cleared(cluster, [A, B, C]));

  test("will only advertise a Service once kube-vip.io/loadbalancerIPs has been populated", async () => {
    await expose(cluster, "web");
    await decided(cluster);
    expect(await externalIp(cluster, "web")).toBe("");
    expect(await cluster.api.client.events()).not.toContainEqual(expect.objectContaining({ reason: "VipHeld", involvedObject: expect.objectContaining({ name: "web" }) as unknown }));
    await annotate(cluster, "web", `kube-vip.io/loadbalancerIPs=${A}`);
    await cluster.heldBy(A, 1000);
    expect(await answers(cluster, A)).toMatch(/^n[12]$/);
    expect(await externalIp(cluster, "web")).toBe(A);
    expect(await cluster.kubectl(["get", "service", "web"])).toMatch(new RegExp(`web +LoadBalancer +\\S+ +${A} +80:`));
  });

  test("will only advertise a Service once spec.loadBalancerIP has been populated", async () => {
    await expose(cluster, "web");
    await decided(cluster);
    expect(await externalIp(cluster, "web")).toBe("");
    await cluster.kubectl(["patch", "service", "web", "--type=merge", "-p", JSON.stringify({ spec: { loadBalancerIP: A } })]);
    await cluster.heldBy(A, 1000);
    await shows(cluster, "web", [A]);
  });

  test("takes the annotation where both are populated, and spec.loadBalancerIP once the annotation is gone", async () => {
    await expose(cluster, "web", { ip: A, annotations: { "kube-vip.io/loadbalancerIPs": B } });
    await cluster.heldBy(B, 1000);
    await shows(cluster, "web", [B]);
    expect(await cluster.lab.holders(A)).toEqual([]);
    await annotate(cluster, "web", "kube-vip.io/loadbalancerIPs-");
    await cluster.heldBy(A, 1000);
    await shows(cluster, "web", [A]);
    await cluster.free(B, 1000);
  });

  test("ignores a Service with the annotation kube-vip.io/ignore=true", async () => {
    await expose(cluster, "web", { ip: A, annotations: { "kube-vip.io/ignore": "true" } });
    await decided(cluster);
    expect(await cluster.lab.holders(A)).toEqual([]);
    expect(await externalIp(cluster, "web")).toBe("");
  });

  test("ignores a Service from the moment on that kube-vip.io/ignore=true is added, and serves it again when that is removed", async () => {
    await expose(cluster, "web", { ip: A });
    await expose(cluster, "other", { ip: B });
    await Promise.all([shows(cluster, "web", [A]), shows(cluster, "other", [B])]);
    await annotate(cluster, "web", "kube-vip.io/ignore=true");
    await cluster.free(A, 1000);
    await shows(cluster, "web", [], 1000);
    expect(await answering(cluster, B)).toBeDefined();
    await annotate(cluster, "web", "kube-vip.io/ignore-");
    await cluster.heldBy(A, 1000);
    await shows(cluster, "web", [A]);
    await answers(cluster, A);
  });

  test("does not ignore a Service whose kube-vip.io/ignore is anything but true", async () => {
    await expose(cluster, "web", { ip: A, annotations: { "kube-vip.io/ignore": "false" } });
    await cluster.heldBy(A, 1000);
  });

  test("shares one IP among Services as long as the exposed port is unique: 80 and 81 both answer, and it is gone with the last", async () => {
    expect(await cluster.kubectl(["expose", "deployment", "test-deploy", "--port=80", "--target-port=8080", "--type=LoadBalancer", "--name", "http1", `--load-balancer-ip=${A}`])).toBe("service/http1 exposed\n");
    expect(await cluster.kubectl(["expose", "deployment", "test-deploy", "--port=81", "--target-port=8080", "--type=LoadBalancer", "--name", "http2", `--load-balancer-ip=${A}`])).toBe("service/http2 exposed\n");
    const holder = await cluster.heldBy(A, 1000);
    await Promise.all([answers(cluster, A, 80), answers(cluster, A, 81), shows(cluster, "http1", [A]), shows(cluster, "http2", [A])]);
    await cluster.kubectl(["delete", "service", "http1"]);
    await cluster.lab.waitFor(async () => (await answering(cluster, A, 80)) === undefined, 3000, "port 80 to be closed");
    expect(await answering(cluster, A, 81)).toBeDefined();
    await cluster.heldBy(A, 1000, holder);
    await cluster.kubectl(["delete", "service", "http2"]);
    await cluster.free(A, 1000);
  });

  test("takes the policy cluster by default, by which any pod of the cluster answers", async () => {
    await expose(cluster, "web", { ip: A });
    expect(await cluster.kubectl(["get", "service", "web", "-o", "jsonpath={.spec.externalTrafficPolicy}"])).toBe("Cluster");
    await answers(cluster, A);
    const seen = new Set<string | undefined>();
    await cluster.lab.waitFor(async () => seen.add(await answering(cluster, A)).has("n1") && seen.has("n2"), 5000, "answers of both nodes");
  });

  test("exposes a Service with the local traffic policy from a node that has one of its pods, and says so where the holder has none", async () => {
    await expose(cluster, "web", { ip: A, spec: { externalTrafficPolicy: "Local" } });
    const holder = await cluster.heldBy(A, 1000);
    expect(await answers(cluster, A)).toBe(holder);
    const other = cluster.lab.nodes.find(({ name }) => name !== holder)?.name ?? "";
    const pod = (await cluster.api.client.pods("app=test-deploy")).find(({ spec }) => spec?.nodeName === holder);
    await cluster.admin.movePod(pod?.metadata.name ?? "", other);
    await cluster.free(A, 1000);
    const [event] = await told(cluster, "web", "HolderHasNoEndpoint");
    expect(event?.message).toContain("svc_election");
    await cluster.admin.movePod(pod?.metadata.name ?? "", holder);
    await cluster.heldBy(A, 1000, holder);
    expect(await answers(cluster, A)).toBe(holder);
  });
});

describe.skipIf(!HAVE_KUBECTL)("the load balancer class", () => {
  beforeAll(async () => await begin(1));
  afterAll(end);

  /** Which of these Services are served by a `vip` with these settings, of one per class (`none`: without). */
  async function served(env: VipOptions["env"], classes: readonly string[]): Promise<readonly string[]> {
    await using _vip = await cluster.startVip("n1", { env: { vip_loglevel: "-4", ...env } });
    const asked = classes.map((loadBalancerClass, i) => ({ name: `class-${i}`, ip: `10.77.0.${230 + i}`, loadBalancerClass }));
    for (const { name, ip, loadBalancerClass } of asked) await expose(cluster, name, { ip, ...(loadBalancerClass === "none" ? {} : { spec: { loadBalancerClass } }) });
    await cluster.owner();
    await cluster.lab.waitFor(async () => (await Promise.all(asked.map(async ({ ip }) => await cluster.lab.holders(ip)))).flat(), 8000, "some to be held");
    const why = cluster.vip("n1").logs();
    const left = new Set(why.filter(({ code }) => code === "otherClass").map(({ service }) => String(service)));
    const result: string[] = [];
    for (const { name, ip, loadBalancerClass } of asked) {
      if (left.has(`default/${name}`)) expect(await cluster.lab.holders(ip)).toEqual([]);
      else {
        await cluster.heldBy(ip, 1000);
        result.push(loadBalancerClass);
      }
    }
    await cluster.vip("n1").stop("SIGTERM");
    await cleared(cluster, asked.map(({ ip }) => ip));
    return result;
  }

  const OWN = "example.com/own";
  test.each([
    ["by default is examined: unset or kube-vip.io/kube-vip-class is acted upon, another is not", {}, ["none", CLASS]],
    ["with LoadBalancerClassLegacyHandling false has to equal the configured name, which has a default", { LoadBalancerClassLegacyHandling: "false" }, [CLASS]],
    ["with lb_class_legacy_handling false has to equal lb_class_name", { lb_class_legacy_handling: "false", lb_class_name: OWN }, [OWN]],
    ["has the name LoadBalancerClassName, and with LoadBalancerClassLegacyHandling true may also be unset", { LoadBalancerClassLegacyHandling: "true", LoadBalancerClassName: OWN }, ["none", OWN]],
    ["with lb_class_only has to be set", { lb_class_only: "true" }, [CLASS]],
  ])("%s", async (_name, env, expected) => {
    expect(await served(env, ["none", CLASS, OWN])).toEqual(expected);
  });

  test("apart, with svc_namespace the Services of one namespace only are served", async () => {
    await cluster.kubectl(["create", "namespace", "shop"]);
    await deploy(cluster, { replicas: 1, namespace: "shop" });
    await expose(cluster, "here", { ip: A, namespace: "shop" });
    await expose(cluster, "elsewhere", { ip: B });
    await using _vip = await cluster.startVip("n1", { env: { svc_namespace: "shop" } });
    await cluster.heldBy(A, 8000);
    await answers(cluster, A);
    expect(await cluster.lab.holders(B)).toEqual([]);
    expect(await externalIp(cluster, "elsewhere")).toBe("");
  });
});
