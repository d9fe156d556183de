import { expect, it } from "vitest";
import type { Clock } from "../../src/ports/clock.js";
import type { Case } from "./kube-case.js";
import { kubeFor, Watched, WatchServer } from "./kube-case.js";
import { eventually, json, realClock, statusBody } from "./support.js";

type Data = Readonly<Record<string, string>> | undefined;

const id = { namespace: "kube-system", name: "kubevip" };
const object = (version: number, data: unknown, name = id.name): unknown => ({ metadata: { ...id, name, resourceVersion: String(version) }, data, binaryData: { b: "AA==" } });
const watchOf = (test: Case): Watched<Data> => new Watched<Data>(async (seen, signal) => test.kube.configMaps.watch(id, seen, signal));

it("watches one by name: none, created, changed, deleted; a new version with the same data is no change", async () => {
  const server = new WatchServer();
  await using test = await kubeFor(server.handler);
  await using watched = watchOf(test);
  await watched.calls(1);
  await server.send("ADDED", object(101, { "cidr-global": "192.0.2.0/24", broken: 5 }));
  await watched.calls(2);
  await server.send("MODIFIED", object(102, { "cidr-global": "192.0.2.0/24" }));
  server.end();
  await eventually(() => {
    expect([server.watches, test.got.at(-1)?.query.get("resourceVersion")]).toEqual([2, "102"]);
  });
  await server.send("MODIFIED", object(103, undefined));
  await watched.calls(3);
  await server.send("DELETED", object(104, undefined));
  await watched.calls(4);
  expect(watched.seen).toEqual([undefined, { "cidr-global": "192.0.2.0/24" }, {}, undefined]);
  await server.send("BOOKMARK", { metadata: { resourceVersion: "300" } });
  server.end();
  await eventually(() => {
    expect(test.got.at(-1)?.query.get("resourceVersion")).toBe("300");
  });
  // Only so an access rule with resourceNames lets it through.
  expect(test.got.every((one) => one.path === "/api/v1/namespaces/kube-system/configmaps" && one.query.get("fieldSelector") === "metadata.name=kubevip")).toBe(true);
});

it("says what the first list had, and nothing of objects with other names", async () => {
  const server = new WatchServer();
  server.items = [object(1, { a: "1" }), object(2, { a: "other" }, "other")];
  await using test = await kubeFor(server.handler);
  await using watched = watchOf(test);
  await watched.calls(1);
  expect(watched.last).toEqual({ a: "1" });
});

it("takes one that may not be read for one that is not there, tries for ever, says so once, and works once it may", async () => {
  const server = new WatchServer();
  server.items = [object(1, { a: "1" })];
  const text = 'configmaps "kubevip" is forbidden: User "x" cannot list resource';
  const state = { refusals: 0, allowed: false };
  // The waits between attempts are short, the timeouts are not.
  const clock: Clock = { ...realClock, after: (ms, fn) => realClock.after(ms < 10_000 ? ms / 1000 : ms, fn) };
  await using test = await kubeFor((got, response, request) => {
    if (state.allowed) return server.handler(got, response, request);
    state.refusals += 1;
    json(response, 403, statusBody(403, "Forbidden", text));
  }, clock);
  await using watched = watchOf(test);
  await eventually(() => {
    expect(state.refusals).toBeGreaterThan(20);
  });
  expect(watched.seen).toEqual([undefined]);
  const warnings = test.log.filter((one) => one.level === "warn");
  expect(warnings.map((one) => one.fields)).toMatchObject([{ verb: "list", code: "forbidden", resource: "configmaps", configMap: "kube-system/kubevip" }]);
  expect(warnings[0]?.fields["reason"]).toContain(text);
  state.allowed = true;
  await eventually(() => {
    expect(watched.seen).toEqual([undefined, { a: "1" }]);
  });
});

it("takes the first refusals for those of an API server that does not know its access rules yet", async () => {
  const server = new WatchServer();
  server.items = [object(1, { a: "1" })];
  let refusals = 2;
  await using test = await kubeFor((got, response, request) => {
    if (refusals <= 0) return server.handler(got, response, request);
    refusals -= 1;
    return json(response, 403, statusBody(403, "Forbidden", "not yet"));
  });
  await using watched = watchOf(test);
  await watched.calls(1);
  expect(watched.seen).toEqual([{ a: "1" }]);
});

it("keeps what it knows where it may not be read any more", async () => {
  const server = new WatchServer();
  server.items = [object(1, { a: "1" })];
  const state = { refusals: 0, allowed: true };
  const clock: Clock = { ...realClock, after: (ms, fn) => realClock.after(ms < 10_000 ? ms / 1000 : ms, fn) };
  await using test = await kubeFor((got, response, request) => {
    if (state.allowed) return server.handler(got, response, request);
    state.refusals += 1;
    return json(response, 403, statusBody(403, "Forbidden", "no more"));
  }, clock);
  await using watched = watchOf(test);
  await watched.calls(1);
  state.allowed = false;
  server.end();
  await eventually(() => {
    expect(state.refusals).toBeGreaterThan(10);
  });
  expect(watched.seen).toEqual([{ a: "1" }]);
});
