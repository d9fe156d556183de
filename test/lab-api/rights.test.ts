import { afterAll, beforeAll, expect, test } from "vitest";
import { ApiAdmin } from "../lab/api/admin.js";
import { Client, service, stage } from "./client.js";
import type { Stage } from "./client.js";

let on: Stage;
let admin: ApiAdmin;
let user: Client;
beforeAll(async () => {
  on = await stage({}, { realToo: false });
  if (on.api === undefined) throw new Error("no server of our own");
  admin = new ApiAdmin(on.api.adminSocket);
  user = new Client(await admin.kubeconfig("u"));
});
afterAll(async () => await on[Symbol.asyncDispose]());

const named = (name: string, watch = ""): string => `/api/v1/namespaces/kube-system/configmaps?fieldSelector=metadata.name%3D${name}${watch}`;
const rule = (resources: readonly string[], verbs: readonly string[], apiGroups = [""]) => ({ apiGroups, resources, verbs });
const codeOf = async (path: string): Promise<number> => (await user.get(path)).code;

test("a user with rules may do what they say and nothing else; the refusal has the text of the real server", async () => {
  await admin.rights("u", [rule(["services"], ["list"])]);
  expect(await codeOf("/api/v1/services")).toBe(200);
  const refused = await user.get("/apis/discovery.k8s.io/v1/endpointslices?watch=1");
  expect(refused.body).toMatchObject({
    code: 403,
    reason: "Forbidden",
    message: 'endpointslices.discovery.k8s.io is forbidden: User "u" cannot watch resource "endpointslices" in API group "discovery.k8s.io" at the cluster scope',
    details: { group: "discovery.k8s.io", kind: "endpointslices" },
  });
  await admin.rights("u");
  expect(await codeOf("/apis/discovery.k8s.io/v1/endpointslices")).toBe(200);
});

test("a subresource is a right of its own, and so is each of its verbs", async () => {
  const made = await on.client.post(`${on.core}/services`, service("web"));
  expect(made.code).toBe(201);
  const path = `${on.core}/services/web`;
  await admin.rights("u", [rule(["services"], ["get"]), rule(["services/status"], ["update"])]);
  const { code, body } = await user.get(path);
  expect(code).toBe(200);
  expect((await user.patch(`${path}/status`, {})).body["message"]).toMatch(/^services "web" is forbidden: User "u" cannot patch resource "services\/status" in API group "" in the namespace /u);
  expect((await user.put(path, body)).code).toBe(403);
  expect((await user.put(`${path}/status`, body)).code).toBe(200);
});

test("a rule with names covers a list of one object by its name only", async () => {
  await admin.rights("u", [{ ...rule(["configmaps"], ["list"]), resourceNames: ["kubevip"] }]);
  expect(await codeOf(named("kubevip"))).toBe(200);
  expect(await codeOf(named("other"))).toBe(403);
  expect(await codeOf("/api/v1/namespaces/kube-system/configmaps")).toBe(403);
  expect((await user.get(named("kubevip", "&watch=1"))).body["message"]).toBe('configmaps "kubevip" is forbidden: User "u" cannot watch resource "configmaps" in API group "" in the namespace "kube-system"');
});
