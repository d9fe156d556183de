import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asList, asObject, asText, at } from "../lab/api/object.js";
import type { Json, JsonObject } from "../lab/api/object.js";
import { lease, meta, service, stage } from "./client.js";
import type { Stage } from "./client.js";

let on: Stage;
beforeAll(async () => {
  on = await stage();
});
afterAll(async () => await on[Symbol.asyncDispose]());

const services = (rest = ""): string => `${on.core}/services${rest}`;
const leases = (rest = ""): string => `/apis/coordination.k8s.io/v1/namespaces/${on.namespace}/leases${rest}`;
const JSON_PATCH = "application/json-patch+json";
const STRATEGIC = "application/strategic-merge-patch+json";
const INGRESS = { status: { loadBalancer: { ingress: [{ ip: "192.0.2.10" }] } } };

async function made(name: string, spec: JsonObject = {}, metadata: JsonObject = {}): Promise<JsonObject> {
  const { code, body } = await on.client.post(services(), service(name, spec, metadata));
  expect(code, JSON.stringify(body)).toBe(201);
  return body;
}

describe("objects", () => {
  test("a created object has uid, creationTimestamp and resourceVersion", async () => {
    const metadata = meta(await made("create"));
    expect(asText(metadata["uid"])).toMatch(/^[0-9a-f-]{36}$/u);
    expect(asText(metadata["creationTimestamp"])).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/u);
    expect(Number(metadata["resourceVersion"])).toBeGreaterThan(0);
  });

  test("generateName gets five characters at its end", async () => {
    const { body } = await on.client.post(`${on.core}/configmaps`, { metadata: { generateName: "some-" }, data: {} });
    expect(asText(meta(body)["name"])).toMatch(/^some-[a-z0-9]{5}$/u);
  });

  test("a name which is taken is 409 AlreadyExists", async () => {
    await made("twice");
    const { code, body } = await on.client.post(services(), service("twice"));
    expect([code, body["reason"], body["message"]]).toEqual([409, "AlreadyExists", 'services "twice" already exists']);
  });

  test("an absent object is 404 NotFound with details", async () => {
    const { code, body } = await on.client.get(services("/absent"));
    expect([code, body["kind"], body["reason"], body["details"]]).toEqual([404, "Status", "NotFound", { name: "absent", kind: "services" }]);
  });

  test("an absent namespace is 404 on create", async () => {
    const { code } = await on.client.post("/api/v1/namespaces/nowhere/services", service("x"));
    expect(code).toBe(404);
  });

  test("PUT with a stale resourceVersion is 409 Conflict", async () => {
    const first = await made("stale");
    await on.client.patch(services("/stale"), { metadata: { labels: { a: "b" } } });
    const { code, body } = await on.client.put(services("/stale"), { ...first, metadata: { ...meta(first), labels: { c: "d" } } });
    expect([code, body["reason"]]).toEqual([409, "Conflict"]);
    expect(asText(body["message"])).toContain("the object has been modified");
  });

  test("PUT of a Service without resourceVersion is taken and keeps the allocated address", async () => {
    const first = await made("unconditional");
    const { code, body } = await on.client.put(services("/unconditional"), service("unconditional", {}, { labels: { a: "b" } }));
    expect(code).toBe(200);
    expect(at(body, "spec", "clusterIP")).toBe(at(first, "spec", "clusterIP"));
    expect(at(asList(at(body, "spec", "ports"))[0], "nodePort")).toBe(at(asList(at(first, "spec", "ports"))[0], "nodePort"));
  });

  test("PUT of a Lease without resourceVersion is 422", async () => {
    await on.client.post(leases(), lease("bare"));
    const { code, body } = await on.client.put(leases("/bare"), lease("bare"));
    expect([code, body["reason"]]).toEqual([422, "Invalid"]);
  });

  test("a write which changes nothing keeps the resourceVersion", async () => {
    const first = await made("same", {}, { labels: { a: "b" } });
    const { body } = await on.client.patch(services("/same"), { metadata: { labels: { a: "b" } } });
    expect(meta(body)["resourceVersion"]).toBe(meta(first)["resourceVersion"]);
  });

  test("a patch with a stale metadata.resourceVersion is 409", async () => {
    const first = await made("precondition");
    await on.client.patch(services("/precondition"), { metadata: { labels: { a: "b" } } });
    const { code } = await on.client.patch(services("/precondition"), { metadata: { resourceVersion: asText(meta(first)["resourceVersion"]), labels: { a: "c" } } });
    expect(code).toBe(409);
  });

  test("an object with finalizers is marked, and goes once they are gone", async () => {
    await made("final", {}, { finalizers: ["example.com/hold"] });
    const marked = await on.client.delete(services("/final"));
    expect(asText(meta(marked.body)["deletionTimestamp"])).not.toBe("");
    const { code } = await on.client.patch(services("/final"), { metadata: { finalizers: null } });
    expect(code).toBe(200);
    expect((await on.client.get(services("/final"))).code).toBe(404);
  });

  test("a delete with another uid is 409", async () => {
    await made("guarded");
    const { code } = await on.client.call("DELETE", services("/guarded"), { body: { preconditions: { uid: "00000000-0000-0000-0000-000000000000" } } });
    expect(code).toBe(409);
  });

  test("dryRun=All answers and stores nothing", async () => {
    const { code } = await on.client.post(services("?dryRun=All"), service("dry"));
    expect(code).toBe(201);
    expect((await on.client.get(services("/dry"))).code).toBe(404);
  });

  test("deletecollection deletes what the selector selects", async () => {
    await Promise.all(["del-1", "del-2"].map(async (name) => await on.client.post(`${on.core}/configmaps`, { metadata: { name, labels: { gone: "yes" } } })));
    await on.client.delete(`${on.core}/configmaps?labelSelector=gone%3Dyes`);
    const { body } = await on.client.get(`${on.core}/configmaps?labelSelector=gone`);
    expect(body["items"]).toEqual([]);
  });
});

describe("patches", () => {
  test("a JSON patch whose test fails changes nothing and is 422", async () => {
    await made("tested");
    const { code } = await on.client.patch(services("/tested"), [{ op: "test", path: "/spec/type", value: "NodePort" }, { op: "add", path: "/metadata/labels", value: { a: "b" } }], JSON_PATCH);
    expect(code).toBe(422);
  });

  test("a JSON patch adds, replaces and removes with escaped keys", async () => {
    await made("pointed", {}, { annotations: { "a.b/c": "1", "a.b/d": "2" } });
    const { body } = await on.client.patch(services("/pointed"), [{ op: "replace", path: "/metadata/annotations/a.b~1c", value: "9" }, { op: "remove", path: "/metadata/annotations/a.b~1d" }], JSON_PATCH);
    expect(meta(body)["annotations"]).toEqual({ "a.b/c": "9" });
  });

  test("a strategic patch merges ports by their port and deletes by directive", async () => {
    await made("strategic", { ports: [{ name: "a", port: 1 }, { name: "b", port: 2 }] });
    const patch = { spec: { ports: [{ port: 2, $patch: "delete" }, { port: 1, targetPort: 9 }, { name: "c", port: 3 }] } };
    const { body } = await on.client.patch(services("/strategic"), patch, STRATEGIC);
    expect(asList(at(body, "spec", "ports")).map((port) => [at(port, "name"), at(port, "port"), at(port, "targetPort")])).toEqual([["a", 1, 9], ["c", 3, 3]]);
  });

  test("a merge patch replaces lists and removes with null", async () => {
    await made("merged", { ports: [{ name: "a", port: 1 }, { name: "b", port: 2 }] }, { labels: { x: "1", y: "2" } });
    const { body } = await on.client.patch(services("/merged"), { metadata: { labels: { x: null } }, spec: { ports: [{ name: "c", port: 3 }] } });
    expect(meta(body)["labels"]).toEqual({ y: "2" });
    expect(asList(at(body, "spec", "ports"))).toHaveLength(1);
  });

  test("a patch of an unknown type is 415", async () => {
    await made("media");
    expect((await on.client.patch(services("/media"), {}, "application/json")).code).toBe(415);
  });
});

describe("status", () => {
  test("a status patch ignores the spec and takes annotations", async () => {
    await made("status");
    const { code, body } = await on.client.patch(services("/status/status"), { metadata: { annotations: { seen: "yes" } }, spec: { sessionAffinity: "ClientIP" }, ...INGRESS });
    expect(code).toBe(200);
    expect([at(body, "spec", "sessionAffinity"), at(body, "metadata", "annotations", "seen")]).toEqual(["None", "yes"]);
    expect(at(body, "status", "loadBalancer", "ingress")).toEqual([{ ip: "192.0.2.10", ipMode: "VIP" }]);
  });

  test("a main update ignores the status", async () => {
    const first = await made("kept");
    await on.client.put(services("/kept"), { ...first, ...INGRESS });
    expect(at((await on.client.get(services("/kept"))).body, "status")).toEqual({ loadBalancer: {} });
  });

  test("a type away from LoadBalancer clears the addresses", async () => {
    await made("turned", { loadBalancerClass: "example.com/vip" });
    await on.client.patch(services("/turned/status"), INGRESS);
    const { code, body } = await on.client.patch(services("/turned"), { spec: { type: "ClusterIP" } });
    expect([code, body["status"], at(body, "spec", "loadBalancerClass")]).toEqual([200, { loadBalancer: {} }, undefined]);
  });
});

type Row = readonly [string, () => { readonly path: string; readonly body: Json }, string];

const INVALID: readonly Row[] = [
  ["no ports", () => ({ path: services(), body: service("no-ports", { ports: [] }) }), "spec.ports"],
  ["two ports without names", () => ({ path: services(), body: service("nameless", { ports: [{ port: 1 }, { port: 2 }] }) }), "spec.ports[0].name"],
  ["a port of 0", () => ({ path: services(), body: service("port-zero", { ports: [{ port: 0 }] }) }), "spec.ports[0].port"],
  ["a class on a ClusterIP", () => ({ path: services(), body: service("class", { type: "ClusterIP", loadBalancerClass: "a/b" }) }), "spec.loadBalancerClass"],
  ["an unknown type", () => ({ path: services(), body: service("type", { type: "Other" }) }), "spec.type"],
  ["a name which is no DNS label", () => ({ path: services(), body: service("Not_A_Label") }), "metadata.name"],
  ["annotations over 256 KiB", () => ({ path: services(), body: service("big", {}, { annotations: { a: "x".repeat(262_145) } }) }), "metadata.annotations"],
  ["a lease of 0 seconds", () => ({ path: leases(), body: lease("zero", { leaseDurationSeconds: 0 }) }), "spec.leaseDurationSeconds"],
  ["a lease with negative transitions", () => ({ path: leases(), body: lease("negative", { leaseTransitions: -1 }) }), "spec.leaseTransitions"],
  ["an event of another namespace", () => ({ path: `${on.core}/events`, body: { metadata: { name: "other" }, involvedObject: { kind: "Service", name: "x", namespace: "default" }, reason: "R", type: "Normal" } }), "involvedObject.namespace"],
];

describe("validation", () => {
  test("the table is whole", () => expect(INVALID).toHaveLength(10));

  test.each(INVALID)("%s is 422", async (_name, request, field) => {
    const { path, body } = request();
    const answer = await on.client.post(path, body);
    expect([answer.code, answer.body["reason"]]).toEqual([422, "Invalid"]);
    expect(asList(at(answer.body, "details", "causes")).map((cause) => at(cause, "field"))).toContain(field);
  });

  test("status.loadBalancer on a ClusterIP is 422", async () => {
    await made("internal", { type: "ClusterIP" });
    expect((await on.client.patch(services("/internal/status"), INGRESS)).code).toBe(422);
  });

  test("a node port which another Service has is 422, one given back is free", async () => {
    const nodePort = at(asList(at(await made("owner"), "spec", "ports"))[0], "nodePort") ?? 0;
    const wanting = service("wanting", { ports: [{ name: "http", port: 80, nodePort }] });
    await on.client.put(services("/owner?dryRun=All"), service("owner", { type: "ClusterIP" }));
    expect((await on.client.post(services(), wanting)).code).toBe(422);
    await on.client.delete(services("/owner"));
    expect((await on.client.post(services(), wanting)).code).toBe(201);
  });

  test("loadBalancerClass may not change once set", async () => {
    await made("classed", { loadBalancerClass: "example.com/a" });
    const { code, body } = await on.client.patch(services("/classed"), { spec: { loadBalancerClass: "example.com/b" } });
    expect(code).toBe(422);
    expect(asText(body["message"])).toContain("may not change once set");
  });

  test("a Lease may have an empty holder and one second", async () => {
    expect((await on.client.post(leases(), lease("released", { holderIdentity: "", leaseDurationSeconds: 1 }))).code).toBe(201);
  });

  test("a renewTime of three digits is 400, for Go wants six", async () => {
    expect((await on.client.post(leases(), lease("millis", { renewTime: "2026-01-02T03:04:05.678Z" }))).code).toBe(400);
  });

  test("a Service of type LoadBalancer gets its defaults", async () => {
    const spec = asObject((await made("defaults", { externalTrafficPolicy: "Local" }))["spec"]);
    expect(spec).toMatchObject({ sessionAffinity: "None", externalTrafficPolicy: "Local", internalTrafficPolicy: "Cluster", allocateLoadBalancerNodePorts: true, ipFamilyPolicy: "SingleStack" });
    expect(asText(spec["clusterIP"])).toMatch(/^[\d.]+$|:/u);
    expect([typeof spec["healthCheckNodePort"], typeof at(asList(spec["ports"])[0], "nodePort")]).toEqual(["number", "number"]);
  });
});
