import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asList, asObject, asText, at } from "../lab/api/object.js";
import type { Json, JsonObject } from "../lab/api/object.js";
import type { Answer } from "./client.js";
import { meta, service, stage } from "./client.js";
import type { Stage } from "./client.js";

let on: Stage;
beforeAll(async () => {
  on = await stage();
});
afterAll(async () => await on[Symbol.asyncDispose]());

const services = (rest = ""): string => `${on.core}/services${rest}`;

async function made(name: string, spec: JsonObject = {}): Promise<JsonObject> {
  const { code, body } = await on.client.post(services(), service(name, spec));
  expect(code, JSON.stringify(body)).toBe(201);
  return body;
}

const fieldsOf = ({ body }: Answer): readonly string[] => asList(at(body, "details", "causes")).map((cause) => asText(at(cause, "field")));

const specOf = async (name: string): Promise<JsonObject> => asObject((await on.client.get(services(`/${name}`))).body["spec"]);

describe("ports that the server allocates", () => {
  test("policy Local has a health check port, which policy Cluster gives back", async () => {
    const port = at(await made("local", { externalTrafficPolicy: "Local" }), "spec", "healthCheckNodePort");
    expect(port).toBeGreaterThanOrEqual(30_000);
    const wanting = service("wants-port", { externalTrafficPolicy: "Local", healthCheckNodePort: port ?? 0 });
    expect((await on.client.post(services(), wanting)).code).toBeGreaterThanOrEqual(400);
    const { body } = await on.client.patch(services("/local"), { spec: { externalTrafficPolicy: "Cluster" } });
    expect(at(body, "spec", "healthCheckNodePort")).toBeUndefined();
    expect(at((await on.client.post(services(), wanting)).body, "spec", "healthCheckNodePort")).toBe(port);
  });

  test("allocateLoadBalancerNodePorts false has no node ports", async () => {
    const { ports } = asObject((await made("portless", { allocateLoadBalancerNodePorts: false }))["spec"]);
    expect(asList(ports).map((port) => at(port, "nodePort"))).toEqual([undefined]);
  });
});

describe("families", () => {
  test.each([
    [{}, ["IPv4"], "SingleStack"],
    [{ ipFamilies: ["IPv6"] }, ["IPv6"], "SingleStack"],
    [{ ipFamilyPolicy: "PreferDualStack" }, ["IPv4", "IPv6"], "PreferDualStack"],
    [{ ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv6"] }, ["IPv6", "IPv4"], "RequireDualStack"],
    [{ clusterIP: "None", type: "ClusterIP", selector: null }, ["IPv4", "IPv6"], "RequireDualStack"],
  ])("%j has the families %j", async (given, families, policy) => {
    const name = `f-${Math.random().toString(36).slice(2, 10)}`;
    const spec = asObject((await made(name, given))["spec"]);
    expect([spec["ipFamilies"], spec["ipFamilyPolicy"]]).toEqual([families, policy]);
    if (spec["clusterIP"] !== "None") expect(asList(spec["clusterIPs"]).map((ip) => (asText(ip).includes(":") ? "IPv6" : "IPv4"))).toEqual(families);
    expect(asList(spec["clusterIPs"])[0]).toBe(spec["clusterIP"]);
  });

  test("a Service gets a second family and gives it up again, the first address stays", async () => {
    const first = at(await made("grows"), "spec", "clusterIP");
    await on.client.patch(services("/grows"), { spec: { ipFamilyPolicy: "RequireDualStack" } });
    const dual = await specOf("grows");
    expect([dual["ipFamilies"], asList(dual["clusterIPs"])[0], asList(dual["clusterIPs"]).length]).toEqual([["IPv4", "IPv6"], first, 2]);
    await on.client.put(services("/grows"), service("grows"));
    expect((await specOf("grows"))["ipFamilies"]).toEqual(["IPv4", "IPv6"]);
    await on.client.patch(services("/grows"), { spec: { ipFamilyPolicy: "SingleStack" } });
    expect(await specOf("grows")).toMatchObject({ ipFamilies: ["IPv4"], clusterIPs: [first], clusterIP: first });
  });

  test.each<readonly [string, JsonObject, string]>([
    ["two families without a policy", { ipFamilies: ["IPv4", "IPv6"] }, "spec.ipFamilyPolicy"],
    ["one family twice", { ipFamilies: ["IPv4", "IPv4"], ipFamilyPolicy: "RequireDualStack" }, "spec.ipFamilies[1]"],
    ["an unknown family", { ipFamilies: ["IPv5"] }, "spec.ipFamilies[0]"],
  ])("%s is 422", async (_name, spec, field) => {
    const answer = await on.client.post(services(), service("bad-family", spec));
    expect(answer.code).toBe(422);
    expect(fieldsOf(answer)).toContain(field);
  });
});

describe("externalIPs", () => {
  test.each(["192.0.2.300", "0.0.0.0", "127.0.0.1", "::1", "169.254.1.1", "fe80::1", "224.0.0.5", "ff02::1"])("%s is 422", async (address) => {
    const answer = await on.client.post(services(), service("bad-external", { externalIPs: [address] }));
    expect([answer.code, ...fieldsOf(answer)]).toEqual([422, "spec.externalIPs[0]"]);
  });

  test("a ClusterIP Service may have them, and then an external policy", async () => {
    expect(await made("external", { type: "ClusterIP", externalIPs: ["192.0.2.7", "2001:db8::7"], externalTrafficPolicy: "Local" })).toMatchObject({ spec: { externalIPs: ["192.0.2.7", "2001:db8::7"] } });
  });

  test("new ones are refused while the admission plugin denies them, those that were there may stay", async (context) => {
    const { api } = on;
    if (api === undefined) return context.skip();
    await made("had", { externalIPs: ["192.0.2.8", "192.0.2.9"] });
    api.denyExternalIps(true);
    const refused = await on.client.post(services(), service("denied", { externalIPs: ["192.0.2.10"] }));
    expect([refused.code, refused.body["reason"], refused.body["message"]]).toEqual([403, "Forbidden", 'services "denied" is forbidden: Use of external IPs is denied by admission control']);
    expect((await on.client.patch(services("/had"), { spec: { externalIPs: ["192.0.2.10"] } })).code).toBe(403);
    expect((await on.client.patch(services("/had"), { spec: { externalIPs: ["192.0.2.9"] } })).code).toBe(200);
    api.denyExternalIps(false);
    expect((await on.client.post(services(), service("denied", { externalIPs: ["192.0.2.10"] }))).code).toBe(201);
  });
});

describe("managedFields", () => {
  const owners = (object: JsonObject): readonly Json[] => asList(meta(object)["managedFields"]).map((entry) => [at(entry, "manager") ?? null, at(entry, "subresource") ?? "", at(entry, "fieldsV1", "f:status", "f:loadBalancer", "f:ingress") !== undefined]);
  const ingress = (ip: string): JsonObject => ({ status: { loadBalancer: { ingress: [{ ip }] } } });

  test("tell who wrote the addresses of the status: the last one who changed them", async () => {
    const call = { userAgent: "creator/1.0 (linux)" };
    await on.client.call("POST", services(), { body: service("owned"), ...call });
    const status = async (manager: string, ip: string): Promise<JsonObject> => {
      const { body } = await on.client.call("PATCH", services(`/owned/status?fieldManager=${manager}`), { body: ingress(ip), type: "application/merge-patch+json" });
      return body;
    };
    expect(owners(await status("first", "192.0.2.1"))).toEqual([["creator", "", false], ["first", "status", true]]);
    expect(owners(await status("second", "192.0.2.2"))).toEqual([["creator", "", false], ["second", "status", true]]);
    // The same again changes nothing, so nobody else owns it.
    expect(owners(await status("third", "192.0.2.2"))).toEqual([["creator", "", false], ["second", "status", true]]);
    const { body } = await on.client.patch(services("/owned/status"), { status: { loadBalancer: { ingress: null } } });
    expect(owners(body).filter((owner) => asList(owner)[2] === true)).toEqual([]);
  });

  test("name annotations and fields of the spec one by one", async () => {
    await on.client.call("POST", services(), { body: service("fields"), userAgent: "creator/1.0" });
    const { body } = await on.client.call("PATCH", services("/fields?fieldManager=other"), { body: { metadata: { annotations: { "example.com/a": "1" } }, spec: { sessionAffinity: "ClientIP" } }, type: "application/merge-patch+json" });
    const entries = asList(meta(body)["managedFields"]);
    const of = (manager: string): Json | undefined => at(entries.find((entry) => at(entry, "manager") === manager), "fieldsV1");
    expect(at(of("other"), "f:metadata", "f:annotations", "f:example.com/a")).toEqual({});
    expect(at(of("other"), "f:spec", "f:sessionAffinity")).toEqual({});
    expect([at(of("creator"), "f:spec", "f:sessionAffinity"), at(of("creator"), "f:spec", "f:type")]).toEqual([undefined, {}]);
  });
});

describe("ConfigMaps", () => {
  const maps = (rest = ""): string => `${on.core}/configmaps${rest}`;

  test("one is made, watched by its name, changed and deleted", async () => {
    await on.client.post(maps(), { metadata: { name: "other" }, data: {} });
    using watch = await on.client.watch(maps("?watch=1&fieldSelector=metadata.name%3Dkubevip"));
    expect((await on.client.post(maps(), { metadata: { name: "kubevip" }, data: { "range-global": "10.77.0.200-10.77.0.220" } })).code).toBe(201);
    const other = await on.client.put(maps("/other"), { metadata: { name: "other" }, data: { a: "b" } });
    expect(other.code).toBe(200);
    const { body } = await on.client.put(maps("/kubevip"), { metadata: { name: "kubevip" }, data: { "range-global": "10.77.0.200-10.77.0.201" } });
    expect(body["data"]).toEqual({ "range-global": "10.77.0.200-10.77.0.201" });
    await on.client.delete(maps("/kubevip"));
    expect(await watch.take(3)).toEqual(["ADDED kubevip", "MODIFIED kubevip", "DELETED kubevip"]);
    expect((await on.client.get(maps("?fieldSelector=metadata.name%3Dother"))).body["items"]).toHaveLength(1);
  });
});
