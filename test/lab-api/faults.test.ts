import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ApiAdmin } from "../lab/api/admin.js";
import type { Fault } from "../lab/api/faults.js";
import { asList, asText } from "../lab/api/object.js";
import type { Api } from "../lab/api/server.js";
import { runsOf } from "../runs.js";
import { Client, meta, service, stage } from "./client.js";
import type { Stage } from "./client.js";

let on: Stage;
let api: Api;
let admin: ApiAdmin;
beforeAll(async () => {
  on = await stage({ bookmarkMs: 30 }, { realToo: false });
  if (on.api === undefined) throw new Error("no server of our own");
  api = on.api;
  admin = new ApiAdmin(api.adminSocket);
});
afterEach(async () => {
  await admin.resume();
  await admin.clear();
  await admin.resetCounters();
});
afterAll(async () => await on[Symbol.asyncDispose]());

const maps = (rest = ""): string => `${on.core}/configmaps${rest}`;
const quiet = { timeoutMs: 150 };

async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

describe("faults", () => {
  test("latency delays the requests which match and no others", async () => {
    await admin.fault({ effect: { kind: "latency", minMs: 120, maxMs: 140 }, match: { verb: "list", resource: "configmaps" } });
    expect(await elapsed(async () => await on.client.get(maps()))).toBeGreaterThanOrEqual(115);
    expect(await elapsed(async () => await on.client.get(`${on.core}/services`))).toBeLessThan(100);
  });

  test.each([
    [429, "TooManyRequests"],
    [500, "InternalError"],
    [503, "ServiceUnavailable"],
    [403, "Forbidden"],
  ])("a failure with %i is a Status %s, as often as asked", async (code, reason) => {
    await admin.fault({ effect: { kind: "fail", code, ...(code === 429 ? { retryAfterSeconds: 7 } : {}) }, count: 1 });
    const hit = await on.client.get(maps());
    expect([hit.code, hit.body["kind"], hit.body["reason"], hit.headers["retry-after"]]).toEqual([code, "Status", reason, code === 429 ? "7" : undefined]);
    expect((await on.client.get(maps())).code).toBe(200);
  });

  test("a probability of 0 hits nobody", async () => {
    await admin.fault({ effect: { kind: "fail", code: 500 }, probability: 0 });
    expect((await on.client.get(maps())).code).toBe(200);
  });

  test.each<readonly [string, Fault["match"]]>([
    ["user agent", { userAgent: "node-2" }],
    ["user", { user: "node-2" }],
    ["remote address", { remote: "192.0.2.1" }],
    ["name", { name: "other" }],
    ["namespace", { namespace: "other" }],
  ])("a fault for another %s leaves this one alone", async (_name, match) => {
    await admin.fault({ effect: { kind: "fail", code: 500 }, ...(match === undefined ? {} : { match }) });
    expect((await on.client.get(maps())).code).toBe(200);
  });

  test("a fault by user meets a token of that user", async () => {
    const client = new Client(await admin.kubeconfig("system:node:node-2"));
    await admin.fault({ effect: { kind: "fail", code: 500 }, match: { user: "system:node:node-2" } });
    expect((await client.get(maps())).code).toBe(500);
    client.close();
  });

  test("a request that hangs is neither done nor answered", async () => {
    const id = await admin.fault({ effect: { kind: "hang" }, match: { verb: "create" } });
    await expect(on.client.call("POST", maps(), { body: { metadata: { name: "hung" } }, ...quiet })).rejects.toThrow("no answer");
    expect(await admin.clear(id)).toBe(1);
    expect((await on.client.get(maps("/hung"))).code).toBe(404);
  });

  test("a lost reply is done and the connection destroyed", async () => {
    await admin.fault({ effect: { kind: "lose" }, match: { verb: "create" }, count: 1 });
    await expect(on.client.post(maps(), { metadata: { name: "lost" } })).rejects.toThrow();
    expect((await on.client.get(maps("/lost"))).code).toBe(200);
  });

  test("a reset is not done", async () => {
    await admin.fault({ effect: { kind: "reset" }, match: { verb: "create" }, count: 1 });
    await expect(on.client.post(maps(), { metadata: { name: "reset" } })).rejects.toThrow();
    expect((await on.client.get(maps("/reset"))).code).toBe(404);
  });

  test("a frozen watch is silent, bookmarks too, and tells all once cleared", async () => {
    const from = asText(meta((await on.client.get(maps())).body)["resourceVersion"]);
    using watch = await on.client.watch(maps(`?watch=1&allowWatchBookmarks=true&resourceVersion=${from}`));
    await admin.fault({ effect: { kind: "freeze" } });
    await on.client.post(maps(), { metadata: { name: "frozen" } });
    // Bookmarks from before the freeze may still come.
    let event = await watch.next(150);
    while (typeof event === "object" && event.type === "BOOKMARK") event = await watch.next(150);
    expect(event).toBe("silent");
    await admin.clear();
    expect(await watch.take(1)).toEqual(["ADDED frozen"]);
  });

  test("cut watches end, by filter", async () => {
    using watch = await on.client.watch(maps("?watch=1&resourceVersion=0&labelSelector=none"));
    expect(await admin.cutWatches({ resource: "services" })).toBe(0);
    expect(await admin.cutWatches({ resource: "configmaps" })).toBe(1);
    await expect(watch.next()).rejects.toThrow("aborted");
  });

  test("a paused server answers after it resumes", async () => {
    await admin.pause();
    const answer = on.client.get(maps());
    await expect(on.client.call("GET", maps(), quiet)).rejects.toThrow("no answer");
    await admin.resume();
    expect((await answer).code).toBe(200);
  });

  test("a server which is down refuses, and is back with its objects", async () => {
    await on.client.post(maps(), { metadata: { name: "survivor" } });
    await admin.down();
    await expect(on.client.get(maps())).rejects.toThrow("ECONNREFUSED");
    await admin.up();
    expect((await on.client.get(maps("/survivor"))).code).toBe(200);
  });

  test("reset connections break what is open", async () => {
    await admin.fault({ effect: { kind: "hang" } });
    // oxlint-disable-next-line vitest/valid-expect -- awaited below, after the reset
    const hung = expect(on.client.get(maps())).rejects.toThrow();
    while ((await admin.counters()).total === 0) await new Promise((resolve) => void setTimeout(resolve, 5));
    expect(await admin.resetConnections("127.0.0.1")).toBeGreaterThanOrEqual(1);
    await hung;
  });

  test("counters tell verb, resource, code, remote address and user", async () => {
    await on.client.get(maps());
    await on.client.get(maps("/absent"));
    const { requests, total } = await admin.counters();
    const common = { resource: "configmaps", remote: "127.0.0.1", user: "kubernetes-admin", count: 1 };
    expect(requests).toEqual([{ verb: "list", code: 200, ...common }, { verb: "get", code: 404, ...common }]);
    expect(total).toBe(2);
  });
});

describe("users", () => {
  test("an unknown token is 401", async () => {
    const { code, body } = await on.client.call("GET", maps(), { token: "nobody" });
    expect([code, body["kind"], body["reason"]]).toEqual([401, "Status", "Unauthorized"]);
  });

  test("without credentials only health and version are answered", async () => {
    expect((await on.client.call("GET", maps(), { anonymous: true })).code).toBe(403);
    expect((await on.client.call("GET", "/readyz", { anonymous: true })).body).toEqual({ text: "ok" });
    expect((await on.client.call("GET", "/version", { anonymous: true })).code).toBe(200);
  });
});

describe("scale", () => {
  const COUNT = runsOf(10_000);

  test("thousands of Services are made, listed in pages and watched in time", async () => {
    const made = await elapsed(async () => expect(await admin.bulkServices({ count: COUNT, prefix: "bulk", namespace: on.namespace, ipBase: "10.200.0.1" })).toBe(COUNT));
    let names = 0;
    let token = "";
    const listed = await elapsed(async () => {
      do {
        const { body } = await on.client.get(`${on.core}/services?limit=500${token === "" ? "" : `&continue=${encodeURIComponent(token)}`}`);
        names += asList(body["items"]).length;
        token = asText(meta(body)["continue"]);
      } while (token !== "");
    });
    expect(names).toBe(COUNT);
    const from = asText(meta((await on.client.get(`${on.core}/services?limit=1`)).body)["resourceVersion"]);
    using watch = await on.client.watch(`${on.core}/services?watch=1&resourceVersion=${from}`);
    const watched = await elapsed(async () => {
      expect(await admin.deleteServices("bulk", on.namespace)).toBe(COUNT);
      expect(await watch.take(COUNT)).toHaveLength(COUNT);
    });
    // Far above what it takes, for the machine may be busy: with all of them a quadratic step would still show.
    expect(made).toBeLessThan(10_000);
    expect(listed).toBeLessThan(10_000);
    expect(watched).toBeLessThan(10_000);
    process.stdout.write(`${JSON.stringify({ figure: `lab api, ${COUNT} services`, madeMs: Math.round(made), listedMs: Math.round(listed), deletedAndWatchedMs: Math.round(watched) })}\n`);
  }, 30_000);

  test("a Service is found among the rest by name", async () => {
    await on.client.post(`${on.core}/services`, service("single"));
    expect((await on.client.get(`${on.core}/services?fieldSelector=metadata.name%3Dsingle`)).body["items"]).toHaveLength(1);
  });
});
