import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { asList, asText, at } from "../lab/api/object.js";
import type { Json, JsonObject } from "../lab/api/object.js";
import type { Api } from "../lab/api/server.js";
import { runsOf } from "../runs.js";
import { meta, service, stage } from "./client.js";
import type { Stage } from "./client.js";

let on: Stage;
let api: Api;
beforeEach(async () => {
  on = await stage({}, { realToo: false });
  if (on.api === undefined) throw new Error("no server in this process");
  ({ api } = on);
  await registerNodes(["n1", "n2", "n3"]);
});
afterEach(async () => await on[Symbol.asyncDispose]());

const POD_SPEC = { containers: [{ name: "web", image: "example.com/web:1", ports: [{ name: "http", containerPort: 8080 }] }] };

async function registerNodes(names: readonly string[]): Promise<void> {
  api.podAddresses(names.map((node) => ({ node, ipv4: [`10.244.0.${node.slice(1)}`], ipv6: [`fd44::${node.slice(1)}`] })));
  for (const name of names) await post("/api/v1/nodes", { metadata: { name }, status: { addresses: [{ type: "InternalIP", address: `10.77.0.1${name.slice(1)}` }] } });
}

async function post(path: string, body: Json): Promise<JsonObject> {
  const answer = await on.client.post(path, body);
  expect(answer.code, JSON.stringify(answer.body)).toBe(201);
  return answer.body;
}

const items = async (path: string): Promise<readonly Json[]> => asList((await on.client.get(path)).body["items"]);

const apps = (plural: string, rest = ""): string => `/apis/apps/v1/namespaces/${on.namespace}/${plural}${rest}`;

const nameOf = (object: Json): string => asText(at(object, "metadata", "name"));

async function pods(): Promise<readonly Json[]> {
  return await items(`${on.core}/pods`);
}

const workload = (name: string, replicas: number, more: JsonObject = {}): JsonObject => ({ metadata: { name }, spec: { replicas, selector: { matchLabels: { app: name } }, template: { metadata: { labels: { app: name } }, spec: POD_SPEC }, ...more } });

async function makePod(name: string, node: string, labels: JsonObject = { app: "web" }): Promise<string> {
  await post(`${on.core}/pods`, { metadata: { name, labels }, spec: { ...POD_SPEC, nodeName: node } });
  return `${on.namespace}/${name}`;
}

async function slices(name = "web"): Promise<readonly Json[]> {
  return await items(`/apis/discovery.k8s.io/v1/namespaces/${on.namespace}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D${name}`);
}

/** The endpoints of a Service as "address node ready/serving/terminating". */
async function endpoints(name = "web"): Promise<readonly string[]> {
  return (await slices(name)).flatMap((slice) => asList(at(slice, "endpoints"))).map((endpoint) => {
    const flags = ["ready", "serving", "terminating"].filter((flag) => at(endpoint, "conditions", flag) === true);
    return `${asList(at(endpoint, "addresses")).map(asText).join()} ${asText(at(endpoint, "nodeName"))} ${flags.join("+")}`;
  }).toSorted();
}

describe("pods", () => {
  test("get a node in turn, its addresses, and are ready at once", async () => {
    for (const name of ["a", "b", "c", "d"]) await post(`${on.core}/pods`, { metadata: { name }, spec: POD_SPEC });
    const all = await pods();
    expect(all.map((pod) => at(pod, "spec", "nodeName"))).toEqual(["n1", "n2", "n3", "n1"]);
    // n1 has one address: the fourth pod shares it.
    expect(all.map((pod) => at(pod, "status", "podIPs"))).toEqual(["1", "2", "3", "1"].map((n) => [{ ip: `10.244.0.${n}` }, { ip: `fd44::${n}` }]));
    expect(all.map((pod) => [at(pod, "status", "phase"), at(pod, "status", "podIP"), at(pod, "status", "hostIP")])[1]).toEqual(["Running", "10.244.0.2", "10.77.0.12"]);
    expect(asList(at(all[0], "status", "conditions")).find((one) => at(one, "type") === "Ready")).toMatchObject({ status: "True" });
  });

  test("stay unready while they are told to", async () => {
    api.newPodsReady(false);
    const pod = await makePod("late", "n1");
    await post(`${on.core}/services`, service("web", { selector: { app: "web" } }));
    expect(await endpoints()).toEqual(["10.244.0.1 n1 "]);
    api.podReady(pod, true);
    expect(await endpoints()).toEqual(["10.244.0.1 n1 ready+serving"]);
  });
});

describe("EndpointSlices", () => {
  test("a Service with a selector gets a slice per family, with ports by number and by name", async () => {
    await makePod("a", "n1");
    await post(`${on.core}/services`, service("web", { selector: { app: "web" }, ipFamilyPolicy: "RequireDualStack", ports: [{ name: "named", port: 80, targetPort: "http" }, { name: "number", port: 81, targetPort: 9001 }, { name: "absent", port: 82, targetPort: "none" }] }, { labels: { tier: "front" } }));
    const all = await slices();
    expect(all.map((slice) => asText(at(slice, "addressType"))).toSorted()).toEqual(["IPv4", "IPv6"]);
    expect(all.map((slice) => at(slice, "ports"))).toEqual(Array.from({ length: 2 }, () => [{ name: "named", port: 8080, protocol: "TCP" }, { name: "number", port: 9001, protocol: "TCP" }]));
    expect(await endpoints()).toEqual(["10.244.0.1 n1 ready+serving", "fd44::1 n1 ready+serving"]);
    expect(meta(all[0] as JsonObject)["labels"]).toEqual({ tier: "front", "kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io" });
    expect(at(asList(at(all[0], "endpoints"))[0], "targetRef")).toMatchObject({ kind: "Pod", name: "a", namespace: on.namespace });
  });

  test("follow readiness, termination, moves and deletes of pods", async () => {
    const [a, b] = [await makePod("a", "n1"), await makePod("b", "n2")];
    await post(`${on.core}/services`, service("web", { selector: { app: "web" } }));
    expect(await endpoints()).toEqual(["10.244.0.1 n1 ready+serving", "10.244.0.2 n2 ready+serving"]);
    api.podReady(a, false);
    expect(await endpoints()).toEqual(["10.244.0.1 n1 ", "10.244.0.2 n2 ready+serving"]);
    api.terminatePod(b);
    expect(await endpoints()).toEqual(["10.244.0.1 n1 ", "10.244.0.2 n2 serving+terminating"]);
    api.podReady(b, false);
    expect(await endpoints()).toEqual(["10.244.0.1 n1 ", "10.244.0.2 n2 terminating"]);
    api.finishPod(b);
    api.movePod(a, "n3");
    expect(await endpoints()).toEqual(["10.244.0.3 n3 ready+serving"]);
    api.deletePod(a);
    // One empty slice stays.
    expect((await slices()).map((slice) => [at(slice, "endpoints"), at(slice, "ports")])).toEqual([[null, null]]);
  });

  test("there are none without a selector, and none are left by a Service that is gone", async () => {
    await makePod("a", "n1");
    await post(`${on.core}/services`, service("bare", { selector: null }));
    await post(`${on.core}/services`, service("web", { selector: { app: "web" } }));
    expect([(await slices("bare")).length, (await slices()).length]).toEqual([0, 1]);
    await on.client.delete(`${on.core}/services/web`);
    expect(await slices()).toEqual([]);
  });

  test("one that somebody deletes comes back, with the endpoints", async () => {
    await makePod("a", "n1");
    await post(`${on.core}/services`, service("web", { selector: { app: "web" } }));
    const [before] = await slices();
    await on.client.delete(`/apis/discovery.k8s.io/v1/namespaces/${on.namespace}/endpointslices/${nameOf(before ?? null)}`);
    expect(await endpoints()).toEqual(["10.244.0.1 n1 ready+serving"]);
    expect(nameOf((await slices())[0] ?? null)).not.toBe(nameOf(before ?? null));
  });

  test("are several where one would have too many endpoints", async () => {
    api.maxEndpointsPerSlice(2);
    await Promise.all(["a", "b", "c", "d", "e"].map(async (name, index) => await makePod(name, `n${(index % 3) + 1}`)));
    await post(`${on.core}/services`, service("web", { selector: { app: "web" } }));
    expect((await slices()).map((slice) => asList(at(slice, "endpoints")).length).toSorted((a, b) => a - b)).toEqual([1, 2, 2]);
    api.maxEndpointsPerSlice(4);
    await makePod("f", "n1");
    expect(await endpoints()).toHaveLength(6);
    api.maxEndpointsPerSlice(1);
    expect((await slices()).map((slice) => asList(at(slice, "endpoints")).length)).toEqual([1, 1, 1, 1, 1, 1]);
  });
});

describe("scale", () => {
  const COUNT = runsOf(5000);

  test("thousands of Services and their slices are made in time, and a pod that changes reaches all of them", async () => {
    for (const name of ["n1", "n2", "n3"]) await makePod(name, name, { app: "pods" });
    const start = performance.now();
    api.bulkServices({ count: COUNT, prefix: "bulk", namespace: on.namespace, ipBase: "10.200.0.1" });
    // The controllers run before anything else is answered.
    expect(await endpoints(`bulk-${COUNT - 1}`)).toHaveLength(3);
    const made = performance.now() - start;
    api.podReady(`${on.namespace}/n1`, false);
    expect(await endpoints(`bulk-${COUNT - 1}`)).toContain("10.244.0.1 n1 ");
    const changed = performance.now() - start - made;
    process.stdout.write(`${JSON.stringify({ figure: `lab api, ${COUNT} services with slices`, madeMs: Math.round(made), podChangedMs: Math.round(changed) })}\n`);
    // Far above what it takes, for the machine may be busy: with all of them a quadratic step would still show.
    expect(made).toBeLessThan(15_000);
    expect(changed).toBeLessThan(15_000);
  }, 30_000);
});

describe("Deployments and StatefulSets", () => {
  test("a Deployment makes its pods, one for each that goes, and takes them along", async () => {
    await post(apps("deployments"), workload("web", 3));
    const made = await pods();
    expect(made.map((pod) => asText(at(pod, "spec", "nodeName"))).toSorted()).toEqual(["n1", "n2", "n3"]);
    expect(made.map(nameOf).join()).toMatch(/^(web-[a-z0-9]{10}-[a-z0-9]{5},?){3}$/u);
    expect(at(asList(at(made[0], "metadata", "ownerReferences"))[0], "kind")).toBe("Deployment");
    api.deletePod(`${on.namespace}/${nameOf(made[0] ?? null)}`);
    const after = await pods();
    expect([after.length, after.map(nameOf).includes(nameOf(made[0] ?? null))]).toEqual([3, false]);
    expect(at((await on.client.get(apps("deployments", "/web"))).body, "status")).toMatchObject({ replicas: 3, readyReplicas: 3, observedGeneration: 1 });
    await on.client.delete(apps("deployments", "/web"));
    expect(await pods()).toEqual([]);
  });

  test("a Deployment of another template replaces its pods once the new ones are ready", async () => {
    await post(apps("deployments"), workload("web", 2));
    const old = (await pods()).map(nameOf);
    api.newPodsReady(false);
    await on.client.patch(apps("deployments", "/web"), { spec: { template: { metadata: { labels: { version: "2" } } } } });
    const both = await pods();
    expect([both.length, both.map(nameOf).filter((name) => old.includes(name)).length]).toEqual([4, 2]);
    for (const name of both.map(nameOf).filter((one) => !old.includes(one))) api.podReady(`${on.namespace}/${name}`, true);
    expect((await pods()).map((pod) => at(pod, "metadata", "labels", "version"))).toEqual(["2", "2"]);
  });

  test("a StatefulSet numbers its pods", async () => {
    await post(apps("statefulsets"), workload("db", 3, { serviceName: "db" }));
    expect((await pods()).map((pod) => [nameOf(pod), at(pod, "metadata", "labels", "statefulset.kubernetes.io/pod-name")])).toEqual([["db-0", "db-0"], ["db-1", "db-1"], ["db-2", "db-2"]]);
    await on.client.patch(apps("statefulsets", "/db"), { spec: { replicas: 1 } });
    expect((await pods()).map(nameOf)).toEqual(["db-0"]);
    await on.client.delete(apps("statefulsets", "/db"));
    expect(await pods()).toEqual([]);
  });
});
