import { describe, expect, it } from "vitest";
import { decodeEndpointSlice } from "../../src/kube/endpoint-slices.js";
import type { EndpointSlice } from "../../src/ports/kube.js";
import { kubeFor, Watched, WatchServer } from "./kube-case.js";
import type { Case } from "./kube-case.js";
import { eventually, statusBody } from "./support.js";

type Slices = ReadonlyMap<string, EndpointSlice>;

const SERVICE = "kubernetes.io/service-name";
const metadata = { namespace: "default", name: "web-abc", labels: { [SERVICE]: "web", app: "web" } };
const bare = { namespace: "default", name: "web-abc", service: "web", family: "IPv4", ports: [], endpoints: [] };

/** `web-<name>` in this version with one endpoint. */
function slice(name: string, version: number, part: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  const named = { ...metadata, name: `web-${name}`, resourceVersion: String(version), annotations: { "endpoints.kubernetes.io/last-change-trigger-time": `t${version}` } };
  return { metadata: named, addressType: "IPv4", ports: [{ name: "", port: 8080 }], endpoints: [{ addresses: ["10.1.0.1"], conditions: {} }], ...part };
}

const ofNamespace = (test: Case, namespace?: string): Watched<Slices> => new Watched<Slices>(async (seen, signal) => test.kube.endpointSlices.watch(namespace, seen, signal));
const ready = (slices: Slices | undefined): readonly (readonly [string, boolean | undefined])[] => [...(slices ?? [])].map(([key, one]) => [key, one.endpoints[0]?.ready] as const);

describe("decodeEndpointSlice", () => {
  const endpoint = { address: "10.1.0.1", nodeName: undefined, ready: true, serving: true, terminating: false };
  const withConditions = (conditions: unknown): unknown => ({ metadata, addressType: "IPv4", endpoints: [{ addresses: ["10.1.0.1"], conditions }] });
  it.each([
    {
      name: "a whole one, trimmed",
      raw: {
        metadata: { ...metadata, managedFields: [{}] },
        addressType: "IPv6",
        ports: [{ name: "http", protocol: "TCP", port: 8080, appProtocol: "http" }, { name: "", protocol: "UDP", port: 53 }],
        endpoints: [{ addresses: ["fd00::1", "fd00::2"], nodeName: "node-1", zone: "a", hints: {}, conditions: { ready: false, serving: true, terminating: true } }],
      },
      want: {
        ...bare,
        family: "IPv6",
        ports: [{ name: "http", protocol: "TCP", port: 8080 }, { name: "", protocol: "UDP", port: 53 }],
        endpoints: [{ address: "fd00::1", nodeName: "node-1", ready: false, serving: true, terminating: true }],
      },
    },
    { name: "one without endpoints and ports", raw: { metadata, addressType: "IPv4", endpoints: null, ports: null }, want: bare },
    { name: "no conditions: ready and serving", raw: withConditions(undefined), want: { ...bare, endpoints: [endpoint] } },
    { name: "conditions that are null: ready and serving", raw: withConditions({ ready: null, serving: null, terminating: null }), want: { ...bare, endpoints: [endpoint] } },
    { name: "not ready and serving not said: not serving", raw: withConditions({ ready: false }), want: { ...bare, endpoints: [{ ...endpoint, ready: false, serving: false }] } },
    { name: "serving while not ready", raw: withConditions({ ready: false, serving: true, terminating: true }), want: { ...bare, endpoints: [{ ...endpoint, ready: false, terminating: true }] } },
    {
      name: "endpoints and ports that are of no use",
      raw: { metadata, addressType: "IPv4", ports: [null, {}, { port: 0 }, { port: 80, protocol: "X" }, { port: 80, name: null, protocol: undefined }], endpoints: [null, {}, { addresses: [] }, { addresses: [7] }, { addresses: ["10.1.0.1"] }] },
      want: { ...bare, ports: [{ name: "", protocol: "TCP", port: 80 }], endpoints: [endpoint] },
    },
    { name: "an unknown address type", raw: { metadata, addressType: "IPv7" }, want: undefined },
    { name: "no Service", raw: { metadata: { ...metadata, labels: {} }, addressType: "IPv4" }, want: undefined },
    { name: "null", raw: null, want: undefined },
  ])("decodes $name", ({ raw, want }) => {
    expect(decodeEndpointSlice(raw)).toEqual(want);
  });
});

describe("endpointSlices.watch", () => {
  it.each([
    { namespace: undefined, path: "/apis/discovery.k8s.io/v1/endpointslices" },
    { namespace: "prod", path: "/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices" },
  ])("reads $path, of Services only", async ({ namespace, path }) => {
    const server = new WatchServer();
    await using test = await kubeFor(server.handler);
    await using watched = ofNamespace(test, namespace);
    await watched.calls(1);
    expect(watched.last).toEqual(new Map());
    expect(test.got.every((one) => one.path === path && one.query.get("labelSelector") === SERVICE)).toBe(true);
  });

  it("follows list, additions, changes, deletions and bookmarks; what did not change keeps its identity", async () => {
    const server = new WatchServer();
    server.items = [slice("a", 1), slice("b", 2)];
    await using test = await kubeFor(server.handler);
    await using watched = ofNamespace(test);
    await watched.calls(1);
    await server.send("MODIFIED", slice("b", 101, { endpoints: [{ addresses: ["10.1.0.1"], conditions: { ready: false } }] }));
    await watched.calls(2);
    await server.send("ADDED", slice("c", 102));
    await watched.calls(3);
    await server.send("DELETED", slice("b", 103));
    await watched.calls(4);
    expect(watched.seen.map(ready)).toEqual([
      [["default/web-a", true], ["default/web-b", true]],
      [["default/web-a", true], ["default/web-b", false]],
      [["default/web-a", true], ["default/web-b", false], ["default/web-c", true]],
      [["default/web-a", true], ["default/web-c", true]],
    ]);
    expect(new Set(watched.seen.map((map) => map.get("default/web-a"))).size).toBe(1);
    await server.send("BOOKMARK", { metadata: { resourceVersion: "200" } });
    await server.send("MODIFIED", slice("a", 201));
    server.end();
    await eventually(() => {
      expect(server.watches).toBe(2);
    });
    expect(test.got.at(-1)?.query.get("resourceVersion")).toBe("201");
    expect([watched.seen.length, server.lists]).toEqual([4, 1]);
  });

  it("keeps identities over a second list, and tells of what was lost meanwhile", async () => {
    const server = new WatchServer();
    server.items = [slice("a", 1), slice("b", 2), slice("c", 3)];
    await using test = await kubeFor(server.handler);
    await using watched = ofNamespace(test);
    await watched.calls(1);
    server.items = [slice("a", 1), slice("c", 9)]; // c: a new version that says the same
    await server.send("ERROR", statusBody(410, "Expired", "too old"));
    await watched.calls(2);
    expect([...(watched.last?.keys() ?? [])]).toEqual(["default/web-a", "default/web-c"]);
    for (const key of ["default/web-a", "default/web-c"]) expect(watched.seen[1]?.get(key)).toBe(watched.seen[0]?.get(key));
  });

  it("leaves out names and slices without a Service, also one that becomes so, without a warning", async () => {
    const server = new WatchServer();
    const orphan = { ...slice("b", 5), metadata: { namespace: "default", name: "web-b", resourceVersion: "5", labels: {} } };
    server.items = [slice("a", 1), slice("names", 2, { addressType: "FQDN" }), orphan];
    await using test = await kubeFor(server.handler);
    await using watched = ofNamespace(test);
    await watched.calls(1);
    expect([...(watched.last?.keys() ?? [])]).toEqual(["default/web-a"]);
    await server.send("MODIFIED", { ...orphan, metadata: { ...orphan.metadata, name: "web-a", resourceVersion: "6" } });
    await watched.calls(2);
    expect(watched.last).toEqual(new Map());
    expect(test.log.filter((one) => one.level === "warn")).toEqual([]);
  });
});
