import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asList, asText, at } from "../lab/api/object.js";
import { meta, service, stage } from "./client.js";
import type { Stage } from "./client.js";

let on: Stage;
beforeAll(async () => {
  on = await stage({ bookmarkMs: 50 });
});
afterAll(async () => await on[Symbol.asyncDispose]());

const maps = (rest = ""): string => `${on.core}/configmaps${rest}`;
const real = process.env["VIP_TEST_KUBECONFIG"] !== undefined;

async function make(name: string, labels: { readonly [key: string]: string } = {}): Promise<string> {
  const { body } = await on.client.post(maps(), { metadata: { name, labels }, data: {} });
  return asText(meta(body)["resourceVersion"]);
}

async function version(): Promise<string> {
  return asText(meta((await on.client.get(maps())).body)["resourceVersion"]);
}

describe("lists", () => {
  test("items carry no kind and no apiVersion, the list does", async () => {
    await make("bare");
    const { body } = await on.client.get(maps("?fieldSelector=metadata.name%3Dbare"));
    expect([body["kind"], body["apiVersion"]]).toEqual(["ConfigMapList", "v1"]);
    expect(asList(body["items"]).map((item) => [at(item, "kind"), at(item, "metadata", "name")])).toEqual([[undefined, "bare"]]);
  });

  test("pages come from the state at the first one", async () => {
    for (const index of [1, 2, 3, 4, 5]) await make(`page-${index}`, { paged: "yes" });
    const query = "?limit=2&labelSelector=paged%3Dyes";
    const first = await on.client.get(maps(query));
    await on.client.delete(maps("/page-4"));
    await make("page-6", { paged: "yes" });
    const names: string[] = [];
    let page = first.body;
    let pages = 0;
    for (;;) {
      pages += 1;
      names.push(...asList(page["items"]).map((item) => asText(at(item, "metadata", "name"))));
      const token = asText(meta(page)["continue"]);
      if (token === "") break;
      page = (await on.client.get(maps(`${query}&continue=${encodeURIComponent(token)}`))).body;
    }
    expect([pages, names]).toEqual([3, ["page-1", "page-2", "page-3", "page-4", "page-5"]]);
  });

  test("a broken continue token is 400", async () => {
    expect((await on.client.get(maps("?limit=1&continue=bm9wZQ"))).code).toBe(400);
  });

  test("a future resourceVersion is 504 with a cause", async () => {
    const { code, body } = await on.client.get(maps("?resourceVersion=99999999999"));
    expect([code, at(asList(at(body, "details", "causes"))[0], "reason")]).toEqual([504, "ResourceVersionTooLarge"]);
  });

  test.each([
    ["equality", "k%3Dv", ["sel-1"]],
    ["inequality", "k%21%3Dv,sel", ["sel-2"]],
    ["a set", "k%20in%20(v,w)", ["sel-1", "sel-2"]],
    ["absence", "sel,%21other", ["sel-1"]],
  ])("a labelSelector by %s selects", async (_name, selector, names) => {
    await make("sel-1", { sel: "", k: "v" });
    await make("sel-2", { sel: "", k: "w", other: "x" });
    const { body } = await on.client.get(maps(`?labelSelector=${selector}`));
    expect(asList(body["items"]).map((item) => at(item, "metadata", "name"))).toEqual(names);
  });

  test("an unknown field label is 400", async () => {
    const { code, body } = await on.client.get(maps("?fieldSelector=data.x%3D1"));
    expect([code, asText(body["message"]).includes("field label not supported")]).toEqual([400, true]);
  });
});

describe("watches", () => {
  test("a watch from a resourceVersion tells what came after it, then what comes", async () => {
    const from = await version();
    await make("seen-1");
    using watch = await on.client.watch(maps(`?watch=1&resourceVersion=${from}`));
    expect(await watch.take(1)).toEqual(["ADDED seen-1"]);
    await on.client.patch(maps("/seen-1"), { data: { a: "b" } });
    await on.client.delete(maps("/seen-1"));
    expect(await watch.take(2)).toEqual(["MODIFIED seen-1", "DELETED seen-1"]);
  });

  test("events carry kind, apiVersion and a resourceVersion of their own, the deletion too", async () => {
    using watch = await on.client.watch(maps(`?watch=1&resourceVersion=${await version()}`));
    const created = await make("typed");
    await on.client.delete(maps("/typed"));
    const added = await watch.next();
    const deleted = await watch.next();
    if (typeof added !== "object" || typeof deleted !== "object") throw new Error("no events");
    expect([added.object["kind"], added.object["apiVersion"], meta(added.object)["resourceVersion"]]).toEqual(["ConfigMap", "v1", created]);
    expect(Number(meta(deleted.object)["resourceVersion"])).toBeGreaterThan(Number(created));
  });

  test("an object which leaves the selector is DELETED, one which enters is ADDED", async () => {
    await make("mover", { color: "red" });
    using watch = await on.client.watch(maps(`?watch=1&labelSelector=color%3Dred&resourceVersion=${await version()}`));
    await on.client.patch(maps("/mover"), { metadata: { labels: { color: "blue" } } });
    await on.client.patch(maps("/mover"), { data: { unseen: "yes" } });
    await on.client.patch(maps("/mover"), { metadata: { labels: { color: "red" } } });
    expect(await watch.take(2)).toEqual(["DELETED mover", "ADDED mover"]);
  });

  test("a watch of one name by fieldSelector is silent of others", async () => {
    using watch = await on.client.watch(maps(`?watch=1&fieldSelector=metadata.name%3Donly&resourceVersion=${await version()}`));
    await make("another");
    await make("only");
    expect(await watch.take(1)).toEqual(["ADDED only"]);
  });

  test.skipIf(real)("bookmarks come with a resourceVersion and no name", async () => {
    using watch = await on.client.watch(maps(`?watch=1&allowWatchBookmarks=true&resourceVersion=${await version()}`));
    expect(await watch.take(2)).toEqual(["BOOKMARK", "BOOKMARK"]);
  });

  test("sendInitialEvents tells the state, then a bookmark marks its end", async () => {
    await make("initial", { initial: "yes" });
    using watch = await on.client.watch(maps("?watch=1&labelSelector=initial&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"));
    expect(await watch.take(1)).toEqual(["ADDED initial"]);
    const mark = await watch.next();
    if (typeof mark !== "object") throw new Error("no bookmark");
    expect([mark.type, at(mark.object, "metadata", "annotations", "k8s.io/initial-events-end")]).toEqual(["BOOKMARK", "true"]);
  });

  test("timeoutSeconds ends a watch", async () => {
    using watch = await on.client.watch(maps(`?watch=1&timeoutSeconds=1&resourceVersion=${await version()}`));
    expect(await watch.next()).toBeUndefined();
  });

  test.skipIf(real)("after a compaction an older version gets ERROR 410 and the end, and a page 410", async () => {
    await make("old-1", { old: "yes" });
    await make("old-2", { old: "yes" });
    const { body } = await on.client.get(maps("?limit=1&labelSelector=old"));
    on.api?.compact();
    using watch = await on.client.watch(maps(`?watch=1&resourceVersion=${asText(meta(body)["resourceVersion"])}`));
    const event = await watch.next();
    if (typeof event !== "object") throw new Error("no event");
    expect([event.type, event.object["kind"], event.object["code"], event.object["reason"]]).toEqual(["ERROR", "Status", 410, "Expired"]);
    expect(await watch.next()).toBeUndefined();
    const page = await on.client.get(maps(`?limit=1&labelSelector=old&continue=${encodeURIComponent(asText(meta(body)["continue"]))}`));
    expect([page.code, page.body["reason"]]).toEqual([410, "Expired"]);
  });

  test("a watch as a Table gives columns in the first event only", async () => {
    const services = `${on.core}/services`;
    const from = asText(meta((await on.client.get(services)).body)["resourceVersion"]);
    using watch = await on.client.watch(`${services}?watch=1&resourceVersion=${from}`, { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" });
    await on.client.post(services, service("row"));
    await on.client.patch(`${services}/row/status`, { status: { loadBalancer: { ingress: [{ ip: "192.0.2.10" }] } } });
    const first = await watch.next();
    const second = await watch.next();
    if (typeof first !== "object" || typeof second !== "object") throw new Error("no events");
    expect(asList(first.object["columnDefinitions"]).map((column) => at(column, "name")).slice(0, 4)).toEqual(["Name", "Type", "Cluster-IP", "External-IP"]);
    expect(second.object["columnDefinitions"]).toBeNull();
    expect(asList(at(asList(second.object["rows"])[0], "cells"))[3]).toBe("192.0.2.10");
  });
});
