import { fakeNode } from "./node.js";
import { describe, expect, it } from "vitest";
import type { EndpointSlice, JsonPatchOperation, Service } from "../../src/ports/kube.js";
import { FakeKube } from "./kube.js";
import { fakeService } from "./service.js";

const never = new AbortController().signal;

describe("the fake's patchService", () => {
  const put = (kube: FakeKube, part: Partial<Service> = {}): Service => kube.put(fakeService(part));
  const ANNOTATION = "/metadata/annotations/vip.internal~1external";
  it.each<{ readonly name: string; readonly part: Partial<Service>; readonly operations: readonly JsonPatchOperation[]; readonly want: Partial<Service> }>([
    { name: "adds the first address", part: {}, operations: [{ op: "add", path: "/spec/externalIPs", value: ["192.0.2.1"] }], want: { externalIPs: ["192.0.2.1"] } },
    { name: "adds to the end", part: { externalIPs: ["192.0.2.9"] }, operations: [{ op: "add", path: "/spec/externalIPs/-", value: "192.0.2.1" }], want: { externalIPs: ["192.0.2.9", "192.0.2.1"] } },
    { name: "removes by index, after a test of it", part: { externalIPs: ["192.0.2.9", "192.0.2.1"] }, operations: [{ op: "test", path: "/spec/externalIPs/0", value: "192.0.2.9" }, { op: "remove", path: "/spec/externalIPs/0" }], want: { externalIPs: ["192.0.2.1"] } },
    { name: "replaces all, after a test of all", part: { externalIPs: ["192.0.2.9"] }, operations: [{ op: "test", path: "/spec/externalIPs", value: ["192.0.2.9"] }, { op: "replace", path: "/spec/externalIPs", value: [] }], want: { externalIPs: [] } },
    { name: "tests that there is none", part: {}, operations: [{ op: "test", path: "/spec/externalIPs", value: null }], want: { externalIPs: [] } },
    { name: "sets an annotation besides others", part: { annotations: { a: "1" } }, operations: [{ op: "add", path: ANNOTATION, value: "x" }], want: { annotations: { a: "1", "vip.internal/external": "x" } } },
    { name: "removes an annotation", part: { annotations: { "vip.internal/external": "x" } }, operations: [{ op: "remove", path: ANNOTATION }], want: { annotations: {} } },
  ])("$name", async ({ part, operations, want }) => {
    const kube = new FakeKube();
    const service = put(kube, part);
    const next = await kube.servicePort.patchService(service, [{ op: "test", path: "/metadata/resourceVersion", value: service.resourceVersion }, ...operations], never);
    expect(next).toMatchObject(want);
    expect(kube.services.get("default/web" as never)).toEqual(next);
    expect(next.resourceVersion).not.toBe(service.resourceVersion);
  });

  it.each<{ readonly name: string; readonly operation: JsonPatchOperation; readonly code: string }>([
    { name: "a test of another version", operation: { op: "test", path: "/metadata/resourceVersion", value: "1" }, code: "invalid" },
    { name: "another version as precondition", operation: { op: "replace", path: "/metadata/resourceVersion", value: "1" }, code: "conflict" },
    { name: "an annotation where there are none", operation: { op: "add", path: ANNOTATION, value: "x" }, code: "invalid" },
    { name: "removal of what is not there", operation: { op: "remove", path: "/spec/externalIPs/1" }, code: "invalid" },
    { name: "an address at a place beyond the end", operation: { op: "add", path: "/spec/externalIPs/2", value: "192.0.2.1" }, code: "invalid" },
    { name: "a test of another address", operation: { op: "test", path: "/spec/externalIPs/0", value: "192.0.2.8" }, code: "invalid" },
  ])("refuses $name as $code and changes nothing", async ({ operation, code }) => {
    const kube = new FakeKube();
    const service = put(kube, { externalIPs: ["192.0.2.9"] });
    const operations: readonly JsonPatchOperation[] = [{ op: "replace", path: "/spec/externalIPs", value: ["192.0.2.9"] }, operation];
    await expect(kube.servicePort.patchService(service, operations, never)).rejects.toMatchObject({ code });
    expect([...kube.services.values()]).toEqual([service]);
  });

  it("refuses new addresses where admission says so, and lets old ones go", async () => {
    const kube = new FakeKube();
    kube.refuseExternalIPs = "Use of external IPs is denied by admission control";
    const service = put(kube, { externalIPs: ["192.0.2.9"] });
    const add = kube.servicePort.patchService(service, [{ op: "add", path: "/spec/externalIPs/-", value: "192.0.2.1" }], never);
    await expect(add).rejects.toMatchObject({ code: "forbidden", message: kube.refuseExternalIPs });
    const next = await kube.servicePort.patchService(service, [{ op: "remove", path: "/spec/externalIPs/0" }], never);
    expect(next.externalIPs).toEqual([]);
  });

  it("leaves the status alone where a status patch names none", async () => {
    const kube = new FakeKube();
    const service = put(kube, { ingress: [{ ip: "192.0.2.1", hostname: undefined, raw: { ip: "192.0.2.1" } }] });
    await kube.servicePort.patchStatus(service, { ingress: undefined, annotations: { a: "1" } }, never);
    expect([...kube.services.values()]).toMatchObject([{ ingress: service.ingress, annotations: { a: "1" } }]);
  });
});

it("the fake's watches tell what is there at first, and every change until they end", async () => {
  const kube = new FakeKube();
  const id = { namespace: "kube-system", name: "kubevip" };
  const slice: EndpointSlice = { namespace: "default", name: "web-1", service: "web", family: "IPv4", ports: [], endpoints: [] };
  const node = fakeNode("n1");
  const stop = new AbortController();
  const seen: unknown[] = [];
  kube.putNode(node);
  const all = Promise.all([
    kube.endpointSlices.watch(undefined, (map) => seen.push(["slices", ...map.values()]), stop.signal),
    kube.nodes.watch((map) => seen.push(["nodes", ...map.keys()]), stop.signal),
    kube.configMaps.watch(id, (data) => seen.push(["map", data]), stop.signal),
  ]);
  await Promise.resolve();
  expect(seen).toEqual([["slices"], ["nodes", "n1"], ["map", undefined]]);
  const step = async (change: () => void): Promise<unknown> => {
    const before = seen.length;
    change();
    await Promise.resolve();
    return seen.slice(before);
  };
  expect(await step(() => kube.putSlice(slice))).toEqual([["slices", slice]]);
  expect(await step(() => kube.removeSlice("default/web-1"))).toEqual([["slices"]]);
  expect(await step(() => kube.removeNode("n1"))).toEqual([["nodes"]]);
  expect(await step(() => kube.putConfigMap(id, { a: "1" }))).toEqual([["map", { a: "1" }]]);
  expect(await step(() => kube.putConfigMap(id, undefined))).toEqual([["map", undefined]]);
  stop.abort();
  await all;
  expect(await step(() => kube.putNode(node))).toEqual([]);
});
