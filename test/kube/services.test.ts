import { describe, expect, it } from "vitest";
import { decodeService } from "../../src/kube/decode-service.js";
import type { JsonPatchOperation, Service } from "../../src/ports/kube.js";
import { bodyOf, kubeFor, never } from "./kube-case.js";
import { eventually, json, statusBody } from "./support.js";

const service: Service = {
  namespace: "default",
  name: "web",
  uid: "0a1b",
  resourceVersion: "42",
  createdAt: Date.UTC(2026, 0, 2, 3, 4, 5),
  deleting: false,
  type: "LoadBalancer",
  loadBalancerClass: "kube-vip.io/kube-vip-class",
  loadBalancerIP: "192.0.2.1",
  externalTrafficPolicy: "Local",
  ports: [{ name: "http", protocol: "TCP", port: 80 }],
  clusterIP: "10.96.0.7",
  ipFamilies: ["IPv4", "IPv6"],
  ipFamilyPolicy: "PreferDualStack",
  externalIPs: ["198.51.100.1"],
  healthCheckNodePort: 31_000,
  annotations: { "kube-vip.io/loadbalancerIPs": "192.0.2.1", "vip.internal/x": "1", romanaip: "a", romanavip: "b", "metallb.io/loadBalancerIPs": "c" },
  ingress: [{ ip: "192.0.2.1", hostname: undefined, raw: { ip: "192.0.2.1", ipMode: "VIP" } }],
  statusManager: "metallb",
};

describe("services", () => {
  const metadata = { namespace: "default", name: "web", uid: "0a1b", resourceVersion: "42" };
  const addressing = { clusterIP: undefined, ipFamilies: [], ipFamilyPolicy: undefined, externalIPs: [], healthCheckNodePort: undefined };
  const other = { type: "ClusterIP", loadBalancerClass: undefined, loadBalancerIP: undefined, externalTrafficPolicy: "Cluster" };
  const bare = { ...service, ...addressing, ...other, createdAt: 0, ports: [], annotations: {}, ingress: [], statusManager: undefined };
  it.each([
    {
      name: "a whole one, trimmed",
      raw: {
        metadata: { ...metadata, creationTimestamp: "2026-01-02T03:04:05Z", managedFields: [{ manager: "metallb", fieldsV1: { "f:status": { "f:loadBalancer": {} } } }], annotations: { ...service.annotations, "metallb.io/pool": "p", "kubectl.kubernetes.io/last": "{}" } },
        spec: {
          type: "LoadBalancer",
          loadBalancerClass: "kube-vip.io/kube-vip-class",
          loadBalancerIP: "192.0.2.1",
          externalTrafficPolicy: "Local",
          clusterIP: "10.96.0.7",
          clusterIPs: ["10.96.0.7", "fd00::7"],
          ipFamilies: ["IPv4", "IPv6"],
          ipFamilyPolicy: "PreferDualStack",
          externalIPs: ["198.51.100.1"],
          healthCheckNodePort: 31_000,
          selector: { a: "b" },
          ports: [{ name: "http", protocol: "TCP", port: 80, nodePort: 30_000 }],
        },
        status: { loadBalancer: { ingress: [{ ip: "192.0.2.1", ipMode: "VIP" }] } },
      },
      want: service,
    },
    { name: "only metadata", raw: { metadata }, want: bare },
    { name: "being deleted", raw: { metadata: { ...metadata, deletionTimestamp: "2026-01-02T03:04:05Z" } }, want: { ...bare, deleting: true } },
    {
      name: "broken parts",
      raw: { metadata: { ...metadata, creationTimestamp: "x", annotations: { "kube-vip.io/a": 5 } }, spec: { ports: [null, { port: "80" }, { port: 0 }, { port: 53, protocol: "X" }, { port: 53, protocol: "UDP" }], ipFamilies: ["IPv5", 4], ipFamilyPolicy: "x", externalIPs: "x", healthCheckNodePort: 0 }, status: 7 },
      want: { ...bare, ports: [{ name: "", protocol: "UDP", port: 53 }] },
    },
    { name: "no uid", raw: { metadata: { ...metadata, uid: undefined } }, want: undefined },
    { name: "no namespace", raw: { metadata: { ...metadata, namespace: undefined } }, want: undefined },
    { name: "null", raw: null, want: undefined },
  ])("decodes $name", ({ raw, want }) => {
    expect(decodeService(raw)).toEqual(want);
  });

  it.each([
    { namespace: undefined, path: "/api/v1/services" },
    { namespace: "prod", path: "/api/v1/namespaces/prod/services" },
  ])("watches $path", async ({ namespace, path }) => {
    await using test = await kubeFor((got, response) => {
      if (got.query.get("watch") === null) json(response, 200, { metadata: { resourceVersion: "1" }, items: [{ metadata }] });
      else response.writeHead(200).flushHeaders();
    });
    const stop = new AbortController();
    const maps: ReadonlyMap<string, Service>[] = [];
    const done = test.kube.services.watch(namespace, (map) => void maps.push(map), stop.signal);
    await eventually(() => {
      expect(maps[0]?.get("default/web")?.uid).toBe("0a1b");
    });
    expect(test.got[0]?.path).toBe(path);
    stop.abort();
    await done;
  });

  it("patches the status with the version as precondition; 409 is a conflict", async () => {
    const statuses = [200, 409];
    await using test = await kubeFor((_got, response) => {
      const status = statuses.shift() ?? 500;
      json(response, status, status === 200 ? {} : statusBody(409, "Conflict", "the object has been modified"));
    });
    const patch = { ingress: [{ ip: "192.0.2.1" }], annotations: { "vip.internal/host": "n", "vip.internal/old": null } };
    await test.kube.services.patchStatus(service, patch, never());
    expect(test.got[0]).toMatchObject({ method: "PATCH", path: "/api/v1/namespaces/default/services/web/status" });
    expect(test.got[0]?.headers["content-type"]).toBe("application/merge-patch+json");
    expect(bodyOf(test.got[0])).toEqual({ metadata: { resourceVersion: "42", annotations: patch.annotations }, status: { loadBalancer: { ingress: patch.ingress } } });
    await expect(test.kube.services.patchStatus(service, { ingress: [], annotations: {} }, never())).rejects.toMatchObject({ code: "conflict" });
    expect(bodyOf(test.got[1])).toEqual({ metadata: { resourceVersion: "42" }, status: { loadBalancer: { ingress: [] } } });
  });

  it("leaves the status alone where only annotations are patched, and says who writes", async () => {
    await using test = await kubeFor((_got, response) => {
      json(response, 200, {});
    });
    await test.kube.services.patchStatus(service, { ingress: undefined, annotations: { "vip.internal/host": "n" } }, never());
    expect(bodyOf(test.got[0])).toEqual({ metadata: { resourceVersion: "42", annotations: { "vip.internal/host": "n" } } });
    expect(test.got[0]?.query.get("fieldManager")).toBe("vip");
  });

  const operations: readonly JsonPatchOperation[] = [
    { op: "test", path: "/metadata/resourceVersion", value: "42" },
    { op: "add", path: "/spec/externalIPs", value: ["192.0.2.1"] },
  ];

  it("patches the Service itself and resolves with what it is then", async () => {
    await using test = await kubeFor((_got, response) => {
      json(response, 200, { metadata: { ...metadata, resourceVersion: "43" }, spec: { externalIPs: ["192.0.2.1"] } });
    });
    const next = await test.kube.services.patchService(service, operations, never());
    expect([next.resourceVersion, next.externalIPs]).toEqual(["43", ["192.0.2.1"]]);
    expect(test.got[0]).toMatchObject({ method: "PATCH", path: "/api/v1/namespaces/default/services/web" });
    expect(test.got[0]?.headers["content-type"]).toBe("application/json-patch+json");
    expect(test.got[0]?.query.get("fieldManager")).toBe("vip");
    expect(bodyOf(test.got[0])).toEqual(operations);
  });

  it.each([
    { name: "a test that fails", status: 422, reason: "", text: "the server rejected our request due to an error in our request", code: "invalid" },
    { name: "validation", status: 422, reason: "Invalid", text: 'Service "web" is invalid: spec.externalIPs[0]: Invalid value', code: "invalid" },
    { name: "a patch that is none", status: 400, reason: "BadRequest", text: "error decoding patch", code: "invalid" },
    { name: "admission", status: 403, reason: "Forbidden", text: 'services "web" is forbidden: Use of external IPs is denied by admission control', code: "forbidden" },
    { name: "a stale version", status: 409, reason: "Conflict", text: "the object has been modified", code: "conflict" },
    { name: "a Service that is gone", status: 404, reason: "NotFound", text: 'services "web" not found', code: "notFound" },
  ])("a patch of the Service refused by $name is $code, with the text of the server", async ({ status, reason, text, code }) => {
    await using test = await kubeFor((_got, response) => {
      json(response, status, statusBody(status, reason, text));
    });
    const message = expect.stringContaining(text) as string;
    await expect(test.kube.services.patchService(service, operations, never())).rejects.toMatchObject({ code, status, message });
    expect(test.got.length).toBe(1);
  });

  it("an answer to a patch that is no Service is a protocol error", async () => {
    await using test = await kubeFor((_got, response) => {
      json(response, 200, {});
    });
    await expect(test.kube.services.patchService(service, operations, never())).rejects.toMatchObject({ code: "protocol" });
  });
});

it("tells the host of the server once there was a request", async () => {
  await using test = await kubeFor((_got, response) => {
    json(response, 200, {});
  });
  expect(test.kube.server()).toBeUndefined();
  await test.kube.services.patchStatus(service, { ingress: undefined, annotations: {} }, never());
  expect(test.kube.server()).toBe("127.0.0.1");
});
