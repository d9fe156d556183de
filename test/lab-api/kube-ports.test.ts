import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createKube } from "../../src/kube/kube.js";
import type { EndpointSlice, Kube, Node, Service } from "../../src/ports/kube.js";
import { Watched } from "../kube/kube-case.js";
import { eventually, half, memoryLog, realClock } from "../kube/support.js";
import { service, stage } from "./client.js";
import type { Stage } from "./client.js";

// ports/kube as src/kube implements it, against an API server.
let on: Stage;
let kube: Kube;
beforeAll(async () => {
  on = await stage();
  const kubeconfigPath = on.api?.adminConf ?? process.env["VIP_TEST_KUBECONFIG"];
  kube = createKube({ connection: { kubeconfigPath, standardFiles: [] }, nodeName: "contract" }, { clock: realClock, log: memoryLog(), random: half });
});
afterAll(async () => {
  await kube[Symbol.asyncDispose]();
  await on[Symbol.asyncDispose]();
});

const never = new AbortController().signal;

/** A Service as the port has it now. */
async function read(name: string): Promise<Service> {
  const key = `${on.namespace}/${name}`;
  await using watched = new Watched<ReadonlyMap<string, Service>>(async (seen, signal) => kube.services.watch(on.namespace, seen, signal));
  await eventually(() => {
    expect(watched.last?.has(key)).toBe(true);
  });
  return watched.last?.get(key) as Service;
}

describe("watches", () => {
  test("EndpointSlices of Services, from the first list to the last deletion", async () => {
    const path = `/apis/discovery.k8s.io/v1/namespaces/${on.namespace}/endpointslices`;
    const slice = (name: string, labels: Readonly<Record<string, string>>): Promise<unknown> =>
      on.client.post(path, {
        metadata: { name, labels },
        addressType: "IPv4",
        ports: [{ name: "http", port: 8080 }],
        endpoints: [{ addresses: ["10.1.0.1"], nodeName: "n1", conditions: {} }],
      });
    await slice("orphan-1", {});
    await slice("web-1", { "kubernetes.io/service-name": "web" });
    await using watched = new Watched<ReadonlyMap<string, EndpointSlice>>(async (seen, signal) => kube.endpointSlices.watch(on.namespace, seen, signal));
    const endpoint = { address: "10.1.0.1", nodeName: "n1", ready: true, serving: true, terminating: false };
    const ports = [{ name: "http", protocol: "TCP", port: 8080 }];
    await eventually(() => {
      expect([...(watched.last?.values() ?? [])]).toEqual([{ namespace: on.namespace, name: "web-1", service: "web", family: "IPv4", ports, endpoints: [endpoint] }]);
    });
    await on.client.patch(`${path}/web-1`, { endpoints: [{ addresses: ["10.1.0.1"], conditions: { ready: false } }] });
    await eventually(() => {
      expect(watched.last?.get(`${on.namespace}/web-1`)?.endpoints).toEqual([{ ...endpoint, nodeName: undefined, ready: false, serving: false }]);
    });
    // The selector of the watch turns the loss of the label into a deletion.
    await on.client.patch(`${path}/web-1`, { metadata: { labels: { "kubernetes.io/service-name": null } } });
    await eventually(() => {
      expect(watched.last).toEqual(new Map());
    });
  });

  test("Nodes, without their heartbeats", async () => {
    const name = on.namespace;
    await using watched = new Watched<ReadonlyMap<string, Node>>(async (seen, signal) => kube.nodes.watch(seen, signal));
    await on.client.post("/api/v1/nodes", { metadata: { name } });
    const status = (address: string, beat: string): Promise<unknown> =>
      on.client.patch(`/api/v1/nodes/${name}/status`, { status: { addresses: [{ type: "InternalIP", address }, { type: "Hostname", address: name }], conditions: [{ type: "Ready", status: "True", lastHeartbeatTime: beat }] } });
    await status("192.0.2.7", "2026-01-02T03:04:05Z");
    await eventually(() => {
      expect(watched.last?.get(name)).toMatchObject({ name, addresses: ["192.0.2.7"] });
    });
    const before = watched.last?.get(name);
    await status("192.0.2.7", "2026-01-02T03:04:15Z");
    await on.client.post("/api/v1/nodes", { metadata: { name: `${name}-next` } });
    await eventually(() => {
      expect(watched.last?.has(`${name}-next`)).toBe(true);
    });
    expect(watched.last?.get(name)).toBe(before);
    await on.client.delete(`/api/v1/nodes/${name}`);
    await on.client.delete(`/api/v1/nodes/${name}-next`);
    await eventually(() => {
      expect(watched.last?.has(name)).toBe(false);
    });
  });

  test("one ConfigMap by name, not its neighbours", async () => {
    const path = `${on.core}/configmaps`;
    await using watched = new Watched<Readonly<Record<string, string>> | undefined>(async (seen, signal) => kube.configMaps.watch({ namespace: on.namespace, name: "kubevip" }, seen, signal));
    await watched.calls(1);
    await on.client.post(path, { metadata: { name: "other" }, data: { a: "9" } });
    await on.client.post(path, { metadata: { name: "kubevip" }, data: { a: "1" } });
    await watched.calls(2);
    await on.client.patch(`${path}/kubevip`, { data: { a: "2" } });
    await watched.calls(3);
    await on.client.delete(`${path}/kubevip`);
    await watched.calls(4);
    expect(watched.seen).toEqual([undefined, { a: "1" }, { a: "2" }, undefined]);
  });
});

describe("patchService", () => {
  async function made(name: string): Promise<Service> {
    await on.client.post(`${on.core}/services`, service(name, {}, { annotations: { "vip.internal/a": "1" } }));
    return read(name);
  }

  test("sets and removes external IPs together with an annotation", async () => {
    const first = await made("patched");
    expect([first.ipFamilies, first.ipFamilyPolicy, first.externalIPs]).toEqual([["IPv4"], "SingleStack", []]);
    const version = { op: "test", path: "/metadata/resourceVersion", value: first.resourceVersion } as const;
    const next = await kube.services.patchService(first, [version, { op: "add", path: "/spec/externalIPs", value: ["198.51.100.1"] }, { op: "add", path: "/metadata/annotations/vip.internal~1b", value: "2" }], never);
    expect([next.externalIPs, next.annotations]).toEqual([["198.51.100.1"], { "vip.internal/a": "1", "vip.internal/b": "2" }]);
    const removal = [{ op: "test", path: "/spec/externalIPs/0", value: "198.51.100.1" }, { op: "remove", path: "/spec/externalIPs/0" }] as const;
    expect((await kube.services.patchService(next, removal, never)).externalIPs).toEqual([]);
  });

  test("a test that fails and a bad address are invalid, a stale version is a conflict", async () => {
    const first = await made("refused");
    const stale = [{ op: "test", path: "/metadata/resourceVersion", value: "1" }, { op: "add", path: "/spec/externalIPs", value: ["198.51.100.1"] }] as const;
    await expect(kube.services.patchService(first, stale, never)).rejects.toMatchObject({ code: "invalid", status: 422 });
    const bad = kube.services.patchService(first, [{ op: "add", path: "/spec/externalIPs", value: ["127.0.0.1"] }], never);
    await expect(bad).rejects.toMatchObject({ code: "invalid", status: 422, message: expect.stringContaining("externalIPs") as string });
    const old = kube.services.patchService(first, [{ op: "replace", path: "/metadata/resourceVersion", value: "1" }, { op: "add", path: "/spec/externalIPs", value: ["198.51.100.1"] }], never);
    await expect(old).rejects.toMatchObject({ code: "conflict", status: 409 });
  });

  test("annotations alone leave the status as it is", async () => {
    const first = await made("annotated");
    await kube.services.patchStatus(first, { ingress: [{ ip: "192.0.2.10" }], annotations: {} }, never);
    const second = await made("annotated");
    await kube.services.patchStatus(second, { ingress: undefined, annotations: { "vip.internal/b": "2" } }, never);
    const third = await made("annotated");
    expect([third.ingress[0]?.ip, third.annotations]).toEqual(["192.0.2.10", { "vip.internal/a": "1", "vip.internal/b": "2" }]);
  });
});

describe("who wrote the status", () => {
  test("is told where it is somebody else, until we write it ourselves", async () => {
    const path = `${on.core}/services`;
    await on.client.post(path, service("owned"));
    const owner = async (): Promise<Service> => read("owned");
    expect((await owner()).statusManager).toBeUndefined();
    await on.client.patch(`${path}/owned/status?fieldManager=servicelb`, { status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } } });
    const theirs = await owner();
    expect(theirs.statusManager).toBe("servicelb");
    await kube.services.patchStatus(theirs, { ingress: undefined, annotations: { "vip.internal/a": "1" } }, never);
    expect((await owner()).statusManager).toBe("servicelb");
    await kube.services.patchStatus(await owner(), { ingress: [{ ip: "192.0.2.2" }], annotations: {} }, never);
    expect((await owner()).statusManager).toBeUndefined();
  });

  test("a refusal of external IPs by admission is forbidden, with the text of the server", async (context) => {
    const { api } = on;
    if (api === undefined) return context.skip(); // a real server has the plugin or not
    await on.client.post(`${on.core}/services`, service("denied"));
    const denied = await read("denied");
    api.denyExternalIps(true);
    const refused = kube.services.patchService(denied, [{ op: "add", path: "/spec/externalIPs", value: ["198.51.100.1"] }], never);
    await expect(refused).rejects.toMatchObject({ code: "forbidden", status: 403, message: expect.stringContaining("external") as string });
    api.denyExternalIps(false);
  });
});
