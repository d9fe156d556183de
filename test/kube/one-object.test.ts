import { expect, it } from "vitest";
import type { NodeTexts } from "../../src/ports/kube.js";
import { kubeFor, Watched, WatchServer } from "./kube-case.js";

it("watches a Secret by name, its values as texts", async () => {
  const id = { namespace: "kube-system", name: "bgp" };
  const server = new WatchServer();
  await using test = await kubeFor(server.handler);
  await using watched = new Watched<Readonly<Record<string, string>> | undefined>(async (seen, signal) => test.kube.secrets.watch(id, seen, signal));
  await watched.calls(1);
  await server.send("ADDED", { metadata: { ...id, resourceVersion: "101" }, data: { password: Buffer.from("gehéim").toString("base64"), broken: 5 } });
  await watched.calls(2);
  await server.send("DELETED", { metadata: { ...id, resourceVersion: "102" } });
  await watched.calls(3);
  expect(watched.seen).toEqual([undefined, { password: "gehéim" }, undefined]);
  expect(test.got.every((one) => one.path === "/api/v1/namespaces/kube-system/secrets" && one.query.get("fieldSelector") === "metadata.name=bgp")).toBe(true);
});

it("watches a Node by name: all labels and annotations; a heartbeat is no change", async () => {
  const server = new WatchServer();
  await using test = await kubeFor(server.handler);
  await using watched = new Watched<NodeTexts | undefined>(async (seen, signal) => test.kube.nodes.watchOne("n1", seen, signal));
  await watched.calls(1);
  const node = (version: string, rack: string, beat: number): unknown => ({ metadata: { name: "n1", resourceVersion: version, labels: { rack }, annotations: { a: "b" } }, status: { beat } });
  await server.send("ADDED", node("101", "a", 1));
  await watched.calls(2);
  await server.send("MODIFIED", node("102", "a", 2));
  await server.send("MODIFIED", node("103", "b", 3));
  await watched.calls(3);
  expect(watched.seen).toEqual([undefined, { labels: { rack: "a" }, annotations: { a: "b" } }, { labels: { rack: "b" }, annotations: { a: "b" } }]);
  expect(test.got.every((one) => one.path === "/api/v1/nodes" && one.query.get("fieldSelector") === "metadata.name=n1")).toBe(true);
});
