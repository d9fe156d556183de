import { expect, it } from "vitest";
import { decodeNode } from "../../src/kube/nodes.js";
import type { Node } from "../../src/ports/kube.js";
import { kubeFor, Watched, WatchServer } from "./kube-case.js";
import { eventually } from "./support.js";

const PLAIN: Node = { name: "n1", addresses: [], cordoned: false, excluded: false, controlPlane: false, ready: true, annotations: {} };

type NodeMap = ReadonlyMap<string, Node>;

/** A Node as the kubelet writes it at `beat`. */
function node(name: string, version: number, address: string): unknown {
  const conditions = [{ type: "Ready", status: "True", lastHeartbeatTime: `beat ${version}` }];
  return { metadata: { name, resourceVersion: String(version) }, status: { addresses: [{ type: "Hostname", address: name }, { type: "InternalIP", address }], conditions } };
}

it.each([
  {
    name: "a whole one, trimmed",
    raw: {
      metadata: { name: "n1", labels: {} },
      spec: { podCIDR: "10.1.0.0/24" },
      status: {
        addresses: [
          { type: "InternalIP", address: "192.0.2.1" },
          { type: "InternalIP", address: "2001:db8::1" },
          { type: "ExternalIP", address: "198.51.100.1" },
          { type: "Hostname", address: "n1" },
          { type: "InternalDNS", address: "n1.example" },
        ],
      },
    },
    want: { ...PLAIN, addresses: ["192.0.2.1", "2001:db8::1", "198.51.100.1"] },
  },
  { name: "one without status", raw: { metadata: { name: "n1" } }, want: PLAIN },
  { name: "broken addresses", raw: { metadata: { name: "n1" }, status: { addresses: [null, { type: "InternalIP" }, { address: "192.0.2.1" }] } }, want: PLAIN },
  { name: "a cordoned one", raw: { metadata: { name: "n1" }, spec: { unschedulable: true } }, want: { ...PLAIN, cordoned: true } },
  {
    name: "labels, by their presence, and our annotations",
    raw: { metadata: { name: "n1", labels: { "node.kubernetes.io/exclude-from-external-load-balancers": "", "node-role.kubernetes.io/control-plane": "" }, annotations: { "vip.internal/drain": "true", "other/one": "1" } } },
    want: { ...PLAIN, excluded: true, controlPlane: true, annotations: { "vip.internal/drain": "true" } },
  },
  { name: "one that is not ready", raw: { metadata: { name: "n1" }, status: { conditions: [{ type: "MemoryPressure", status: "False" }, { type: "Ready", status: "False" }] } }, want: { ...PLAIN, ready: false } },
  { name: "one that has fallen silent", raw: { metadata: { name: "n1" }, status: { conditions: [{ type: "Ready", status: "Unknown" }] } }, want: { ...PLAIN, ready: false } },
  { name: "broken labels and conditions", raw: { metadata: { name: "n1", labels: "x", annotations: 1 }, spec: null, status: { conditions: { Ready: false } } }, want: PLAIN },
  { name: "no name", raw: { metadata: {} }, want: undefined },
])("decodes $name", ({ raw, want }) => {
  expect(decodeNode(raw)).toEqual(want);
});

it("follows list, changes, deletions and bookmarks; a heartbeat is no change", async () => {
  const server = new WatchServer();
  server.items = [node("n1", 1, "192.0.2.1"), node("n2", 2, "192.0.2.2")];
  await using test = await kubeFor(server.handler);
  await using watched = new Watched<NodeMap>(async (seen, signal) => test.kube.nodes.watch(seen, signal));
  await watched.calls(1);
  for (let version = 101; version < 120; version += 1) await server.send("MODIFIED", node("n1", version, "192.0.2.1"));
  await server.send("MODIFIED", node("n2", 120, "192.0.2.22"));
  await watched.calls(2);
  await server.send("ADDED", node("n3", 121, "192.0.2.3"));
  await watched.calls(3);
  await server.send("DELETED", node("n2", 122, "192.0.2.22"));
  await watched.calls(4);
  expect(watched.seen.map((map) => [...map.values()].map((one) => one.addresses.join()))).toEqual([
    ["192.0.2.1", "192.0.2.2"],
    ["192.0.2.1", "192.0.2.22"],
    ["192.0.2.1", "192.0.2.22", "192.0.2.3"],
    ["192.0.2.1", "192.0.2.3"],
  ]);
  expect(watched.seen[3]?.get("n1")).toBe(watched.seen[0]?.get("n1"));
  await server.send("BOOKMARK", { metadata: { resourceVersion: "500" } });
  await server.send("MODIFIED", node("n1", 501, "192.0.2.1"));
  server.end();
  await eventually(() => {
    expect(server.watches).toBe(2);
  });
  // The heartbeats have moved the place where the next watch starts, and nothing else.
  expect(test.got.map((one) => `${one.path} ${one.query.get("resourceVersion") ?? "list"}`)).toEqual(["/api/v1/nodes list", "/api/v1/nodes 100", "/api/v1/nodes 501"]);
  expect(watched.seen.length).toBe(4);
});
