import { describe, expect, test } from "vitest";
import { Cluster } from "./cluster.js";
import { HAVE_KUBECTL } from "./kubectl.js";
import { podName } from "./nodes.js";

describe.skipIf(!HAVE_KUBECTL)("kubectl on a bare cluster", () => {
  test("sees the nodes, and creates and exposes a deployment whose pods are on all of them at the addresses that answer", async () => {
    await using cluster = await Cluster.bare(3);
    const { lab, api, admin } = cluster;
    const nodes = await cluster.kubectl(["get", "nodes", "-o", "wide"]);
    for (const { name, ipv4 } of lab.nodes) expect(nodes).toMatch(new RegExp(`^${name} +Ready .*${ipv4}`, "m"));
    expect((await api.client.pods("app=pods")).map(({ metadata, spec, status }) => [metadata.name, spec?.nodeName, status?.podIP])).toEqual(lab.nodes.map(({ name, podIpv4 }) => [podName(name), name, podIpv4]));

    await cluster.kubectl(["create", "deployment", "shop", "--image=example.com/shop:1", "--port=8080", "--replicas=3"]);
    await cluster.kubectl(["rollout", "status", "deployment/shop", "--timeout=5s"]);
    await cluster.kubectl(["expose", "deployment", "shop", "--type=LoadBalancer", "--port=80", "--target-port=8080"]);
    const served = async () => (await api.client.endpointSlices("shop")).flatMap(({ endpoints }) => endpoints ?? []).filter(({ conditions }) => conditions?.ready).map(({ addresses }) => addresses.join()).sort();
    expect(await served()).toEqual(lab.nodes.map(({ podIpv4 }) => podIpv4));

    await cluster.kubectl(["scale", "deployment/shop", "--replicas=1"]);
    const [left] = await api.client.pods("app=shop");
    expect(await served()).toEqual([left?.status?.podIP]);
    await admin.movePod(left?.metadata.name ?? "", "n3");
    expect(await served()).toEqual([lab.node("n3").podIpv4]);
    await expect(cluster.kubectl(["get", "service", "absent"])).rejects.toThrow(/services "absent" not found/);
  });

  test("takes manifests from the test, in other namespaces too", async () => {
    await using cluster = await Cluster.bare(1);
    const input = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "kubevip" }, data: { "range-global": "10.77.0.200-10.77.0.220" } };
    expect(await cluster.kubectl(["apply", "-f", "-"], { input, namespace: "kube-system" })).toBe("configmap/kubevip created\n");
    await cluster.api.client.putConfigMap("kubevip", { "range-global": "10.77.0.201-10.77.0.202" });
    expect(await cluster.kubectl(["get", "cm", "kubevip", "-o", "jsonpath={.data}"], { namespace: "kube-system" })).toBe('{"range-global":"10.77.0.201-10.77.0.202"}');
    await cluster.api.client.deleteConfigMap("kubevip");
    await expect(cluster.kubectl(["get", "cm", "kubevip"], { namespace: "kube-system" })).rejects.toThrow(/not found/);
  });
});
